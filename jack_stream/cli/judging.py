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
from jack_stream.view.spans import spans

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

    @property
    def alerts(self) -> Sequence[Alert] | None:
        """All that were given, in their order; None if there were to be no rules."""
        return None if self._silent else self._alerts

    def finish(self, stop: threading.Event) -> None:
        """Wait until all actions are done, or it is time to stop."""
        while self._actions.unfinished and not stop.wait(_SLICE_S):
            self._actions.tend()

    def tell(self) -> None:
        """Print a line per alert, with the times in the file, and which action failed."""
        if self._silent:
            return
        for span in spans(self._alerts):
            began = span.began
            until = "the end" if span.end_s is None else f"{span.end_s:.1f} s"
            noise = "" if began.model.trained else "; UNTRAINED: noise"
            typer.echo(
                f"ALERT {began.rule}: {span.who.name}, {span.start_s:.1f} s to {until}"
                f" ({began.model.method}: {' + '.join(began.labels)} {began.value:.0%}{noise})"
            )
        if not self._alerts:
            typer.echo("No rule gave an alert.")
        if self._actions.trouble:
            typer.echo(f"error: {self._actions.trouble}", err=True)

    def close(self) -> None:
        """Give up what is not done."""
        self._actions.close()
