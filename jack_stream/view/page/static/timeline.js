// Probabilities over time, a lane for each person and method; it follows the present or stays where it was put.
import { laneOf } from "./alerts.js";
import { colourOf } from "./colours.js";

const SHORTEST_S = 5;
const LONGEST_S = 6 * 3600;
const KEPT = 20000;
const GAP_HOPS = 1.5;

export class Timeline {
  constructor(canvas, stream, alerts) {
    this.canvas = canvas;
    this.stream = stream;
    this.alerts = alerts;
    this.lanes = new Map();
    this.classes = new Set();
    this.seen = new Set();
    this.length = 60;
    this.end = null; // seconds of Unix time; null follows the present
    this.paused = false;
    this.newest = null;
    this.oldestAsked = null;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.scroll(Math.sign(event.deltaX || event.deltaY) * 0.1);
      else this.zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.dragged = event.clientX;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.dragged === undefined) return;
      this.scroll((this.dragged - event.clientX) / canvas.clientWidth);
      this.dragged = event.clientX;
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (this.dragged = undefined));
  }

  get following() {
    return this.end === null;
  }

  add(event) {
    const key = `${event.session} ${event.model.method} ${event.seq}`;
    if (this.seen.has(key)) return;
    this.seen.add(key);
    if (this.seen.size > 2 * KEPT) this.seen = new Set([...this.seen].slice(-KEPT));
    const name = laneOf(event);
    if (!this.lanes.has(name)) this.lanes.set(name, []);
    const lane = this.lanes.get(name);
    const at = event.window.end_ns / 1e9;
    const point = { at, start: event.window.start_ns / 1e9, probabilities: event.probabilities, segments: event.segments, attention: event.attention, degraded: event.degraded.length > 0, trained: event.model.trained };
    if (!lane.length || lane[lane.length - 1].at <= at) lane.push(point);
    else lane.splice(lane.findIndex((other) => other.at > at), 0, point);
    if (lane.length > KEPT) lane.shift();
    for (const label of Object.keys(event.probabilities)) {
      this.classes.add(label);
      colourOf(label);
    }
    if (this.newest === null || at > this.newest) {
      this.newest = at;
      this.arrived = performance.now();
    }
    this.dirty = true;
  }

  take(message) {
    if (message.type === "alert") this.alerts.add(message);
    else this.add(message);
    this.dirty = true;
  }

  // The present on the stream's own time line, which for a replayed file is not the wall clock.
  present() {
    return this.newest === null ? Date.now() / 1000 : this.newest + (performance.now() - this.arrived) / 1000;
  }

  right() {
    return this.end ?? this.present();
  }

  pause(paused) {
    this.paused = paused;
    this.end = paused ? this.right() : null;
    this.dirty = true;
  }

  follow() {
    this.pause(false);
  }

  scroll(share) {
    const end = this.right() + share * this.length;
    if (end >= this.present()) return this.follow();
    this.end = end;
    this.paused = true;
    this.dirty = true;
    this.fetch(end - this.length);
  }

  zoom(factor) {
    this.length = Math.min(LONGEST_S, Math.max(SHORTEST_S, this.length * factor));
    this.dirty = true;
    this.fetch(this.right() - this.length);
  }

  span() {
    if (this.following) return `last ${duration(this.length)}`;
    return `${duration(this.length)} until ${new Date(this.end * 1000).toLocaleTimeString()}`;
  }

  // What is further back than what came by itself is in the journal.
  async fetch(from) {
    if (this.oldestAsked !== null && from >= this.oldestAsked) return;
    this.oldestAsked = from - this.length;
    const since = String(BigInt(Math.max(0, Math.floor(this.oldestAsked * 1000))) * 1000000n);
    const answer = await fetch(`/events?stream=${encodeURIComponent(this.stream)}&since_ns=${since}`);
    if (!answer.ok) return;
    for (const line of (await answer.text()).split("\n")) if (line) this.take(JSON.parse(line));
  }

  draw() {
    const wide = Math.round(this.canvas.clientWidth * devicePixelRatio);
    const high = Math.round(this.canvas.clientHeight * devicePixelRatio);
    if (!wide || !high) return;
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      [this.canvas.width, this.canvas.height] = [wide, high];
      this.dirty = true;
    }
    if (!this.dirty && !this.following) return;
    this.dirty = false;
    const pen = this.canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const right = this.right();
    const left = right - this.length;
    const lanes = [...this.lanes].filter(([, points]) => points.some(({ at, start }) => at >= left && start <= right));
    pen.clearRect(0, 0, wide, high);
    const foot = 18 * devicePixelRatio;
    const each = (high - foot) / Math.max(1, lanes.length);
    lanes.forEach(([name, points], number) => this.lane(pen, name, points, { left, right, top: number * each, height: each, wide, style }));
    this.axis(pen, left, right, high, foot, style);
  }

  alarm(pen, alert, from, to, y, style) {
    pen.fillStyle = style.getPropertyValue("--alarm");
    pen.globalAlpha = 0.12;
    pen.fillRect(from, y(1), to - from, y(0) - y(1));
    pen.globalAlpha = 1;
    pen.fillRect(from, y(1), to - from, 3 * devicePixelRatio);
    pen.font = `600 ${11 * devicePixelRatio}px system-ui, sans-serif`;
    const begin = Math.max(from, 0);
    if (to > begin) pen.fillText(alert.rule, begin + 4, y(1) + 15 * devicePixelRatio, Math.max(40, to - begin - 8));
  }

  lane(pen, name, points, { left, right, top, height, wide, style }) {
    const x = (at) => ((at - left) / (right - left)) * wide;
    const y = (share) => top + height - 2 - share * (height - 18 * devicePixelRatio);
    pen.fillStyle = style.getPropertyValue("--quiet");
    pen.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    pen.fillText(points[points.length - 1].trained ? name : `${name}: UNTRAINED, NOISE`, 4, top + 12 * devicePixelRatio);
    pen.strokeStyle = style.getPropertyValue("--line");
    pen.lineWidth = 1;
    pen.beginPath();
    for (const share of [0, 0.5, 1]) {
      pen.moveTo(0, y(share));
      pen.lineTo(wide, y(share));
    }
    pen.stroke();
    const shown = points.filter(({ at, start }) => at >= left - 30 && start <= right);
    for (const point of shown) {
      for (const segment of point.segments) {
        pen.fillStyle = `${colourOf(segment.label)}33`;
        pen.fillRect(x(segment.start_ns / 1e9), y(1), x(segment.end_ns / 1e9) - x(segment.start_ns / 1e9), y(0) - y(1));
      }
      if (point.degraded) {
        pen.fillStyle = style.getPropertyValue("--quiet");
        pen.fillRect(x(point.at) - 1, y(0) - 4, 3, 4);
      }
    }
    for (const { alert, ended } of this.alerts.of(name)) this.alarm(pen, alert, x(alert.since_ns / 1e9), x(ended ?? right), y, style);
    if (shown.length) this.attention(pen, shown[shown.length - 1], x, y, style);
    const hop = Math.min(...shown.slice(1).map((point, i) => point.at - shown[i].at).filter((gap) => gap > 0.01), 30);
    for (const label of this.classes) {
      pen.strokeStyle = pen.fillStyle = colourOf(label);
      pen.lineWidth = 2 * devicePixelRatio;
      pen.beginPath();
      let last = null;
      for (const point of shown) {
        const share = point.probabilities[label];
        if (share === undefined) continue;
        if (last !== null && point.at - last < GAP_HOPS * hop) pen.lineTo(x(point.at), y(share));
        else pen.moveTo(x(point.at), y(share));
        last = point.at;
        pen.fillRect(x(point.at) - devicePixelRatio, y(share) - devicePixelRatio, 2 * devicePixelRatio, 2 * devicePixelRatio);
      }
      pen.stroke();
    }
  }

  // Which stretches of its window the newest reading rests on: the taller the bar, the more.
  attention(pen, point, x, y, style) {
    const each = (point.at - point.start) / point.attention.length;
    const most = Math.max(...point.attention);
    pen.fillStyle = style.getPropertyValue("--quiet");
    pen.globalAlpha = 0.35;
    point.attention.forEach((weight, i) => {
      const tall = (weight / most) * 0.25 * (y(0) - y(1));
      pen.fillRect(x(point.start + i * each) + 1, y(0) - tall, Math.max(1, x(point.start + each) - x(point.start) - 2), tall);
    });
    pen.globalAlpha = 1;
  }

  axis(pen, left, right, high, foot, style) {
    const room = Math.max(1, Math.floor(pen.canvas.clientWidth / 100));
    const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600].find((s) => (right - left) / s <= room) ?? 7200;
    pen.fillStyle = style.getPropertyValue("--quiet");
    pen.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    for (let at = Math.ceil(left / step) * step; at <= right; at += step) {
      const x = ((at - left) / (right - left)) * pen.canvas.width;
      pen.fillRect(x, high - foot, 1, 4);
      pen.fillText(new Date(at * 1000).toLocaleTimeString(), Math.min(x + 3, pen.canvas.width - 70 * devicePixelRatio), high - 3);
    }
  }
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
