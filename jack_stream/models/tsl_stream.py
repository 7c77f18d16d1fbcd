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

from collections.abc import Callable, Generator, Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from jack_stream.models.tsl_net import CHUNK, TSLNet, position_rows
from jack_stream.models.unlocked import fetch
from jack_stream.runtime import jittor

__all__ = ["TSLStream", "parts"]

jt = jittor()
Var = Any
Array = npt.NDArray[np.float32]
Places = Sequence[int]
Steps: TypeAlias = Generator[tuple[str, dict[str, Array]], dict[str, Array], dict[str, Array]]
"""Yields which of the `parts` is needed with which rows ``[N, ...]`` (none where there are no
names), is sent what it answers, and returns the network's outputs."""


def parts(network: TSLNet) -> dict[str, Callable[..., dict[str, Var]]]:
    """The parts of the network that answer rows independently of each other.

    ``listen`` takes ``mel`` ``[N, 96, 60]``, a segment's between its neighbours', and gives
    ``rows`` ``[N, 512]``; ``align`` takes ``rgb`` ``[N, 3, 1024]`` and gives ``rows``
    ``[N, 512]``; ``fuse`` takes ``visual`` and ``sound`` ``[N, 3, 512]`` and gives ``rows``
    ``[N, 2048]``; ``heads`` takes ``features`` ``[B, T, 2048]`` and gives the outputs of
    `TSLNet.execute`.
    """
    return {
        "listen": lambda mel: {"rows": network.cls_module.a_extractor(mel)},
        "align": lambda rgb: {"rows": network.align(rgb, margin=0)[:, 0]},
        "fuse": lambda visual, sound: {"rows": network.fuse(visual, sound, margin=0)[:, 0]},
        "heads": network.heads,
    }


class TSLStream:
    """The windows of one stream, answered one after the other.

    Args:
        network: in evaluation mode; its weights must stay as they are.
    """

    def __init__(self, network: TSLNet) -> None:
        self._parts = parts(network)
        self._segments: dict[int, tuple[int, Array, Array]] = {}
        self._next_identity = 0
        self._sound, self._visual, self._fused = _Rows("listen"), _Rows("align"), _Rows("fuse")

    @property
    def encoded(self) -> dict[str, int]:
        """Rows that the last window had computed: ``sound``, ``visual`` and ``fused``."""
        return {
            "sound": self._sound.computed,
            "visual": self._visual.computed,
            "fused": self._fused.computed,
        }

    def infer(self, first: int, rgb: Array, mel: Array) -> dict[str, Array]:
        """The outputs of `TSLNet.execute` for one window, with a leading axis of 1; see `look`."""
        steps = self.look(first, rgb, mel)
        try:
            part, rows = next(steps)
            while True:
                part, rows = steps.send(self._run(part, rows) if rows else {})
        except StopIteration as end:
            outputs: dict[str, Array] = end.value
            return outputs

    def look(self, first: int, rgb: Array, mel: Array) -> Steps:
        """Answer a window part by part, so that several streams' rows may be answered together.

        Args:
            first: index of the window's first segment, counted from the stream's start.
            rgb: I3D features ``[T, 1024]``.
            mel: log-mel ``[T, 32, 60]``, normalised.
        """
        t = len(rgb)
        identities = self._identify(first, rgb, mel)
        rounds = [_circular(at, t) for at in range(t)]
        lines = [_open(at, t) for at in range(t)]
        placed = mel + position_rows(np.arange(first, first + t))[:, np.newaxis]

        def listened(places: Places) -> dict[str, Array]:
            near = [placed[[rounds[at][k] for at in places]] for k in range(3)]
            return {"mel": np.concatenate(near, 1)}

        def aligned(places: Places) -> dict[str, Array]:
            return {"rgb": _triples(rgb, places)}

        sound_keys = [tuple(identities[k] for k in triple) for triple in rounds]
        visual_keys = [tuple(_at(identities, k) for k in triple) for triple in lines]
        sound = yield from self._sound.get(sound_keys, listened)
        visual = yield from self._visual.get(visual_keys, aligned)

        def fused(places: Places) -> dict[str, Array]:
            return {"visual": _triples(visual, places), "sound": _triples(sound, places)}

        both = list(zip(sound_keys, visual_keys, strict=True))
        fused_keys = [tuple(_at(both, k) for k in triple) for triple in lines]
        features = yield from self._fused.get(fused_keys, fused)
        return (yield "heads", {"features": features[np.newaxis]})

    def _run(self, part: str, rows: dict[str, Array]) -> dict[str, Array]:
        with jt.no_grad():
            inputs = {name: jt.array(value) for name, value in rows.items()}
            outputs = self._parts[part](**inputs)
            return dict(zip(outputs, fetch(list(outputs.values())), strict=True))

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
    """Feature rows under the identities of what they were made of, for the last window's.

    Args:
        part: the part of the network that makes them.
    """

    def __init__(self, part: str) -> None:
        self._part = part
        self._rows: dict[Hashable, Array] = {}
        self.computed = 0

    def get(
        self, keys: Sequence[Hashable], inputs: Callable[[Places], dict[str, Array]]
    ) -> Generator[tuple[str, dict[str, Array]], dict[str, Array], Array]:
        """The rows of all keys; asks once for those that lack, by the inputs of their places."""
        held = {key: self._rows[key] for key in keys if key in self._rows}
        lacking = [at for at, key in enumerate(keys) if key not in held]
        self.computed = len(lacking)
        found = yield self._part, (inputs(lacking) if lacking else {})
        held.update(zip((keys[at] for at in lacking), found.get("rows", ()), strict=True))
        self._rows = {key: held[key] for key in keys}
        return np.stack([held[key] for key in keys])


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
