"""Print events as they come, with the client that comes with the package."""

from jack_stream import subscribe

with subscribe("tcp://127.0.0.1:5577") as events:
    for event in events:
        trained = "" if event.model.trained else " (untrained: a number by chance)"
        print(
            f"{event.stream}/{event.person} {event.window.end_s:.1f} s:"
            f" {event.label} {event.confidence:.0%}{trained}; {events.missed} missed",
            flush=True,
        )
