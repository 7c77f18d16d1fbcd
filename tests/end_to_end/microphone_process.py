"""The microphone's capture process, in a process of its own because ALSA reads its environment.

Usage: microphone_process.py ENDPOINT HEALTH_ENDPOINT SAMPLE_RATE     (ends on SIGTERM)
"""

import signal
import sys
import threading

from jack_stream.capture import microphone
from jack_stream.clock import Clock
from jack_stream.config import MicrophoneSettings
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher


def main(endpoint: str, health_endpoint: str, sample_rate: str) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    clock = Clock()
    settings = MicrophoneSettings(
        device="default",
        sample_rate=int(sample_rate),
        reconnect_first_s=0.2,
        reconnect_max_s=1,
    )
    with (
        Publisher(endpoint, "mic", policy=Policy.LIVE, clock=clock, wait_for=1) as publisher,
        HealthReporter("microphone.mic", "mic", clock=clock, endpoint=health_endpoint) as health,
    ):
        microphone.run(settings, publisher, clock=clock, stop=stop, health=health)


if __name__ == "__main__":
    main(*sys.argv[1:])
