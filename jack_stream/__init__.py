"""Live affective computing: devices in, timed emotion events out."""

__version__ = "0.1.0"
