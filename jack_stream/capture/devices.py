"""The cameras and microphones of this machine."""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from jack_stream.capture.portaudio import load_portaudio

__all__ = ["CameraDevice", "MicrophoneDevice", "list_cameras", "list_microphones"]

# linux/videodev2.h
_QUERYCAP = 0x80685600  # _IOR('V', 0, struct v4l2_capability)
_CAPABILITY = struct.Struct("16s32s32sIII12x")
_DEVICE_CAPS, _VIDEO_CAPTURE, _VIDEO_CAPTURE_MPLANE = 0x80000000, 0x1, 0x1000


@dataclass(frozen=True, slots=True)
class CameraDevice:
    """A camera.

    Attributes:
        index: what to give as ``camera.source``.
        path: its device file.
        name: what the driver calls it.
        problem: why it can't be used, or an empty string.
    """

    index: int
    path: str
    name: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class MicrophoneDevice:
    """A microphone.

    Attributes:
        index: what to give as ``microphone.device``; may change when devices come and go.
        name: its name, of which any part may be given as well.
        channels: how many it has.
        sample_rate: its own rate in hertz.
        host_api: the sound system behind it.
        default: whether it is taken when none is named.
    """

    index: int
    name: str
    channels: int
    sample_rate: int
    host_api: str
    default: bool


def list_cameras(
    class_folder: Path = Path("/sys/class/video4linux"), dev_folder: Path = Path("/dev")
) -> list[CameraDevice]:
    """All V4L2 devices that can capture, and those that could not be asked."""
    cameras = []
    for entry in class_folder.glob("video*"):
        number = entry.name.removeprefix("video")
        if not number.isdigit():
            continue
        name = (entry / "name").read_text(errors="replace").strip()
        path = dev_folder / entry.name
        captures, problem = _ask(path)
        if captures or problem:
            cameras.append(CameraDevice(int(number), str(path), name, problem))
    return sorted(cameras, key=lambda camera: camera.index)


def list_microphones() -> list[MicrophoneDevice]:
    """All PortAudio devices that can record.

    Raises:
        MissingDependencyError: PortAudio isn't installed.
    """
    portaudio = load_portaudio()
    host_apis = portaudio.query_hostapis()
    default = portaudio.default.device[0]
    return [
        MicrophoneDevice(
            index=index,
            name=str(device["name"]),
            channels=int(device["max_input_channels"]),
            sample_rate=round(device["default_samplerate"]),
            host_api=str(host_apis[device["hostapi"]]["name"]),
            default=index == default,
        )
        for index, device in enumerate(portaudio.query_devices())
        if device["max_input_channels"] > 0
    ]


def _ask(path: Path) -> tuple[bool, str]:
    """Whether a device captures video, and what kept it from being asked."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return False, error.strerror or str(error)
    try:
        answer = fcntl.ioctl(descriptor, _QUERYCAP, bytes(_CAPABILITY.size))
    except OSError as error:
        return False, error.strerror or str(error)
    finally:
        os.close(descriptor)
    *_, all_capabilities, device_capabilities = _CAPABILITY.unpack(answer)
    use_device = all_capabilities & _DEVICE_CAPS
    capabilities = device_capabilities if use_device else all_capabilities
    return bool(capabilities & (_VIDEO_CAPTURE | _VIDEO_CAPTURE_MPLANE)), ""
