"""Sections about rules: when something is to be told, and whom."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from jack_stream.config.fields import Section, StreamName

__all__ = ["RuleSettings"]

_STEP = 0.05


def _webhook(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is no address like https://example.org/path")
    if "@" in parts.netloc:
        raise ValueError("names and passwords are not sent; use a token in its path or query")
    return value


Webhook = Annotated[str, AfterValidator(_webhook)]
Word = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


class RuleSettings(Section):
    """A condition over what methods say, and what to do when it holds. See rules.md."""

    name: StreamName = Field(description="In topics, on screens and in the actions' JSON.")
    streams: tuple[str, ...] = Field(default=(), description="Only these; all if empty.")
    methods: tuple[str, ...] = Field(default=(), description="Only what these say; all if empty.")
    labels: tuple[str, ...] = Field(
        min_length=1, description="Classes; their probabilities are added up."
    )
    above: float = Field(gt=0, lt=1, description="The condition holds when the sum is above this.")
    until_below: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="It holds until the sum is below this; `above` less 0.05 if absent.",
    )
    for_s: float = Field(
        default=0.0, ge=0, le=86400, description="The alert begins when it has held for so long."
    )
    smoothing_s: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="Time constant of an exponential average that is taken before; 0 for none.",
    )
    cooldown_s: float = Field(
        default=0.0,
        ge=0,
        le=604800,
        description="After an alert's end none about the same person begins for so long.",
    )
    gap_s: float = Field(
        default=5.0,
        gt=0,
        le=3600,
        description="Who was in no window for so long is gone: the alert ends, all begins anew.",
    )
    untrained: bool = Field(
        default=False, description="true: weights of chance, whose numbers are noise, count too."
    )
    command: tuple[Word, ...] = Field(
        default=(),
        description="A program and its arguments, run without a shell; the alert's JSON is its"
        " standard input.",
    )
    webhook: Webhook | None = Field(
        default=None, description="https:// address that the alert's JSON is posted to."
    )
    webhook_insecure: bool = Field(
        default=False,
        description="true: it may be an http:// address of another machine. Whoever listens on the"
        " way reads and forges what is posted.",
    )
    act_on: tuple[Literal["began", "ended"], ...] = Field(
        default=("began",), min_length=1, description="What command and webhook are told of."
    )
    timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="How long the command, or one try to post, may take.",
    )

    @model_validator(mode="after")
    def _is_sound(self) -> RuleSettings:
        if self.until_below is not None and self.until_below > self.above:
            raise ValueError(f"rule {self.name!r}: until_below must not be more than above")
        if self.command and not self.command[0]:
            raise ValueError(f"rule {self.name!r}: command begins with the program's name")
        if self.webhook is not None and not (self.webhook_insecure or _is_private(self.webhook)):
            raise ValueError(
                f"rule {self.name!r}: webhook is an http:// address of another machine: all that is"
                " posted could be read on the way; use https://, or set webhook_insecure = true"
            )
        return self

    @property
    def ends_below(self) -> float:
        """Where the condition holds no longer."""
        return max(0.0, self.above - _STEP) if self.until_below is None else self.until_below


def _is_private(address: str) -> bool:
    """Whether nobody on the way can read what is posted."""
    parts = urlsplit(address)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
