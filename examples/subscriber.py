"""Print events as they come, with nothing but pyzmq; any language with ZeroMQ can do the same.

python examples/subscriber.py [ADDRESS]
"""

import json
import sys

import zmq

socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5577")
socket.subscribe("event.")  # or event.STREAM. or event.STREAM.METHOD
while True:
    topic, payload = socket.recv_multipart()
    event = json.loads(payload)
    noise = "" if event["model"]["trained"] else "(untrained: noise)"
    print(topic.decode(), event["person"], event["label"], event["confidence"], noise, flush=True)
