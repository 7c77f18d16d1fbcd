"""What a frozen backbone makes of clips, and their sound, computed once and kept in files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt
from tqdm import tqdm

from jack_stream.models.registry import Model
from trainers.audio_visual.network import backbone_digest, encoded_inputs
from trainers.audio_visual.samples import Inputs, Sampling
from trainers.audio_visual.workers import Ahead, Workers
from trainers.data.clips import Clip
from trainers.data.feature_cache import FeatureCache, feature_key

__all__ = ["FeatureStore"]


class FeatureStore:
    """Views of clips as a model with a frozen backbone takes them.

    A view is the middle of everything (None), or a training sample that its number and the clip
    determine. Runs with the same backbone and sampling may share a folder.

    Args:
        folder: where the files are.
        model: its backbone does not change from the first use on.
        sampling: how clips become inputs.
        workers: who reads the clips.
        quiet: no progress bar.

    Attributes:
        sampling: as given.
        workers: as given.
    """

    def __init__(
        self,
        folder: Path,
        model: Model,
        sampling: Sampling,
        workers: Workers,
        *,
        quiet: bool = False,
    ) -> None:
        self._cache = FeatureCache(folder)
        self.sampling, self.workers = sampling, workers
        self._model = model
        self._quiet = quiet
        self._backbone = ""

    def fill(self, clips: Sequence[Clip], views: Iterable[int | None]) -> None:
        """Compute what is not there yet, with the workers' help.

        Raises:
            SourceError: a clip can't be read, or a file can't be written.
        """
        wanted = {self._key(clip, view): (clip, view) for view in views for clip in clips}
        todo = {key: item for key, item in wanted.items() if key not in self._cache}
        jobs = [[(self.sampling, clip, _seed(clip, view))] for clip, view in todo.values()]
        samples = Ahead(self.workers, Sampling.sample, jobs)
        quiet = self._quiet or not todo
        progress = tqdm(samples, "frozen backbone", total=len(todo), disable=quiet)
        for key, (inputs,) in zip(todo, progress, strict=True):
            self._cache.get(key, partial(self._made, inputs))

    def load(self, clip: Clip, view: int | None) -> Inputs:
        """A view with features in the place of pixels.

        Raises:
            SourceError: the clip can't be read, or a file can't be written.
        """
        kept = self._cache.get(
            self._key(clip, view),
            lambda: self._made(self.sampling.sample(clip, _seed(clip, view))),
        )
        return Inputs(kept["visual"], kept["audio"])

    def _made(self, inputs: Inputs) -> dict[str, npt.NDArray[Any]]:
        return vars(encoded_inputs(self._model.module, inputs))

    def _key(self, clip: Clip, view: int | None) -> str:
        if not self._backbone:
            self._backbone = backbone_digest(self._model)
        return feature_key(clip.digest(), self._backbone, view=view, **asdict(self.sampling))


def _seed(clip: Clip, view: int | None) -> int | None:
    if view is None:
        return None
    return int(hashlib.sha256(f"{clip.digest()}\n{view}".encode()).hexdigest()[:15], 16)
