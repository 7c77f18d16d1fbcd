"""How a configuration is read and written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from jack_stream import toml
from jack_stream.capture.redact import redact
from jack_stream.config.faults import describe
from jack_stream.config.whole import Config
from jack_stream.errors import ConfigError

__all__ = ["dumps", "load", "loads", "parse"]

_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration file.

    Args:
        path: a TOML file.
        overrides: ``key=value`` pairs such as ``streams.0.camera.source=1``; they win.

    Raises:
        ConfigError: the file can't be read or something in it is wrong; names file, key, value.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(toml.MAX_CHARACTERS + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be read: {error.strerror}",
            hint="Ready configurations are in the folder configs; name one with --config.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: {error}") from error
    return loads(text, str(path), overrides)


def loads(text: str, source: str, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration from TOML text; ``source`` is its name in messages.

    Raises:
        ConfigError: as for :func:`load`.
    """
    try:
        table = toml.loads(text)
    except ValueError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from error
    for override in overrides:
        _apply(table, override)
    return parse(table, source)


def parse(table: Mapping[str, Any], source: str) -> Config:
    """Check a table as TOML gives it and fill ``${NAME}`` in from the environment.

    Raises:
        ConfigError: every fault is named with its key and value.
    """
    filled: set[str] = set()
    complete = _fill_in(dict(table), source, filled)
    try:
        return Config.model_validate(complete)
    except ValidationError as error:
        faults = describe(error, filled)
        listing = "\n  ".join(faults)
        raise ConfigError(
            f"{source}: {len(faults)} thing(s) wrong:\n  {listing}",
            hint="docs/configuration.md lists every key.",
        ) from None


def _apply(table: dict[str, Any], override: str) -> None:
    """Set one dotted key; a value that is no TOML is taken as text."""
    key, equals, raw = override.partition("=")
    said = f"--set {redact(override)!r}"
    if not equals or not key.strip():
        raise ConfigError(f"{said}: write key=value, such as runtime.threads=2")
    try:
        value: Any = toml.loads(f"v = {raw}")["v"]
    except ValueError:
        value = raw
    *path, last = key.strip().split(".")
    here: Any = table
    for step in path:
        here = (
            here[_index(here, step, said)] if isinstance(here, list) else here.setdefault(step, {})
        )
        if not isinstance(here, (dict, list)):
            raise ConfigError(f"{said}: {step!r} is a value and has no keys below it")
    if isinstance(here, list):
        here[_index(here, last, said)] = value
    else:
        here[last] = value


def _index(items: list[Any], step: str, said: str) -> int:
    if step not in map(str, range(len(items))):
        raise ConfigError(
            f"{said}: {step!r} is no index into a list of {len(items)}",
            hint="Lists are counted from 0: streams.0.camera.source=1",
        )
    return int(step)


def _fill_in(value: Any, source: str, filled: set[str]) -> Any:
    """Put the environment's values in; ``filled`` collects them."""
    if isinstance(value, dict):
        return {key: _fill_in(item, f"{source}: {key}", filled) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill_in(item, f"{source}[{i}]", filled) for i, item in enumerate(value)]
    if isinstance(value, str):
        return _ENVIRONMENT.sub(lambda match: _variable(match[1], source, filled), value)
    return value


def _variable(name: str, source: str, filled: set[str]) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ConfigError(
            f"{source}: the environment variable {name} is not set",
            hint=f"Set it before the start: export {name}=..., or Environment= in the unit.",
        )
    filled.add(value)
    return value


def dumps(config: Config) -> str:
    """The configuration as TOML that :func:`loads` reads back."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))
