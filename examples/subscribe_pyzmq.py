"""Print events as they come, with nothing but pyzmq; any language with ZeroMQ can do the same."""

import json

import zmq

socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
socket.connect("tcp://127.0.0.1:5577")
socket.subscribe("event.")  # or event.STREAM. or event.STREAM.METHOD
while True:
    topic, payload = socket.recv_multipart()
    event = json.loads(payload)
    print(topic.decode(), event["person"], event["label"], event["model"]["trained"], flush=True)
