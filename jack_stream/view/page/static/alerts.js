// A stream's alerts: those that go on, and for a minute those that ended.
const SHOWN_S = 60;
const KEPT = 1000;
const WHY = { below: "no longer so", gone: "out of view", removed: "rule removed" };

export class Alerts {
  constructor(list) {
    this.list = list;
    this.known = new Map();
  }

  // The beginning and the end of an alert have the same `since_ns`; either may come first, from the journal.
  add(alert) {
    const key = `${alert.session} ${alert.rule} ${alert.model.method} ${alert.person} ${alert.since_ns}`;
    const known = this.known.get(key) ?? { ended: null };
    if (alert.state === "ended") Object.assign(known, { ended: alert.at_ns / 1e9, why: alert.reason });
    this.known.set(key, { ...known, alert: known.alert ?? alert });
    if (this.known.size > KEPT) this.known.delete(this.known.keys().next().value);
    this.write();
  }

  // What goes on is told anew after a connection was lost; what ended meanwhile may never be.
  forget() {
    for (const [key, { ended }] of this.known) if (ended === null) this.known.delete(key);
    this.write();
  }

  get ongoing() {
    return [...this.known.values()].filter(({ ended }) => ended === null).length;
  }

  of(lane) {
    return [...this.known.values()].filter(({ alert }) => laneOf(alert) === lane);
  }

  // Lines that stay as they are are not touched, so that a screen reader says only what is new.
  write() {
    const now = Date.now() / 1000;
    const shown = [...this.known].filter(([, { ended }]) => ended === null || now - ended < SHOWN_S);
    const lines = new Map([...this.list.children].map((line) => [line.dataset.key, line]));
    for (const [key, one] of shown) {
      const state = `${key} ${one.ended ?? "on"}`;
      if (!lines.delete(state)) this.list.append(written(state, one));
    }
    for (const line of lines.values()) line.remove();
  }
}

export function laneOf({ person, model }) {
  return person === null ? model.method : `${model.method}, person ${person}`;
}

function written(state, { alert, ended, why }) {
  const line = document.createElement("li");
  line.dataset.key = state;
  line.className = ended === null ? "on" : "over";
  const who = alert.person === null ? "scene" : `person ${alert.person}`;
  const word = document.createElement("b");
  word.textContent = alert.rule;
  const since = new Date(alert.since_ns / 1e6).toLocaleTimeString();
  const end = ended === null ? "" : ` until ${new Date(ended * 1000).toLocaleTimeString()} (${WHY[why]})`;
  line.append(ended === null ? "Alert: " : "Alert over: ", word, `, ${who}, ${alert.labels.join(" or ")}, since ${since}${end}`);
  if (!alert.model.trained) line.classList.add("noise");
  return line;
}
