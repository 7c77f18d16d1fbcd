"""The sound of a medium: decoded frames to mono blocks of the wanted rate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.resample import Block, BlockResampler
from jack_stream.capture.samples import Sound
from jack_stream.clock import NS_PER_S
from jack_stream.errors import SourceError
from jack_stream.wire.messages import MAX_RATE, MIN_RATE

__all__ = ["SoundTrack", "SoundWanted", "finite"]

_MAX_CHANNELS = 64
_GAP_NS = 20_000_000
_ROUNDING_NS = 2_000_000  # time stamps are rounded to a millisecond in some containers
_SLEW = 100


@dataclass(frozen=True, slots=True)
class SoundWanted:
    """How to deliver sound.

    Attributes:
        sample_rate: in hertz.
        block_ms: length of a block in milliseconds.
        offset_ns: how much later than it sounds its source stamps it; taken off every time.
    """

    sample_rate: int
    block_ms: int
    offset_ns: int = 0

    @property
    def block_samples(self) -> int:
        """The length of a block in samples."""
        return max(1, self.sample_rate * self.block_ms // 1000)


class SoundTrack:
    """Turns decoded frames into blocks of the mean of their channels.

    Sound is placed by counting its samples. Where timestamps deviate from the count by more than
    the 2 ms that rounding may cost, their clock and that of the samples drift apart: the count
    follows them, by a hundredth of the time that passes at most. By more than 20 ms, a gap is taken
    to be there (``sound_gaps``); where they go back, the sound follows what came before it. Samples
    that are not finite become silence (``not_finite_blocks``).

    Args:
        wanted: rate and block length.
        start_ns: what timestamp zero of the medium is.
        counters: where to count.
    """

    def __init__(self, wanted: SoundWanted, start_ns: int, counters: Counter[str]) -> None:
        self._wanted = wanted
        self._start_ns = start_ns
        self._counters = counters
        self._packed: av.AudioResampler | None = None
        self._layout = ("", "", 0)
        self._blocks: BlockResampler | None = None
        self._anchor_ns = 0
        self._counted = 0
        self._jump_ns = 0

    def push(self, frame: av.AudioFrame) -> tuple[list[Sound], int]:
        """Take a frame; return the blocks it completes, and the media time of its end.

        The blocks' ``captured_at_ns`` is their media time; placing it is the caller's.

        Raises:
            SourceError: sound of a rate, or of more channels, than any sound has.
        """
        _check(frame)
        samples = finite(self._mono(frame), self._counters)
        deviation_ns = self._deviation_ns(frame)
        sounds: list[Sound] = []
        if self._blocks is None or self._blocks.rate_in != frame.sample_rate:
            sounds += self.flush()
            self._anchor_ns, self._counted = self._end_ns() + deviation_ns, 0
            self._blocks = BlockResampler(
                frame.sample_rate, self._wanted.sample_rate, self._wanted.block_samples
            )
        elif abs(deviation_ns) > _GAP_NS:
            self._counters["sound_gaps"] += 1
            sounds += self.flush()
            self._jump_ns -= min(0, deviation_ns)
            self._anchor_ns, self._counted = self._end_ns() + max(0, deviation_ns), 0
        else:
            most_ns = len(samples) * NS_PER_S // frame.sample_rate // _SLEW
            excess_ns = deviation_ns - max(-_ROUNDING_NS, min(_ROUNDING_NS, deviation_ns))
            self._anchor_ns += max(-most_ns, min(most_ns, excess_ns))
        start_ns = self._end_ns()
        self._counted += len(samples)
        sounds += self._sounds(self._blocks.push(samples, start_ns))
        return sounds, self._end_ns()

    def flush(self) -> list[Sound]:
        """Return what is left, the last block being shorter."""
        return [] if self._blocks is None else self._sounds(self._blocks.flush())

    def _end_ns(self) -> int:
        """The media time of the next sample, by count."""
        rate = self._blocks.rate_in if self._blocks else 1
        return self._anchor_ns + self._counted * NS_PER_S // rate

    def _deviation_ns(self, frame: av.AudioFrame) -> int:
        """How much later than by count a frame is by its timestamp."""
        if frame.pts is None or frame.time_base is None:
            return 0
        media_ns = int(frame.pts * frame.time_base * NS_PER_S) - self._start_ns
        return media_ns + self._jump_ns - self._end_ns()

    def _sounds(self, blocks: list[Block]) -> list[Sound]:
        rate = self._wanted.sample_rate
        return [Sound(b.samples, rate, b.at_ns, discontinuity=b.discontinuity) for b in blocks]

    def _mono(self, frame: av.AudioFrame) -> NDArray[np.float32]:
        layout = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._packed is None or layout != self._layout:
            # All channels, at the same rate; not in planes: PyAV 18 reads the ninth and others
            # where there are none, and crashes.
            self._packed = av.AudioResampler(format="flt")
            self._layout = layout
        mono = [
            part.to_ndarray().reshape(-1, part.layout.nb_channels).mean(axis=1, dtype=np.float32)
            for part in self._packed.resample(frame)
        ]
        return np.concatenate(mono) if mono else np.empty(0, np.float32)


def _check(frame: av.AudioFrame) -> None:
    rate, channels = frame.sample_rate, frame.layout.nb_channels
    if not MIN_RATE <= rate <= MAX_RATE or channels > _MAX_CHANNELS:
        raise SourceError(
            f"sound of {rate} Hz and {channels} channels is not taken",
            hint=f"Rates are {MIN_RATE} to {MAX_RATE} Hz; at most {_MAX_CHANNELS} channels.",
        )


def finite(samples: NDArray[np.float32], counters: Counter[str]) -> NDArray[np.float32]:
    """The samples, or as much silence if any of them is not a number."""
    if np.isfinite(samples).all():
        return samples
    counters["not_finite_blocks"] += 1
    return np.zeros_like(samples)
