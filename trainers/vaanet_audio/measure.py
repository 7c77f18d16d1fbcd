"""How well a voice bundle reads labelled recordings."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from jack_stream.errors import UsageError
from jack_stream.inference.voice import preprocessing_of
from jack_stream.models.registry import Model
from trainers.data.sounds import read_sounds
from trainers.vaanet_audio.results import SpeechResults, hear, results_of
from trainers.vaanet_audio.windows import windows_of

__all__ = ["TEST_HOP_S", "measure"]

TEST_HOP_S = 0.25


def measure(
    model: Model, paths: Sequence[Path], names: Sequence[str], split: str | None
) -> SpeechResults:
    """What ``jack-train test`` says of a voice bundle.

    Args:
        model: with its card.
        paths: folders of labelled recordings.
        names: patterns of recordings' names.
        split: a part of the data as its CSV names it; None is all of it.

    Raises:
        UsageError: no recording fits, or none has a class that the bundle knows.
    """
    recordings = tuple(
        recording
        for path in paths
        for recording in read_sounds(path.expanduser()).recordings
        if any(fnmatchcase(recording.name, name) for name in names)
        and split in (None, recording.split)
    )
    labels = {recording.label for recording in recordings}
    known = tuple(recording for recording in recordings if recording.label in model.labels)
    if not known:
        raise UsageError(
            f"no recording fits: there are classes {', '.join(sorted(labels)) or 'none'}",
            hint=f"The bundle knows {', '.join(model.labels)}; see also --only and --split.",
        )
    voice = preprocessing_of(model)
    frames, piece_frames = (int(x["audio"][1]) for x in (model.input_spec, model.item_spec))
    windows = windows_of(known, voice, frames // piece_frames, piece_frames, TEST_HOP_S)
    heard = hear("", model, known, windows, adaptation_s=voice.adaptation_s).among(labels)
    temperature = model.origin.card.decision.temperature if model.origin else 1.0
    return results_of([heard], [temperature])
