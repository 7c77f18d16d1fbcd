"""Live affective computing: devices in, timed emotion events out."""

from jack_stream.events.schema import Event
from jack_stream.events.subscriber import Subscription, subscribe

__all__ = ["Event", "Subscription", "__version__", "subscribe"]
__version__ = "0.1.0"
