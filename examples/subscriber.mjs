// Print events as they come, in JavaScript:
//
//     cd examples && npm install && node subscriber.mjs [ADDRESS]

import { Subscriber } from "zeromq";

const socket = new Subscriber();
socket.connect(process.argv[2] ?? "tcp://127.0.0.1:5577");
socket.subscribe("event."); // or event.STREAM. or event.STREAM.METHOD
for await (const [topic, payload] of socket) {
  const event = JSON.parse(payload.toString());
  const noise = event.model.trained ? "" : "(untrained: noise)";
  console.log(topic.toString(), event.person, event.label, event.confidence, noise);
}
