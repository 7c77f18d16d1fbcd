"""Thousands of hostile files: bundles, checkpoints, TOML, images and media.

    python -m tests.faults.fuzz_files [--each 5000] [--analyses 20] [--seed 1]

Good files are damaged by bytes, by pieces of each other and by numbers that are too large. Reading
them must end, within seconds, with what they hold or with one of our errors. It is done by a second
process that is started anew after a crash or a hang, which are counted (and are failures). Some of
the media go through the whole of ``jack-stream analyze`` as well.
"""

from __future__ import annotations

import argparse
import json
import random
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from jack_stream import config as configuration
from jack_stream import log
from jack_stream.capture.images import ImageFolder
from jack_stream.capture.media import MediaWanted
from jack_stream.capture.medium import Medium
from jack_stream.capture.recording import RecordingReader, RecordingWriter
from jack_stream.capture.resize import Resizer
from jack_stream.capture.soundtrack import SoundWanted
from jack_stream.clock import Clock
from jack_stream.errors import JackError
from jack_stream.weights.bundle import read_bundle
from jack_stream.weights.card import parse_card
from jack_stream.weights.checkpoint import read_checkpoint
from jack_stream.weights.torchfile import write_checkpoint
from jack_stream.weights.unpickle import read_pickle  # noqa: F401 - what read_checkpoint goes through
from jack_stream.wire.codec import encode
from tests.capture.media_files import beeps, write_video
from tests.wire.make_fixtures import messages

ROOT = Path(__file__).resolve().parents[2]
CASE_S = 20
_NUMBERS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)


def read_media(path: Path) -> None:
    """Decode pictures and sound as a camera process does."""
    wanted = MediaWanted(Resizer(64), None, SoundWanted(16000, 20))
    for _ in Medium(str(path), wanted).samples(Clock(), Counter()):
        pass


def read_sound(path: Path) -> None:
    """Decode sound as a microphone process does."""
    for _ in Medium(str(path), MediaWanted(None, None, SoundWanted(16000, 20))).samples(
        Clock(), Counter()
    ):
        pass


def read_image(path: Path) -> None:
    """Read a folder of one image."""
    for _ in ImageFolder(path.parent, Resizer(64)).samples(Clock(), Counter()):
        pass


def read_recording(path: Path) -> None:
    """Read all messages of a recording."""
    with RecordingReader(path) as reader:
        for _ in reader:
            pass


def read_configuration(path: Path) -> None:
    """Read a configuration, and a card of the same text."""
    configuration.load(path)


def read_card(path: Path) -> None:
    """Read a card's TOML."""
    parse_card(path.read_text(encoding="utf-8", errors="replace"), str(path))


@dataclass
class Kind:
    """A kind of file.

    Attributes:
        suffix: of its name.
        read: reads one; may raise a :class:`JackError`.
        good: some that are good.
    """

    suffix: str
    read: Callable[[Path], object]
    good: list[bytes] = field(default_factory=list)


def kinds(folder: Path) -> dict[str, Kind]:
    """All kinds, with good files made in a folder."""
    rng = np.random.default_rng(1)
    arrays = {f"layer{n}.weight": rng.random((4, 3), np.float32) for n in range(3)}
    write_checkpoint(folder / "a.pth", arrays)
    shipped = ROOT / "jack_stream/weights/shipped/bpm-gcn"
    bundle = (shipped / "model.safetensors").read_bytes()
    small = _small_bundle(folder)
    with RecordingWriter(folder / "a.jackrec", started_at_ns=1) as writer:
        for message in messages().values():
            writer.write(1, encode(message))
    for name in ("a.mkv", "a.mp4", "a.avi"):
        write_video(folder / name, frames=8, sound=beeps(1)[:8000])
    image = rng.integers(0, 255, (24, 32, 3), np.uint8)
    for name in ("a.png", "a.jpg", "a.bmp", "a.tiff", "a.webp", "a.ppm"):
        cv2.imwrite(str(folder / name), image)
    sound = folder / "a.wav"
    _write_wave(sound)

    def of(*names: str) -> list[bytes]:
        return [(folder / name).read_bytes() for name in names]

    configs = [path.read_bytes() for path in sorted((ROOT / "configs").glob("*.toml"))]
    return {
        "bundle": Kind(".safetensors", read_bundle, [small, small, bundle[:200_000]]),
        "checkpoint": Kind(".pth", read_checkpoint, of("a.pth")),
        "configuration": Kind(".toml", read_configuration, configs),
        "card": Kind(".toml", read_card, [(shipped / "card.toml").read_bytes()]),
        "recording": Kind(".jackrec", read_recording, of("a.jackrec")),
        "image": Kind(
            ".png", read_image, of("a.png", "a.jpg", "a.bmp", "a.tiff", "a.webp", "a.ppm")
        ),
        "video": Kind(".mkv", read_media, of("a.mkv", "a.mp4", "a.avi")),
        "sound": Kind(".wav", read_sound, of("a.wav")),
    }


def _small_bundle(folder: Path) -> bytes:
    from jack_stream.weights.bundle import write_bundle  # noqa: PLC0415

    card = parse_card(
        (ROOT / "jack_stream/weights/shipped/bpm-gcn/card.toml").read_text(encoding="utf-8"), "card"
    )
    write_bundle(folder / "a.safetensors", card, {"a": np.ones((3, 2), np.float32)})
    return (folder / "a.safetensors").read_bytes()


def _write_wave(path: Path) -> None:
    import wave  # noqa: PLC0415

    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(range(256)) * 16)


def damaged(good: list[bytes], rng: random.Random) -> bytes:
    """One of some files, changed one to eight times; sometimes noise, or nothing."""
    if rng.random() < 0.01:
        return rng.randbytes(rng.choice((0, 1, 9, 5000)))
    data = bytearray(rng.choice(good))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        # Headers lie at the front, and the interesting part of it.
        place = rng.randrange(min(len(data), rng.choice((16, 64, 512, 10**9))) or 1)
        way = rng.randrange(7)
        if way == 0:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif way == 1:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice(_NUMBERS) % (1 << (8 * width))
            data[place : place + width] = number.to_bytes(width, rng.choice(("little", "big")))
        elif way == 2:
            del data[place : place + rng.choice((1, 4, 100))]
        elif way == 3:
            data[place:place] = rng.randbytes(rng.choice((1, 4, 100)))
        elif way == 4:
            del data[max(place, rng.randrange(len(data) + 1)) :]
        elif way == 5:
            other = rng.choice(good)
            start = rng.randrange(len(other) + 1)
            data[place : place + 64] = other[start : start + 64]
        else:
            data[place:place] = data[place : place + rng.choice((4, 50, 2000))] * rng.choice(
                (1, 50)
            )
    return bytes(data)


def one(kind: Kind, path: Path) -> str:
    """Read a file; what came of it in a word. Anything but a JackError is a bug and is raised."""
    try:
        kind.read(path)
    except JackError as error:
        return type(error).__name__
    return "read"


def work(name: str, seed: int, first: int, count: int) -> None:
    """The second process: a line for each case before and after it."""
    log.set_up(quiet=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        kind = kinds(folder)[name]
        (folder / "cases").mkdir()
        for number in range(first, count):
            path = folder / "cases" / f"case{kind.suffix}"
            path.write_bytes(damaged(kind.good, random.Random(f"{seed}.{name}.{number}")))
            print(f"begin {number}", flush=True)
            print(f"end {number} {one(kind, path)} {_resident_mib():.1f}", flush=True)


def _resident_mib() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmRSS")


@dataclass
class Found:
    """What became of all cases of a kind."""

    name: str
    cases: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)


def fuzz(name: str, seed: int, count: int) -> Found:
    """Have all cases of a kind read by a second process."""
    found = Found(name)
    began_s = time.monotonic()
    first = 0
    while first < count:
        first = _watch(found, seed, first, count)
    found.cases, found.seconds = count, round(time.monotonic() - began_s, 1)
    marks = found.resident_mib
    found.resident_mib = [marks[len(marks) * i // 5 - 1] for i in range(1, 6)] if marks else []
    return found


def _watch(found: Found, seed: int, first: int, count: int) -> int:
    """Follow one second process to its end; the number of the case to go on with."""
    command = [sys.executable, "-m", "tests.faults.fuzz_files", "--work", found.name]
    command += ["--seed", str(seed), "--first", str(first), "--each", str(count)]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT) as process,
        selectors.DefaultSelector() as selector,
    ):
        assert process.stdout is not None
        selector.register(process.stdout, selectors.EVENT_READ)
        now, at_s = first, time.monotonic()
        patience_s = 60.0  # to start
        while selector.select(patience_s):
            line = process.stdout.readline().decode().split()
            if not line:
                break
            now = int(line[1])
            if line[0] == "begin":
                at_s, patience_s = time.monotonic(), CASE_S
                continue
            found.slowest_s = max(found.slowest_s, round(time.monotonic() - at_s, 3))
            found.outcomes[line[2]] += 1
            found.resident_mib.append(float(line[3]))
            if now == count - 1:
                process.wait()
                return count
        hung = process.poll() is None and process.stdout.readable() and not line_ended(process)
        process.kill()
        process.wait()
        errors.seek(0)
        last = errors.read().strip().splitlines()[-1:] or [""]
        what = "hang" if hung else f"exit {process.returncode}"
        found.bad.append(f"case {now}: {what}: {last[0][:300]}")
    return now + 1


def line_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process ended while nobody looked."""
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        return False
    return True


def analyses(seed: int, count: int) -> Found:
    """Some damaged media through the whole of ``jack-stream analyze``."""
    found = Found("analyze")
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        good = kinds(folder)["video"].good
        for number in range(count):
            path = folder / f"case{number}.mkv"
            path.write_bytes(damaged(good, random.Random(f"{seed}.analyze.{number}")))
            at_s = time.monotonic()
            command = [sys.executable, "-m", "jack_stream", "analyze", str(path)]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT
            )
            found.slowest_s = max(found.slowest_s, round(time.monotonic() - at_s, 1))
            found.outcomes[f"exit {done.returncode}"] += 1
            if done.returncode not in {0, 65, 66} or "Traceback" in done.stderr:
                found.bad.append(f"case {number}: {done.stderr[-300:]}")
    found.cases, found.seconds = count, round(time.monotonic() - began_s, 1)
    return found


def main() -> None:
    """Run all kinds and print what was found as JSON; exits with 1 if anything was bad."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--each", type=int, default=5000)
    parser.add_argument("--analyses", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked.work, asked.seed, asked.first, asked.each)
        return
    with tempfile.TemporaryDirectory() as place:
        names = [name for name in kinds(Path(place)) if asked.only in (name, "")]
    bad = 0
    for name in names:
        found = fuzz(name, asked.seed, asked.each)
        bad += len(found.bad)
        print(json.dumps(vars(found)), flush=True)
    if asked.analyses:
        found = analyses(asked.seed, asked.analyses)
        bad += len(found.bad)
        print(json.dumps(vars(found)), flush=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
