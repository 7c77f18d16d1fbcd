"""Small sets in TSL-300's layout whose segments show in the picture, in the sound, or in both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np

__all__ = ["FRAME_RATE_HZ", "ROW_S", "write_sentiments"]

FRAME_RATE_HZ = 25.0
ROW_S = 16 / FRAME_RATE_HZ
_ROWS = 40
_CODES = {"picture": (slice(0, 200), slice(200, 400)), "sound": (slice(0, 25), slice(35, 60))}


def write_sentiments(
    folder: Path, *, where: Literal["picture", "sound", "both"], videos: tuple[int, int], seed: int
) -> None:
    """Write a set.

    Args:
        folder: of the set.
        where: the modality whose features say the class; in ``both``, picture and sound each have
            one of two marks: the same ones are positive, different ones negative.
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
    for start in (1, 21):  # a segment somewhere in each half
        a = start + int(rng.integers(0, 12))
        b = a + 6
        seen, heard = rng.integers(0, 2, 2)
        if where in ("picture", "both"):
            rgb[a:b, _CODES["picture"][seen]] += 1.0
        if where in ("sound", "both"):
            mel[a:b, :, _CODES["sound"][heard]] += 40.0
        sign = {"picture": seen, "sound": heard, "both": seen == heard}[where]
        spans.append((a, b, "p" if sign else "n"))
    for kind, rows in (("rgb", rgb), ("logmfcc", mel.reshape(-1, 60))):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        np.save(folder / kind / f"{name}.npy", rows)
    return spans
