"""What is seen from outside: /healthz, /metrics and the alerts that rest on them."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from jack_stream.config import Config, parse
from jack_stream.errors import ConfigError
from jack_stream.service.plan import plan
from jack_stream.service.status import SUPERVISOR, System
from jack_stream.service.web import serving
from jack_stream.wire.messages import Health, Stamp, State
from jack_stream.wire.tally import Tally

ALERTS = Path(__file__).parents[2] / "systemd/prometheus-alerts.yml"
NAMES = ("camera.door", "pose.door", "inference")


class _Time:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def _health(process: str, state: State = "running", **said: Any) -> Health:
    return Health(Stamp("", 0, 1, "a"), process, state, **said)


def _supervisor(**restarts: int) -> Health:
    counters = {f"restarts.{name}": restarts.get(name.split(".")[0], 0) for name in NAMES}
    gauges = {"uptime_s": 60.0, **{f"uptime_s.{name}": 50.0 for name in NAMES}}
    cores = "capture 0; inference 1,2"
    return _health(SUPERVISOR, counters=counters, gauges=gauges, detail=cores)


@pytest.fixture
def clock() -> _Time:
    return _Time()


@pytest.fixture
def system(clock: _Time) -> System:
    tally = Tally()
    tally.count("events", "door", "bpm-gcn")
    for seconds in (0.02, 0.3, 99.0):
        tally.observe(seconds, "latency_s", "door", "bpm-gcn")
        tally.observe(seconds, "inference_s", "door", "bpm-gcn")
    system = System(clock)
    system.hear(_supervisor(camera=2))
    system.hear(
        _health("camera.door", counters={"frames": 7, "skipped_fps": 3}, gauges={"age_ms": 40.0})
    )
    system.hear(_health("pose.door", counters={"received": 9, "dropped_superseded": 4, "lost": 1}))
    counters = {"windows": 5, "windows.door.bpm-gcn": 5, "windows_degraded.door.bpm-gcn": 1}
    counters |= {"windows_shed": 2, "windows_shed.door": 2, "windows_failed.door.bpm-gcn": 1}
    gauges = {"queue_age_s": 0.5, "journal_lag_s": 0.0}
    system.hear(
        _health("inference", counters=counters | tally.counters(), gauges=gauges | tally.gauges())
    )
    system.hear(_health("journal", counters={"events_not_journalled": 0}))
    return system


@pytest.fixture
def address(system: System) -> Iterator[str]:
    with serving(_config(), system, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_the_processes_report_is_what_prometheus_reads(address: str) -> None:
    code, text = _get(f"{address}/metrics")
    assert code == 200
    found = _samples(text)
    lane = ("method=bpm-gcn", "stream=door")
    for key, value in {
        ("jack_stream_up",): 1.0,
        ("jack_stream_process_restarts_total", "process=camera.door"): 2.0,
        ("jack_stream_frames_captured_total", "process=camera.door"): 7.0,
        ("jack_stream_dropped_total", "process=camera.door", "reason=skipped_fps"): 3.0,
        ("jack_stream_dropped_total", "process=pose.door", "reason=superseded"): 4.0,
        ("jack_stream_dropped_total", "process=pose.door", "reason=lost"): 1.0,
        ("jack_stream_source_age_seconds", "process=camera.door"): 0.04,
        ("jack_stream_windows_total", *lane): 5.0,
        ("jack_stream_windows_degraded_total", *lane): 1.0,
        ("jack_stream_windows_shed_total", "stream=door"): 2.0,
        ("jack_stream_events_total", *lane): 1.0,
        ("jack_stream_queue_age_seconds", "process=inference"): 0.5,
        ("jack_stream_latency_seconds_bucket", "le=0.025", *lane): 1.0,
        ("jack_stream_latency_seconds_bucket", "le=0.5", *lane): 2.0,
        ("jack_stream_latency_seconds_bucket", "le=30.0", *lane): 2.0,
        ("jack_stream_latency_seconds_bucket", "le=+Inf", *lane): 3.0,
        ("jack_stream_latency_seconds_count", *lane): 3.0,
        ("jack_stream_latency_seconds_sum", *lane): pytest.approx(99.32),
        ("jack_stream_process_state", "process=inference", "state=running"): 1.0,
        ("jack_stream_process_state", "process=inference", "state=degraded"): 0.0,
    }.items():
        assert found[key] == value, key


def test_names_follow_the_conventions(address: str) -> None:
    for family in text_string_to_metric_families(_get(f"{address}/metrics")[1]):
        assert family.name.startswith("jack_stream_")
        assert not re.search(r"_(ms|mb|percent)(_|$)", family.name), "base units"
        assert family.documentation.endswith(".")


def test_alerts_are_sound_and_name_only_what_there_is(address: str) -> None:
    there = {name for name, *_ in _samples(_get(f"{address}/metrics")[1])} | {
        family.name for family in text_string_to_metric_families(_get(f"{address}/metrics")[1])
    }
    # The families that have no samples here are there by their name, counters without its end.
    there |= {f"{name}_total" for name in there}
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
        names = re.findall(r"jack_stream_\w+", rule["expr"])
        assert names
        assert set(names) <= there, rule["alert"]


def test_who_is_observed_is_told(address: str) -> None:
    for query, words in (("", "What is kept"), ("?lang=zh", "保存的内容")):
        code, text = _get(f"{address}/notice{query}")
        assert code == 200
        assert words in text


def test_all_is_well(address: str) -> None:
    code, text = _get(f"{address}/healthz")
    answer = json.loads(text)
    assert (code, answer["status"], answer["reasons"]) == (200, "ok", [])
    assert answer["uptime_s"] == 60.0
    assert answer["cores"] == "capture 0; inference 1,2"
    assert answer["processes"]["camera.door"]["restarts"] == 2


def test_one_that_is_away_degrades_and_says_why(address: str, system: System) -> None:
    system.hear(_health("pose.door", "reconnecting", detail="died (exit code -9); again in 1.0 s"))
    code, text = _get(f"{address}/healthz")
    answer = json.loads(text)
    assert (code, answer["status"]) == (200, "degraded")
    assert answer["reasons"] == ["pose.door: reconnecting: died (exit code -9); again in 1.0 s"]


@pytest.mark.parametrize("process", ["inference", "camera.door"])
def test_without_inference_or_any_source_it_is_down(
    address: str, system: System, process: str
) -> None:
    system.hear(_health(process, "reconnecting"))
    code, text = _get(f"{address}/healthz")
    assert (code, json.loads(text)["status"]) == (503, "down")
    assert _samples(_get(f"{address}/metrics")[1])[("jack_stream_up",)] == 0.0


def test_a_silent_supervisor_is_down(address: str, clock: _Time) -> None:
    clock.now_s += 6
    code, text = _get(f"{address}/healthz")
    assert (code, json.loads(text)["reasons"]) == (503, ["the supervisor is silent"])


def test_there_is_nothing_else(address: str) -> None:
    assert _get(f"{address}/")[0] == 404
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(f"{address}/metrics", data=b"x", timeout=10)  # noqa: S310 - ours


def test_a_taken_address_is_said(system: System) -> None:
    with (
        serving(_config(), system, "127.0.0.1", 0) as server,
        pytest.raises(ConfigError, match="can't be bound"),
        serving(_config(), system, "127.0.0.1", server.server_address[1]),
    ):
        pass


def _config(**metrics: Any) -> Config:
    stream = {"name": "door", "camera": {"source": "0"}}
    return parse({"metrics": metrics, "streams": [stream]}, "test")


def test_it_is_local_unless_more_is_meant() -> None:
    assert _config().metrics.place == ("127.0.0.1", 9577)
    assert _config(address="[::1]:80").metrics.place == ("::1", 80)
    with pytest.raises(ConfigError, match=r"metrics.public = true"):
        _config(address="0.0.0.0:9577")
    assert _config(address="[::]:9577", public=True).metrics.place == ("::", 9577)
    with pytest.raises(ConfigError, match="address"):
        _config(address="somewhere")


def test_it_can_be_switched_off() -> None:
    assert "metrics" in {one.name for one in plan(_config())}
    assert "metrics" not in {one.name for one in plan(_config(address="off"))}
