"""What frozen networks make of clips, computed once and kept.

A folder of safetensors files, each named by all that its contents depend on, so that nothing ever
has to be thrown away by hand: another clip, another backbone or another view is another file.

::

    cache = FeatureCache(folder)
    key = feature_key(clip.digest(), backbone.origin.digest, view="centre", snippets=16)
    features = cache.get(key, lambda: {"visual": encode(clip)})["visual"]
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from jack_stream.errors import SourceError

__all__ = ["FeatureCache", "feature_key"]

Arrays = dict[str, npt.NDArray[Any]]


def feature_key(content: str, backbone: str, **preprocessing: Any) -> str:
    """A name for features, 64 hexadecimal digits.

    Args:
        content: the clip's `Clip.digest`.
        backbone: digest of the network's tensors; empty for what no network made.
        preprocessing: all else that the features depend on (view, seed, rate, numbers of snippets,
            a version of the code that makes them), as JSON can hold it.
    """
    parts = json.dumps([content, backbone, preprocessing], sort_keys=True, allow_nan=False)
    return hashlib.sha256(parts.encode()).hexdigest()


class FeatureCache:
    """Arrays by key, in files; several processes may share a folder.

    A file is whole or absent: it is written beside its place and renamed. One that can't be read
    none the less (a failing disk) is computed again.

    Args:
        folder: is made when something is kept for the first time.

    Attributes:
        computed: how many were not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.computed = 0

    def get(self, key: str, compute: Callable[[], Mapping[str, npt.NDArray[Any]]]) -> Arrays:
        """The arrays of a key, computed if they are not there.

        Raises:
            SourceError: they can't be written.
        """
        path = self._folder / key[:2] / f"{key}.safetensors"
        if path.is_file():
            try:
                return dict(load_file(path))
            except (SafetensorError, OSError):
                path.unlink(missing_ok=True)
        arrays = dict(compute())
        self.computed += 1
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(arrays, partial)
            partial.replace(path)
        except (OSError, SafetensorError) as error:
            raise SourceError(
                f"{path}: features can't be kept there: {error}", hint="Is the disk full?"
            ) from error
        return arrays

    def __contains__(self, key: str) -> bool:
        return (self._folder / key[:2] / f"{key}.safetensors").is_file()
