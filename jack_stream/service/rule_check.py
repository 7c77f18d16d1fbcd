"""Whether rules can ever hold: found out before anything is started."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Mapping

from jack_stream.config import AnalyzerSettings, Config, RuleSettings, StreamSettings
from jack_stream.errors import ConfigError
from jack_stream.events.schemes import SCHEMES
from jack_stream.inference.catalogue import bundle_path
from jack_stream.inference.fusing import METHOD as FUSION
from jack_stream.models.registry import METHODS
from jack_stream.weights.bundle import read_card

__all__ = ["check_rules", "classes_of", "labels_by_method"]


def check_rules(config: Config) -> None:
    """Check that each rule is about methods that run and classes that they know.

    Raises:
        ConfigError: one is not, or its command is not there.
        BundleError: the weights that say which classes there are can't be read.
    """
    if not config.rules:
        return
    every = {stream.name: labels_by_method(stream) for stream in config.streams}
    for rule in config.rules:
        methods = {name: every[name] for name in rule.streams or every}
        for method in rule.methods:
            if not any(method in there for there in methods.values()):
                raise ConfigError(
                    f"rule {rule.name!r}: methods: no analyzer of its streams is {method!r}",
                    hint="`jack-stream models` lists the methods; analyzers say which are used.",
                )
        _check_labels(rule, {name: classes_of(rule, there) for name, there in methods.items()})
        if rule.command and shutil.which(rule.command[0]) is None:
            raise ConfigError(
                f"rule {rule.name!r}: command: there is no program {rule.command[0]!r}",
                hint="Give its whole path. A shell's built-ins, ~ and $NAME do not work here:"
                ' write command = ["sh", "-c", "..."] if a shell is meant.',
            )


def labels_by_method(stream: StreamSettings) -> dict[str, tuple[str, ...]]:
    """The classes that each method of a stream tells apart, by its weights' card; fusion's, too.

    Raises:
        BundleError: a card can't be read.
    """
    known = {one.method: _labels(one) for one in stream.analyzers}
    if stream.fusion is not None:
        known[FUSION] = SCHEMES[stream.fusion.scheme]
    return known


def classes_of(rule: RuleSettings, there: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The classes that a rule may be about in a stream with these methods."""
    methods = rule.methods or there
    return {label for method in methods for label in there.get(method, ())}


def _labels(analyzer: AnalyzerSettings) -> tuple[str, ...]:
    path = bundle_path(analyzer.method, analyzer.bundle)
    named = () if path is None else tuple(read_card(path).labels)
    return named or METHODS[analyzer.method].labels


def _check_labels(rule: RuleSettings, known: Mapping[str, set[str]]) -> None:
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
