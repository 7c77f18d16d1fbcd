"""What is said of a configuration that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from jack_stream.capture.redact import redact
from jack_stream.config.fields import Section

__all__ = ["describe"]


def describe(error: ValidationError, secrets: Collection[str]) -> list[str]:
    """A line for each fault, with its key and its value.

    Args:
        error: of a configuration.
        secrets: texts that must not be repeated.
    """
    return [_describe(fault, secrets) for fault in _real(error.errors())]


def _real(faults: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without the lists that Pydantic calls too short only because their items are wrong."""

    def is_echo(fault: Mapping[str, Any]) -> bool:
        here = fault["loc"]
        below = (other for other in faults if other is not fault)
        return fault["type"] == "too_short" and any(f["loc"][: len(here)] == here for f in below)

    return [fault for fault in faults if not is_echo(fault)]


def _describe(fault: Mapping[str, Any], secrets: Collection[str]) -> str:
    key = ".".join(str(part) for part in fault["loc"]) or "(the whole)"
    if fault["type"] == "extra_forbidden":
        return f"{key}: there is no such key{_meant(fault['loc'])}"
    if fault["type"] == "missing":
        return f"{key}: is missing"
    message = str(fault["msg"]).removeprefix("Value error, ")
    value = fault["input"]
    # What came from the environment, or is a source, may be a secret that must not get into a log.
    private = bool({"source", "device", "token", "webhook"} & set(map(str, fault["loc"])))
    hidden = private or isinstance(value, (dict, BaseModel)) or _contains(value, secrets)
    shown = "" if hidden else f" = {redact(str(value))[:80]!r}"
    return f"{key}{shown}: {'its value is not allowed' if _contains(message, secrets) else message}"


def _contains(value: object, secrets: Collection[str]) -> bool:
    return any(secret and secret in str(value) for secret in secrets)


def _meant(location: Sequence[str | int]) -> str:
    """The key that was probably meant by an unknown one."""
    known = {name for section in _sections() for name in section.model_fields} - {location[-1]}
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _sections() -> Iterator[type[BaseModel]]:
    yield from Section.__subclasses__()
