"""Another inference process takes over while events flow, and no window is lost or doubled."""

from __future__ import annotations

import signal
from itertools import pairwise
from pathlib import Path

import pytest

from jack_stream.config import dumps, parse
from jack_stream.inference.handover import Handover
from jack_stream.service.succession import merged
from jack_stream.testing import capture_events
from tests.end_to_end.commands import START_S, socket_folder, started
from tests.faults.kills import STREAMS, configuration


def test_every_window_is_of_exactly_one_process() -> None:
    old, new = Handover(until_ns=100), Handover(from_ns=100)
    for start_ns in (0, 99, 100, 101):
        assert old.includes(start_ns) != new.includes(start_ns)
    assert not Handover(from_ns=None).includes(100), "who only stands by publishes nothing"


def test_analyzers_are_reloaded_and_the_rest_is_named() -> None:
    stream = {"name": "door", "camera": {"source": "0"}, "analyzers": [{"method": "vaanet"}]}
    old = parse({"streams": [stream]}, "old")
    better = [{"method": "vaanet", "bundle": "better"}]
    both, keys = merged(old, parse({"streams": [{**stream, "analyzers": better}]}, "new"))
    assert (both.streams[0].analyzers[0].bundle, keys) == ("better", [])
    other = {**stream, "camera": {"source": "1"}, "analyzers": better}
    new = parse({"streams": [other], "runtime": {"threads": 3}}, "new")
    both, keys = merged(old, new)
    assert both.streams[0].camera == old.streams[0].camera
    assert both.streams[0].analyzers[0].bundle == "better"
    assert keys == ["runtime", "streams"]


@pytest.mark.end_to_end
@pytest.mark.jittor
@pytest.mark.timeout(600)
def test_no_window_is_lost_when_another_process_takes_over(tmp_path: Path) -> None:
    with socket_folder() as folder:
        config = configuration(folder)
        path = tmp_path / "two.toml"
        path.write_text(dumps(config), encoding="utf-8")
        # So seldom that no window is shed, however busy the machine is.
        seldom = [f"--set=streams.{n}.analyzers.0.hop_s=3" for n in range(len(STREAMS))]
        with (
            capture_events(config.events.endpoint) as events,
            started(tmp_path, "run", "-c", str(path), *seldom) as run,
        ):
            events.wait_until(lambda seen: {e.stream for e in seen} == set(STREAMS), START_S)
            before = {event.session for event in events}
            run.process.send_signal(signal.SIGHUP)
            seen = events.wait_until(
                lambda all_of_them: (
                    {e.stream for e in list(all_of_them) if e.session not in before} == set(STREAMS)
                ),
                START_S,
            )
            seen = events.wait_until(lambda _: "a new process has taken over" in run.err, 90)
            wanted = len(seen) + 4
            seen = events.wait_until(lambda all_of_them: len(all_of_them) >= wanted, 60)
            assert "was ended" not in run.err
        for stream in STREAMS:
            indices = sorted(event.window.index for event in seen if event.stream == stream)
            gaps = [(a, b) for a, b in pairwise(indices[:-2]) if b != a + 1]
            assert gaps == [], run.err
