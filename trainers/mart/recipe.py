"""The settings of MART's two stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from trainers.audio_visual import recipe as shared
from trainers.recipe import OptimizerSettings, ScheduleSettings, Section

__all__ = ["MartRecipe"]


class ModelSettings(shared.NetworkSettings):
    """See `jack_stream.models.mart.MART`."""

    width: int = Field(default=768, ge=8, multiple_of=8)
    depth: int = Field(default=12, ge=1)
    heads: int = Field(default=12, ge=1)
    fusion_from: int = Field(default=8, ge=0)
    n_shared: int = Field(default=32, ge=1)
    variant: Literal["released", "paper"] = Field(
        default="released",
        description="paper: also the pre-training has the contrast (5) with what it pushes away, "
        "the mask (7) and the divergence over time, which the release lacks.",
    )
    freeze_backbone: bool = Field(
        default=False, description="Train the two classifiers alone, on kept features."
    )


class DecoderSettings(Section):
    """What restores the hidden tubelets; it takes part in pre-training only."""

    width: int = Field(default=512, ge=32, multiple_of=32)
    depth: int = Field(default=8, ge=1)


class SnippetSettings(Section):
    """Segments of a clip, of 16 frames and a second of sound."""

    training: int = Field(default=12, ge=1)
    judging: int = Field(default=16, ge=1)


class TextSettings(Section):
    """What reads the subtitles; it takes part in pre-training only."""

    depth: int = Field(default=12, ge=1)
    heads: int = Field(default=12, ge=1)
    longest: int = Field(default=32, ge=2, le=512, description="Word pieces of a segment.")
    vocabulary: Path | None = Field(
        default=None, description="BERT's vocab.txt; without it the text is read byte by byte."
    )
    weights: Path | None = Field(default=None, description="A checkpoint of BERT.")
    lexicon: Path | None = Field(
        default=None, description="CSV word,emotion,degree: emotional words are checked by it."
    )
    tolerance: float = Field(default=0.3, gt=0, description="tau of the check's third step.")


class AugmentationSettings(shared.AugmentationSettings):
    """How training samples are changed."""

    frequency_mask: int = Field(default=24, ge=0, description="Hide at most so many bands.")
    time_mask: int = Field(default=192, ge=0, description="Hide at most so many frames of sound.")


class LossSettings(shared.LossSettings):
    """What the terms of pre-training count."""

    recovery: float = Field(default=0.05, ge=0)
    contrast: float = Field(default=1.0, ge=0)
    temporal: float = Field(default=1.0, ge=0, description="Of the paper's variant alone.")
    temperature: float = Field(default=0.1, gt=0, description="tau of (5); the paper's variant.")


class AveragingSettings(Section):
    """The running mean of the weights in fine-tuning; see `AveragingAdam`."""

    decay: float = Field(default=0.999, ge=0, lt=1)
    warm_up: float = Field(default=2000.0, gt=0, description="Steps.")


class MartRecipe(shared.ClipRecipe):
    """All of a run's settings; ``schedule`` is that of fine-tuning."""

    method: ClassVar[str] = "mart"
    title: ClassVar[str] = "MART"

    model: ModelSettings = ModelSettings()
    decoder: DecoderSettings = DecoderSettings()
    snippets: SnippetSettings = SnippetSettings()
    text: TextSettings = TextSettings()
    optimizer: OptimizerSettings = OptimizerSettings(name="adam", lr=1e-4, weight_decay=1e-3)
    pretraining: ScheduleSettings = ScheduleSettings(epochs=100, batch=1, accumulate=36)
    schedule: ScheduleSettings = ScheduleSettings(epochs=150, batch=1, accumulate=36)
    averaging: AveragingSettings = AveragingSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    loss: LossSettings = LossSettings()

    @model_validator(mode="after")
    def _check(self) -> MartRecipe:
        if self.pretraining.batch != 1:
            raise ValueError("pretraining.batch must be 1: one video's segments are contrasted")
        if self.optimizer.name != "adam":
            raise ValueError("optimizer.name must be adam, whose weights are averaged")
        return self

    def architecture(self, classes: int) -> dict[str, Any]:
        """The arguments of ``jack_stream.models.create``."""
        return {"n_classes": classes, **self.model.model_dump(exclude={"freeze_backbone"})}

    @property
    def judged_snippets(self) -> int:
        """Snippets of a clip that is judged."""
        return self.snippets.judging

    @property
    def for_pretraining(self) -> MartRecipe:
        """The same with the schedule of pre-training, which trains everything."""
        model = self.model.model_copy(update={"freeze_backbone": False})
        data = self.data.model_copy(update={"cached_views": 0})
        note = "Pre-trained only: meant to be fine-tuned, not to be used as it is."
        card = self.card.model_copy(update={"caveats": [note, *self.card.caveats]})
        more = {"schedule": self.pretraining, "model": model, "data": data, "card": card}
        return self.model_copy(update=more)
