// The numbers of the page, and what all of its drawings share.

const $ = selector => document.querySelector(selector), $$ = selector => [...document.querySelectorAll(selector)];
const DATA = JSON.parse($("#data").textContent);
const SURE = 1.96; // standard errors from the threshold: a probability of 97.5%
const SVG = "http://www.w3.org/2000/svg";

function numbers(name) {
  const text = atob(DATA[name]), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const view = new DataView(bytes.buffer), out = new Float32Array(bytes.length / 2);
  for (let i = 0; i < out.length; i++) {
    const steps = view.getInt16(2 * i, true);
    out[i] = steps === DATA.unknown ? NaN : steps * DATA.step;
  }
  return out;
}

const NP = DATA.parts.length, NV = DATA.volumes.length, NS = DATA.states.length;
const FOUND = {
  volumes: { number: NV, names: DATA.volumes, value: numbers("of_volumes"), error: numbers("se_of_volumes") },
  states: { number: NS, names: DATA.states.map((_, s) => `state ${s + 1}`), value: numbers("of_states"), error: numbers("se_of_states") },
};
const CALLS = { p: "present", a: "absent", u: "undecided" };
const CHOSEN = { part: 0, volume: 0, state: null };
let MAPS = null; // the viewer of mean maps, once it is there
const light = () => MAPS?.light(CHOSEN.part);

function callOf(what, column, part) {
  if (what === "states") return CALLS[DATA.calls[column][part]];
  const value = FOUND.volumes.value[column * NP + part], error = FOUND.volumes.error[column * NP + part];
  if (!(Math.abs(value - DATA.threshold) > SURE * error)) return "undecided";
  return value > DATA.threshold ? "present" : "absent";
}

const rgbOf = text => [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16));
const STOPS = DATA.stops.map(([place, colour]) => [place, rgbOf(colour)]);

function colourOf(value) {
  if (!(value > STOPS[0][0])) return STOPS[0][1];
  for (let k = 1; k < STOPS.length; k++) {
    const [p0, c0] = STOPS[k - 1], [p1, c1] = STOPS[k];
    if (value <= p1) return c0.map((c, i) => c + (c1[i] - c) * (value - p0) / (p1 - p0));
  }
  return STOPS[STOPS.length - 1][1];
}

const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const withError = (value, error) => Number.isNaN(value) ? "not known" : value.toFixed(2) + (Number.isNaN(error) ? "" : ` ± ${error.toFixed(2)}`);

function save(name, content, type) {
  const address = content instanceof Blob ? URL.createObjectURL(content) : URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 5000);
}

// a name that a spreadsheet would take for a formula gets an apostrophe in front
function csvCell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  let text = String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const csv = rows => rows.map(row => row.map(csvCell).join(",")).join("\n") + "\n";

function matrixRows(values) {
  return [["map", ...DATA.parts], ...DATA.volumes.map((name, v) => [name, ...Array.from(values.subarray(v * NP, v * NP + NP), x => Number.isNaN(x) ? null : +x.toFixed(3))])];
}

const TABLES = {
  states: () => [["state", "volumes", "particles", "share", "se"], ...DATA.states.map((row, s) => [s + 1, row.volumes, row.particles, row.share, row.se])],
  volumes: () => [["map", "state"], ...DATA.volumes.map((name, v) => [name, DATA.state[v] + 1])],
  graph: () => [["from", "to", "adds", "loses", "undecided"], ...DATA.graph],
  occupancies: () => matrixRows(FOUND.volumes.value),
  errors: () => matrixRows(FOUND.volumes.error),
  parts: () => [["state", "part", "occupancy", "se", "call"], ...DATA.states.flatMap((_, s) => DATA.parts.map((name, p) => [s + 1, name, FOUND.states.value[s * NP + p], FOUND.states.error[s * NP + p], callOf("states", s, p)].map(v => typeof v === "number" && !Number.isInteger(v) ? (Number.isNaN(v) ? null : +v.toFixed(3)) : v)))],
  order: () => [["part", "other", "relation", "evidence", "states", "chance"], ...DATA.order.map(([a, b, r, e, n, c]) => [DATA.parts[a], DATA.parts[b], DATA.relations[r], e, n, c])],
};

// a drawing with the colours that it has on the page, as a file of its own
function saveSvg(svg, name) {
  const copy = svg.cloneNode(true), from = [svg, ...svg.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    for (const key of ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "font-size", "font-weight", "paint-order"]) to[i].style.setProperty(key, style.getPropertyValue(key));
    to[i].style.fontFamily = "sans-serif";
  });
  copy.style.background = css("--card");
  const text = new XMLSerializer().serializeToString(copy);
  if (name) save(name, text, "image/svg+xml");
  return text;
}

function savePng(svg, name) {
  const picture = new Image(), box = svg.viewBox.baseVal, text = saveSvg(svg);
  picture.onload = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [2 * box.width, 2 * box.height];
    const pen = canvas.getContext("2d");
    pen.fillStyle = css("--card");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(blob => save(name, blob));
  };
  picture.src = "data:image/svg+xml;base64," + btoa(String.fromCharCode(...new TextEncoder().encode(text.replace("<svg", `<svg width="${box.width}" height="${box.height}"`))));
}
