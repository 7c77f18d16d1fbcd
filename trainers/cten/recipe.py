"""The settings of CTEN's training."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from jack_stream.features.erasing import THETA
from trainers.audio_visual import recipe as shared
from trainers.recipe import Section

__all__ = ["CTENRecipe"]


class ModelSettings(shared.ModelSettings):
    """See `jack_stream.models.cten.CTEN`."""

    variant: Literal["released", "paper"] = "released"


class ErasingSettings(Section):
    """Which segments are a clip's key; see `jack_stream.features.erasing`."""

    enabled: bool = Field(default=True, description="Off: one look at the whole clip, no erasing.")
    theta: float = Field(default=THETA, ge=0, le=1)


class CTENRecipe(shared.ClipRecipe):
    """All of a run's settings."""

    method: ClassVar[str] = "cten"
    title: ClassVar[str] = "CTEN"

    model: ModelSettings = ModelSettings()
    loss: shared.LossSettings = shared.LossSettings(penalty=0.0)
    erasing: ErasingSettings = ErasingSettings()
