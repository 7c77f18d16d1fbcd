"""Sources that try to make FFmpeg open something else, or more than memory has."""

from __future__ import annotations

import http.server
import threading
import wave
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from jack_stream.capture.address import MAX_PIXELS, check_address, openable
from jack_stream.capture.images import ImageFolder
from jack_stream.capture.media import MediaWanted
from jack_stream.capture.medium import Medium
from jack_stream.capture.resize import Resizer
from jack_stream.capture.samples import Picture, Sample, Sound
from jack_stream.capture.soundtrack import SoundWanted
from jack_stream.config import parse
from jack_stream.errors import ConfigError, SourceError
from tests.capture.media_files import write_video
from tests.capture.test_parts import ManualClock

_BOTH = MediaWanted(Resizer(64), None, SoundWanted(16000, 20))
_TRICKS = [
    "file:///etc/passwd",
    "concat:/etc/passwd|/etc/hosts",
    "subfile,,start,0,end,64,,:///etc/passwd",
    "data://text/plain;base64,AAAA",
    "cache:http://192.0.2.1/x",
    "gopher://192.0.2.1/x",
    "ftp://192.0.2.1/x.mp4",
    "tcp://192.0.2.1:22",
    "unix:///run/secret",
    "pipe:0",
    "crypto+file:///etc/passwd",
    "http+file://x",
    "rtsp://192.0.2.1/a b",
    "http://192.0.2.1/x\r\nHost: other",
]


def _read(source: str) -> list[Sample]:
    return list(Medium(source, _BOTH).samples(ManualClock(), Counter()))


@pytest.mark.parametrize("source", [one for one in _TRICKS if "://" in one])
def test_addresses_of_other_kinds_are_refused(source: str) -> None:
    with pytest.raises(SourceError):
        check_address(source)


@pytest.mark.parametrize("source", _TRICKS)
def test_no_trick_is_opened(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError):
        _read(source)


def test_a_configuration_names_the_key_of_an_address_that_is_refused() -> None:
    table = {"streams": [{"name": "door", "camera": {"source": "gopher://u:secret@192.0.2.1"}}]}
    with pytest.raises(ConfigError, match=r"streams\.0\.camera\.source: .*'gopher'") as caught:
        parse(table, "a test")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["-i.mkv", "concat:a|b.mkv", "%03d.mkv", "http:x.mkv", "a?b.mkv"])
def test_a_file_is_a_file_whatever_it_is_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "made.mkv", frames=3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len([s for s in _read(name) if isinstance(s, Picture)]) == 3


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {other}\n",
        "v=0\nc=IN IP4 192.0.2.1\nm=video 5004 RTP/AVP 96\n",
    ],
)
def test_a_file_that_leads_to_another_is_not_followed(text: str, tmp_path: Path) -> None:
    other = write_video(tmp_path / "other.ts", frames=5)
    for name in ("list.m3u8", "list.mp4", "list.txt"):
        (tmp_path / name).write_text(text.format(other=other.name))
        with pytest.raises(SourceError, match="can't be opened"):
            _read(str(tmp_path / name))


@contextmanager
def _serving(answers: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def _playlist(target: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n".encode()


def test_an_address_never_leads_to_a_file(tmp_path: Path) -> None:
    secret = write_video(tmp_path / "secret.ts", frames=30)
    answers = {
        "/list.m3u8": (200, {}, _playlist(f"file://{secret}")),
        "/plain.m3u8": (200, {}, _playlist(str(secret))),
        "/moved": (302, {"Location": f"file://{secret}"}, b""),
        "/fine.m3u8": (200, {}, _playlist("/fine.ts")),
        "/fine.ts": (200, {}, secret.read_bytes()),
    }
    with _serving(answers) as server:
        assert any(isinstance(sample, Picture) for sample in _read(f"{server}/fine.m3u8"))
        for path in ("list.m3u8", "plain.m3u8", "moved"):
            with pytest.raises(SourceError):
                _read(f"{server}/{path}")


def test_what_is_opened_is_bound_by_protocol_and_format() -> None:
    place, options = openable("a.mp4")
    assert place == f"file:{Path.cwd()}/a.mp4"
    assert options["protocol_whitelist"] == "file"
    assert not {"hls", "concat", "sdp", "dash", "image2"} & set(
        options["format_whitelist"].split(",")
    )
    _, options = openable("https://192.0.2.1/x")
    assert "file" not in options["protocol_whitelist"].split(",")


def test_the_environment_gives_ffmpeg_no_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file,concat|loglevel;99"
    )
    path = write_video(tmp_path / "a.mkv", frames=3)
    assert len(_read(str(path))) == 3


def test_pictures_of_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.avi"
    side = 16_000
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = side
        stream.pix_fmt = "gray"
        frame = av.VideoFrame.from_ndarray(np.zeros((side, side), np.uint8), format="gray")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert path.stat().st_size < 2_000_000 < MAX_PIXELS < side * side
    with pytest.raises(SourceError):
        _read(str(path))


def test_images_that_are_bombs_leave_a_gap(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "1.png")
    Image.new("1", (1, 65_000)).save(tmp_path / "2.png")
    cv2.imwrite(str(tmp_path / "3.png"), np.zeros((8, 8, 3), np.uint8))
    counters: Counter[str] = Counter()
    folder = ImageFolder(tmp_path, Resizer(64))
    samples = [s for s in folder.samples(ManualClock(), counters) if isinstance(s, Picture)]
    assert [picture.source_size for picture in samples] == [(8, 8)]
    assert counters["corrupt_frames"] == 2


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (4_000_000, 1), (8000, 200)])
def test_sound_that_is_none_is_refused(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 1, rate, 0, "NONE", ""))
        file.writeframes(bytes(channels * 4000))
    with pytest.raises(SourceError):
        list(
            Medium(str(path), MediaWanted(None, None, SoundWanted(16000, 20))).samples(
                ManualClock(), Counter()
            )
        )


@pytest.mark.parametrize("channels", [2, 8, 9, 11, 64])
def test_sound_of_many_channels_becomes_their_mean(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "a.wav"
    level = np.arange(1, channels + 1, dtype="<i2") * 100
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.tile(level, 8000).tobytes())
    wanted = MediaWanted(None, None, SoundWanted(16000, 20))
    sounds = list(Medium(str(path), wanted).samples(ManualClock(), Counter()))
    heard = np.concatenate([sound.samples for sound in sounds if isinstance(sound, Sound)])
    assert len(heard) == 8000
    np.testing.assert_allclose(heard, level.mean() / 32768, rtol=1e-5)
