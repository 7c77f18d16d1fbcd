"""The live view in a terminal: a line per stream and person, a bar per emotion."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from jack_stream.events.schema import Alert, Event
from jack_stream.wire.messages import Health, State

__all__ = ["Board"]

_BAR = 12
_BLOCKS = " ▏▎▍▌▋▊▉█"
_GONE_S = 10.0
_STYLES: dict[State, str] = {
    "starting": "yellow",
    "running": "green",
    "degraded": "yellow",
    "reconnecting": "red",
    "stopped": "dim",
}
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red", "white", "bright_black")
_UNTRAINED = "untrained weights: these numbers are noise, not readings"


@dataclass
class Board:
    """Collects events, alerts and health and draws the newest of each.

    Attributes:
        show_processes: whether the processes' table is drawn below the readings.
    """

    show_processes: bool = True
    _events: dict[tuple[str, str, int | None], tuple[Event, float]] = field(default_factory=dict)
    _alerts: dict[tuple[str, str, str, int | None], Alert] = field(default_factory=dict)
    _health: dict[str, Health] = field(default_factory=dict)
    _count: int = 0

    def event(self, event: Event) -> None:
        """Take an event; the first live one of a stream and method ends what was retained of it."""
        key = (event.stream, event.model.method, event.person)
        if not event.retained:
            old = [k for k, (e, _) in self._events.items() if k[:2] == key[:2] and e.retained]
            for one in old:
                del self._events[one]
        self._events[key] = (event, time.monotonic())
        self._count += 1

    def alert(self, alert: Alert) -> None:
        """Take an alert; it is shown from its beginning to its end."""
        key = (alert.stream, alert.rule, alert.model.method, alert.person)
        self._alerts.pop(key, None)
        if alert.state == "began":
            self._alerts[key] = alert

    def health(self, health: Health) -> None:
        """Take a report."""
        self._health[health.process] = health

    def render(self) -> Group:
        """What to draw now; people who have not been seen for ten seconds are left out."""
        now_s = time.monotonic()
        shown = {
            k: e for k, (e, at_s) in self._events.items() if e.retained or now_s - at_s < _GONE_S
        }
        parts: list[Panel | Table | Text] = []
        parts += [_alarm(alert) for alert in self._alerts.values()]
        if any(not event.model.trained for event in shown.values()):
            parts.append(Text(_UNTRAINED.upper(), style="bold white on red", justify="center"))
        parts.append(self._readings(shown))
        if self.show_processes and self._health:
            parts.append(self._processes())
        return Group(*parts)

    def _readings(self, shown: dict[tuple[str, str, int | None], Event]) -> Panel:
        if not shown:
            text = "waiting for the first event" if self._count == 0 else "nobody is there"
            return Panel(Text(text, style="dim"), title="readings")
        table = Table.grid(padding=(0, 1))
        for key in sorted(shown, key=lambda k: (k[0], k[1], k[2] is not None, k[2] or 0)):
            event = shown[key]
            who = f"person {event.person}" if event.person is not None else "scene"
            label = event.label if event.model.trained else f"{event.label} (untrained)"
            age = _as_of(event) if event.retained else f"{event.latency.total_ms:5.0f} ms"
            table.add_row(
                Text(event.stream, style="bold"),
                Text(event.model.method, style="dim"),
                who,
                Text(label, style=_style(event)),
                _bars(event),
                Text(age, style="dim"),
                Text("; ".join(event.degraded), style="yellow"),
            )
        return Panel(table, title="readings")

    def _processes(self) -> Table:
        table = Table("process", "state", "fps", "drops", "detail", box=None, header_style="dim")
        for name in sorted(self._health):
            health = self._health[name]
            drops = sum(
                count
                for key, count in health.counters.items()
                if "drop" in key or key.endswith(("lost", "shed"))
            )
            fps = health.gauges.get("fps")
            table.add_row(
                Text(name),
                Text(health.state, style=_STYLES[health.state]),
                "" if fps is None else f"{fps:.1f}",
                str(drops) if drops else "",
                Text(health.detail),
            )
        return table


def _alarm(alert: Alert) -> Text:
    who = f"person {alert.person}" if alert.person is not None else "scene"
    since = time.strftime("%H:%M:%S", time.localtime(alert.since_ns / 1e9))
    noise = "" if alert.model.trained else " (untrained: noise)"
    return Text(
        f" ALERT {alert.rule}: {alert.stream}, {who}, {' + '.join(alert.labels)}"
        f" {alert.value:.0%}, since {since}{noise} ",
        style="bold reverse" if alert.model.trained else "dim reverse",
    )


def _style(event: Event) -> str:
    if not event.model.trained:
        return "dim strike"
    return "dim" if event.retained else "bold"


def _as_of(event: Event) -> str:
    """When a state was read that is shown only until the stream says something new."""
    return time.strftime("as of %F %T", time.localtime(event.published_at_ns / 1e9))


def _bars(event: Event) -> Text:
    text = Text()
    colours = dict(zip(event.probabilities, _COLOURS * 8, strict=False))
    for name, share in event.probabilities.items():
        text.append(f"{name[:7]} ", style="dim")
        text.append(_bar(share), style=colours[name] if event.model.trained else "dim")
        text.append(f"{share:4.0%}  ")
    return text


def _bar(share: float) -> str:
    eighths = round(max(0.0, min(1.0, share)) * _BAR * 8)
    full, rest = divmod(eighths, 8)
    return (_BLOCKS[8] * full + (_BLOCKS[rest] if rest else "")).ljust(_BAR)
