"""The card of a bundle: everything about a set of weights that is not a number in a tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import tomli_w
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    model_validator,
)

from jack_stream import toml
from jack_stream.errors import BundleError

__all__ = [
    "SCHEMA_VERSION",
    "Card",
    "Decision",
    "Metric",
    "Provenance",
    "TensorRecord",
    "TrainingData",
    "dump_card",
    "parse_card",
]

SCHEMA_VERSION: Final = 1
MAX_CARD_BYTES = 1 << 20

_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
_Method = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Section(BaseModel):
    """A table of the card: types are exact and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Decision(_Section):
    """How probabilities become a label.

    Attributes:
        temperature: logits are divided by it before the softmax (calibration); 1 changes nothing.
        abstain_below: a label whose probability is lower is not announced; 0 always announces.
        min_support: nor is a label that rests on a smaller share of its window; 0 takes any.
    """

    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    abstain_below: float = Field(default=0.0, ge=0, le=1)
    min_support: float = Field(default=0.0, ge=0, le=1)


class TrainingData(_Section):
    """A data set that the weights were trained with, or that the weights they began from were.

    Attributes:
        name: the data set's name.
        licence: its licence, as its owners state it (``unknown`` where that is the truth).
        source: where it comes from (a paper or an address).
        note: what was used of it.
    """

    name: _Text
    licence: _Text
    source: str = ""
    note: str = ""


class Metric(_Section):
    """A measured figure, which is worth nothing without what it was measured on.

    Attributes:
        name: for example ``accuracy``.
        value: in the unit that the name says; fractions, not per cent.
        measured_on: the data set and the part of it.
        note: how it was measured, or whose figure it is.
    """

    name: _Text
    value: float = Field(allow_inf_nan=False)
    measured_on: _Text
    note: str = ""


class Provenance(_Section):
    """Who made the bundle, when, with what.

    Attributes:
        author: a person's or a project's name.
        created_at: with its time zone.
        command: what was typed.
        commit: the source's revision, empty where it is not known.
        seed: of the random numbers, None where there were none.
        versions: of the packages that took part.
    """

    author: _Text
    created_at: AwareDatetime
    command: _Text
    commit: str = ""
    seed: int | None = None
    versions: Mapping[str, str] = Field(default_factory=dict)


class TensorRecord(_Section):
    """What the tensors must be; written with the bundle and compared when it is read.

    Attributes:
        sha256: over names, types, shapes and values (:func:`jack_stream.weights.tensors.digest`).
        count: number of tensors.
        parameters: number of values in all of them.
    """

    sha256: _Sha256
    count: int = Field(ge=0)
    parameters: int = Field(ge=0)


class Card(_Section):
    """The whole card.

    Attributes:
        schema_version: of this page's form.
        method: a name that ``jack_stream.models.create`` knows.
        architecture: keyword arguments of ``jack_stream.models.create``, ``variant`` among them.
        labels: class names in the order of the logits.
        trained: False where the weights are an initialisation; every event then says ``untrained``.
        preprocessing: what is done to the inputs before the model, in the method's own words.
        decision: from probabilities to a label.
        training_data: what the weights were made from; not empty if ``trained``.
        metrics: measured figures.
        caveats: what a user must know before believing an event.
        provenance: who, when, how.
        tensors: filled in by ``write_bundle``.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    method: _Method
    architecture: Mapping[str, JsonValue] = Field(default_factory=dict)
    labels: Sequence[_Text] = ()
    trained: bool
    preprocessing: Mapping[str, JsonValue] = Field(default_factory=dict)
    decision: Decision = Decision()
    training_data: Sequence[TrainingData] = ()
    metrics: Sequence[Metric] = ()
    caveats: Sequence[_Text] = ()
    provenance: Provenance
    tensors: TensorRecord | None = None

    @model_validator(mode="after")
    def _check_claims(self) -> Card:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("two labels are the same")
        if self.trained and not self.training_data:
            raise ValueError("trained = true needs at least one [[training_data]] with its licence")
        return self


def parse_card(text: str, source: str) -> Card:
    """Read a card from TOML.

    Args:
        text: the TOML.
        source: the file's name, for the message.

    Raises:
        BundleError: not TOML, an unknown key, a missing key, or a value of the wrong kind; every
            fault is named with file, key and value.
    """
    if len(text) > MAX_CARD_BYTES:
        raise BundleError(f"{source}: a card of {len(text)} characters; at most {MAX_CARD_BYTES}")
    try:
        table = toml.loads(text)
    except ValueError as error:
        raise BundleError(f"{source}: not a TOML document: {error}") from error
    version = table.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BundleError(
            f"{source}: schema_version = {version}, but this release knows up to {SCHEMA_VERSION}",
            hint="Install a newer jack-stream, or export the bundle again with this one.",
        )
    try:
        return Card.model_validate(table)
    except ValidationError as error:
        faults = "\n  ".join(_fault(detail) for detail in error.errors())
        raise BundleError(f"{source}: the card is wrong:\n  {faults}") from error


def dump_card(card: Card) -> str:
    """The card as TOML, readable by :func:`parse_card`.

    Raises:
        BundleError: a free table (architecture, preprocessing) has a value that TOML lacks (None).
    """
    try:
        return tomli_w.dumps(card.model_dump(exclude_none=True))
    except TypeError as error:
        raise BundleError(f"the card can't be written as TOML: {error}") from error


def _fault(detail: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "(the card)"
    if detail["type"] == "extra_forbidden":
        return f"{key} = {_short(detail['input'])}: no such key"
    if detail["type"] == "missing":
        return f"{key}: is missing"
    if not detail["loc"]:
        return str(detail["msg"]).removeprefix("Value error, ")
    return f"{key} = {_short(detail['input'])}: {detail['msg']}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
