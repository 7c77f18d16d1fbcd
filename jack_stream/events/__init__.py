"""Emotion events: what they say, and how to receive them."""
