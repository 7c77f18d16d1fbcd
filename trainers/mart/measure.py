"""MART's figures on a data set."""

from __future__ import annotations

from trainers.audio_visual.measure import measure

__all__ = ["measure"]
