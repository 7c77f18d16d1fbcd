// Okabe and Ito's palette, which colour-blind people can tell apart; the same class has the same colour everywhere.
const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#B8A800", "#8C8C8C"];
const given = new Map();

export function colourOf(name) {
  if (name === "uncertain") return "#8C8C8C";
  if (!given.has(name)) given.set(name, PALETTE[given.size % PALETTE.length]);
  return given.get(name);
}
