"""A small set of made voices, whose class is how fast they tremble and nothing else."""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import numpy as np

__all__ = ["RATE", "write_sound", "write_voices"]

RATE = 8000


def write_sound(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def write_voices(
    folder: Path, *, speakers: int = 4, each: int = 8, told: bool = True, seed: int = 0
) -> Path:
    """Voices of several pitches and levels; ``happy`` ones tremble fast, ``sad`` ones slowly.

    Args:
        folder: is made, with a table ``voices.csv``.
        speakers: each has a pitch and a loudness of their own.
        each: recordings of a speaker, half of either class.
        told: False lets a voice tremble fast or slowly whatever the class is.
        seed: of everything random.
    """
    rows = []
    for speaker in range(speakers):
        for i in range(each):
            rng = np.random.default_rng([seed, speaker, i])
            label = ("happy", "sad")[i % 2]
            fast = i % 2 == 0 if told else i % 4 < 2
            t = np.arange(RATE) / RATE
            pitch = (150 + 30 * speaker) * rng.uniform(0.9, 1.1)
            tone = sum(np.sin(2 * np.pi * k * pitch * t) / k for k in range(1, 8))
            beat = np.sin(2 * np.pi * ((8.0 if fast else 3.0) * t + rng.random()))
            loud = 0.01 * 2**speaker * (1 + beat)
            name = f"{speaker}/{i}.wav"
            write_sound(folder / name, loud * (tone + 0.02 * rng.standard_normal(RATE)))
            rows.append({"file": name, "label": label, "speaker": f"s{speaker}"})
    with (folder / "voices.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "label", "speaker"])
        writer.writeheader()
        writer.writerows(rows)
    return folder
