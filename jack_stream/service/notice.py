"""What the people who are observed are told, made from the configuration."""

from __future__ import annotations

import re
from enum import Enum

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from jack_stream.config import Config, StreamSettings

__all__ = ["Language", "language_for", "notice_page", "notice_text"]

_ACCEPTED = re.compile(r"\b(en|zh)\b[^,;]*(?:;\s*q=(\d(?:\.\d{1,3})?))?", re.IGNORECASE)
_pages = Environment(
    loader=PackageLoader("jack_stream.service"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Language(str, Enum):
    """A language that the notice is written in."""

    en = "en"
    zh = "zh"


def language_for(asked: str, accepted: str) -> Language:
    """The language for someone who looks; English where they want neither.

    Args:
        asked: in the address, such as ``zh``; may be empty.
        accepted: the header ``Accept-Language``; may be empty.
    """
    for wanted in (asked[:2].lower(), _best(accepted)):
        if wanted in Language.__members__:
            return Language(wanted)
    return Language.en


def notice_text(config: Config, language: Language) -> str:
    """The notice as text: a line ``#`` for its title, ``##`` for headings, and paragraphs."""
    streams = config.streams
    analyzers = [analyzer for stream in streams for analyzer in stream.analyzers]
    return _pages.get_template(f"notice.{language.value}.txt").render(
        purpose=config.purpose,
        observes=config.observes_people,
        pictures=any(_shows(stream) for stream in streams),
        sound=any(_sounds(stream) for stream in streams),
        poses=any(_has_poses(stream) for stream in streams),
        played=any(stream.recording is not None for stream in streams),
        faces=config.view.show_faces,
        days=f"{config.journal.max_age_days:g}" if config.journal.enabled else "",
        rules=len(config.rules) > 0,
        acts=any(rule.command or rule.webhook for rule in config.rules),
        methods=sorted({analyzer.method for analyzer in analyzers}),
        untrained=any(analyzer.bundle == "untrained" for analyzer in analyzers),
    )


def notice_page(config: Config, language: Language) -> str:
    """The notice as an HTML page."""
    tags = {"#": "h1", "##": "h2"}
    lines = []
    for line in notice_text(config, language).splitlines():
        mark, _, rest = line.partition(" ")
        lines.append((tags[mark], rest) if mark in tags else ("p", line))
    return _pages.get_template("notice.html").render(language=language.value, lines=lines)


def _best(accepted: str) -> str:
    found = [(float(share or 1), name.lower()) for name, share in _ACCEPTED.findall(accepted)]
    return max(found, key=lambda one: one[0], default=(0.0, ""))[1]


def _shows(stream: StreamSettings) -> bool:
    return stream.camera is not None or (
        stream.remote is not None and "frame" in stream.remote.kinds
    )


def _sounds(stream: StreamSettings) -> bool:
    """A camera that is a device has no sound, whatever its settings ask for."""
    camera = stream.camera
    is_device = camera is not None and camera.source.removeprefix("/dev/video").isdigit()
    heard = camera is not None and camera.sound and not is_device
    sent = stream.remote is not None and "audio" in stream.remote.kinds
    return heard or sent or stream.microphone is not None


def _has_poses(stream: StreamSettings) -> bool:
    sent = stream.remote is not None and "pose" in stream.remote.kinds
    return sent or (stream.pose is not None and stream.scene is None)
