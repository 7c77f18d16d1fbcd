"""Settings that a bundle's card keeps in its ``preprocessing`` table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from typing_extensions import Self

from jack_stream.errors import BundleError

__all__ = ["CardedSettings"]


class CardedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From a card and back.

    Bounds of floats are given with ``ge``, never ``gt``: msgspec turns ``gt=0`` into "at least the
    smallest subnormal", and where Jittor's kernels flush subnormals to zero, 0 passes that.

    Attributes:
        model: what kind of model the settings are for, in errors.
    """

    model: ClassVar[str]

    @classmethod
    def from_card(cls, table: Mapping[str, Any]) -> Self:
        """The settings of a card's preprocessing table; what it leaves out has its default.

        Raises:
            BundleError: a key is unknown, or a value has the wrong type or range.
        """
        try:
            return msgspec.convert(dict(table), cls)
        except msgspec.ValidationError as error:
            raise BundleError(
                f"the card's [preprocessing] does not fit a {cls.model} model: {error}",
                hint=f"it takes {', '.join(cls.__struct_fields__)}",
            ) from error

    def to_card(self) -> dict[str, Any]:
        """All settings as a card's preprocessing table."""
        table: dict[str, Any] = msgspec.to_builtins(self)
        return table
