"""What Prometheus is told: the processes' newest reports as metrics."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

import jack_stream
from jack_stream.service.status import SUPERVISOR, System
from jack_stream.wire.messages import Health
from jack_stream.wire.tally import BOUNDS_S, INFINITE, labelled

__all__ = ["Metrics"]

_PREFIX = "jack_stream_"
_LANE = ("stream", "method")
_STATES = ("starting", "running", "degraded", "reconnecting", "stopped")


class _Rule(NamedTuple):
    """A metric and where it is found.

    Attributes:
        name: without the prefix, and for counters without ``_total``.
        help: what it says.
        key: the counter or gauge in the reports; more labels follow after dots.
        labels: of those in the key, in order. If empty, ``process`` labels it.
        scale: what the reported number is multiplied with.
    """

    name: str
    help: str
    key: str
    labels: tuple[str, ...] = ()
    scale: float = 1.0


_COUNTERS = (
    _Rule("frames_captured", "Pictures that were published.", "frames"),
    _Rule("audio_blocks_captured", "Blocks of sound that were published.", "audio_blocks"),
    _Rule("source_reconnects", "Times a lost source was opened again.", "reconnects"),
    _Rule("capture_gaps", "Pictures three times as far apart as usual.", "gaps"),
    _Rule("windows", "Windows that were complete.", "windows", _LANE),
    _Rule("windows_degraded", "Windows in which something was missing.", "windows_degraded", _LANE),
    _Rule("windows_shed", "Windows dropped for newer ones.", "windows_shed", ("stream",)),
    _Rule(
        "windows_skipped", "Windows left out because load widened hops.", "windows_skipped", _LANE
    ),
    _Rule("windows_refused", "Windows that a model could not take.", "windows_refused", _LANE),
    _Rule(
        "windows_failed", "Windows at which a model raised or gave NaN.", "windows_failed", _LANE
    ),
    _Rule("events", "Events that inference made.", "events", _LANE),
    _Rule("events_dropped", "Events lost because the journal was away too long.", "events_dropped"),
    _Rule("events_published", "Events that left the journal.", "events_published"),
    _Rule("events_journalled", "Events that were written down.", "events_journalled"),
    _Rule("events_not_journalled", "Events published and not kept.", "events_not_journalled"),
    _Rule("alerts", "Alerts that began.", "alerts", ("stream", "rule")),
    _Rule("actions", "Commands run and webhooks posted to.", "actions", ("rule",)),
    _Rule("actions_failed", "Of these, failed.", "actions_failed", ("rule",)),
    _Rule("actions_dropped", "Not even begun: too many waited.", "actions_dropped"),
    _Rule("connections_refused", "Connections without a right key.", "connections_refused"),
)
_GAUGES = (
    _Rule("source_frames_per_second", "Over the last five seconds.", "fps"),
    _Rule("source_age_seconds", "Age of the newest sample when it was sent.", "age_ms", (), 1e-3),
    _Rule("source_silent_seconds", "For how long a microphone gave silence.", "silent_s"),
    _Rule("people", "People found in the newest picture.", "people"),
    _Rule("hop_seconds", "Time between the windows that are looked at.", "hop_s", _LANE),
    _Rule("windows_waiting", "Windows that wait for their model.", "windows_waiting"),
    _Rule("queue_age_seconds", "How long the oldest window has waited.", "queue_age_s"),
    _Rule("journal_lag_seconds", "Since the journal last had every event.", "journal_lag_s"),
    _Rule("journal_lag_events", "Events that the journal has not confirmed.", "journal_lag"),
    _Rule("journal_commit_seconds", "The newest commit took so long.", "commit_ms", (), 1e-3),
    _Rule("journal_size_bytes", "Size of the journal.", "size_mb", (), 1e6),
)
_HISTOGRAMS = (
    _Rule("inference_seconds", "Preparation and model, per window.", "inference_s", _LANE),
    _Rule("latency_seconds", "From the newest sample's capture to the event.", "latency_s", _LANE),
)
_DROPPED = ("dropped_", "messages_dropped_", "skipped_", "corrupt_", "not_finite_")


class Metrics(Collector):
    """Turns a system's reports into metrics when Prometheus asks.

    Args:
        system: knows the newest reports.
    """

    def __init__(self, system: System) -> None:
        self._system = system

    def collect(self) -> Iterator[Metric]:
        """All metrics there are."""
        reports = self._system.reports
        yield GaugeMetricFamily(
            f"{_PREFIX}up",
            "1 unless no event can be expected (see /healthz).",
            value=float(self._system.answer()[0] != "down"),
        )
        build = GaugeMetricFamily(f"{_PREFIX}build_info", "The release.", labels=["version"])
        build.add_metric([jack_stream.__version__], 1.0)
        yield build
        if (supervisor := reports.pop(SUPERVISOR, None)) is not None:
            yield from _of_processes(supervisor)
        yield _states(reports)
        yield _dropped(reports)
        for rule in _COUNTERS:
            yield _counted(rule, reports)
        for rule in _GAUGES:
            yield _gauged(rule, reports)
        for rule in _HISTOGRAMS:
            yield _distributed(rule, reports)


def _of_processes(supervisor: Health) -> Iterator[Metric]:
    restarts = CounterMetricFamily(
        f"{_PREFIX}process_restarts", "Times a process was started again.", labels=["process"]
    )
    uptime = GaugeMetricFamily(
        f"{_PREFIX}process_uptime_seconds", "Since its last start.", labels=["process"]
    )
    for key, number in supervisor.counters.items():
        if key.startswith("restarts."):
            restarts.add_metric([key.removeprefix("restarts.")], number)
    for key, seconds in supervisor.gauges.items():
        if key.startswith("uptime_s."):
            uptime.add_metric([key.removeprefix("uptime_s.")], seconds)
    yield restarts
    yield uptime


def _states(reports: dict[str, Health]) -> Metric:
    family = GaugeMetricFamily(
        f"{_PREFIX}process_state", "1 for the state that it is in.", labels=["process", "state"]
    )
    for name, health in reports.items():
        for state in _STATES:
            family.add_metric([name, state], float(health.state == state))
    return family


def _dropped(reports: dict[str, Health]) -> Metric:
    family = CounterMetricFamily(
        f"{_PREFIX}dropped",
        "Frames, blocks and messages that were not used, by what took them and why.",
        labels=["process", "reason"],
    )
    for name, health in reports.items():
        for key, number in health.counters.items():
            if key in {"lost", "messages_lost"}:
                family.add_metric([name, "lost"], number)
            elif key.startswith(_DROPPED):
                reason = key.removeprefix("messages_").removeprefix("dropped_")
                family.add_metric([name, reason], number)
    return family


def _found(
    rule: _Rule, reports: dict[str, Health], take: Callable[[Health], dict[str, int | float]]
) -> Iterator[tuple[list[str], float]]:
    for name, health in reports.items():
        for key, number in take(health).items():
            if not rule.labels and key == rule.key:
                yield [name], number * rule.scale
            elif rule.labels and key.startswith(f"{rule.key}."):
                labels = key.removeprefix(f"{rule.key}.").split(".")
                if len(labels) == len(rule.labels):
                    yield labels, number * rule.scale


def _counted(rule: _Rule, reports: dict[str, Health]) -> Metric:
    family = CounterMetricFamily(_PREFIX + rule.name, rule.help, labels=rule.labels or ("process",))
    for labels, number in _found(rule, reports, lambda health: {**health.counters}):
        family.add_metric(labels, number)
    return family


def _gauged(rule: _Rule, reports: dict[str, Health]) -> Metric:
    family = GaugeMetricFamily(_PREFIX + rule.name, rule.help, labels=rule.labels or ("process",))
    for labels, number in _found(rule, reports, lambda health: health.gauges):
        family.add_metric(labels, number)
    return family


def _distributed(rule: _Rule, reports: dict[str, Health]) -> Metric:
    family = HistogramMetricFamily(_PREFIX + rule.name, rule.help, labels=rule.labels)
    for health in reports.values():
        for labels, total in _found(rule, {"": health}, lambda health: health.gauges):
            bounds = [*map(str, BOUNDS_S), INFINITE]
            keys = [labelled(rule.key, *labels, bound) for bound in bounds]
            sums = itertools.accumulate(float(health.counters.get(key, 0)) for key in keys)
            names = [*bounds[:-1], "+Inf"]
            family.add_metric(labels, list(zip(names, sums, strict=True)), total)
    return family
