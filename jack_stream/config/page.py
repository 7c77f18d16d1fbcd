"""The page that lists every key of a configuration, made from the model itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from jack_stream.config import Config

__all__ = ["page"]

_HEAD = """\
# Configuration

Made by `jack-stream config keys > docs/configuration.md`; a test holds it to the code.

A configuration is a TOML file. `jack-stream config list` names the ready ones, `config check
FILE|NAME` says what is wrong with one, `config show FILE|NAME` prints it with all defaults. Every
command that takes `--config` takes `--set KEY=VALUE` as well, as often as you like; lists are
counted from 0: `--set streams.0.camera.source=1`. In texts `${NAME}` stands for an environment
variable, which keeps passwords out of files; it is an error if the variable is not set.

The smallest one that does something:

```toml
[[streams]]
name = "hall"
camera = { source = "0" }
pose = {}
analyzers = [{ method = "bpm-gcn" }]
```

A stream has a `camera`, a `microphone` or both (then a film's own sound is left out); or a `scene`;
or a `recording`. `pose` is added where a method looks at poses (`jack-stream models`). An
unknown key is an error.
"""
_TYPES = {str: "text", int: "integer", float: "number", bool: "boolean", Path: "path"}
_SIGNS = {Ge: ("ge", "at least"), Gt: ("gt", "above"), Le: ("le", "at most"), Lt: ("lt", "below")}


def page() -> str:
    """The whole page as Markdown: a table per section, in the order of the model."""
    return "\n".join([_HEAD, *(_table(key, model) for key, model in _sections(Config, ""))])


def _sections(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections below a model, each with its key as TOML writes it, depth first."""
    for name, field in model.model_fields.items():
        if (section := _section_of(field.annotation)) is None:
            continue
        inner = f"{prefix}{name}"
        many = get_origin(field.annotation) is tuple
        yield f"[[{inner}]]" if many else f"[{inner}]", section
        yield from _sections(section, f"{inner}.")


def _table(key: str, model: type[BaseModel]) -> str:
    rows = [
        f"| `{name}` | {_type(field)} | {_default(field)} | {field.description or ''} |"
        for name, field in model.model_fields.items()
        if _section_of(field.annotation) is None
    ]
    head = f"## `{key}`\n\n{(model.__doc__ or '').strip()}\n"
    return "\n".join([head, "| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds one, many or perhaps none of."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _type(field: FieldInfo) -> str:
    limits = [text for limit in field.metadata if (text := _limit(limit))]
    return ", ".join([_name(field.annotation), *limits])


def _name(annotation: Any) -> str:
    arguments = [one for one in get_args(annotation) if one not in {type(None), ...}]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{json.dumps(one)}`" for one in arguments)
    if get_origin(annotation) in {Union, UnionType}:
        return " or ".join(map(_name, arguments))
    if get_origin(annotation) in {dict, tuple}:
        kind = "list" if get_origin(annotation) is tuple else "table"
        return f"{kind} of {_name(arguments[-1])}"
    if arguments:  # Annotated
        return _name(arguments[0])
    if annotation in _TYPES:
        return _TYPES[annotation]
    return " or ".join(f'`"{one.value}"`' for one in annotation)  # an enumeration


def _limit(limit: Any) -> str:
    if type(limit) in _SIGNS:
        attribute, words = _SIGNS[type(limit)]
        return f"{words} {getattr(limit, attribute)}"
    if isinstance(limit, MinLen):
        few = limit.min_length == 1
        return "not empty" if few else f"of at least {limit.min_length} characters"
    pattern = getattr(limit, "pattern", None)
    return f"like `{pattern}`" if pattern else ""


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "**must be given**"
    if field.default is None:
        return ""
    return f"`{json.dumps(to_jsonable_python(field.default))}`"
