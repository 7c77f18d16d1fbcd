"""The paper's figures of a TSL-Net bundle on a set in TSL-300's layout."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jack_stream.errors import SourceError, UsageError
from jack_stream.features.localization import Segment, propose
from jack_stream.models.labels import TSL_300
from jack_stream.models.registry import Model
from jack_stream.weights.card import Metric
from trainers.data.tsl300 import Modality, SentimentVideo, read_sentiments
from trainers.metrics.localization import LocalizationMetrics, TrueSegment, evaluate
from trainers.tsl_net.division import divide

__all__ = ["SegmentResults", "localise", "measure"]

_DRAWN = 6
_SHOWN_SCORE = 0.5  # of a video's best segment: what a picture shows
_COLOURS = ("tab:red", "tab:green")


@dataclass(frozen=True)
class LocalisedVideo:
    """What was found in a video.

    Attributes:
        name: of the video.
        score: of each class, 0..1.
        found: predicted segments.
        truth: annotated ones.
        seconds: the length of what was looked at.
    """

    name: str
    score: tuple[float, ...]
    found: Sequence[Segment]
    truth: Sequence[TrueSegment]
    seconds: float


@dataclass(frozen=True)
class SegmentResults:
    """What was found in each video of a set."""

    videos: Sequence[LocalisedVideo]

    @cached_property
    def figures(self) -> LocalizationMetrics:
        """Of all videos together."""
        truth = {video.name: video.truth for video in self.videos}
        return evaluate(truth, {video.name: video.found for video in self.videos}, TSL_300)

    def lines(self) -> list[str]:
        """A table as the paper has it, by temporal overlap."""
        figures = self.figures
        true = sum(len(video.truth) for video in self.videos)
        found = sum(len(video.found) for video in self.videos)
        rows = {
            "mAP": figures.mean_average_precision,
            **{f"AP {label}": row for label, row in figures.average_precision.items()},
            "recall": figures.recall,
            "F2": figures.f2,
        }
        width = max(map(len, rows))
        head = " ".join(f"{overlap:>7}" for overlap in (*figures.tiou, "mean"))
        return [
            f"{len(self.videos)} videos, {true} segments, {found} predictions",
            f"{'tIoU':>{width}} {head}",
            *(
                f"{name:>{width}} " + " ".join(f"{v:7.4f}" for v in (*row, row.mean()))
                for name, row in rows.items()
            ),
        ]

    def metrics(self, where: str) -> list[Metric]:
        """Means over the paper's overlaps."""
        where = f"{where}, {len(self.videos)} videos"
        overlaps = ", ".join(map(str, self.figures.tiou))
        note = f"mean over temporal overlaps of {overlaps}"
        figures = self.figures.summary()
        return [Metric(name=k, value=v, measured_on=where, note=note) for k, v in figures.items()]

    def write_csv(self, path: Path) -> None:
        """One line per segment, predicted or true.

        Raises:
            SourceError: the file can't be written.
        """
        try:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["recording", "kind", "label", "score", "start_s", "end_s"])
                for video in self.videos:
                    true = [("true", t.label, "", t.start_s, t.end_s) for t in video.truth]
                    found = [
                        ("predicted", f.label, f"{f.score:.4f}", f.start_s, f.end_s)
                        for f in video.found
                    ]
                    for kind, label, score, start, end in (*true, *found):
                        times = (round(start, 3), round(end, 3))
                        writer.writerow([video.name, kind, TSL_300[label], score, *times])
        except OSError as error:
            raise SourceError(f"{path}: can't be written: {error.strerror}") from error

    def draw(self, path: Path, title: str) -> None:
        """Found segments of each class below the true ones, for a few videos."""
        shown = [video for video in self.videos if video.truth][:_DRAWN] or self.videos[:1]
        figure = Figure(figsize=(9, 0.6 + 1.2 * len(shown)), layout="constrained")
        figure.suptitle(title, fontsize=9)
        rows = figure.subplots(len(shown), squeeze=False)[:, 0]
        for axes, video in zip(rows, shown, strict=True):
            _draw_video(axes, video)
        figure.legend(
            handles=[
                rows[0].barh(0, 0, color=colour, label=label)
                for label, colour in zip(TSL_300, _COLOURS, strict=True)
            ],
            loc="upper right",
            ncols=2,
            fontsize=7,
        )
        figure.savefig(path, dpi=110)


def _draw_video(axes: Axes, video: LocalisedVideo) -> None:
    best = max((s.score for s in video.found), default=0.0)
    for true in video.truth:
        axes.barh(2, true.end_s - true.start_s, left=true.start_s, color=_COLOURS[true.label])
    for s in sorted(video.found, key=lambda s: s.score):
        if s.score >= _SHOWN_SCORE * best:
            colour, strength = _COLOURS[s.label], float(np.clip(s.score / max(best, 1e-9), 0.2, 1))
            axes.barh(s.label, s.end_s - s.start_s, left=s.start_s, color=colour, alpha=strength)
    axes.set_yticks([0, 1, 2], [*(f"found {label}" for label in TSL_300), "true"], fontsize=7)
    axes.set_xlim(0, video.seconds)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title(f"{video.name}, seconds", fontsize=7, loc="left", pad=2)


def localise(
    model: Model, videos: Sequence[SentimentVideo], *, hide: Modality = ""
) -> SegmentResults:
    """Find the segments of videos.

    Args:
        model: ``tsl-net``.
        videos: with the truth.
        hide: ``picture`` or ``sound`` for an ablation.

    Raises:
        SourceError: features can't be read.
    """
    return SegmentResults([_localised(model, video, hide) for video in videos])


def _localised(model: Model, video: SentimentVideo, hide: Modality) -> LocalisedVideo:
    rgb, mel = video.features(hide)
    outputs = model.infer({"rgb": rgb[np.newaxis], "mel": mel[np.newaxis]})
    score, activations = outputs["vid_score"][0], outputs["cas_sigmoid_fuse"][0]
    found = propose(score, activations, video.frame_rate_hz)
    seconds = len(rgb) * 16 / video.frame_rate_hz
    return LocalisedVideo(video.name, tuple(map(float, score)), found, video.segments, seconds)


def measure(
    model: Model, paths: Sequence[Path], names: Sequence[str], split: str | None
) -> SegmentResults:
    """What ``jack-train test`` says of a TSL-Net bundle.

    Args:
        model: with or without a card.
        paths: folders in TSL-300's layout.
        names: patterns of videos' names.
        split: ``training``, ``validation`` (as the bundle's run divided them) or ``test``; None
            is ``test``.

    Raises:
        UsageError: no such part, no video fits, or none has a segment.
        SourceError: a set can't be read.
    """
    made: dict[str, Any] = dict(model.origin.card.preprocessing) if model.origin else {}
    share, hide = float(made.get("validation_share", 0.1)), made.get("hide", "")
    chosen: list[SentimentVideo] = []
    for path in paths:
        found = read_sentiments(path.expanduser())
        training, validation = divide(found.training, share)
        parts = {"training": training, "validation": validation, "test": found.test}
        if split is not None and split not in parts:
            raise UsageError(f"--split {split}: there are {', '.join(parts)}")
        part = parts[split or "test"]
        chosen += [v for v in part if any(fnmatchcase(v.name, pattern) for pattern in names)]
    if not any(video.segments for video in chosen):
        raise UsageError("there is no video with annotated segments to test on")
    return localise(model, chosen, hide=hide)
