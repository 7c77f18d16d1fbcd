"""What does a hop cost, next to running the whole clip again, and with windows of other lengths?

    python -m benchmarks.hops [--methods vaanet cten] [--snippets 0.5 1 2] [--hop 2] [--turns 3]

The reference's way: for each result decode the window's video and sound, sample snippets of 16
pictures over it, shrink and crop them, make the sound's features, and run the whole network. Ours:
decode what is new, shrink it, cut the window, encode the new snippets and what is new of the sound,
and run the head. Both read MPEG-4 of 320x240 at 25 pictures a second with uncompressed sound at
44.1 kHz, on this machine's cores, with the same weights of chance and the same kernels; they take
turns in one run, and the best turn of each counts. A window has 10 snippets for VAANet and 16 for
CTEN, each of which stands for so many seconds as asked: the longer, the fewer are new in a hop.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.feeding import machine
from jack_stream import runtime
from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.features.snippets import sample_snippets
from jack_stream.features.spatial import centre_view, to_clip
from jack_stream.inference.analyzer import Analyzer
from jack_stream.inference.batch import predict
from jack_stream.inference.catalogue import make_analyzer
from jack_stream.inference.sound import FbankPieces, MfccPieces, SoundPieces
from jack_stream.testing import PatternSource
from jack_stream.window.assembler import WindowAssembler
from jack_stream.wire.messages import Audio, Frame, Stamp

PIECES: dict[str, Callable[[], SoundPieces]] = {
    "vaanet": lambda: MfccPieces(16),
    "cten": lambda: FbankPieces(16),
}
SNIPPETS = {"vaanet": 10, "cten": 16}
SOURCE = PatternSource()


def decoded(path: Path) -> tuple[list[NDArray[np.uint8]], NDArray[np.float32]]:
    """All pictures, uint8 ``[H, W, 3]`` each, and all samples, float32 ``[n]``, of a file."""
    pictures: list[NDArray[np.uint8]] = []
    sounds: list[NDArray[np.float32]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                pictures.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            elif isinstance(frame, av.AudioFrame):
                sounds.append(frame.to_ndarray()[0].astype(np.float32) / 32768)
    return pictures, np.concatenate(sounds)


def whole_clip(analyzer: Analyzer, path: Path) -> tuple[float, float]:
    """Seconds to prepare the clip and to run the network, the reference's way."""
    began_s = time.perf_counter()
    model = analyzer.model
    shape = model.input_spec["visual"]
    pictures, samples = decoded(path)
    runs = sample_snippets(range(len(pictures)), int(shape[1]))
    clips = [to_clip((pictures[at] for at in run), centre_view) for run in runs]
    pieces = PIECES[model.method]()(samples, SOURCE.sample_rate)
    inputs = {
        "visual": np.stack(clips)[np.newaxis],
        "audio": pieces.reshape(1, *model.input_spec["audio"][1:]),
    }
    prepared_s = time.perf_counter()
    model.infer(inputs)
    return prepared_s - began_s, time.perf_counter() - prepared_s


class Stream:
    """A stream to which a hop's content comes again and again."""

    def __init__(self, analyzer: Analyzer, path: Path) -> None:
        self._analyzer = analyzer
        self._path = path
        self._assembler = WindowAssembler("clip", analyzer.spec, shrink=analyzer.shrink)
        self._count = 0

    def hop(self) -> tuple[int, float]:
        """How many windows were answered after one more hop of content, and the seconds."""
        began_s, answered = time.perf_counter(), 0
        pictures, samples = decoded(self._path)
        block = SOURCE.sample_rate // SOURCE.fps
        for number, picture in enumerate(pictures):
            at_ns = NS_PER_S + self._count * NS_PER_S // SOURCE.fps
            stamp = Stamp("clip", self._count, at_ns, "bench", NS_PER_S)
            self._assembler.add(Frame(stamp, picture, (SOURCE.width, SOURCE.height)))
            sound = samples[number * block : (number + 1) * block]
            self._assembler.add(Audio(stamp, sound, SOURCE.sample_rate))
            self._count += 1
            for window in self._assembler.ready():
                predict(self._analyzer, window)
                answered += 1
        return answered, time.perf_counter() - began_s


def row(method: str, snippet_s: float, hop_s: float, turns: int, folder: Path) -> str:
    snippets = SNIPPETS[method]
    window_s = snippets * snippet_s
    analyzer = make_analyzer(
        AnalyzerSettings(method=method, bundle="untrained", window_s=window_s, hop_s=hop_s)
    )
    clip, piece = folder / f"{window_s:g}.mkv", folder / "hop.mkv"
    for path, seconds in ((clip, window_s), (piece, hop_s)):
        if not path.exists():
            SOURCE.write(path, seconds)
    stream = Stream(analyzer, piece)
    while not stream.hop()[0]:
        pass
    whole_clip(analyzer, clip)
    wholes, hops = [], []
    for _ in range(turns):
        wholes.append(whole_clip(analyzer, clip))
        answered, took_s = stream.hop()
        assert answered == 1, "a hop's content completes one window"
        hops.append(took_s)
    prepare_s, network_s = min(wholes, key=sum)
    whole_s, best_s = prepare_s + network_s, min(hops)
    cells = [
        method, f"{window_s:g}", f"{hop_s / snippet_s:g} of {snippets}", f"{prepare_s * 1e3:.0f}",
        f"{network_s * 1e3:.0f}", f"{whole_s * 1e3:.0f}", f"{best_s * 1e3:.0f}",
        f"{whole_s / best_s:.1f}", f"{hop_s / whole_s:.1f}", f"{hop_s / best_s:.1f}",
        f"{os.getloadavg()[0]:.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--methods", nargs="+", default=list(PIECES), choices=PIECES)
    parser.add_argument("--snippets", type=float, nargs="+", default=[0.5, 1, 2], help="in seconds")
    parser.add_argument("--hop", type=float, default=2, help="in seconds")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    runtime.prepare(threads=options.threads, device="cpu")
    print(machine())
    print(
        "| method | window s | new snippets | whole clip: prepare ms | network ms | in all ms"
        " | hop ms | times faster | streams at most: whole clip | hop | load |"
    )
    print("|---" * 11 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for method in options.methods:
            for snippet_s in options.snippets:
                found = row(method, snippet_s, options.hop, options.turns, Path(folder))
                print(found, flush=True)
    print(machine())


if __name__ == "__main__":
    main()
