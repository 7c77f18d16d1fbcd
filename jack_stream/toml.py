"""TOML within bounds: what a hostile file could make slow or deep is refused."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["MAX_CHARACTERS", "loads"]

MAX_CHARACTERS = 2**20
_MAX_DEPTH = 32
_MAX_DOTS = 256
"""In one line. The library's time for a key grows with the square of its dots."""


def loads(text: str) -> dict[str, Any]:
    """Read a TOML document.

    Raises:
        ValueError: it is none, or too long or too deep; the message says where.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"more than {MAX_CHARACTERS} characters")
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > _MAX_DOTS:
            raise ValueError(f"line {number} has more than {_MAX_DOTS} dots")
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep") from error
    level: list[Any] = [table]
    for _ in range(_MAX_DEPTH):
        level = [item for value in level for item in _inside(value)]
    if level:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep")
    return table


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
