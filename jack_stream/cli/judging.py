"""Rules of a configuration over the events of a file, for ``jack-stream analyze``."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence

import typer

from jack_stream.cli.options import load_config
from jack_stream.closing import Closing
from jack_stream.config import Config, RuleSettings
from jack_stream.events.actions import Actions
from jack_stream.events.rules import RuleBook
from jack_stream.events.schema import Alert, Event

__all__ = ["Judge", "judge_by"]

_SLICE_S = 0.05


def judge_by(name: str | None, config: Config, *, act: bool) -> Judge:
    """Judge a file's events by the rules of a configuration, whichever streams they are about.

    Rules that the file's methods say nothing about are left out, which is told.

    Args:
        name: file or ready configuration; None for no rules.
        config: the file's own configuration.
        act: whether commands are run and webhooks posted to.

    Raises:
        ConfigError: there is no such configuration, or something in it is wrong.
    """
    from jack_stream.service.rule_check import classes_of, labels_by_method  # noqa: PLC0415

    rules: list[RuleSettings] = []
    there = labels_by_method(config.streams[0])
    for rule in load_config(name, []).rules if name is not None else ():
        if classes_of(rule, there) & set(rule.labels):
            rules.append(rule.model_copy(update={"streams": ()}))
        else:
            typer.echo(f"Rule {rule.name} is not about what is looked for here.", err=True)
    return Judge(rules, act=act, silent=name is None)


class Judge(Closing):
    """Gives the alerts of a file's events.

    Args:
        rules: which.
        act: whether commands are run and webhooks posted to.
        silent: whether nothing is told at the end.
    """

    def __init__(self, rules: Sequence[RuleSettings], *, act: bool, silent: bool) -> None:
        self._silent = silent
        self._alerts: list[Alert] = []
        self._book = RuleBook(rules, secrets.token_hex(4))
        self._actions = Actions(rules if act else ())

    def take(self, event: Event) -> list[Alert]:
        """The alerts that an event makes; they are acted on."""
        alerts = self._book.take(event)
        for alert in alerts:
            self._actions.act(alert)
        self._alerts += alerts
        return alerts

    def finish(self, stop: threading.Event) -> None:
        """Wait until all actions are done, or it is time to stop."""
        while self._actions.unfinished and not stop.wait(_SLICE_S):
            self._actions.tend()

    def tell(self) -> None:
        """Print a line per alert, with the times in the file, and which action failed."""
        if self._silent:
            return
        for began in (one for one in self._alerts if one.state == "began"):
            ends = (one for one in self._alerts if one.state == "ended" and _about(one, began))
            end = next((one for one in ends if one.since_ns == began.since_ns), None)
            until = "the end" if end is None else f"{_media_s(end):.1f} s"
            who = "the scene" if began.person is None else f"person {began.person}"
            noise = "" if began.model.trained else "; UNTRAINED: noise"
            typer.echo(
                f"ALERT {began.rule}: {who}, {_media_s(began):.1f} s to {until}"
                f" ({began.model.method}: {' + '.join(began.labels)} {began.value:.0%}{noise})"
            )
        if not self._alerts:
            typer.echo("No rule gave an alert.")
        if self._actions.trouble:
            typer.echo(f"error: {self._actions.trouble}", err=True)

    def close(self) -> None:
        """Give up what is not done."""
        self._actions.close()


def _about(one: Alert, other: Alert) -> bool:
    return (one.rule, one.model.method, one.person) == (
        other.rule,
        other.model.method,
        other.person,
    )


def _media_s(alert: Alert) -> float:
    """When it began or ended, in seconds from the file's beginning."""
    return alert.window.end_s + (alert.at_ns - alert.window.end_ns) / 1e9
