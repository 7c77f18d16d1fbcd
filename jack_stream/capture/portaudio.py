"""PortAudio, loaded only where sound devices are really used."""

from __future__ import annotations

from typing import Any

from jack_stream.errors import MissingDependencyError

__all__ = ["load_portaudio"]


def load_portaudio() -> Any:
    """Import sounddevice, which loads PortAudio.

    Raises:
        MissingDependencyError: PortAudio isn't installed.
    """
    try:
        import sounddevice  # noqa: PLC0415 (loads a system library that others don't need)
    except OSError as error:
        raise MissingDependencyError(
            f"sound devices need the PortAudio library: {error}",
            hint="Debian and Ubuntu: apt-get install libportaudio2",
        ) from error
    return sounddevice
