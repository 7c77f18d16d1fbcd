"""Print another machine's events, with nothing but pyzmq and two key files (docs/security.md).

Call it as: python examples/remote_subscriber.py tcp://HOST:5587 anna.key_secret gate.key
"""

import json
import sys

import zmq
import zmq.auth

endpoint, own, server = sys.argv[1:]
socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
socket.curve_publickey, secret = zmq.auth.load_certificate(own)
socket.curve_secretkey = secret or sys.exit(f"{own} has no secret key")
socket.curve_serverkey, _ = zmq.auth.load_certificate(server)
socket.connect(endpoint)
socket.subscribe("event.")
while True:
    topic, payload = socket.recv_multipart()
    event = json.loads(payload)
    print(topic.decode(), event["person"], event["label"], event["model"]["trained"], flush=True)
