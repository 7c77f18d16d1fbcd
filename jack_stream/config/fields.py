"""Values that several sections of a configuration have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from jack_stream.capture.address import check_address, is_address
from jack_stream.errors import ConfigError, SourceError
from jack_stream.wire.endpoint import check_endpoint, check_public

__all__ = [
    "Cores",
    "Endpoint",
    "Pace",
    "PublicEndpoint",
    "Section",
    "Source",
    "StreamName",
    "spans_of",
]


_MOST_CORES = 4095


class Section(BaseModel):
    """A table of a configuration; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _endpoint(value: str) -> str:
    try:
        return check_endpoint(value)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _public(value: str) -> str:
    try:
        return check_public(value)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _source(value: str) -> str:
    try:
        if is_address(bare := value.removeprefix("file://")):
            check_address(bare)
    except SourceError as error:
        raise ValueError(str(error)) from error
    return value


def spans_of(cores: str) -> list[tuple[int, int]]:
    """The first and last number of each part of a list such as ``0,2-3``.

    Raises:
        ValueError: it is none.
    """
    spans = []
    for part in cores.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or not (last if dash else first).isdecimal():
            raise ValueError("'all', a number of cores such as 2, or a list such as 0,2-3")
        spans.append((int(first), int(last if dash else first)))
        if not spans[-1][0] <= spans[-1][1] <= _MOST_CORES:
            raise ValueError(f"{part} runs backwards, or beyond {_MOST_CORES}")
    return spans


def _cores(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_cores(value: str) -> str:
    text = value.replace(" ", "")
    if text != "all":
        spans_of(text)
    if text.isdecimal() and int(text) == 0:
        raise ValueError("no cores at all; the first one alone is 0-0")
    return text


Cores = Annotated[str, BeforeValidator(_cores), AfterValidator(_check_cores)]
Source = Annotated[str, AfterValidator(_source)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
PublicEndpoint = Annotated[str, AfterValidator(_public)]
StreamName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Pace = Literal["realtime", "fast"]
