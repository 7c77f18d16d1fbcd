"""Who runs on which cores, and that it is so."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.config import Config, parse
from jack_stream.errors import ConfigError
from jack_stream.service.cores import choose, divide, division, take_part
from jack_stream.service.plan import Role, WorkerPlan

ALLOWED = (1, 3, 4, 5, 9)


def _workers(captures: int, poses: int) -> list[WorkerPlan]:
    streams = [WorkerPlan("camera", f"s{n}") for n in range(captures)]
    people = [WorkerPlan("pose", f"s{n}") for n in range(poses)]
    return [*streams, *people, WorkerPlan("inference"), WorkerPlan("journal")]


@pytest.mark.parametrize(
    ("wanted", "cores"),
    [
        ("all", ALLOWED),
        ("2", (1, 3)),
        ("5", ALLOWED),
        ("3-3", (3,)),
        ("9,3-5", (3, 4, 5, 9)),
        ("3,3,3-4", (3, 4)),
    ],
)
def test_cores_are_chosen_by_number_or_by_name(wanted: str, cores: tuple[int, ...]) -> None:
    assert choose(wanted, ALLOWED) == cores


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("6", "6 cores are asked for, this process may use 5: 1,3,4,5,9"),
        ("3-6", "core 6 is not there or not allowed, this process may use 5: 1,3,4,5,9"),
        ("0,1", "core 0 is not there"),
    ],
)
def test_cores_that_are_not_there_or_not_allowed_are_refused(wanted: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        choose(wanted, ALLOWED)


@given(
    st.sets(st.integers(0, 4095), min_size=1, max_size=64),
    st.integers(0, 40),
    st.integers(0, 40),
    st.booleans(),
)
def test_every_core_is_given_and_to_one_kind_of_process_only(
    cores: set[int], captures: int, poses: int, only_poses: bool
) -> None:
    there = sorted(cores)
    parts = divide(there, _workers(captures, poses), only_poses=only_poses)
    assert parts.capture
    assert parts.inference
    assert bool(parts.pose) == bool(poses)
    together = [*parts.capture, *parts.pose, *parts.inference]
    assert set(together) == cores
    if len(there) < 4:
        assert set(map(tuple, (parts.capture, parts.inference))) == {tuple(there)}
    else:
        assert sorted(together) == there, "none is given twice"
        assert len(parts.pose) <= poses
        assert len(parts.capture) <= len(there) / 4
        models, rest = len(parts.inference), len(there) - len(parts.capture)
        assert models >= rest / (4 if only_poses else 2)


@pytest.mark.parametrize(
    ("cores", "captures", "poses", "only_poses", "said"),
    [
        (2, 1, 1, True, "capture 0,1; pose 0,1; inference 0,1"),
        (4, 1, 0, False, "capture 0; inference 1,2,3"),
        (4, 1, 1, True, "capture 0; pose 1; inference 2,3"),
        (8, 4, 4, True, "capture 0; pose 1,2,3,4; inference 5,6,7"),
        (8, 4, 4, False, "capture 0; pose 1,2,3; inference 4,5,6,7"),
        (8, 8, 8, True, "capture 0; pose 1,2,3,4,5; inference 6,7"),
    ],
)
def test_the_divisions_that_the_docs_show(
    cores: int, captures: int, poses: int, only_poses: bool, said: str
) -> None:
    parts = divide(range(cores), _workers(captures, poses), only_poses=only_poses)
    assert str(parts) == said


def _config(**runtime: Any) -> Config:
    table = {"name": "door", "scene": {}, "pose": {}}
    return parse({"runtime": runtime, "streams": [table]}, "test")


def test_nothing_is_divided_unless_it_is_asked_for() -> None:
    assert division(_config()) is None
    assert division(_config(cpus="all")) is not None


@pytest.mark.parametrize("cpus", [1, "1", "all", "0,2-3", " 0, 2 - 3"])
def test_cores_may_be_written_so(cpus: object) -> None:
    assert _config(cpus=cpus).runtime.cpus in {"1", "all", "0,2-3"}


@pytest.mark.parametrize(
    "cpus", [0, "00", -1, True, 1.5, "", "two", "3-1", "1-", "0-99999", "1,,2"]
)
def test_what_names_no_cores_is_refused_with_its_key(cpus: object) -> None:
    with pytest.raises(ConfigError, match=r"runtime\.cpus"):
        _config(cpus=cpus)


def test_where_it_is_forbidden_to_choose_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int, _cores: set[int]) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with pytest.raises(ConfigError, match="may not choose its cores"):
        take_part(_config(cpus="all"))


_PROCESS = """
import os, sys, threading
from jack_stream.config import parse
from jack_stream.service.cores import take_part

stop = threading.Event()
threading.Thread(target=stop.wait).start()
table = {"runtime": {"cpus": sys.argv[1]}, "streams": [{"name": "door", "scene": {}}]}
take_part(parse(table, "test"), sys.argv[2])
import cv2
threads = [os.sched_getaffinity(int(task)) for task in os.listdir("/proc/self/task")]
print(len(threads) >= 2, *{",".join(map(str, sorted(cores))) for cores in threads})
print(cv2.getNumThreads())
stop.set()
"""


@pytest.mark.parametrize(("role", "threads_per_core"), [("camera", 0), ("inference", 1)])
@pytest.mark.parametrize("cpus", ["all", "one"])
def test_a_process_keeps_to_its_cores_with_all_its_threads(
    role: Role, threads_per_core: int, cpus: str
) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    cpus = f"{allowed[-1]}-{allowed[-1]}" if cpus == "one" else cpus
    parts = divide(choose(cpus, allowed), _workers(1, 0), only_poses=True)
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS, cpus, role],
        capture_output=True, text=True, timeout=60, check=True,
        env={name: value for name, value in os.environ.items() if "THREADS" not in name},
    )  # fmt: skip
    threads = max(1, threads_per_core * len(parts.of(role)))
    cores = ",".join(map(str, parts.of(role)))
    assert done.stdout.split() == ["True", cores, str(threads)]
