"""Recipes: a training run's settings in TOML, each of which can be overridden."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jack_stream import toml
from jack_stream.errors import ConfigError

__all__ = [
    "ClassWeighting",
    "LossSettings",
    "OptimizerSettings",
    "ScheduleSettings",
    "Section",
    "read_recipe",
]


ClassWeighting = Literal["none", "balanced"]
"""See `trainers.losses.class_weights`."""


class Section(BaseModel):
    """A table of a recipe; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OptimizerSettings(Section):
    """How weights move."""

    name: Literal["sgd", "adam"] = "sgd"
    lr: float = Field(default=0.01, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Of sgd; Nesterov's.")


class ScheduleSettings(Section):
    """How long, and when the learning rate falls."""

    seed: int = Field(default=0, ge=0)
    epochs: int = Field(ge=1)
    batch: int = Field(default=32, ge=1)
    accumulate: int = Field(default=1, ge=1, description="Batches whose gradients are summed.")
    lr_decay: Literal["steps", "cosine"] = Field(
        default="steps", description="cosine: half a wave from the first epoch to nothing."
    )
    lr_steps: list[int] = Field(default=[], description="Epochs after which lr is multiplied.")
    lr_factor: float = Field(default=0.1, gt=0)
    patience: int = Field(default=0, ge=0, description="Epochs without progress; 0 never stops.")
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    precision: Literal["float32", "mixed"] = Field(
        default="float32", description="mixed: float16 where Jittor holds it safe; CUDA only."
    )

    def lr_share(self, epoch: int) -> float:
        """The factor of the learning rate in an epoch, counted from 0."""
        if self.lr_decay == "cosine":
            return 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))
        return float(self.lr_factor ** sum(step <= epoch for step in self.lr_steps))


class LossSettings(Section):
    """What the samples of a class count."""

    class_weights: ClassWeighting = "none"


RecipeT = TypeVar("RecipeT", bound=Section)


def read_recipe(kind: type[RecipeT], name: str, overrides: Sequence[str] = ()) -> RecipeT:
    """A recipe from a file or by the name of one that comes with the package.

    Args:
        kind: the method's recipe.
        name: a TOML file, or a method such as ``bpm-gcn``.
        overrides: ``table.key=value``, the value as in TOML.

    Raises:
        ConfigError: it can't be read, or a key or value is wrong.
    """
    path = Path(name) if Path(name).is_file() else _shipped(name)
    try:
        with path.open(encoding="utf-8") as file:
            table = toml.loads(file.read(toml.MAX_CHARACTERS + 1))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read as a recipe: {error}") from error
    for override in overrides:
        _override(table, override)
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        faults = "\n  ".join(
            f"{'.'.join(map(str, e['loc']))} = {str(e['input'])[:60]}: {e['msg']}"
            if e["loc"]
            else e["msg"].removeprefix("Value error, ")
            for e in error.errors()
        )
        raise ConfigError(f"{path}: the recipe is wrong:\n  {faults}") from None


def _shipped(name: str) -> Path:
    package = Path(str(files("jack_stream")))
    # In a wheel they lie in the package, in a checkout beside it.
    for folder in (package / "configs" / "train", package.parent / "configs" / "train"):
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    raise ConfigError(f"{name}: there is no such recipe", hint="Name a TOML file or a method.")


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, raw = override.partition("=")
    section, dot, last = key.strip().partition(".")
    if not (equals and dot and last):
        raise ConfigError(f"--set {override!r}: write table.key=value, such as schedule.epochs=10")
    try:
        value: Any = toml.loads(f"v = {raw}")["v"]
    except ValueError:
        value = raw
    table.setdefault(section, {})[last] = value
