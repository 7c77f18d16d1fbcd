"""Values that several sections of a configuration have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from jack_stream.capture.address import check_address, is_address
from jack_stream.errors import ConfigError, SourceError
from jack_stream.wire.endpoint import check_endpoint, check_public

__all__ = ["Endpoint", "Pace", "PublicEndpoint", "Section", "Source", "StreamName"]


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


Source = Annotated[str, AfterValidator(_source)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
PublicEndpoint = Annotated[str, AfterValidator(_public)]
StreamName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Pace = Literal["realtime", "fast"]
