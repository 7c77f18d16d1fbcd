"""Holds a trace to Google's "Trace Event Format", as far as it is used here."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

_KEYS = {"ph", "ts", "pid", "tid", "name"}


def of_name(whole: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The events of a name."""
    return [event for event in whole["traceEvents"] if event["name"] == name]


def check(whole: dict[str, Any]) -> None:
    """Fail unless every viewer can make sense of it."""
    events = whole["traceEvents"]
    assert all(event.keys() >= _KEYS for event in events)
    assert {event["ph"] for event in events} <= set("MXibestf")
    assert all(math.isfinite(event["ts"]) and event["ts"] >= 0 for event in events)
    names = {(e["name"], e["pid"], e["tid"]) for e in events if e["ph"] == "M"}
    timed = [event for event in events if event["ph"] != "M"]
    assert events == [*(e for e in events if e["ph"] == "M"), *timed], "names come first"
    assert [e["ts"] for e in timed] == sorted(e["ts"] for e in timed)
    for event in timed:
        assert ("process_name", event["pid"], 0) in names
        assert ("thread_name", event["pid"], event["tid"]) in names
    _check_threads([e for e in timed if e["ph"] == "X"])
    _check_lives([e for e in timed if e["ph"] in "be"])
    _check_arrows([e for e in timed if e["ph"] in "stf"], timed)


def _check_threads(work: list[dict[str, Any]]) -> None:
    """What one thread does lies one after the other, or one within the other."""
    open_until: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    for event in sorted(work, key=lambda e: (e["ts"], -e["dur"])):
        assert event["dur"] >= 0
        end, stack = event["ts"] + event["dur"], open_until[event["pid"], event["tid"]]
        while stack and stack[-1] <= event["ts"] + 1e-3:
            stack.pop()
        assert not stack or end <= stack[-1] + 1e-3, f"{event} overlaps another of its thread"
        stack.append(end)


def _check_lives(ends: list[dict[str, Any]]) -> None:
    """Each begin has its end, in order."""
    opened: defaultdict[tuple[Any, ...], list[str]] = defaultdict(list)
    for event in ends:
        stack = opened[event["pid"], event["cat"], event["id2"]["local"]]
        if event["ph"] == "b":
            stack.append(event["name"])
        else:
            assert stack, f"{event} ends what was not begun"
            assert stack.pop() == event["name"]
    assert not any(opened.values()), "something was begun and not ended"


def _check_arrows(arrows: list[dict[str, Any]], timed: list[dict[str, Any]]) -> None:
    """Each arrow begins and ends once, on work that is there."""
    starts = {(e["pid"], e["tid"], e["ts"]) for e in timed if e["ph"] == "X"}
    phases: defaultdict[str, str] = defaultdict(str)
    for arrow in arrows:
        assert (arrow["pid"], arrow["tid"], arrow["ts"]) in starts
        phases[arrow["id"]] += arrow["ph"]
    assert all(found[0] == "s" and found[-1] == "f" for found in phases.values())
    assert all(set(found[1:-1]) <= {"t"} for found in phases.values())
