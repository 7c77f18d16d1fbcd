"""The benchmarks' own reckoning; what they measure is nobody's to assert."""

from __future__ import annotations

import pytest

from benchmarks.feeding import balance
from benchmarks.persons import PER_MESSAGE, People, most

COUNTS = {
    "messages_received": 10,
    "messages_used": 7,
    "messages_dropped_superseded": 2,
    "messages_dropped_malformed": 1,
    "messages_lost": 5,
    "windows": 9,
    "windows.door.bpm-gcn": 9,
    "windows_shed": 3,
    "windows_shed.door": 3,
    "windows_refused": 1,
    "windows_refused.door.bpm-gcn": 1,
    "windows_skipped.door.bpm-gcn": 1,
    "inference_s.door.bpm-gcn.0.01": 2,
    "inference_s.door.bpm-gcn.inf": 1,
    "windows_failed.door.bpm-gcn": 1,
}


def test_a_balance_says_what_became_of_all() -> None:
    assert balance(COUNTS) == [
        "messages received: 10 = 7 used + 2 superseded + 1 malformed",
        "windows cut: 9 = 3 answered + 3 shed + 1 skipped + 1 refused + 1 failed",
    ]


@pytest.mark.parametrize("name", ["messages_received", "messages_used", "windows", "windows_shed"])
def test_a_balance_that_does_not_add_up_is_an_error(name: str) -> None:
    with pytest.raises(AssertionError, match="is not"):
        balance({**COUNTS, name: COUNTS[name] + 1})


@pytest.mark.parametrize("bound", [0, 1, 2, 15, 16, 45, 200, 511, 512, 600])
def test_the_most_is_found_to_a_sixteenth_with_few_tries(bound: int) -> None:
    tried: list[int] = []

    def passes(number: int) -> bool:
        tried.append(number)
        return number <= bound

    found = most(passes, 16, 512)
    right = min(bound, 512)
    assert right - max(1, right // 16) < found <= right or found == right
    assert max(tried) <= 512
    assert len(tried) <= 12


def test_people_are_spread_over_the_streams() -> None:
    people = People(8)
    people.count = 19
    assert [len(people.of(stream)) for stream in range(8)] == [3, 3, 3, 2, 2, 2, 2, 2]
    people.count = 8 * PER_MESSAGE
    assert {len(people.of(stream)) for stream in range(8)} == {PER_MESSAGE}
