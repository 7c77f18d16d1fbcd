"""Reduced precision as an explicit choice, and memory that stays flat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jack_stream.errors import UsageError
from jack_stream.models.i3d import I3D
from jack_stream.models.layers import Linear, paths, set_precision, set_weights
from jack_stream.models.resnet import AudioResNet18
from jack_stream.runtime import has_bfloat16, jittor
from tests.models.golden import Golden, assert_close

pytestmark = pytest.mark.jittor
jt = jittor()


@pytest.mark.skipif(not has_bfloat16(), reason="needs a processor with bfloat16")
def test_bfloat16_costs_less_than_a_hundredth_and_can_be_taken_back(shared: Path) -> None:
    golden = Golden(shared, "i3d")
    module, clip = I3D(400), jt.array(golden.input("clip"))
    set_weights(module, golden.weights())
    module.eval()
    with jt.no_grad():
        exact = module(clip)["features"].numpy()
        set_precision(module, "bfloat16")
        reduced = module(clip)["features"].numpy()
        set_precision(module, "float32")
        again = module(clip)["features"].numpy()
    assert reduced.dtype == np.float32
    assert np.abs(reduced - exact).max() > 0
    assert_close(reduced, exact, 1e-2)
    np.testing.assert_array_equal(again, exact)


def test_bfloat16_is_refused_where_it_can_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no part"):
        set_precision(Linear(2, 2), "bfloat16")
    monkeypatch.setattr(paths, "has_bfloat16", lambda: False)
    with pytest.raises(UsageError, match="no bfloat16 instructions"):
        set_precision(AudioResNet18(), "bfloat16")


def resident_kib() -> int:
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])


def test_memory_is_flat_over_repeated_inferences_of_changing_batches() -> None:
    module = AudioResNet18()
    module.eval()
    pieces = [np.ones((batch, 1, 32, 32), np.float32) for batch in (1, 2, 3)]

    def infer(count: int) -> None:
        for turn in range(count):
            with jt.no_grad():
                module(jt.array(pieces[turn % 3])).numpy()

    infer(300)
    before = resident_kib()
    infer(900)
    assert resident_kib() - before < 4 * 1024
