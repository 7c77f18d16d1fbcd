"""The fuzzers' quick turn in every test run; the long one is in docs/reliability.md."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import WireError
from jack_stream.wire.codec import decode, topic_of
from tests.faults.fuzz_files import damaged, kinds, one
from tests.faults.fuzz_wire import fuzz_gate, fuzz_system
from tests.faults.mutate import Mutator, outcome


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_hostile_messages_are_messages_or_wire_errors(seed: int) -> None:
    mutator = Mutator(seed)
    for _ in range(50):
        parts = mutator.make()
        try:
            message = decode(parts)
        except WireError as error:
            mutator.learn(parts, outcome(error, parts))
        else:
            assert topic_of(message) == parts[0]


def test_a_running_intake_takes_hostile_messages_and_goes_on(tmp_path: Path) -> None:
    found = fuzz_system(1500, 7, tmp_path)
    assert found.notes["dropped_malformed"] > 300
    assert found.notes["used"] > 50


def test_a_gate_takes_hostile_messages_and_noise_and_goes_on(tmp_path: Path) -> None:
    found = fuzz_gate(500, 7, tmp_path)
    assert found.notes["dropped_malformed"] > 100
    assert found.notes["captures"] > 20


@pytest.mark.parametrize(
    "name", ["bundle", "checkpoint", "configuration", "card", "recording", "image", "sound"]
)
def test_damaged_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    kind = kinds(tmp_path)[name]
    folder = tmp_path / "cases"
    folder.mkdir()
    outcomes = set()
    for number in range(30):
        path = folder / f"case{kind.suffix}"
        path.write_bytes(damaged(kind.good, random.Random(f"quick.{name}.{number}")))
        outcomes.add(one(kind, path))
    assert outcomes & {"BundleError", "ConfigError", "SourceError"}
