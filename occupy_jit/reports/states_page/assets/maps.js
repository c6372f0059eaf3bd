// The mean maps of the states in the viewer of the report: one state, two compared, parts in colours, one part lit up.

// differences of scale; below a quarter they are grey, as noise makes them so large at surfaces
const LIT = "#e69f00", CHANGE = [[0, "#cc3920"], [.375, "#d9d9d9"], [.625, "#d9d9d9"], [1, "#4d6edf"]];
const LAYER = META.labels.per_layer;
const showing = { state: 0, other: null, colour: "scale", part: null };
let view = null, made = [];

// what the viewer calls when a place of the surface is clicked
function setCross(x, y, z) {
  const part = partAt(x, y, z);
  if (part !== null) hooks.part(part);
}

function partAt(x, y, z) {
  for (let reach = 0; reach < 3; reach++) for (let k = 0; k < META.layers; k++) {
    for (const [dx, dy, dz] of [[0, 0, 0], [reach, 0, 0], [-reach, 0, 0], [0, reach, 0], [0, -reach, 0], [0, 0, reach], [0, 0, -reach]]) {
      const found = nearest(volumes["layer" + k], SIZE)(x + dx, y + dy, z + dz);
      if (found) return k * LAYER + found - 1;
    }
  }
  return null;
}

// A volume that is made here; those that the last picture was made of are forgotten.
function make(entry, bytes) {
  META.volumes.push(entry);
  volumes[entry.id] = bytes;
  made.push(entry.id);
}

function forget(ids) {
  for (const id of ids) {
    META.volumes.splice(META.volumes.findIndex(volume => volume.id === id), 1);
    for (const kept of [volumes, cleaned]) delete kept[id];
  }
}

// numbers of the states that the chosen one is compared with
const others = other => other === "all" ? Array.from({ length: META.count }, (_, k) => k) : other === null ? [] : [other];

const compared = text => text === "" ? null : text === "all" ? text : +text;

// the largest of several volumes everywhere
function largest(ids) {
  const out = volumes[ids[0]].slice();
  for (const id of ids.slice(1)) for (let i = 0, more = volumes[id]; i < VOXELS; i++) if (more[i] > out[i]) out[i] = more[i];
  return out;
}

const need = (...ids) => Promise.all(ids.filter(id => !volumes[id]).map(unpack));

async function show(changes) {
  Object.assign(showing, changes);
  const { state, other } = showing, before = made;
  made = [];
  await need(`state${state}`, `scale${state}`, ...others(other).flatMap(k => [`state${k}`, `scale${k}`]));
  if (state !== showing.state || other !== showing.other) { forget(before); return; } // another was asked for meanwhile
  let map = `state${state}`;
  if (other !== null) {
    map = `union${state}-${other}-${performance.now()}`;
    const ids = [state, ...others(other)].map(k => `state${k}`);
    make({ ...info(`state${state}`), id: map, level: Math.max(...ids.map(id => info(id).level)) }, largest(ids));
  }
  const colour = colouring(map);
  view.set({ map, colour, level: levelOf(map), cube: boxed() });
  if ("other" in changes) view.fit(); // the surface of both may be larger than that of one
  forget(before);
  say();
}

// equal steps of the slider are equal factors
function levelOf(map) {
  const { levels: [low, high], level } = info(map), slider = document.getElementById("maplevel");
  if (!slider.dataset.moved) slider.value = Math.log(level / low) / Math.log(high / low);
  return low * (high / low) ** +slider.value;
}

// The largest value nearby: at a surface the scale of what is there has fallen off already.
function widened(volume) {
  const reach = Math.max(1, Math.round(META.inside / 2));
  let from = volume;
  for (const [stride, n] of [[1, SIZE[0]], [SIZE[0], SIZE[1]], [SIZE[0] * SIZE[1], SIZE[2]]]) {
    const to = from.slice();
    for (let i = 0; i < VOXELS; i++) {
      const place = Math.floor(i / stride) % n;
      for (let step = -Math.min(reach, place); step <= reach && place + step < n; step++) {
        if (from[i + step * stride] > to[i]) to[i] = from[i + step * stride];
      }
    }
    from = to;
  }
  return from;
}

function colouring(map) {
  const { state, other, colour, part } = showing, stamp = performance.now();
  if (colour === "lit" && part !== null) {
    const bytes = new Uint8Array(VOXELS), layer = volumes["layer" + Math.floor(part / LAYER)], number = part % LAYER + 1;
    for (let i = 0; i < VOXELS; i++) bytes[i] = layer[i] === number ? 255 : 0;
    make({ id: `lit${stamp}`, kind: "labels", low: 0, high: 255, stops: [[0, META.labels.pale], [1, LIT]] }, bytes);
    return `lit${stamp}`;
  }
  if (colour === "parts") return "layer0";
  if (other === null) return `scale${state}`;
  const one = widened(volumes[`scale${state}`]), two = widened(largest(others(other).map(k => `scale${k}`))), bytes = new Uint8Array(VOXELS);
  for (let i = 0; i < VOXELS; i++) bytes[i] = 127.5 + (one[i] - two[i]) / 2;
  make({ id: `change${stamp}`, kind: "signed", flat: true, low: -1, high: 1, stops: CHANGE }, bytes);
  return `change${stamp}`;
}

// a box shows where a part is that has no surface in this state; false where nothing is known of it
function boxed() {
  if (showing.colour !== "lit" || showing.part === null || hooks.present(showing.state, showing.part)) return false;
  const layer = volumes["layer" + Math.floor(showing.part / LAYER)], number = showing.part % LAYER + 1, [nx, ny] = SIZE;
  const low = [Infinity, Infinity, Infinity], high = [-1, -1, -1];
  for (let p = 0; p < VOXELS; p++) if (layer[p] === number) {
    const place = [p % nx, Math.floor(p / nx) % ny, Math.floor(p / (nx * ny))];
    for (let i = 0; i < 3; i++) { low[i] = Math.min(low[i], place[i]); high[i] = Math.max(high[i], place[i]); }
  }
  if (high[0] < 0) return false;
  view.setCube([low, high]);
  return true;
}

function say() {
  const { state, other, colour, part } = showing, key = document.getElementById("mapkey"), swatch = (tone, text) => {
    const made = document.createElement("i"), label = document.createElement("span");
    made.style.background = tone;
    label.append(made, text);
    label.style.whiteSpace = "nowrap";
    return [label, " "];
  };
  const gradient = (low, high, stops) => { const bar = document.createElement("i"); bar.className = "bargrad"; bar.style.background = `linear-gradient(90deg,${stops.map(([, tone]) => tone).join(",")})`; return [low, bar, high]; };
  const palette = META.labels.colours;
  if (colour === "lit" && part !== null) key.replaceChildren(...swatch(LIT, hooks.name(part)), ...swatch(META.labels.pale, "everything else"));
  else if (colour === "parts") key.replaceChildren(...hooks.names.slice(0, 24).flatMap((name, k) => swatch(palette[k % palette.length], name)), hooks.names.length > 24 ? " …" : "");
  else if (other !== null) key.replaceChildren(...gradient(other === "all" ? "only in other states " : `only in state ${other + 1} `, ` only in state ${state + 1}`, CHANGE));
  else key.replaceChildren(...gradient("≤ 0.2 ", " 1", info("scale0").stops));
  const compared = other === null ? "" : other === "all" ? " compared with all states: the surface is that of all" : ` compared with state ${other + 1}: the surface is that of both`;
  document.getElementById("mapsays").textContent = `State ${state + 1}${compared}. ${part !== null && colour === "lit" ? hooks.call(state, part) : ""}`;
}

async function open() {
  const host = document.getElementById("mapstage"), at = id => document.getElementById(id);
  volumes.seen = new Uint8Array(VOXELS).fill(255); // the maps carry no solvent
  await need("state0", "scale0", ...Array.from({ length: META.layers }, (_, k) => `layer${k}`));
  view = startSurface(host, document.createElement("div"));
  if (!view) { at("mapview").hidden = true; return null; }
  at("mapstate").addEventListener("change", event => hooks.state(+event.target.value));
  at("mapother")?.addEventListener("change", event => show({ other: compared(event.target.value) }));
  at("mapcolour").addEventListener("change", event => show({ colour: event.target.value, part: hooks.part() }));
  at("maplevel").addEventListener("input", event => { event.target.dataset.moved = 1; view.set({ level: levelOf(view.state.map) }); });
  at("mapreset").addEventListener("click", () => { delete at("maplevel").dataset.moved; view.set({ level: levelOf(view.state.map) }); view.home(); });
  at("mappng").addEventListener("click", () => { const link = document.createElement("a"); link.href = view.png(); link.download = `state_${showing.state + 1}.png`; link.click(); });
  await show({});
  return {
    view, showing, volumes,
    state: number => { if (number < META.count) { at("mapstate").value = number; return show({ state: number }); } at("mapsays").textContent = `This page has no map of state ${number + 1}.`; },
    light: part => { if (META.layers) { at("mapcolour").value = "lit"; return show({ part, colour: "lit" }); } },
  };
}

return open();
