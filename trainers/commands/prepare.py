"""``jack-train data prepare``: from folders of videos to what the trainers read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jack_stream.errors import UsageError

if TYPE_CHECKING:
    from trainers.data.clip import Fault

__all__ = ["app"]

app = typer.Typer(
    help="From folders of videos to what the trainers read; the same command goes on after a kill.",
    no_args_is_help=True,
)

VideosArgument = Annotated[Path, typer.Argument(help="A folder of videos.")]
OutArgument = Annotated[Path, typer.Argument(help="The data set's folder; it is made.")]
JobsOption = Annotated[int, typer.Option(min=1, help="Processes that work at once.")]
SkipOption = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out videos that can't be used.")
]


@app.command("clips")
def clips(
    *,
    videos: VideosArgument,
    out: OutArgument,
    annotation: Annotated[
        Path | None,
        typer.Option(help="The owners' JSON (ve8_01.json): which videos, classes and split."),
    ] = None,
    height: Annotated[int, typer.Option(min=32, help="Of the pictures, in pixels.")] = 240,
    sound: Annotated[str, typer.Option(help="mp3 (as the reference), flac or wav.")] = "mp3",
    jobs: JobsOption = 2,
    skip_corrupt: SkipOption = False,
) -> None:
    """Pictures, sounds and annotation JSON, as the reference's tools make them.

    VIDEOS has a folder per class with videos in it. Read by vaanet, cten and mart.
    """
    from trainers.data.prepare.clips import prepare_clips, sound_format  # noqa: PLC0415

    written, said, left_out = prepare_clips(
        videos, out, annotation=annotation, height=height, sound=sound_format(sound), jobs=jobs,
        skip_corrupt=skip_corrupt,
    )  # fmt: skip
    _say_left_out(left_out)
    typer.echo(f"{written}: the split is {said}")


@app.command("tsl")
def tsl(
    *,
    videos: VideosArgument,
    out: OutArgument,
    i3d: Annotated[
        Path | None,
        typer.Option(help="An I3D bundle; `jack-stream weights import --method i3d` makes one."),
    ] = None,
    untrained: Annotated[
        bool,
        typer.Option("--untrained", help="Random I3D weights: tries the way, means nothing."),
    ] = False,
    splits: Annotated[
        Path | None, typer.Option(help="A folder with split_train.txt and split_test.txt.")
    ] = None,
    jobs: JobsOption = 2,
    skip_corrupt: SkipOption = False,
) -> None:
    """I3D features and log-mel in TSL-300's files. Read by tsl-net.

    VIDEOS has ID.mp4, or train/ID.mp4 and test/ID.mp4; each must have sound.
    """
    if (i3d is None) != untrained:
        raise UsageError(
            "the features need an I3D network: give --i3d BUNDLE",
            hint="`jack-stream weights import --method i3d CHECKPOINT BUNDLE` makes one from the "
            "authors' checkpoint. --untrained takes random weights instead, which means nothing.",
        )
    from trainers.data.prepare.tsl import FeatureNetwork, prepare_tsl  # noqa: PLC0415

    left_out = prepare_tsl(
        videos, out, FeatureNetwork(i3d), splits=splits, jobs=jobs, skip_corrupt=skip_corrupt
    )
    _say_left_out(left_out)
    typer.echo(f"{out}: features of {'an untrained' if untrained else 'the'} I3D network")


@app.command("gaits")
def gaits(
    *,
    videos: Annotated[Path, typer.Argument(help="A video, or a folder of videos.")],
    out: OutArgument,
    persons: Annotated[int, typer.Option(min=1, max=16, help="People followed at once.")] = 4,
    jobs: JobsOption = 2,
    skip_corrupt: SkipOption = False,
) -> None:
    """Walks of the people in videos, through the pose tracker of the live stream. Read by bpm-gcn.

    A video in a folder called happy, sad, angry or neutral has that label; others have none.
    """
    from trainers.data.prepare.gaits import prepare_gaits  # noqa: PLC0415
    from trainers.data.walks import read_walks  # noqa: PLC0415

    left_out = prepare_gaits(videos, out, persons=persons, jobs=jobs, skip_corrupt=skip_corrupt)
    _say_left_out(left_out)
    walks = read_walks(out)
    seconds = sum(walk.seconds for walk in walks)
    typer.echo(f"{out}: {len(walks)} walks, {seconds:.0f} s")


def _say_left_out(faults: Sequence[Fault]) -> None:
    for fault in faults:
        typer.echo(f"left out: {fault.name}: {fault.reason}", err=True)
