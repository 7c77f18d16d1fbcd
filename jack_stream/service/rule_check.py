"""Whether rules can ever hold: found out before anything is started."""

from __future__ import annotations

import difflib
import shutil

from jack_stream.config import AnalyzerSettings, Config, RuleSettings, StreamSettings
from jack_stream.errors import ConfigError
from jack_stream.inference.catalogue import bundle_path
from jack_stream.models.registry import METHODS
from jack_stream.weights.bundle import read_card

__all__ = ["check_rules", "labels_of"]


def check_rules(config: Config) -> None:
    """Check that each rule is about methods that run and classes that they know.

    Raises:
        ConfigError: one is not, or its command is not there.
        BundleError: the weights that say which classes there are can't be read.
    """
    for rule in config.rules:
        streams = [one for one in config.streams if not rule.streams or one.name in rule.streams]
        for method in rule.methods:
            if method not in {one.method for stream in streams for one in stream.analyzers}:
                raise ConfigError(
                    f"rule {rule.name!r}: methods: no analyzer of its streams is {method!r}",
                    hint="`jack-stream models` lists the methods; analyzers say which are used.",
                )
        known = {stream.name: _known(rule, stream) for stream in streams}
        _check_labels(rule, known)
        if rule.command and shutil.which(rule.command[0]) is None:
            raise ConfigError(
                f"rule {rule.name!r}: command: there is no program {rule.command[0]!r}",
                hint="Give its whole path. A shell's built-ins, ~ and $NAME do not work here:"
                ' write command = ["sh", "-c", "..."] if a shell is meant.',
            )


def labels_of(analyzer: AnalyzerSettings) -> tuple[str, ...]:
    """The classes that an analyzer tells apart, by its weights' card.

    Raises:
        BundleError: the card can't be read.
    """
    path = bundle_path(analyzer.method, analyzer.bundle)
    named = () if path is None else tuple(read_card(path).labels)
    return named or METHODS[analyzer.method].labels


def _known(rule: RuleSettings, stream: StreamSettings) -> set[str]:
    """The classes that a rule may be about in a stream."""
    analyzers = [one for one in stream.analyzers if not rule.methods or one.method in rule.methods]
    return {label for one in analyzers for label in labels_of(one)}


def _check_labels(rule: RuleSettings, known: dict[str, set[str]]) -> None:
    every = sorted(set().union(*known.values()))
    there = f"there are {', '.join(every)}" if every else "no analyzer is there for it"
    for label in rule.labels:
        if label not in every:
            close = difflib.get_close_matches(label, every, n=1)
            raise ConfigError(
                f"rule {rule.name!r}: labels: no method of its streams knows {label!r}",
                hint=(f"did you mean {close[0]!r}? " if close else "") + there,
            )
    for stream in rule.streams:
        if not known[stream] & set(rule.labels):
            raise ConfigError(
                f"rule {rule.name!r}: no method of stream {stream!r} knows any of its labels",
                hint=f"there it may be about: {', '.join(sorted(known[stream])) or 'nothing'}",
            )
