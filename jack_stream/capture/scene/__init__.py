"""The demo's own scene: a person who walks in several moods, with sound, made here."""

from jack_stream.capture.scene.scene import FPS, Scene
from jack_stream.capture.scene.walk import STYLES, WalkStyle

__all__ = ["FPS", "STYLES", "Scene", "WalkStyle"]
