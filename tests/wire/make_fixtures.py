"""Writes fixtures/v1.json: one message of each kind as this release sends it.

    python -m tests.wire.make_fixtures

Run once per schema version. A file that a release has shipped is never written again.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from jack_stream.events import schema
from jack_stream.wire.codec import encode
from jack_stream.wire.messages import Audio, End, Frame, Health, Message, Poses, Stamp

FOLDER = Path(__file__).parent / "fixtures"
CAPTURED_AT_NS = 1_790_000_000_123_456_789
ORIGIN_NS = 1_790_000_000_000_000_000


def stamp(seq: int, stream: str = "door") -> Stamp:
    return Stamp(stream, seq, CAPTURED_AT_NS + seq, "0a1b2c3d", ORIGIN_NS)


def messages() -> dict[str, Message]:
    points = np.arange(2 * 33 * 4, dtype=np.float32).reshape(2, 33, 4) / 256
    nobody = np.zeros((0, 33, 4), np.float32)
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    return {
        "frame": Frame(stamp(7), image, (1280, 720), discontinuity=True),
        "audio": Audio(stamp(8), np.array([0, 0.5, -1, 0.25], np.float32), 44100),
        "pose": Poses(stamp(9), (3, 2**40), (0.875, 1.0), points, -points, (640, 480)),
        "pose of nobody": Poses(stamp(10), (), (), nobody, nobody, (640, 480)),
        "end": End(stamp(11), "the file is over"),
        "health": Health(
            stamp(12), "camera.door", "running", {"frames": 250}, {"fps": 25.0}, "fine"
        ),
        "health of all streams": Health(stamp(13, ""), "inference", "degraded"),
    }


def event() -> schema.Event:
    return schema.Event(
        stream="door",
        seq=4,
        session="0a1b2c3d",
        person=3,
        window=schema.EventWindow(
            index=2, start_ns=ORIGIN_NS, end_ns=ORIGIN_NS + 3_200_000_000, start_s=0.0, end_s=3.2
        ),
        label="happy",
        confidence=0.625,
        probabilities={"happy": 0.625, "sad": 0.125, "angry": 0.125, "neutral": 0.125},
        model=schema.ModelInfo(method="bpm-gcn", bundle="untrained", trained=False),
        modalities=("pose",),
        degraded=("gap",),
        support=0.75,
        published_at_ns=ORIGIN_NS + 3_300_000_000,
        latency=schema.Latency(
            capture_to_window_ms=50.0, queue_ms=1.5, inference_ms=48.0, publish_ms=0.5
        ),
    )


def main() -> None:
    recorded = {
        name: [bytes(part).hex() for part in encode(message)]
        for name, message in messages().items()
    }
    recorded["event"] = [part.hex() for part in schema.encode(event())]
    path = FOLDER / "v1.json"
    if path.exists():
        raise SystemExit(f"{path} is for ever: delete it yourself if no release has shipped it")
    FOLDER.mkdir(exist_ok=True)
    path.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
