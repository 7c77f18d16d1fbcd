"""What sources yield, before it is put on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S

__all__ = ["Picture", "Sample", "Sound", "after_gap"]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture, resized to what is wanted.

    Attributes:
        image: uint8 ``[H, W, 3]``, RGB.
        source_size: width and height before it was resized.
        captured_at_ns: nanoseconds since the Unix epoch.
        origin_ns: ``captured_at_ns`` of media time zero for recorded media, 0 for live sources.
        discontinuity: True on the first one after something was lost.
    """

    image: NDArray[np.uint8]
    source_size: tuple[int, int]
    captured_at_ns: int
    origin_ns: int = 0
    discontinuity: bool = False

    @property
    def end_ns(self) -> int:
        """When a camera would have it: at once."""
        return self.captured_at_ns


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A block of mono sound.

    Attributes:
        samples: float32 ``[n]``, nominally -1 to 1.
        sample_rate: in hertz.
        captured_at_ns: the time of the first sample, nanoseconds since the Unix epoch.
        origin_ns: as in :class:`Picture`.
        discontinuity: True on the first one after something was lost.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    captured_at_ns: int
    origin_ns: int = 0
    discontinuity: bool = False

    @property
    def end_ns(self) -> int:
        """When a microphone would have it: after its last sample."""
        return self.captured_at_ns + len(self.samples) * NS_PER_S // self.sample_rate


Sample: TypeAlias = Picture | Sound


def after_gap(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Mark the first picture and the first sound: they don't follow what was sent before."""
    unmarked: set[type[Sample]] = {Picture, Sound}
    for sample in samples:
        if type(sample) in unmarked:
            unmarked.discard(type(sample))
            yield replace(sample, discontinuity=True)
        else:
            yield sample
