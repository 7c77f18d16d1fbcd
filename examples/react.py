"""What a robot might do about an event: turn towards someone, or give them space.

    jack-stream demo &
    python examples/react.py [ADDRESS]

It acts on nothing untrained or uncertain, only on what lasts, and rests when events stay away.
"""

import sys

from jack_stream import Event, subscribe

LASTS_S = 2.0  # a wish must last so long, in the stream's own time: one odd window moves nothing
REST_AFTER_S = 5.0  # without an event
TOWARDS = {"happy", "joy", "sad", "sadness", "surprised", "surprise"}
SPACE = {"angry", "anger", "fearful", "fear", "disgust"}
ACTIONS = {"rest": "looks ahead", "turn": "turns to {who}", "space": "steps back from {who}"}


class Robot:
    """Rests, turns to a person, or gives one space; attends to one person at a time."""

    def __init__(self) -> None:
        self.state = self.wish = "rest"
        self.who: str | None = None
        self.since_ns = self.heard_ns = 0

    def hear(self, event: Event) -> str | None:
        """What to do about an event, if anything."""
        at_ns, who = event.window.end_ns, f"{event.stream}/{event.person}"
        gone = at_ns - self.heard_ns >= REST_AFTER_S * 1e9
        if who != self.who and not gone:
            return None  # attending to somebody else
        self.heard_ns = at_ns
        if gone:
            self.who, self.wish = who, "rest"
            return self.act("rest")
        label = event.label if event.model.trained else "untrained"
        wish = "turn" if label in TOWARDS else "space" if label in SPACE else "rest"
        if wish != self.wish:
            self.wish, self.since_ns = wish, at_ns
        return self.act(wish) if at_ns - self.since_ns >= LASTS_S * 1e9 else None

    def act(self, state: str) -> str | None:
        """Change the state; the movement, where that is one."""
        if state == self.state:
            return None
        self.state = state
        return ACTIONS[state].format(who=self.who)


if __name__ == "__main__":
    robot = Robot()
    with subscribe(*sys.argv[1:2], retained=False) as events:
        while True:
            event = events.next(REST_AFTER_S)
            if action := robot.hear(event) if event else robot.act("rest"):
                print("the robot", action, flush=True)
