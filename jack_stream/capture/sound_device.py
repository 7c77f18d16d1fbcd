"""A microphone through PortAudio."""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.portaudio import load_portaudio
from jack_stream.capture.resample import BlockResampler
from jack_stream.capture.sample_clock import SampleClock
from jack_stream.capture.samples import Sample, Sound
from jack_stream.capture.soundtrack import SoundWanted, finite
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.errors import SourceError, SourceLostError

__all__ = ["SoundDevice"]

_QUEUE = 256  # chunks that wait at the most
_VANISHED_S = 2.0  # without a chunk for so long, a device is gone
_SILENCE = 1e-4  # -80 dB of full scale: a muted microphone is below it


class _Chunk(NamedTuple):
    samples: NDArray[np.float32]  # [n, channels]
    at_ns: int


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """A sound device that records.

    Attributes:
        device: part of its name, its index, or None for the default one.
        wanted: rate and block length of what is yielded.
        gauges: where ``level_dbfs`` (of the last chunk), ``silent_s`` (for how long nothing but
            silence came) and ``clock_drift_ppm`` (how much faster it counts than it says) are kept.
    """

    device: str | None
    wanted: SoundWanted
    gauges: dict[str, float] = field(default_factory=dict)

    def samples(self, clock: TimeSource, counters: Counter[str]) -> Generator[Sample, None, None]:
        """Yield blocks until the device is gone; counts ``overruns`` and ``sound_gaps``.

        Raises:
            SourceError: there is no such device, or it never gave sound.
            SourceLostError: it gave sound before, and doesn't any more.
            MissingDependencyError: PortAudio isn't installed.
        """
        worked = counters["device_opened"] > 0
        portaudio = load_portaudio()
        try:
            if worked:  # it only looks for devices when it is initialised
                portaudio._terminate()  # noqa: SLF001 (sounddevice documents no other way)
                portaudio._initialize()  # noqa: SLF001
            index = find_microphone(portaudio.query_devices(), self.device)
            with self._stream(portaudio, index, clock, counters) as (stream, chunks):
                if not worked:
                    counters["device_opened"] += 1
                    worked = True
                yield from self._blocks(round(stream.samplerate), chunks, counters)
        except portaudio.PortAudioError as error:
            raise _failure(self.device, str(error), worked=worked) from error
        except SourceError as error:
            if not worked:
                raise
            raise SourceLostError(str(error)) from error
        raise _failure(self.device, "it gives no sound any more", worked=worked)

    @contextmanager
    def _stream(
        self, portaudio: Any, index: int | None, clock: TimeSource, counters: Counter[str]
    ) -> Iterator[tuple[Any, queue.Queue[_Chunk]]]:
        chunks: queue.Queue[_Chunk] = queue.Queue(_QUEUE)

        def take(indata: NDArray[np.float32], _frames: int, time: Any, status: Any) -> None:
            if status.input_overflow:
                counters["overruns"] += 1
            age_s = time.currentTime - time.inputBufferAdcTime
            if not 0 <= age_s < 1 or not time.inputBufferAdcTime:  # some hosts don't say
                age_s = len(indata) / rate
            chunk = _Chunk(indata.copy(), clock.now_ns() - int(age_s * NS_PER_S))
            try:
                chunks.put_nowait(chunk)
            except queue.Full:
                counters["overruns"] += 1

        info = portaudio.query_devices(index, "input")
        rate = int(info["default_samplerate"])
        stream = portaudio.InputStream(
            device=index,
            channels=min(2, int(info["max_input_channels"])),
            samplerate=rate,
            blocksize=rate * self.wanted.block_ms // 1000,
            dtype="float32",
            callback=take,
        )
        with stream:
            yield stream, chunks

    def _blocks(
        self, rate: int, chunks: queue.Queue[_Chunk], counters: Counter[str]
    ) -> Iterator[Sound]:
        sample_clock = SampleClock(rate)
        resampler = BlockResampler(rate, self.wanted.sample_rate, self.wanted.block_samples)
        silent = 0
        while True:
            try:
                chunk = chunks.get(timeout=_VANISHED_S)
            except queue.Empty:
                return
            counted = counters["not_finite_blocks"]
            mono = finite(chunk.samples.mean(axis=1, dtype=np.float32), counters)
            replaced = counters["not_finite_blocks"] > counted
            silent = silent + len(mono) if _peak(mono) < _SILENCE else 0
            self.gauges["silent_s"] = silent / rate
            self.gauges["level_dbfs"] = _level_dbfs(mono)
            start_ns, gap = sample_clock.place(len(mono), chunk.at_ns)
            if sample_clock.drift_ppm is not None:
                self.gauges["clock_drift_ppm"] = round(sample_clock.drift_ppm, 1)
            blocks = []
            if gap:
                counters["sound_gaps"] += 1
                blocks = resampler.flush()
            for block in blocks + resampler.push(mono, start_ns):
                yield Sound(
                    block.samples,
                    self.wanted.sample_rate,
                    block.at_ns - self.wanted.offset_ns,
                    discontinuity=block.discontinuity or replaced,
                )


def find_microphone(devices: Any, wanted: str | None) -> int | None:
    """The index of the wanted device; None for the default one.

    Raises:
        SourceError: there is no such device that records, or several are meant equally.
    """
    names = {i: str(d["name"]) for i, d in enumerate(devices) if d["max_input_channels"] > 0}
    listed = ", ".join(f"{index} ({name})" for index, name in names.items()) or "none"
    hint = "Plug it in, or choose one that `jack-stream devices` lists."
    if not names:
        raise SourceError("there is no microphone on this machine", hint=hint)
    if wanted is None:
        return None
    if wanted.isdigit() and int(wanted) in names:
        return int(wanted)
    exact = [index for index, name in names.items() if name == wanted]
    matches = exact or [i for i, name in names.items() if wanted.lower() in name.lower()]
    if not matches or wanted.isdigit():
        raise SourceError(
            f"there is no microphone or file {wanted!r}; microphones: {listed}", hint=hint
        )
    if len(matches) > 1:
        raise SourceError(
            f"{wanted!r} means {len(matches)} microphones of: {listed}",
            hint="Give more of its name, or its index.",
        )
    return matches[0]


def _failure(device: str | None, cause: str, *, worked: bool) -> SourceError:
    name = f"microphone {device}" if device is not None else "the default microphone"
    if worked:
        return SourceLostError(f"{name} was lost: {cause}")
    return SourceError(
        f"{name} can't be opened: {cause}",
        hint="End the program that uses it, or choose one that `jack-stream devices` lists.",
    )


def _peak(samples: NDArray[np.float32]) -> float:
    return float(np.abs(samples).max(initial=0.0))


def _level_dbfs(samples: NDArray[np.float32]) -> float:
    power = float(np.square(samples, dtype=np.float64).mean()) if samples.size else 0.0
    return round(10 * float(np.log10(max(power, 1e-12))), 1)
