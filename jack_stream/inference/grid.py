"""What the analyzers of pictures and sound have in common: a window of whole cells of a grid."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.errors import ConfigError
from jack_stream.window.spec import Modality, Sample, Window, WindowSpec
from jack_stream.wire.messages import Audio, Frame, Stamp

__all__ = ["cells_spec", "evidence", "flicker", "flickers", "missing_sound"]

_WHOLE = 0.999
_STEP_NS = 40_000_000
_SAMPLE_RATE = 44100


def cells_spec(
    method: str, settings: AnalyzerSettings, *, period_ns: int, length_ns: int
) -> WindowSpec:
    """Windows and hops of whole cells, so that each cell is encoded once.

    Args:
        method: for the message.
        settings: its hop, one cell if absent, and its lateness.
        period_ns: length of a cell.
        length_ns: length of a window.

    Raises:
        ConfigError: window or hop is no multiple of a cell.
    """
    hop_ns = period_ns if settings.hop_s is None else round(settings.hop_s * NS_PER_S)
    for key, value_ns in (("window_s", length_ns), ("hop_s", hop_ns)):
        if value_ns % period_ns or not value_ns:
            raise ConfigError(
                f"analyzer {method}: {key} = {value_ns / NS_PER_S:g} is no multiple of the"
                f" {period_ns / NS_PER_S:g} s of a snippet",
                hint="With whole snippets each is encoded once, however many windows it is in.",
            )
    return WindowSpec(
        length_ns=length_ns,
        hop_ns=hop_ns,
        modalities=("frame", "audio"),
        lateness_ns=round(settings.lateness_s * NS_PER_S),
    )


def evidence(cells: int, empty: int, captured: float) -> tuple[float, tuple[str, ...]]:
    """What a prediction from pictures and sound rests on.

    Args:
        cells: of the window.
        empty: how many of them have no picture.
        captured: share of the sound that was captured, 0 to 1.

    Returns:
        The support, 0 to 1, and what is missing besides a whole modality, which the window names.
    """
    degraded = (f"{empty} of {cells} snippets without a picture",) if empty else ()
    return (1 - empty / cells + captured) / 2, degraded + missing_sound(captured)


def missing_sound(captured: float) -> tuple[str, ...]:
    """What to say of a window whose sound was captured to this share."""
    return (f"{1 - captured:.0%} of the sound missing",) if 0 < captured < _WHOLE else ()


def flickers(spec: WindowSpec, side: int) -> Iterator[Window]:
    """Windows of :func:`flicker` without end, each a hop after the one before."""
    for start_ns in count(0, spec.hop_ns):
        yield flicker(start_ns, start_ns + spec.length_ns, side)


def flicker(start_ns: int, end_ns: int, side: int) -> Window:
    """A made-up window of noise, to warm up with; windows that overlap share what they overlap in.

    Args:
        start_ns: its start.
        end_ns: its end.
        side: of its pictures, in pixels.
    """
    frames, sounds = [], []
    for seq in range(-(-start_ns // _STEP_NS), -(-end_ns // _STEP_NS)):
        rng = np.random.default_rng(seq)
        stamp = Stamp("warm-up", seq, seq * _STEP_NS, "warm-up")
        picture = rng.integers(0, 256, (side, side, 3), np.uint8)
        frames.append(Frame(stamp, picture, (side, side)))
        noise = rng.standard_normal(_STEP_NS * _SAMPLE_RATE // NS_PER_S) * 0.1
        sounds.append(Audio(stamp, noise.astype(np.float32), _SAMPLE_RATE))
    samples: dict[Modality, tuple[Sample, ...]] = {"frame": tuple(frames), "audio": tuple(sounds)}
    return Window("warm-up", 0, 0, start_ns, end_ns, samples, (), end_ns)
