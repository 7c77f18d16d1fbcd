// One stream: its picture with skeletons, who is read as what, and its timeline.
import { Alerts } from "./alerts.js";
import { Timeline } from "./timeline.js";
import { colourOf } from "./colours.js";

// MediaPipe's 33 landmarks: what is joined to what, without the face, which is hidden anyway.
const BONES = [[11, 12], [11, 13], [13, 15], [12, 14], [14, 16], [11, 23], [12, 24], [23, 24], [23, 25], [25, 27], [27, 31], [24, 26], [26, 28], [28, 32]];
const SEEN = 0.4;
const STALE_S = 10;
const PEOPLE_SHOWN = 8;

export class StreamView {
  constructor(stream, page) {
    this.name = stream.name;
    this.page = page;
    this.large = false;
    this.element = document.getElementById("stream").content.firstElementChild.cloneNode(true);
    const find = (query) => this.element.querySelector(query);
    this.parts = { facts: find(".facts"), stage: find(".stage"), picture: find(".picture"), nothing: find(".nothing"), level: find(".level"), people: find(".people"), legend: find(".legend"), pause: find(".pause"), now: find(".now"), span: find(".span") };
    find("h2").textContent = stream.name;
    this.element.setAttribute("aria-label", `Stream ${stream.name}`);
    this.element.classList.toggle("blind", !stream.pictures);
    this.alerts = new Alerts(find(".alerts"));
    this.timeline = new Timeline(find(".timeline"), stream.name, this.alerts);
    this.readings = new Map();
    this.reports = {};
    this.times = [];
    this.latency = null;
    this.next = null;
    this.parts.stage.onclick = () => page.enlarge(this);
    this.parts.pause.onclick = () => this.timeline.pause(!this.timeline.paused);
    this.parts.now.onclick = () => this.timeline.follow();
    this.element.onkeydown = (event) => this.key(event);
    new IntersectionObserver(([entry]) => this.show(entry.isIntersecting)).observe(this.element);
    this.visible = true;
  }

  key(event) {
    if (event.target !== this.element) return;
    const done = {
      Enter: () => this.page.enlarge(this), " ": () => this.timeline.pause(!this.timeline.paused),
      ArrowLeft: () => this.timeline.scroll(-0.2), ArrowRight: () => this.timeline.scroll(0.2),
      "+": () => this.timeline.zoom(0.7), "-": () => this.timeline.zoom(1 / 0.7), End: () => this.timeline.follow(),
    }[event.key];
    if (done) {
      done();
      event.preventDefault();
    }
  }

  connected() {
    this.times = [];
    this.alerts.forget();
    this.say();
  }

  show(visible) {
    const came = visible && !this.visible;
    this.visible = visible;
    if (came) this.say();
  }

  say() {
    this.page.say({ type: "seen", stream: this.name, size: !this.visible ? "none" : this.large ? "large" : "small" });
  }

  setLarge(large) {
    this.large = large;
    this.element.classList.toggle("large", large);
  }

  alert(alert) {
    this.timeline.take(alert);
    this.element.classList.toggle("alerting", this.alerts.ongoing > 0);
  }

  event(event) {
    this.timeline.take(event);
    if (event.retained && this.readings.size > PEOPLE_SHOWN) return;
    this.readings.set(`${event.model.method} ${event.person}`, { event, at: performance.now() });
    const waits = event.latency;
    const before = waits.capture_to_window_ms + waits.queue_ms + (waits.batch_ms ?? 0);
    this.latency = before + waits.inference_ms + waits.publish_ms;
    this.changed = true;
  }

  health(message) {
    this.reports[message.process] = message;
    this.changed = true;
  }

  level(dbfs) {
    const meter = this.parts.level;
    if (meter.hidden && dbfs <= -90) return;
    meter.hidden = false;
    meter.setAttribute("aria-valuenow", Math.round(dbfs));
    meter.firstElementChild.style.width = `${Math.max(0, (dbfs + 70) / 0.7)}%`;
  }

  picture(image, header) {
    this.next?.image.close();
    this.next = { image, header };
  }

  draw() {
    this.timeline.draw();
    if (this.next) {
      this.paint(this.next);
      this.next = null;
      this.times.push(performance.now());
      this.say();
      this.changed = true;
    }
    if (this.changed) this.write();
    this.parts.now.hidden = this.timeline.following;
    this.parts.pause.setAttribute("aria-pressed", String(this.timeline.paused));
    this.parts.span.textContent = this.timeline.span();
  }

  paint({ image, header }) {
    const { picture, nothing } = this.parts;
    nothing.hidden = true;
    if (picture.width !== image.width || picture.height !== image.height) [picture.width, picture.height] = [image.width, image.height];
    const pen = picture.getContext("2d");
    pen.drawImage(image, 0, 0);
    image.close();
    const [width, height] = [picture.width, picture.height];
    for (const person of header.people) {
      const reading = this.freshest(person.id);
      const colour = reading ? colourOf(reading.label) : "#ffffff";
      pen.lineWidth = Math.max(2, width / 200);
      for (const [stroke, extra] of [["#000000", 2], [colour, 0]]) {
        pen.strokeStyle = stroke;
        pen.lineWidth = Math.max(2, width / 200) + extra;
        pen.beginPath();
        for (const [from, to] of BONES) {
          const [a, b] = [person.points[from], person.points[to]];
          if (a[2] < SEEN || b[2] < SEEN) continue;
          pen.moveTo(a[0] * width, a[1] * height);
          pen.lineTo(b[0] * width, b[1] * height);
        }
        pen.stroke();
      }
      this.caption(pen, person, reading, colour);
    }
  }

  caption(pen, person, reading, colour) {
    const { width, height } = pen.canvas;
    const size = Math.max(12, width / 32);
    const text = `${person.id}${reading ? ` ${said(reading)}` : ""}${reading && !reading.model.trained ? " UNTRAINED" : ""}`;
    const top = Math.min(...person.points.filter((point) => point[2] >= SEEN).map((point) => point[1]), 1);
    pen.font = `600 ${size}px system-ui, sans-serif`;
    const wide = pen.measureText(text).width + size * 0.6;
    const x = Math.max(0, Math.min(width - wide, person.points[0][0] * width - wide / 2));
    const y = Math.max(size * 1.3, top * height - size * 0.4);
    pen.fillStyle = "#000000cc";
    pen.fillRect(x, y - size * 1.1, wide, size * 1.4);
    pen.fillStyle = colour === "#ffffff" ? "#ffffff" : colour;
    pen.fillRect(x, y - size * 1.1, size * 0.2, size * 1.4);
    pen.fillStyle = "#ffffff";
    pen.fillText(text, x + size * 0.4, y);
  }

  freshest(person) {
    let best = null;
    for (const { event, at } of this.readings.values()) {
      if (event.person === person && performance.now() - at < STALE_S * 1000 && (!best || at > best.at)) best = { event, at };
    }
    return best?.event;
  }

  facts() {
    const reports = Object.values(this.reports);
    const own = reports.filter(({ stream }) => stream === this.name);
    const count = (from, wanted) => from.flatMap(({ counters }) => Object.entries(counters)).reduce((sum, [key, n]) => sum + (wanted.test(key) ? n : 0), 0);
    // Inference serves all streams: its counts have the stream's name in them.
    const windows = (what) => count(reports, new RegExp(`^windows_${what}\\.${this.name}(\\.|$)`));
    const fps = own.map(({ gauges }) => gauges.fps).find((rate) => rate !== undefined);
    const facts = fps === undefined ? [] : [`${fps.toFixed(0)} fps`];
    facts.push(`${(this.times.length / 3).toFixed(0)} shown/s`);
    if (this.latency !== null) facts.push(`${this.latency.toFixed(0)} ms old`);
    for (const [sum, word] of [[windows("degraded"), "incomplete"], [windows("shed"), "shed"], [count(own, /^(dropped_|corrupt_|lost$)/), "dropped"]]) if (sum) facts.push(`${sum} ${word}`);
    for (const { process, state, detail } of reports) if (state !== "running" && state !== "stopped") facts.push(`${process} ${state}${detail ? `: ${detail}` : ""}`);
    return facts;
  }

  write() {
    this.changed = false;
    this.alerts.write();
    const now = performance.now();
    this.times = this.times.filter((at) => now - at < 3000);
    this.parts.facts.textContent = this.facts().join(" · ");
    const fresh = [...this.readings.values()].sort((a, b) => b.at - a.at).slice(0, PEOPLE_SHOWN);
    this.parts.people.replaceChildren(...fresh.map(({ event }) => reading(event)));
    this.parts.legend.replaceChildren(...[...this.timeline.classes].map((name) => {
      const item = document.createElement("li");
      item.style.setProperty("--colour", colourOf(name));
      item.textContent = name;
      return item;
    }));
  }
}

// What is uncertain has no share: the highest is of a class that is not announced.
function said({ label, confidence }) {
  return label === "uncertain" ? label : `${label} ${Math.round(100 * confidence)} %`;
}

function reading(event) {
  const item = document.createElement("li");
  item.style.borderColor = colourOf(event.label);
  const who = event.person === null ? "scene" : `person ${event.person}`;
  const word = document.createElement("b");
  word.textContent = event.label;
  if (event.label === "uncertain") word.className = "doubt";
  const sure = said(event).slice(event.label.length);
  item.append(`${who}: `, word, `${sure} (${event.model.method}, ${event.modalities.join(" and ")})`);
  if (!event.model.trained) item.classList.add("noise");
  if (event.degraded.length) {
    const note = document.createElement("span");
    note.className = "incomplete";
    note.textContent = ` incomplete: ${event.degraded.join(", ")}`;
    item.append(note);
  }
  return item;
}
