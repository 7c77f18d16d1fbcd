"""One process: how it fares, and when it is started again. The processes are real and tiny."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jack_stream.service import child as module
from jack_stream.service.child import Child
from jack_stream.service.plan import WorkerPlan
from jack_stream.wire.messages import Health, Stamp, State

_PYTHON = """#!/bin/sh
exec {python} -c '
import sys, time
said = sys.stdin.readline().strip()
if said == "wait": sys.stdin.read()
if said == "deaf":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", file=open("{ready}", "w"), flush=True)
    time.sleep(60)
sys.exit(int(said) if said.lstrip("-").isdigit() else 0)
'
"""


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    return tmp_path / "ready"


@pytest.fixture(autouse=True)
def _tiny_processes(tmp_path: Path, ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a worker: a process that does what its one line of configuration says."""
    program = tmp_path / "python"
    program.write_text(_PYTHON.format(python=sys.executable, ready=ready))
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.fixture
def child() -> Iterator[Child]:
    one = Child(WorkerPlan("camera", "door"))
    yield one
    one.terminate()
    one.wait(0)


def _until(holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until_s, "it did not come to pass"
        time.sleep(0.01)


def _outcome(child: Child) -> str:
    found = "running"

    def ended() -> bool:
        nonlocal found
        found = child.look()
        return found != "running"

    _until(ended)
    return found


def _health(state: State = "running") -> Health:
    return Health(Stamp("door", 0, 1, "a"), "camera.door", state, {}, {}, "")


def test_a_process_that_ends_well_is_finished_for_good(child: Child) -> None:
    child.start("0")
    assert _outcome(child) == "finished"
    assert child.pid is None
    assert not child.may_restart()
    assert child.look() == "finished"


@pytest.mark.parametrize("code", [64, 65, 66, 69, 74, 78])
def test_an_error_that_trying_again_does_not_mend_is_final(child: Child, code: int) -> None:
    child.start(str(code))
    assert _outcome(child) == "failed"
    assert child.exit_code == code
    child._start_at_s = 0.0
    assert not child.may_restart()


@pytest.mark.parametrize("code", [1, 75])
def test_other_errors_are_tried_again(child: Child, code: int) -> None:
    child.start(str(code))
    assert _outcome(child) == "died"
    assert child.exit_code == code
    _until(child.may_restart)


def test_a_killed_process_has_died(child: Child) -> None:
    child.start("wait")
    assert child.look() == "running"
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    assert _outcome(child) == "died"
    assert child.exit_code == -signal.SIGKILL


def test_the_wait_doubles_up_to_a_limit_and_a_long_life_forgives(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []
    for _ in range(7):
        child.start("1")
        _outcome(child)
        waits.append(child.restart_in_s())
    assert waits == pytest.approx([0.5, 1, 2, 4, 8, 15, 15], abs=0.3)
    monkeypatch.setattr(module, "HEALTHY_AFTER_S", 0.0)
    child.start("1")
    _outcome(child)
    assert child.restart_in_s() == pytest.approx(0.5, abs=0.3)


def test_a_running_process_that_falls_silent_hangs_and_is_killed(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    child.start("wait")
    pid = child.pid
    assert pid is not None
    monkeypatch.setattr(module, "SILENT_S", 0.0)
    assert child.look() == "running", "nothing is silent that has not begun to speak"
    child.hear(_health("starting"))
    assert child.look() == "running", "models may compile for minutes"
    child.hear(_health("running"))
    time.sleep(0.001)
    assert child.look() == "hung"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert child.restart_in_s() > 0


def test_a_stopped_process_is_killed(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    child.start("wait")
    pid = child.pid
    assert pid is not None
    child.hear(_health())
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(module, "SILENT_S", 0.0)
    time.sleep(0.001)
    assert child.look() == "hung"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_is_held_up_by_others_does_not_hang(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.0)
    child.may_wait = True
    child.start("wait")
    child.hear(_health("running"))
    time.sleep(0.001)
    assert child.look() == "running"


def test_one_that_is_asked_ends_in_time(child: Child) -> None:
    child.start("wait")
    child.terminate()
    assert child.wait(time.monotonic() + 20)


def test_one_that_does_not_listen_is_killed_when_time_is_up(child: Child, ready: Path) -> None:
    child.start("deaf")
    _until(ready.exists)
    pid = child.pid
    assert pid is not None
    child.terminate()
    assert not child.wait(time.monotonic() + 0.2)
    assert child.exit_code == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_was_never_started_has_nothing_to_end(child: Child) -> None:
    child.terminate()
    assert child.wait(time.monotonic())
    assert child.pid is None
