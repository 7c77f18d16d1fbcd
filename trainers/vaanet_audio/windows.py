"""What the network hears of recordings: spectra to learn from, and windows as on a live stream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
from tqdm import tqdm

from jack_stream.features.familiar import FamiliarVoice
from jack_stream.features.voice import VoicePreprocessing
from jack_stream.inference.voice import SILENCE_DBFS, level_dbfs
from jack_stream.models.registry import Model
from trainers.data.clip_media import samples_of
from trainers.data.sounds import Recording
from trainers.metrics.classification import softmax

__all__ = [
    "Spectra",
    "Windows",
    "even_weights",
    "logits_of",
    "mean_probabilities",
    "spectra_of",
    "windows_of",
]

FloatArray = npt.NDArray[np.float32]

_SPEECH_DB = 10.0
"""Windows that are quieter than a recording's loudest by more are its beginning and end."""

Spectra = dict[Path, tuple[npt.NDArray[np.float16], ...]]
"""A recording's file -> its mel power in decibels ``[frames, bands]``, once per speed."""


@dataclass(frozen=True)
class Windows:
    """Windows of recordings.

    Attributes:
        features: float32 ``[W, frames, values]``.
        sounding: which pieces have a say, float32 ``[W, pieces]``.
        owner: the number of the recording that each is of, ascending, ``int64[W]``.
        new_s: seconds of each that the one before did not have, ``float64[W]``.
    """

    features: FloatArray
    sounding: FloatArray
    owner: npt.NDArray[np.int64]
    new_s: npt.NDArray[np.float64]


def even_weights(owner: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Weights of windows, of mean 1, that give every one of their owners the same say."""
    weights = 1.0 / np.bincount(owner)[owner]
    normed: npt.NDArray[np.float64] = weights / weights.mean()
    return normed


def mean_probabilities(
    owner: npt.NDArray[np.int64], logits: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Each owner's mean of the probabilities of logits ``[W, C]``: ``[owners, C]``."""
    counts = np.bincount(owner)
    total = np.zeros((len(counts), logits.shape[1]))
    np.add.at(total, owner, softmax(logits))
    return total / counts[:, np.newaxis]


def spectra_of(
    recordings: Sequence[Recording],
    voice: VoicePreprocessing,
    speeds: Sequence[float],
    *,
    quiet: bool = False,
) -> Spectra:
    """The spectra of whole recordings, at every speed, in memory.

    Raises:
        SourceError: a recording can't be decoded.
    """
    spectra: Spectra = {}
    for recording in tqdm(recordings, "spectra", disable=quiet):
        samples = samples_of(recording.path, voice.sample_rate)
        spectra[recording.path] = tuple(
            (10 * np.log10(voice.power(_faster(samples, speed), voice.sample_rate) + 1e-10)).astype(
                np.float16
            )
            for speed in speeds
        )
    return spectra


def windows_of(
    recordings: Sequence[Recording],
    voice: VoicePreprocessing,
    pieces: int,
    piece_frames: int,
    hop_s: float,
) -> Windows:
    """What a live stream would hear of recordings, one by one, from their beginnings on.

    Silent windows are left out as on a live stream, and those at a recording's ends that are 10 dB
    quieter than its loudest; at least one is kept.

    Args:
        recordings: which.
        voice: how they are heard.
        pieces: of a window.
        piece_frames: of each.
        hop_s: seconds between windows.
    """
    features, owner, new_s, frames = [], [], [], pieces * piece_frames
    length, hop = (round(s * voice.sample_rate) for s in (voice.seconds(frames), hop_s))
    for number, recording in enumerate(recordings):
        samples = samples_of(recording.path, voice.sample_rate)
        starts = range(0, max(1, len(samples) - length + 1), hop)
        levels = np.array([level_dbfs(samples[s : s + length]) for s in starts])
        least = levels.max() - _SPEECH_DB
        if levels.max() >= SILENCE_DBFS:
            least = max(least, SILENCE_DBFS)
        until = 0
        for start, level in zip(starts, levels, strict=True):
            if level >= least:
                new_s.append((start + length - max(start, until)) / voice.sample_rate)
                until = start + length
                heard = voice.power(samples[start : start + length], voice.sample_rate)
                features.append(voice.features(heard, frames))
                owner.append(number)
    heard_in = np.stack(features)
    sounding = voice.sounding(heard_in, pieces)
    return Windows(heard_in, sounding, np.array(owner), np.array(new_s))


def logits_of(
    model: Model,
    windows: Windows,
    recordings: Sequence[Recording],
    adaptations_s: Sequence[float],
    batch: int = 64,
) -> list[npt.NDArray[np.float64]]:
    """What the network says, ``[W, C]`` for each adaptation, as on a live stream of each speaker.

    A speaker's recordings are heard one after the other in a random order, always the same, and
    what was heard of the voice before counts (jack_stream.features.familiar): sound only, no class.

    Args:
        model: the network.
        windows: of the recordings.
        recordings: what they are of.
        adaptations_s: see `VoicePreprocessing`; 0: each window is that of an unknown voice.
        batch: windows at once.
    """
    encoded = _encoded(model, windows.features, batch)
    voices = [FamiliarVoice.unknown(encoded.shape[2])] * len(encoded)
    for heard in _in_turn(windows, recordings):
        voice = FamiliarVoice.unknown(encoded.shape[2])
        for window in heard:
            known = encoded[window, windows.sounding[window] > 0]
            voice = voice.hearing(known, float(windows.new_s[window]))
            voices[window] = voice
    pieces = {"piece": encoded, "sounding": windows.sounding}
    return [_said(model, pieces, voices, adaptation_s, batch) for adaptation_s in adaptations_s]


def _said(
    model: Model,
    pieces: dict[str, FloatArray],
    voices: Sequence[FamiliarVoice],
    adaptation_s: float,
    batch: int,
) -> npt.NDArray[np.float64]:
    """The head's logits ``[W, C]`` for the pieces of windows and their voices."""
    known = [voice.rows(adaptation_s) for voice in voices]
    rows = pieces | {name: np.concatenate([row[name] for row in known]) for name in known[0]}
    parts = []
    for first in range(0, len(voices), batch):
        some = {name: value[first : first + batch] for name, value in rows.items()}
        parts.append(model.head(some)["logits"])
    return np.concatenate(parts).astype(np.float64)


def _encoded(model: Model, features: FloatArray, batch: int) -> FloatArray:
    """The pieces' embeddings of windows ``[W, frames, values]``: ``[W, pieces, size]``."""
    length, values = model.item_spec["audio"][1:]
    pieces = features.reshape(-1, int(length), int(values))
    parts = [
        model.encode("audio", pieces[i : i + batch])["piece"] for i in range(0, len(pieces), batch)
    ]
    embedded = np.concatenate(parts)
    return embedded.reshape(len(features), -1, embedded.shape[1])


def _in_turn(windows: Windows, recordings: Sequence[Recording]) -> list[list[int]]:
    """The windows of each speaker in the order of hearing; who speaks unnamed is heard once."""
    order = np.random.default_rng(0).permutation(len(recordings))
    places = [np.flatnonzero(windows.owner == number).tolist() for number in range(len(order))]
    turns: defaultdict[object, list[int]] = defaultdict(list)
    for number in order.tolist():
        turns[recordings[number].speaker or number] += places[number]
    return list(turns.values())


def _faster(samples: FloatArray, speed: float) -> FloatArray:
    if speed == 1:
        return samples
    return np.asarray(soxr.resample(samples, speed, 1.0), np.float32)
