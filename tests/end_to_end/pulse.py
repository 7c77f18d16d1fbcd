"""A PulseAudio server with a sink whose monitor PortAudio takes for a microphone."""

from __future__ import annotations

import shutil
import subprocess
import time
import wave
from pathlib import Path

import numpy as np

__all__ = ["PulseServer", "missing", "write_tone"]

_OPTIONS = ("-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes")
_ASOUND = """
pcm.!default {{ type pulse server "unix:{socket}" device "fakemic.monitor" }}
ctl.!default {{ type pulse server "unix:{socket}" }}
"""


def missing() -> str:
    """What the machine lacks for it, or an empty string."""
    for program in ("pulseaudio", "paplay", "pactl"):
        if shutil.which(program) is None:
            return f"needs {program} (apt-get install pulseaudio pulseaudio-utils)"
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "needs ALSA's pulse plugin (apt-get install libasound2-plugins)"
    try:
        import sounddevice  # noqa: F401, PLC0415
    except OSError:
        return "needs PortAudio (apt-get install libportaudio2)"
    return ""


class PulseServer:
    """The server; everything it writes is under ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = folder / "pulse" / "native"
        self._server: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []
        configuration = folder / "asound.conf"
        configuration.write_text(_ASOUND.format(socket=self._socket))
        self.environment = {
            "ALSA_CONFIG_PATH": f"/usr/share/alsa/alsa.conf:{configuration}",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PULSE_SERVER": f"unix:{self._socket}",
            "XDG_RUNTIME_DIR": str(folder),
        }

    def start(self) -> None:
        self._socket.parent.mkdir(mode=0o700, exist_ok=True)
        modules = [
            "--load=module-null-sink sink_name=fakemic rate=48000 channels=2",
            f"--load=module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
        ]
        self._server = subprocess.Popen(
            ["pulseaudio", *_OPTIONS, *modules],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while subprocess.run(
            ["pactl", "info"], env=self.environment, capture_output=True, check=False
        ).returncode:
            assert time.monotonic() < deadline, "PulseAudio does not answer"
            assert self._server.poll() is None, "PulseAudio ended"

    def play(self, sound: Path) -> None:
        """Play a sound file; doesn't wait for its end."""
        self._players.append(
            subprocess.Popen(
                ["paplay", "-d", "fakemic", str(sound)],
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def kill(self) -> None:
        for process in [*self._players, *([self._server] if self._server else [])]:
            process.kill()
            process.wait()
        self._players.clear()
        self._server = None
        for left in (self._socket, self.folder / "pulse" / "pid"):
            left.unlink(missing_ok=True)


def write_tone(path: Path, hertz: float, seconds: float, rate: int = 48000) -> None:
    """A sine at half of full scale, in a WAV file."""
    samples = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
