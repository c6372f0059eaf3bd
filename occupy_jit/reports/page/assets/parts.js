// Parts: a table that is sorted and filtered, and the part that is chosen, shown in the surface and in the slices.

const chosen = { part: null, alone: false };
const PART_INK = "#e69f00", PART_RGB = rgbOf(PART_INK), PALE = 214; // outline in slices; grey of what is not chosen
const MOST_GAIN = 10; // that a weak part is brought up by, so that its surface can be seen
const chosenKey = () => chosen.part === null ? "" : `part ${chosen.part} ${chosen.alone}`;

// Layer and number of the part that is chosen; null if none is.
function chosenRegion() {
  const region = chosen.part === null ? null : META.parts[chosen.part].region;
  return region && { layer: volumes["region" + region[0]], number: region[1] };
}

// What a part is divided by so that its surface is where that of a full part would be; never down into the noise.
function partGain(id, level) {
  const { zero, levels } = info(id), occupancy = META.parts[chosen.part].occupancy;
  return Math.max(1, Math.min(1 / Math.max(occupancy, 1 / MOST_GAIN), (level - zero) / (levels[0] - zero)));
}

// What the surface is drawn of: the map, with the part that is chosen at a level of its own, or that part alone.
let shownKey = "", shown = null;
function shownBytes(id, level) {
  const region = chosenRegion();
  if (!region) return surfaceBytes(id);
  const gain = partGain(id, level), key = `${id} ${gain} ${chosenKey()}`;
  if (key === shownKey) return shown;
  const whole = surfaceBytes(id), volume = volumes[id], zero = clamp(toByte(id, info(id).zero), 0, 255);
  shown = new Uint8Array(VOXELS);
  shownKey = key;
  for (let i = 0; i < VOXELS; i++) {
    if (region.layer[i] === region.number) shown[i] = clamp(Math.round(zero + (volume[i] - zero) * gain), 0, 255);
    else shown[i] = chosen.alone ? zero : whole[i];
  }
  return shown;
}

// Whether a vertex, given by its place and a step into the surface, belongs to the part that is chosen.
function belongs(region, x, y, z, dx, dy, dz) {
  const at = (x, y, z) => region.layer[clamp(Math.round(x), 0, SIZE[0] - 1) + SIZE[0] * (clamp(Math.round(y), 0, SIZE[1] - 1)
    + SIZE[1] * clamp(Math.round(z), 0, SIZE[2] - 1))] === region.number;
  return at(x, y, z) || at(x - dx, y - dy, z - dz);
}

// The outline of the part that is chosen, in a slice.
function outline({ plane, canvas, image }, place) {
  const region = chosenRegion();
  if (!region) return;
  const { layer, number } = region, { width, height } = canvas, { data } = image;
  const right = STRIDES[plane.across], up = STRIDES[plane.up], first = place * STRIDES[plane.along];
  for (let row = 0, o = 0; row < height; row++) {
    let p = first + (height - 1 - row) * up;
    for (let i = 0; i < width; i++, o += 4, p += right) {
      if (layer[p] !== number) continue;
      const inner = i && i < width - 1 && row && row < height - 1 && layer[p - right] === number
        && layer[p + right] === number && layer[p - up] === number && layer[p + up] === number;
      if (!inner) for (let j = 0; j < 3; j++) data[o + j] = PART_RGB[j];
    }
  }
}

// A voxel of the part that is chosen, near its middle.
function middleOf({ layer, number }) {
  const sum = [0, 0, 0], places = [];
  for (let p = 0; p < VOXELS; p++) if (layer[p] === number) {
    const place = [p % SIZE[0], Math.floor(p / SIZE[0]) % SIZE[1], Math.floor(p / STRIDES[2])];
    for (let i = 0; i < 3; i++) sum[i] += place[i];
    places.push(place);
  }
  const centre = sum.map(value => value / places.length);
  const far = place => place.reduce((total, value, i) => total + (value - centre[i]) ** 2, 0);
  return places.reduce((best, place) => far(place) < far(best) ? place : best);
}

function startParts(view) {
  const host = $("#parts");
  if (!host) return;
  host.classList.add("live");
  const rows = $$("#parts tr[data-part]"), filter = $("#partfilter"), said = $("#partsaid");
  const sort = byChain => {
    for (const body of $$("#parts tbody")) {
      const own = rows.filter(row => row.parentNode === body);
      const strength = row => byChain ? +row.dataset.part : -META.parts[row.dataset.part].occupancy;
      body.append(...own.sort((a, b) => strength(a) - strength(b) || a.dataset.part - b.dataset.part));
    }
  };
  const sift = () => {
    const words = filter.value.trim().toLowerCase().split(/\s+/);
    let left = 0;
    for (const row of rows) {
      const { name } = META.parts[row.dataset.part], text = `${name} ${row.lastElementChild.textContent}`.toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
      left += !row.hidden;
    }
    said.textContent = filter.value.trim() ? `${left} of ${rows.length} parts` : "";
  };
  const choose = (part, alone) => {
    const before = chosenKey();
    chosen.part = part;
    chosen.alone = alone;
    for (const row of rows) {
      const pressed = +row.dataset.part === part;
      row.classList.toggle("chosen", pressed);
      row.querySelector("button.part")?.setAttribute("aria-pressed", pressed);
    }
    $("#allparts").disabled = part === null;
    $("#alone").checked = alone;
    const region = chosenRegion();
    if (region && before !== chosenKey()) setCross(...middleOf(region));
    drawSlices(true);
    view?.set({ part, alone });
    view?.fit();
    const shown = $("#shownpart");
    shown.hidden = part === null;
    if (part !== null) {
      const gain = view ? partGain(view.state.map, view.state.level) : 1;
      shown.textContent = `${META.parts[part].name}${alone ? " alone" : ""}`
        + (gain > 1.05 ? `, at ${Math.round(100 / gain)}% of the level` : "");
    }
  };
  for (const choice of $$("input[name=partorder]")) choice.addEventListener("change", () => sort(choice.value === "chain"));
  filter.addEventListener("input", sift);
  $("#alone").addEventListener("change", event => choose(chosen.part, event.target.checked));
  $("#allparts").addEventListener("click", () => choose(null, false));
  for (const row of rows) row.addEventListener("click", () => {
    const part = +row.dataset.part;
    if (META.parts[part].region) choose(chosen.part === part ? null : part, chosen.alone);
  });
  host.addEventListener("keydown", event => {
    if (event.key === "Escape" && chosen.part !== null) choose(null, false);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches("button.part")) return;
    const there = $$("#parts button.part").filter(button => !button.closest("tr").hidden);
    event.preventDefault();
    there[there.indexOf(event.target) + step]?.focus();
  });
  return choose;
}
