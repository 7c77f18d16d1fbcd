"""Sections about what answers browsers and other programs over HTTP."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from jack_stream.config.fields import Section
from jack_stream.wire.endpoint import is_local

__all__ = ["MetricsSettings", "ViewSettings"]

_PLACE = r"(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}"


def _port(address: str) -> str:
    if address != "off" and int(address.rpartition(":")[2]) > 65_535:
        raise ValueError("a port is at most 65535")
    return address


class MetricsSettings(Section):
    """Health and metrics over HTTP: `/healthz` and `/metrics`, without keys or encryption."""

    address: Annotated[
        str, StringConstraints(pattern=rf"^(off|{_PLACE})$"), AfterValidator(_port)
    ] = Field(default="127.0.0.1:9577", description='HOST:PORT to answer at; "off" for none.')
    public: bool = Field(
        default=False,
        description="true: the address may be one that other machines reach. Whoever reaches it"
        " reads the streams' names and when something happens there.",
    )

    @model_validator(mode="after")
    def _is_local_or_meant(self) -> MetricsSettings:
        if self.address != "off" and not self.public and not _is_local(self.address):
            raise ValueError(
                f"metrics.address {self.address!r} can be reached from other machines, which"
                " would read the streams' names and when something happens there, without keys;"
                " set metrics.public = true if that is meant"
            )
        return self

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return _split(self.address)


class ViewSettings(Section):
    """The live page, for browsers: docs/live-page.md."""

    enabled: bool = Field(
        default=False, description="true: `jack-stream run` serves it, in a process of its own."
    )
    address: Annotated[str, StringConstraints(pattern=f"^{_PLACE}$"), AfterValidator(_port)] = (
        Field(default="127.0.0.1:8765", description="HOST:PORT to listen on, not encrypted.")
    )
    token: str | None = Field(
        default=None,
        min_length=8,
        description="What browsers must bring; needed where other machines reach the address."
        ' Best from the environment: "${JACK_STREAM_VIEW_TOKEN}".',
    )
    show_faces: bool = Field(default=False, description="true: faces are not blurred.")

    @model_validator(mode="after")
    def _is_local_or_guarded(self) -> ViewSettings:
        if self.token is None and not _is_local(self.address):
            raise ValueError(
                f"view.address {self.address!r} can be reached from other machines: set view.token,"
                ' best token = "${JACK_STREAM_VIEW_TOKEN}" and that variable'
            )
        return self

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return _split(self.address)

    @property
    def url(self) -> str:
        """Where a browser finds the page, without the token."""
        return f"http://{f'localhost:{self.place[1]}' if _is_local(self.address) else self.address}"


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _is_local(address: str) -> bool:
    return is_local(f"tcp://{address}")
