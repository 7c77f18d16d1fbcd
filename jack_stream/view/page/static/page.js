// The page: connects, sorts what comes to the streams, and comes back when the connection is lost.
import { StreamView } from "./stream.js";

const views = new Map();
const main = document.getElementById("streams");
const connection = document.getElementById("connection");

async function start() {
  const about = await (await fetch("/about")).json();
  tell(about.purpose);
  for (const stream of about.streams) {
    const view = new StreamView(stream, { say, enlarge });
    views.set(stream.name, view);
    main.append(view.element);
  }
  connect(0.5);
  const draw = () => {
    for (const view of views.values()) view.draw();
    requestAnimationFrame(draw);
  };
  requestAnimationFrame(draw);
}

function tell({ use, text, exemption, reason, responsible, contact, observes_people: observes }) {
  const stated = use !== "not stated";
  const parts = [`Purpose: ${use}${text ? `: ${text}` : ""}`];
  if (exemption) parts.push(`exempt for ${exemption} reasons: ${reason}`);
  if (responsible) parts.push(`Responsible: ${responsible}`);
  if (contact) parts.push(contact);
  document.querySelector("#purpose span").textContent = parts.join(" · ");
  document.getElementById("unstated").hidden = stated || !observes;
}

let socket = null;

function connect(wait) {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    wait = 0.5;
    connection.textContent = "live";
    connection.className = "";
    for (const view of views.values()) view.connected();
  };
  socket.onmessage = ({ data }) => (typeof data === "string" ? hear(JSON.parse(data)) : look(data));
  socket.onclose = () => {
    connection.textContent = "connection lost; trying again";
    connection.className = "lost";
    setTimeout(() => connect(Math.min(wait * 2, 10)), wait * 1000);
  };
}

function say(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function hear(message) {
  if (message.type === "emotion") {
    views.get(message.stream)?.event(message);
    if (!message.model.trained) document.getElementById("untrained").hidden = false;
  } else if (message.type === "alert") {
    views.get(message.stream)?.alert(message);
    const ongoing = [...views.values()].reduce((sum, view) => sum + view.alerts.ongoing, 0);
    document.title = ongoing ? `(${ongoing}) JACK Stream` : "JACK Stream";
  } else if (message.type === "health") {
    for (const [name, view] of views) if (!message.stream || message.stream === name) view.health(message);
  } else if (message.type === "levels") {
    for (const [name, dbfs] of Object.entries(message.dbfs)) views.get(name)?.level(dbfs);
  }
}

async function look(data) {
  const length = new DataView(data).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const view = views.get(header.stream);
  const image = await createImageBitmap(new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
  view?.picture(image, header);
}

function enlarge(view) {
  const large = !view.large;
  for (const other of views.values()) other.setLarge(large && other === view);
  main.classList.toggle("enlarged", large);
}

const theme = document.getElementById("theme");
function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  theme.setAttribute("aria-pressed", String(dark));
}
theme.onclick = () => {
  const dark = theme.getAttribute("aria-pressed") !== "true";
  localStorage.setItem("theme", dark ? "dark" : "light");
  setTheme(dark);
};
setTheme((localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark");
start().catch((error) => {
  connection.textContent = `The page could not start: ${error.message}`;
  connection.className = "lost";
});
