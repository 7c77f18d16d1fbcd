"""The options of ``jack-train vaanet`` and ``jack-train cten``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from jack_stream.weights import Bundle

__all__ = [
    "BackboneOption",
    "DataOption",
    "InitOption",
    "RecipeOption",
    "ResumeOption",
    "RunArgument",
    "SetOption",
    "TestOption",
    "overrides",
    "say",
]

RunArgument = Annotated[
    Path, typer.Argument(help="The run's folder: checkpoints, features, report, bundle.")
]
DataOption = Annotated[
    Path | None,
    typer.Option(help="The data set: VideoEmotion-8's or Ekman-6's layout, or CLASS/clip.mp4."),
]
RecipeOption = Annotated[str, typer.Option(help="The paper's, or a TOML file.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable."),
]
InitOption = Annotated[
    Path | None, typer.Option(help="Begin from what fits of this bundle's weights.")
]
BackboneOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--init-backbone",
        help="Begin from the backbones in this bundle or checkpoint (3D ResNet-101 of Kinetics, "
        "ResNet-18 of ImageNet); repeatable.",
    ),
]
TestOption = Annotated[
    Path | None, typer.Option(help="Another data set to test on at the end, all of it.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on where it was interrupted.")]


def overrides(data: Path | None, test: Path | None, more: Sequence[str] | None) -> list[str]:
    """The options as settings of the recipe."""
    given = {"data.path": data, "data.test": test}
    return [*(f"{key}={str(path)!r}" for key, path in given.items() if path), *(more or [])]


def say(bundle: Bundle, run: Path) -> None:
    """Print a finished run's figures."""
    for metric in bundle.card.metrics:
        typer.echo(f"{metric.name:22} {metric.value:.3f} on {metric.measured_on}")
    typer.echo(f"{bundle.path}: SHA-256 {bundle.digest}; see {run / 'report.md'}")
