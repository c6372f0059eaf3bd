// A part over the volumes, and two parts against each other.

function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const TONES = { present: "var(--full)", absent: "var(--weak)", undecided: "var(--soft)" };
const LOW = -0.25, HIGH = 1.35, LEFT = 40;
const upTo = (value, height) => 10 + (height - 20) * (HIGH - Math.min(HIGH, Math.max(LOW, value))) / (HIGH - LOW);

function grid(svg, width, height) {
  for (const value of [0, .5, 1]) {
    const y = upTo(value, height);
    svg.append(node("path", { d: `M${LEFT} ${y}H${width}`, class: value === DATA.threshold ? "limit" : "zero" }), node("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, String(value)));
  }
}

function strip() {
  const width = Math.max(280, Math.round($("#strip").clientWidth)), height = 190, part = CHOSEN.part, found = FOUND.volumes;
  const order = HEAT.what === "volumes" ? HEAT.columns.flatMap(k => k < NV ? [k] : FOLDS.columns[k - NV].members) : DATA.volume_leaves;
  const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Occupancy of ${DATA.parts[part]} over the volumes` });
  grid(svg, width, height);
  const bars = [], dots = { present: [], absent: [], undecided: [] };
  order.forEach((v, k) => {
    const value = found.value[v * NP + part], error = found.error[v * NP + part];
    if (Number.isNaN(value)) return;
    const x = (LEFT + 8 + (width - LEFT - 16) * (k + .5) / order.length).toFixed(1);
    if (!Number.isNaN(error)) bars.push(`M${x} ${upTo(value - error, height).toFixed(1)}V${upTo(value + error, height).toFixed(1)}`);
    dots[callOf("volumes", v, part)].push(`M${x} ${upTo(value, height).toFixed(1)}h0`);
  });
  svg.append(node("path", { d: bars.join(""), class: "error" }));
  const size = Math.max(2.5, Math.min(7, 0.8 * width / order.length));
  for (const [call, path] of Object.entries(dots)) svg.append(node("path", { d: path.join(""), class: "dot", style: `stroke:${TONES[call]};stroke-width:${size}` }));
  $("#strip").replaceChildren(svg);
  $("#partsays").textContent = Object.entries(dots).map(([call, path]) => `${call} in ${path.length}`).join(", ") + ` of ${order.length} volumes`;
}

function scatter() {
  const a = +$("#pairx").value, b = +$("#pairy").value, size = 380, found = FOUND.volumes;
  const svg = node("svg", { viewBox: `0 0 ${size} ${size}`, style: "max-width:460px", role: "img", "aria-label": `${DATA.parts[b]} against ${DATA.parts[a]}` });
  const across = value => LEFT + 10 + (size - LEFT - 20) * (Math.min(HIGH, Math.max(LOW, value)) - LOW) / (HIGH - LOW), up = value => upTo(value, size - 30);
  grid(svg, size, size - 30);
  for (const value of [0, .5, 1]) svg.append(node("path", { d: `M${across(value)} 10V${size - 40}`, class: value === DATA.threshold ? "limit" : "zero" }), node("text", { x: across(value), y: size - 24, "text-anchor": "middle" }, String(value)));
  const bars = [], dots = [];
  for (let v = 0; v < NV; v++) {
    const [x, y, dx, dy] = [found.value[v * NP + a], found.value[v * NP + b], found.error[v * NP + a], found.error[v * NP + b]];
    if (Number.isNaN(x) || Number.isNaN(y)) continue;
    dots.push(`M${across(x).toFixed(1)} ${up(y).toFixed(1)}h0`);
    if (NV <= 200) bars.push(`M${across(x - dx).toFixed(1)} ${up(y).toFixed(1)}H${across(x + dx).toFixed(1)}M${across(x).toFixed(1)} ${up(y - dy).toFixed(1)}V${up(y + dy).toFixed(1)}`);
  }
  svg.append(node("path", { d: bars.join(""), class: "error" }), node("path", { d: dots.join(""), class: "dot", style: "stroke:var(--accent);stroke-width:5" }),
    node("text", { x: size / 2 + 20, y: size - 6, "text-anchor": "middle", class: "strong" }, DATA.parts[a]), node("text", { transform: `translate(11 ${size / 2}) rotate(-90)`, "text-anchor": "middle", class: "strong" }, DATA.parts[b]));
  $("#scatter").replaceChildren(svg);
  const rows = DATA.order.filter(([one, other]) => (one === a && other === b) || (one === b && other === a));
  $("#pairsays").textContent = rows.length ? rows.map(([one, other, kind, evidence, states, chance]) => `${DATA.parts[one]}: ${DATA.relations[kind]} ${DATA.parts[other]} (evidence ${evidence === null ? "not known" : evidence.toFixed(3)}, ${states} states${chance === null ? "" : `, by chance ${+chance.toPrecision(2)}`}).`).join(" ") : "No certain relation between these two parts.";
}

function choosePart(part) {
  if (CHOSEN.part === part && $("#strip").firstChild) return;
  CHOSEN.part = part;
  $("#partname").value = part;
  strip();
}

function chooseState(state) {
  CHOSEN.state = state;
  for (const row of $$("[data-state]")) row.classList.toggle("chosen", +row.dataset.state === state + 1);
  const calls = [...DATA.calls[state]], count = letter => calls.filter(call => call === letter).length;
  $("#stateinfo").textContent = `State ${state + 1}: ${count("p")} parts present, ${count("a")} absent, ${count("u")} undecided.`;
  MAPS?.state(state);
}
