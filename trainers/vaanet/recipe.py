"""The settings of VAANet's training."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from trainers.audio_visual import recipe as shared

__all__ = ["VAANetRecipe"]


class ModelSettings(shared.ModelSettings):
    """See `jack_stream.models.vaanet.VAANet`."""

    seq_len: int = Field(default=10, ge=1, description="Snippets of a clip.")
    audio_n_segments: int = Field(default=16, ge=1, description="Pieces of 256 MFCC frames.")


class VAANetRecipe(shared.ClipRecipe):
    """All of a run's settings."""

    method: ClassVar[str] = "vaanet"
    title: ClassVar[str] = "VAANet"

    model: ModelSettings = ModelSettings()
