"""The settings that the trainers of VAANet, CTEN and MART share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from trainers import recipe
from trainers.bundling import CardSettings
from trainers.recipe import OptimizerSettings, ScheduleSettings, Section

__all__ = ["ClipRecipe", "ModelSettings", "NetworkSettings"]


class NetworkSettings(Section):
    """What of a network is trained."""

    freeze_backbone: bool = Field(
        default=True, description="Use the visual backbone as it is, as the papers do."
    )


class ModelSettings(NetworkSettings):
    """The networks on 3D ResNet."""

    seq_len: int = Field(default=16, ge=1, description="Snippets of a clip.")
    width: int = Field(default=64, ge=8, multiple_of=8, description="64 is the paper's.")
    depths: list[int] = Field(
        default=[3, 4, 23, 3], min_length=4, max_length=4, description="Of the visual backbone."
    )


class DataSettings(Section):
    """What is learned from."""

    path: Path | None = Field(default=None, description="The data set: --data.")
    test: Path | None = Field(default=None, description="Another set to test on: --test.")
    skip_corrupt: bool = Field(default=False, description="Leave out what can't be read.")
    validation_share: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Of the training part, held out to choose the best epoch by, where the set "
        "has no part for that beside the one that is tested on.",
    )
    workers: int = Field(default=2, ge=0, description="Processes that read clips.")
    cached_views: int = Field(
        default=0,
        ge=0,
        description="With a frozen backbone: encode so many random views of each clip once and "
        "keep them; 0 draws and encodes a new one in every epoch, as the papers do.",
    )
    hide: Literal["", "picture", "sound"] = Field(default="", description="For ablations.")


class AugmentationSettings(Section):
    """How training samples are changed."""

    probability: float = Field(
        default=0.3, ge=0, le=1, description="Of a flip, a rotation or a change of brightness."
    )


class LossSettings(recipe.LossSettings):
    """Polarity-consistent cross entropy."""

    penalty: float = Field(
        default=0.5, ge=0, description="Added weight of a wrong polarity; 0 is cross entropy."
    )
    positive: list[str] = Field(
        default=[], description="Labels of positive polarity, where they aren't Plutchik's."
    )


class ClipRecipe(Section):
    """All of a run's settings; each method adds its own."""

    method: ClassVar[str]
    title: ClassVar[str]

    model: NetworkSettings = ModelSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings
    data: DataSettings = DataSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    loss: LossSettings = LossSettings()
    card: CardSettings = CardSettings()

    @model_validator(mode="after")
    def _check_cache(self) -> ClipRecipe:
        if self.data.cached_views and not self.model.freeze_backbone:
            raise ValueError("data.cached_views needs model.freeze_backbone")
        return self

    def architecture(self, classes: int) -> dict[str, Any]:
        """The arguments of ``jack_stream.models.create``."""
        return {"n_classes": classes, **self.model.model_dump(exclude={"freeze_backbone"})}

    @property
    def judged_snippets(self) -> int | None:
        """Snippets of a clip that is judged, where the architecture leaves that open."""
        return None
