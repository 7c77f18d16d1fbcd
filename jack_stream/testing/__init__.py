"""Tools for testing what is built on JACK Stream; the project's own tests use them, too.

>>> from jack_stream.testing import FakeClock, PatternSource, read_frame_number
>>> clock = FakeClock()
>>> clock.advance(2.5)
>>> clock.now_ns() - FakeClock().now_ns()
2500000000
>>> read_frame_number(PatternSource().frame(42))
42
"""

from jack_stream.capture.scene import Scene, WalkStyle
from jack_stream.testing.clock import FakeClock
from jack_stream.testing.events import EventCapture, capture_events
from jack_stream.testing.pattern import (
    PatternSource,
    find_beeps,
    find_flashes,
    read_frame_number,
)
from jack_stream.testing.playing import play_recording, write_recording

__all__ = [
    "EventCapture",
    "FakeClock",
    "PatternSource",
    "Scene",
    "WalkStyle",
    "capture_events",
    "find_beeps",
    "find_flashes",
    "play_recording",
    "read_frame_number",
    "write_recording",
]
