"""Weights are of methods that look at something, and above 0."""

from __future__ import annotations

import pytest

from jack_stream.config import loads
from jack_stream.errors import ConfigError

STREAM = """
[[streams]]
name = "hall"
camera = { source = "0" }
analyzers = [{ method = "vaanet", max_hop_s = 4 }, { method = "cten" }]
"""


def test_a_method_may_have_a_weight() -> None:
    config = loads(f"[runtime]\nweights = {{ vaanet = 2 }}\n{STREAM}", "test.toml")
    assert config.runtime.weights == {"vaanet": 2.0}
    assert [one.max_hop_s for one in config.streams[0].analyzers] == [4.0, None]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("{ vanet = 2 }", r"'vanet', which is no method of any analyzer \(cten, vaanet\)"),
        ("{ cten = 0 }", r"runtime\.weights\.cten"),
    ],
)
def test_a_weight_of_nothing_or_of_nobody_is_refused(weights: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        loads(f"[runtime]\nweights = {weights}\n{STREAM}", "test.toml")
