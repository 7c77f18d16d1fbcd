"""Print events and miss none, with the client that comes with the package.

Give it a file, and it goes on where it was when it is started again:

    python examples/subscriber_client.py [ADDRESS [position.txt]]
"""

import sys
from pathlib import Path

from jack_stream import subscribe

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5577"
file = Path(sys.argv[2]) if len(sys.argv) > 2 else None
position = file.read_text().strip() if file is not None and file.exists() else None
with subscribe(address, position=position) as events:
    for event in events:
        trained = "" if event.model.trained else " (untrained: a number by chance)"
        state = "last said " if event.retained else ""
        print(
            f"{event.stream}/{event.person} {event.window.end_s:.1f} s: {state}"
            f"{event.label} {event.confidence:.0%}{trained}; {events.missed} missed",
            flush=True,
        )
        if file is not None and events.position is not None:
            file.write_text(events.position)
