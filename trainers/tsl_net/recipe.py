"""The settings of TSL-Net's training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from trainers.bundling import CardSettings
from trainers.data.tsl300 import Modality
from trainers.losses.tsl import TSLWeights
from trainers.recipe import OptimizerSettings, ScheduleSettings, Section

__all__ = ["DataSettings", "SentimentRecipe"]


class ModelSettings(Section):
    """The network; see `jack_stream.models.tsl_net.TSLNet`."""

    width: int = Field(default=2048, ge=32, multiple_of=32, description="2048 is the paper's.")
    dropout: float = Field(default=0.7, ge=0, lt=1)


class SentimentOptimizer(OptimizerSettings):
    """How weights move."""

    name: Literal["adam"] = "adam"
    lr: float = Field(default=1e-5, gt=0)
    weight_decay: float = Field(default=5e-4, ge=0)
    sound_factor: float = Field(
        default=10.0, gt=0, description="By this the learning rate of the audio CNN is higher."
    )


class DataSettings(Section):
    """What is learned from."""

    path: Path | None = Field(default=None, description="A folder laid out as TSL-300: --data.")
    test: Path | None = Field(default=None, description="Another one to test on: --test.")
    i3d: Path | None = Field(default=None, description="The bundle that made `rgb`: --i3d.")
    skip_corrupt: bool = Field(default=False, description="Leave out videos that lack something.")
    validation_share: float = Field(
        default=0.1, gt=0, lt=1, description="Of the training videos, held out to choose by."
    )
    samples_per_epoch: int = Field(
        default=0, ge=0, description="Videos, drawn pass after pass; 0: each one once."
    )
    hide: Modality = Field(default="", description="For ablations.")


class LossSettings(Section):
    """Weights of the terms (paper, Section 3.3); see `trainers.losses.tsl`."""

    variant: Literal["released", "paper"] = "released"
    video: float = Field(default=2.0, ge=0, description="lambda 1")
    frame: float = Field(default=1.0, ge=0, description="lambda 2")
    unlabelled: float = Field(default=0.5, ge=0, le=1, description="mu")
    consistency: float = Field(default=1.0, ge=0)


class SentimentRecipe(Section):
    """All of a run's settings."""

    model: ModelSettings = ModelSettings()
    optimizer: SentimentOptimizer = SentimentOptimizer()
    schedule: ScheduleSettings
    data: DataSettings = DataSettings()
    loss: LossSettings = LossSettings()
    card: CardSettings = CardSettings()

    @model_validator(mode="after")
    def _check_batch(self) -> SentimentRecipe:
        if self.schedule.batch != 1:
            raise ValueError(
                "schedule.batch must be 1, since videos differ in length; schedule.accumulate says "
                "how many make one step"
            )
        return self

    @property
    def architecture(self) -> dict[str, Any]:
        """The arguments of ``jack_stream.models.create``."""
        return self.model.model_dump()

    @property
    def weights(self) -> TSLWeights:
        """As the loss takes them."""
        return TSLWeights(**self.loss.model_dump(exclude={"variant"}))
