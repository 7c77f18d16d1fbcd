"""The settings of the training on voices."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from jack_stream.features.voice import VoicePreprocessing
from trainers.bundling import CardSettings
from trainers.recipe import LossSettings, OptimizerSettings, ScheduleSettings, Section

__all__ = ["AugmentationSettings", "DataSettings", "VoiceRecipe"]


class ModelSettings(Section):
    """The network; see `jack_stream.models.vaanet.VAANetAudio`."""

    audio_n_segments: int = Field(default=16, ge=1)
    width: int = Field(default=64, ge=2)
    piece_frames: int = Field(default=256, ge=8)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class PreprocessingSettings(Section):
    """See `jack_stream.features.voice.VoicePreprocessing`."""

    kind: Literal["mfcc", "log-mel"] = "mfcc"
    sample_rate: int = Field(default=44100, ge=1000)
    hop: int = Field(default=512, ge=1)
    n_fft: int = Field(default=2048, ge=2)
    bands: int = Field(default=128, ge=1)
    range_db: float = Field(default=80.0, gt=0)
    silent_db: float = Field(default=0.0, ge=0)
    adaptation_s: float = Field(default=0.0, ge=0)


class DataSettings(Section):
    """What is learned from, and how it is divided."""

    paths: list[Path] = Field(default=[], description="Data sets to learn from.")
    test: list[Path] = Field(default=[], description="Other data sets to test on at the end.")
    labels: list[str] = Field(default=[], description="Classes to learn; empty: all there are.")
    merge: dict[str, str] = Field(default={}, description="Classes to call by another's name.")
    skip_corrupt: bool = Field(default=False, description="Leave out what is damaged.")
    validation_speakers: int = Field(
        default=2,
        ge=0,
        description="Of each set; they choose the best epoch. 0: the last weights are kept.",
    )
    folds: int | None = Field(
        default=None,
        ge=0,
        description="Held-out parts of the speakers to evaluate the recipe by; 0: one at a time.",
    )
    across: bool = Field(
        default=False, description="Evaluate the recipe on each set after learning the others."
    )
    hop_s: float = Field(default=0.25, gt=0, description="Between two windows in a test.")
    of_one_speaker: int = Field(
        default=0,
        ge=0,
        description="Samples of one voice that are normalised together; 0: the batch is mixed.",
    )
    even_corpora: bool = Field(
        default=False,
        description="In an epoch say smaller corpora as many times over as they fit the largest.",
    )


class AugmentationSettings(Section):
    """How training samples are changed; see `trainers.augmentation.sound`."""

    speeds: list[float] = Field(default=[1.0], description="Played faster, and so higher.")
    stretch: float = Field(
        default=0.0, ge=0, lt=1, description="Up to so much slower or faster, at the same pitch."
    )
    margin_s: float = Field(default=0.2, ge=0, description="How far a window may leave the speech.")
    colour_db: float = Field(default=0.0, ge=0)
    noise: float = Field(default=0.0, ge=0, le=1, description="Share of samples.")
    echo: float = Field(default=0.0, ge=0, le=1, description="Share of samples.")
    band_limit: float = Field(default=0.0, ge=0, le=1, description="Share of samples.")
    mask: float = Field(default=0.0, ge=0, le=1, description="Chance of each of four stripes.")
    mixup: float = Field(default=0.0, ge=0, description="Of the beta distribution; 0: none.")


class VoiceLossSettings(LossSettings):
    """What is minimised."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class VoiceRecipe(Section):
    """All of a run's settings."""

    model: ModelSettings = ModelSettings()
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings
    loss: VoiceLossSettings = VoiceLossSettings()
    data: DataSettings = DataSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    card: CardSettings = CardSettings()

    @model_validator(mode="after")
    def _speakers_fill_a_batch(self) -> VoiceRecipe:
        if self.data.of_one_speaker and self.schedule.batch % self.data.of_one_speaker:
            raise ValueError(
                f"schedule.batch = {self.schedule.batch} is no multiple of data.of_one_speaker ="
                f" {self.data.of_one_speaker}"
            )
        if self.data.even_corpora and not self.data.of_one_speaker:
            raise ValueError("data.even_corpora needs data.of_one_speaker")
        return self

    @property
    def voice(self) -> VoicePreprocessing:
        """As a card's table names it."""
        return VoicePreprocessing.from_card(self.preprocessing.model_dump())

    @property
    def frames(self) -> int:
        """What the network takes at once."""
        return self.model.audio_n_segments * self.model.piece_frames

    def architecture(self, classes: int) -> dict[str, Any]:
        """The arguments of ``jack_stream.models.create``."""
        return {"n_classes": classes, "bands": self.voice.values, **self.model.model_dump()}
