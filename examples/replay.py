"""Print all events that the journal keeps, with nothing but pyzmq; then what is new each second.

python examples/replay.py [ADDRESS]
"""

import json
import sys
import time

import zmq

socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5579")
after = 0  # keep it in a file, and you go on where you were
while True:
    socket.send_json({"request": "events", "after": after, "limit": 100})
    head, *payloads = socket.recv_multipart()
    said = json.loads(head)
    if said["error"]:
        raise SystemExit(said["error"])
    if said["gone"]:
        print(said["gone"], "events are deleted", flush=True)
    for payload in payloads:
        event = json.loads(payload)
        print(event["position"]["number"], event["label"], event["model"]["trained"], flush=True)
    after = said["up_to"]
    if after >= said["head"]:
        time.sleep(1)
