"""People and their poses in a camera's frames."""

from jack_stream.capture.pose.plausibility import Thresholds
from jack_stream.capture.pose.tracker import Person, PoseTracker

__all__ = ["Person", "PoseTracker", "Thresholds"]
