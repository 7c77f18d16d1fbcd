"""The settings of BPM-GCN's training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from jack_stream.features.gait_window import GaitPreprocessing
from trainers.bpm_gcn.teacher import REFERENCE
from trainers.bundling import CardSettings
from trainers.recipe import LossSettings, OptimizerSettings, ScheduleSettings, Section

__all__ = ["DataSettings", "GaitRecipe"]


class ModelSettings(Section):
    """The network; see `jack_stream.models.bpm_gcn.BPMGCN`."""

    variant: Literal["released", "paper"] = "released"
    width: int = Field(default=64, ge=4, multiple_of=4)


class PreprocessingSettings(Section):
    """See `jack_stream.features.gait_window.GaitPreprocessing`."""

    frames: int = Field(default=48, ge=4, multiple_of=4)
    frame_rate_hz: float = Field(default=15.0, gt=0)
    heading: Literal["keep", "hips"] = "hips"
    height: float = Field(default=1.354, ge=0)


class DataSettings(Section):
    """What is learned from."""

    labelled: list[Path] = Field(default=[], description="Walks with labels, which are believed.")
    motion: list[Path] = Field(default=[], description="Walks that the teacher judges.")
    teacher: Path | None = Field(default=None, description="STEP's weights (.npz).")
    reference: Path | None = Field(
        default=None,
        description=f"The teacher's reference frame; if absent, {REFERENCE} beside it.",
    )
    contents: list[str] = Field(default=["walk"], description="What of `motion` is a walk.")
    leave_out: list[str] = Field(default=[], description="Names of `motion` not to be looked at.")
    neutral: list[str] = Field(default=[], description="Names of `motion` that are plain walking.")
    neutral_share: float = Field(default=0.7, ge=0, le=1)
    calibration: list[Path] = Field(
        default=[], description="Labelled walks that only temperature and threshold come from."
    )
    calibration_names: list[str] = Field(default=["*"])
    test: list[Path] = Field(default=[], description="Labelled walks for the report and card.")
    test_names: list[str] = Field(default=["*"])
    hop_s: float = Field(default=1.0, gt=0)
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    samples_per_epoch: int = Field(
        default=0, ge=0, description="Drawn with equal chances of all classes; 0: each one once."
    )


class AugmentationSettings(Section):
    """How training samples are changed."""

    random_move: bool = True
    camera: float = Field(default=0.0, ge=0)
    mirror: bool = False


class GaitRecipe(Section):
    """All of a run's settings."""

    model: ModelSettings = ModelSettings()
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings
    loss: LossSettings = LossSettings()
    data: DataSettings = DataSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    card: CardSettings = CardSettings()

    @property
    def gait_preprocessing(self) -> GaitPreprocessing:
        """As a card's table names it."""
        return GaitPreprocessing(**self.preprocessing.model_dump())

    @property
    def architecture(self) -> dict[str, Any]:
        """The arguments of ``jack_stream.models.create``."""
        return {"frames": self.preprocessing.frames, **self.model.model_dump()}
