"""What flashes and beeps a camera and a microphone have, with the times that they stamp."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from functools import partial

import numpy as np

from jack_stream.capture import camera, microphone
from jack_stream.capture.alignment import Alignment, align, find_flashes, find_onsets
from jack_stream.capture.reader import SourceReader
from jack_stream.capture.reconnect import Backoff
from jack_stream.capture.samples import Picture, Sample
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.config import CameraSettings, MicrophoneSettings
from jack_stream.errors import SourceError

__all__ = ["measure"]

_CELL_S = 0.002
_POLL_S = 0.02
_AT_ONCE = 200  # so that a camera that never pauses doesn't keep the microphone waiting
_FLOOR = 1e-10  # -100 dB


def measure(
    camera_settings: CameraSettings,
    microphone_settings: MicrophoneSettings | None,
    seconds: float,
    *,
    clock: TimeSource,
    stop: threading.Event,
) -> Alignment:
    """Watch and listen, and tell how far both are apart, by the offsets of the settings.

    Args:
        camera_settings: where the pictures come from, and the sound if there is no microphone.
        microphone_settings: where the sound comes from.
        seconds: how long at the most; a file with both is read to its end.
        clock: the time line.
        stop: ends it earlier, when set.

    Raises:
        SourceError: a source can't be read, or has too few marks, or they don't fit together.
    """
    counters: Counter[str] = Counter()
    sources = [camera.open_source(camera_settings, {}).samples]
    if microphone_settings is not None:
        sources.append(microphone.open_source(microphone_settings, {}).samples)
    diary = _Diary()
    until_ns = clock.now_ns() + round(seconds * NS_PER_S)
    with ExitStack() as stack:
        readers = [
            stack.enter_context(
                SourceReader(
                    partial(source, clock, counters), backoff=Backoff(0.5, 5.0), counters=counters
                )
            )
            for source in sources
        ]
        over = False
        while not over:
            over = stop.is_set() or all(reader.exhausted for reader in readers)
            whole = diary.recorded and len(readers) == 1
            over |= not whole and clock.now_ns() > until_ns
            heard = [diary.drain(reader) for reader in readers]
            if not any(heard):
                stop.wait(_POLL_S)
    return diary.alignment()


class _Diary:
    """The brightness of every picture, and the level of every 2 ms of sound."""

    def __init__(self) -> None:
        self.recorded = False
        self._seen: list[tuple[int, float]] = []
        self._heard: list[tuple[int, float]] = []

    def drain(self, reader: SourceReader) -> bool:
        """Note all that waits; False if nothing did."""
        count = 0
        while count < _AT_ONCE and (sample := reader.get(0.0)) is not None:
            self.note(sample)
            count += 1
        return count > 0

    def note(self, sample: Sample) -> None:
        """Note one picture's brightness, or the levels of one block."""
        self.recorded |= bool(sample.origin_ns)
        if isinstance(sample, Picture):
            self._seen.append((sample.captured_at_ns, float(sample.image.mean())))
            return
        length = max(1, round(sample.sample_rate * _CELL_S))
        count = len(sample.samples) // length
        cells = np.square(sample.samples[: count * length], dtype=np.float64).reshape(count, length)
        levels = 10 * np.log10(np.maximum(cells.mean(axis=1), _FLOOR))
        step_ns = length * NS_PER_S / sample.sample_rate
        self._heard += [
            (sample.captured_at_ns + round(index * step_ns), float(level))
            for index, level in enumerate(levels)
        ]

    def alignment(self) -> Alignment:
        """What all this says."""
        for rows, name in ((self._seen, "pictures"), (self._heard, "sound")):
            if not rows:
                raise SourceError(f"nothing gave {name}", hint="Choose sources that give both.")
        first_ns = min(self._seen[0][0], self._heard[0][0])
        seen, heard = (
            np.array([((at_ns - first_ns) / NS_PER_S, value) for at_ns, value in rows]).T
            for rows in (self._seen, self._heard)
        )
        return align(find_flashes(*seen), find_onsets(*heard))
