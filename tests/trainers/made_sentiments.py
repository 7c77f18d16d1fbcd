"""Small sets in TSL-300's layout whose segments show in the picture, in the sound, or in both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np

from trainers.data.tsl300 import LABELS

__all__ = ["FRAME_RATE_HZ", "ROW_S", "write_sentiments"]

FRAME_RATE_HZ = 25.0
ROW_S = 16 / FRAME_RATE_HZ
_ROWS = 48
_CODES = {"picture": (slice(0, 200), slice(200, 400)), "sound": (slice(0, 25), slice(35, 60))}


def write_sentiments(
    folder: Path, *, where: Literal["picture", "sound", "both"], videos: tuple[int, int], seed: int
) -> None:
    """Write a set.

    Args:
        folder: of the set.
        where: the modality that shows where a segment is and of which class; in ``both``, a
            segment is where picture and sound agree, and each shows as many more by itself, which
            are none.
        videos: for training and for tests.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    database = {}
    for subset, count in zip(("train", "test"), videos, strict=True):
        names = [f"{subset}_{i}" for i in range(count)]
        (folder / f"split_{subset}.txt").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"split_{subset}.txt").write_text("\n".join(names))
        for name in names:
            spans = _write_video(folder / "features" / subset, name, where, rng)
            annotations = [
                {"segment": [str(a * ROW_S), str(b * ROW_S)], "label": label}
                for a, b, label in spans
            ]
            database[name] = {"subset": subset, "annotations": annotations}
    (folder / "gt.json").write_text(json.dumps({"database": database}))
    (folder / "fps_dict.json").write_text(json.dumps(dict.fromkeys(database, FRAME_RATE_HZ)))


def _write_video(
    folder: Path, name: str, where: str, rng: np.random.Generator
) -> list[tuple[int, int, str]]:
    rgb = rng.normal(0.4, 0.2, (_ROWS, 1024)).astype(np.float32)
    mel = rng.normal(-40.0, 4.0, (_ROWS, 32, 60)).astype(np.float32)
    spans = []
    roles = rng.permutation(["segment", "seen", "heard"] * 2)
    for slot, role in enumerate(roles.tolist()):
        a = 8 * slot + int(rng.integers(1, 3))
        b, sign = a + 5, int(rng.integers(0, 2))
        if role == "segment":
            spans.append((a, b, LABELS[sign]))
        elif where != "both":
            continue
        if where != "sound" and role != "heard":
            rgb[a:b, _CODES["picture"][sign]] += 1.0
        if where != "picture" and role != "seen":
            mel[a:b, :, _CODES["sound"][sign]] += 40.0
    for kind, rows in (("rgb", rgb), ("logmfcc", mel.reshape(-1, 60))):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        np.save(folder / kind / f"{name}.npy", rows)
    return spans
