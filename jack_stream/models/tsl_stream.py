"""TSL-Net on a stream: only what a new segment changes is computed again.

A segment's sound features hang on it and its two neighbours, its visual features likewise, its
fused features on those of three segments. All three are kept under the identities of the segments
that they were made of. So a hop by one segment encodes three sounds (the new one, the one before
it, and the window's first, whose neighbour is the window's last, as released), three pictures and
five fused rows, whatever the window's length; and a window that is cut elsewhere, has a gap, or
whose data came late, finds exactly what still holds.

The answer equals `TSLNet.execute` of the whole window to float rounding, at all chunk borders.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.models.tsl_net import CHUNK, TSLNet, position_rows
from jack_stream.runtime import jittor

__all__ = ["TSLStream"]

jt = jittor()
Array = npt.NDArray[np.float32]
Places = Sequence[int]


class TSLStream:
    """The windows of one stream, answered one after the other.

    Args:
        network: in evaluation mode; its weights must stay as they are.
    """

    def __init__(self, network: TSLNet) -> None:
        self._network = network
        self._segments: dict[int, tuple[int, Array, Array]] = {}
        self._next_identity = 0
        self._sound, self._visual, self._fused = _Rows(), _Rows(), _Rows()

    @property
    def encoded(self) -> dict[str, int]:
        """Rows that the last window had computed: ``sound``, ``visual`` and ``fused``."""
        return {
            "sound": self._sound.computed,
            "visual": self._visual.computed,
            "fused": self._fused.computed,
        }

    def infer(self, first: int, rgb: Array, mel: Array) -> dict[str, Array]:
        """The outputs of `TSLNet.execute` for one window.

        Args:
            first: index of the window's first segment, counted from the stream's start.
            rgb: I3D features ``[T, 1024]``.
            mel: log-mel ``[T, 32, 60]``, normalised.

        Returns:
            The network's outputs with a leading axis of 1.
        """
        t = len(rgb)
        identities = self._identify(first, rgb, mel)
        rounds = [_circular(at, t) for at in range(t)]
        lines = [_open(at, t) for at in range(t)]
        placed = mel + position_rows(np.arange(first, first + t))[:, np.newaxis]

        def listen(places: Places) -> Any:
            stacked = np.concatenate(
                [placed[[rounds[at][k] for at in places]] for k in range(3)], 1
            )
            return self._network.cls_module.a_extractor(jt.array(stacked))

        def align(places: Places) -> Any:
            return self._network.align(jt.array(_triples(rgb, places)), margin=0)[:, 0]

        sound_keys = [tuple(identities[k] for k in triple) for triple in rounds]
        visual_keys = [tuple(_at(identities, k) for k in triple) for triple in lines]
        sound = self._sound.get(sound_keys, listen)
        visual = self._visual.get(visual_keys, align)

        def fuse(places: Places) -> Any:
            near_visual, near_sound = (_triples(rows, places) for rows in (visual, sound))
            return self._network.fuse(jt.array(near_visual), jt.array(near_sound), margin=0)[:, 0]

        both = list(zip(sound_keys, visual_keys, strict=True))
        fused_keys = [tuple(_at(both, k) for k in triple) for triple in lines]
        fused = self._fused.get(fused_keys, fuse)
        with jt.no_grad():
            outputs = self._network.heads(jt.array(fused[np.newaxis]))
            return dict(zip(outputs, jt.fetch_sync(list(outputs.values())), strict=True))

    def _identify(self, first: int, rgb: Array, mel: Array) -> list[int]:
        """A number per segment that changes when its place or its data do."""
        held, self._segments = self._segments, {}
        for at in range(len(rgb)):
            known = held.get(first + at)
            same = (
                known is not None
                and np.array_equal(known[1], rgb[at])
                and np.array_equal(known[2], mel[at])
            )
            if known is None or not same:
                known = (self._next_identity, rgb[at].copy(), mel[at].copy())
                self._next_identity += 1
            self._segments[first + at] = known
        return [identity for identity, _, _ in self._segments.values()]


class _Rows:
    """Feature rows under the identities of what they were made of, for the last window's."""

    def __init__(self) -> None:
        self._rows: dict[Hashable, Array] = {}
        self.computed = 0

    def get(self, keys: Sequence[Hashable], compute: Callable[[Places], Any]) -> Array:
        """The rows of all keys; ``compute`` is called once with the places of those that lack."""
        lacking = [at for at, key in enumerate(keys) if key not in self._rows]
        self.computed = len(lacking)
        if lacking:
            with jt.no_grad():
                made = compute(lacking).numpy()
            self._rows.update(zip((keys[at] for at in lacking), made, strict=True))
        self._rows = {key: self._rows[key] for key in keys}
        return np.stack(list(self._rows.values()))


def _circular(at: int, length: int) -> tuple[int, int, int]:
    """A segment between its neighbours within its chunk, the last one beside the first."""
    start = at - at % CHUNK
    size = min(CHUNK, length - start)
    place = at - start
    return start + (place - 1) % size, at, start + (place + 1) % size


def _open(at: int, length: int) -> tuple[int, int, int]:
    """A segment between its neighbours; -1 beyond both ends."""
    return at - 1, at, at + 1 if at + 1 < length else -1


def _at(values: Sequence[Hashable], place: int) -> Hashable:
    return None if place < 0 else values[place]


def _triples(rows: Array, places: Places) -> Array:
    """Each place's row between its neighbours' ``[n, 3, C]``, zeros beyond both ends."""
    padded = np.pad(rows, ((1, 1), (0, 0)))
    return padded[np.asarray(places)[:, np.newaxis] + np.arange(3)]
