"""A few of the kills of kills.py, in every run of the tests."""

from __future__ import annotations

import pytest

from tests.end_to_end.commands import socket_folder
from tests.faults.kills import run

pytestmark = [pytest.mark.end_to_end, pytest.mark.jittor, pytest.mark.timeout(600)]


def test_killed_processes_come_back_and_no_event_is_lost_or_doubled() -> None:
    with socket_folder() as folder:
        report = run(4, 4.0, 3, folder, lambda _: None)
    assert sum(map(len, report.recoveries_s.values())) >= 1
    assert report.heard > 0
    assert report.handed > 0
    assert (report.not_kept, report.lost, report.twice, report.unsound) == (0, 0, 0, 0)
