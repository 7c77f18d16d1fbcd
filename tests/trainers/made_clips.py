"""Small sets of made videos, of which it is known where their class is to be seen or heard."""

from __future__ import annotations

import json
import wave
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["FOUR", "LABELS", "write_clips"]

LABELS = ("Anger", "Joy")
"""Two of VideoEmotion-8's classes, of opposite polarity."""

FOUR = ("Anger", "Fear", "Joy", "Trust")
"""Four of them: a class for each picture with each tone."""

FRAMES, FPS = 24, 12
WIDTH, HEIGHT = 64, 48
RATE = 16000


def write_clips(
    folder: Path,
    *,
    where: Literal["picture", "sound", "both", "each"] = "picture",
    clips: int = 24,
    seed: int = 0,
    layout: Literal["folders", "annotated"] = "folders",
) -> Path:
    """Write a set of two classes for `trainers.data.clips.read_clips`.

    A red disc moves to the right or a blue square to the left; a tone is low or high and beats
    slowly or fast. ``picture``: the class is what is seen, the tone says nothing. ``sound``: the
    other way round. ``both``: Joy is disc with low tone or square with high tone, so that either
    alone says nothing. ``each``: four classes (`FOUR`), half of which is seen (and with it the
    polarity) and half is heard. Every combination is there equally often in both subsets.

    Args:
        folder: is made.
        where: what the class can be told from.
        clips: how many, a multiple of 12; a third of them are for validation.
        seed: of places, sizes, speeds, pitches and noise.
        layout: ``folders``: ``train/CLASS/0000.mkv`` with sound in it, and ``val/``;
            ``annotated``: the reference's, as pictures, wav files and ``made.json``.

    Returns:
        ``folder``.
    """
    if clips % 12:
        raise ValueError(f"clips must be a multiple of 12, not {clips}")
    database = {}
    for i in range(clips):
        rng = np.random.default_rng([seed, i])
        seen, heard = bool(i & 1), bool(i & 2)
        labels = FOUR if where == "each" else LABELS
        place = {"picture": seen, "sound": heard, "both": seen != heard, "each": 2 * seen + heard}
        label = labels[place[where]]
        subset = "validation" if i // 4 % 3 == 2 else "training"
        pictures, samples = _pictures(rng, disc=seen), _tone(rng, high=heard)
        name = f"{i:04d}"
        if layout == "folders":
            part = {"training": "train", "validation": "val"}[subset]
            path = folder / part / label / f"{name}.mkv"
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_video(path, pictures, samples)
        else:
            _write_parts(folder, label, name, pictures, samples)
            database[name] = {"subset": subset, "annotations": {"label": label}}
    if layout == "annotated":
        annotation = {"labels": list(labels), "database": database}
        (folder / "made.json").write_text(json.dumps(annotation))
    return folder


def _pictures(rng: np.random.Generator, *, disc: bool) -> NDArray[np.uint8]:
    frames = rng.normal(110, 8, (FRAMES, HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
    radius = int(rng.integers(8, 13))
    y, x = int(rng.integers(16, HEIGHT - 16)), int(rng.integers(0, WIDTH))
    speed = float(rng.uniform(1.5, 3.0)) * (1 if disc else -1)
    for t, frame in enumerate(frames):
        at = (int(x + speed * t) % WIDTH, y)
        if disc:
            cv2.circle(frame, at, radius, (220, 30, 30), -1)
        else:
            low, high = (at[0] - radius, y - radius), (at[0] + radius, y + radius)
            cv2.rectangle(frame, low, high, (30, 30, 220), -1)
    return frames


def _tone(rng: np.random.Generator, *, high: bool) -> NDArray[np.float32]:
    t = np.arange(FRAMES * RATE // FPS) / RATE
    pitch = rng.uniform(1800, 2400) if high else rng.uniform(200, 300)
    beat = rng.uniform(6, 8) if high else rng.uniform(1.5, 2.5)
    tone = 0.3 * np.sin(2 * np.pi * pitch * t) * (0.6 + 0.4 * np.sin(2 * np.pi * beat * t))
    return np.asarray(tone + rng.normal(0, 0.01, t.shape), np.float32)


def _write_video(path: Path, pictures: NDArray[np.uint8], samples: NDArray[np.float32]) -> None:
    pcm = (samples * 32767).astype(np.int16)[None]
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("mpeg4", rate=FPS)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.bit_rate = 1_000_000
        audio = container.add_stream("pcm_s16le", rate=RATE)
        assert isinstance(audio, av.AudioStream)
        audio.layout = "mono"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        block.sample_rate, block.pts, block.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(audio.encode(block))
        container.mux(audio.encode(None))


def _write_parts(
    folder: Path, label: str, name: str, pictures: NDArray[np.uint8], samples: NDArray[np.float32]
) -> None:
    images = folder / "imgs" / label / name
    images.mkdir(parents=True)
    for number, picture in enumerate(pictures, start=1):
        Image.fromarray(picture).save(images / f"{number:06d}.jpg", quality=90)
    (images / "n_frames").write_text(f"{len(pictures)}")
    sounds = folder / "mp3" / label
    sounds.mkdir(parents=True, exist_ok=True)
    with wave.open(str(sounds / f"{name}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype(np.int16).tobytes())
