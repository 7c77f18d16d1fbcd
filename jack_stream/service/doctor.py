"""What this machine has for capturing and for the models."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from jack_stream import runtime
from jack_stream.errors import JackError
from jack_stream.runtime import Finding

__all__ = ["findings"]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_LIBRARIES = {
    "cv2": ("opencv-python", "apt install libgl1 libglib2.0-0, or make setup"),
    "av": ("av", "pip install av"),
    "mediapipe": ("mediapipe", "pip install mediapipe==0.10.21"),
    "zmq": ("pyzmq", "pip install pyzmq"),
}


def findings() -> list[Finding]:
    """Everything that was looked for, the models' needs first."""
    libraries = [_library(module, *about) for module, about in _LIBRARIES.items()]
    return [*runtime.report(), *libraries, _port_audio(), *_sources()]


def _library(module: str, package: str, advice: str) -> Finding:
    try:
        importlib.import_module(module)
        return Finding(package, True, version(package))
    except PackageNotFoundError:
        return Finding(package, True, "there, without a package's version")
    except ImportError as error:
        return Finding(package, False, str(error), advice)


def _port_audio() -> Finding:
    try:
        import sounddevice  # noqa: PLC0415 - it fails where PortAudio is missing
    except (ImportError, OSError) as error:
        return Finding(
            "PortAudio",
            False,
            str(error),
            "Microphones need it: apt install libportaudio2. Files and cameras do not.",
            required=False,
        )
    return Finding("PortAudio", True, str(sounddevice.get_portaudio_version()[1]), required=False)


def _sources() -> list[Finding]:
    from jack_stream.capture import devices  # noqa: PLC0415 - slow to import

    found = []
    looks: tuple[tuple[str, Callable[[], Sequence[_Named]], str], ...] = (
        ("cameras", devices.list_cameras, "Without one: a file, a URL, or `jack-stream demo`."),
        ("microphones", devices.list_microphones, "Without one: a file or a URL."),
    )
    for what, look, advice in looks:
        try:
            names = [device.name for device in look()]
        except JackError as error:
            found.append(Finding(what, False, str(error), advice, required=False))
            continue
        said = ", ".join(names) if names else "none"
        found.append(Finding(what, bool(names), said, advice, required=False))
    return found
