// Slices through all maps, with one crosshair.

const PLANES = [{ name: "XY", across: 0, up: 1, along: 2 }, { name: "XZ", across: 0, up: 2, along: 1 },
  { name: "YZ", across: 1, up: 2, along: 0 }];
const AXES = ["x", "y", "z"], STRIDES = [1, SIZE[0], SIZE[0] * SIZE[1]];
const crosshair = META.start.cross.slice();
const panes = [];
const crossListeners = [];

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "className" || key === "textContent") made[key] = value; else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function startSlices() {
  const host = document.getElementById("slices"), shown = META.volumes;
  host.style.setProperty("--columns", shown.length);
  for (const plane of PLANES) {
    const slider = element("input", { type: "range", min: 0, max: SIZE[plane.along] - 1, step: 1,
      "aria-label": `Slice along ${AXES[plane.along]}` });
    const place = element("output", {});
    slider.addEventListener("input", () => {
      const to = crosshair.slice();
      to[plane.along] = +slider.value;
      setCross(...to);
    });
    const cells = element("div", { className: "cells" });
    for (const volume of shown) cells.append(pane(volume, plane, slider, place));
    host.append(element("div", { className: "plane", "data-plane": plane.name },
      element("label", { className: "planehead" }, element("b", { textContent: plane.name }),
        element("span", { textContent: AXES[plane.along] }), slider, place), cells));
  }
}

function pane(volume, plane, slider, place) {
  const width = SIZE[plane.across], height = SIZE[plane.up];
  const canvas = element("canvas", { width, height, tabindex: 0, role: "img", "aria-label":
    `${volume.label}, plane ${plane.name}. Arrow keys move the crosshair, page up and page down the slice.` });
  canvas.style.aspectRatio = `${width}/${height}`;
  const vertical = element("i", { className: "vertical" }), horizontal = element("i", { className: "horizontal" });
  const move = event => {
    const box = canvas.getBoundingClientRect(), to = crosshair.slice();
    to[plane.across] = (event.clientX - box.left) / box.width * width - .5;
    to[plane.up] = height - .5 - (event.clientY - box.top) / box.height * height;
    setCross(...to);
  };
  canvas.addEventListener("pointerdown", event => { canvas.setPointerCapture(event.pointerId); move(event); });
  canvas.addEventListener("pointermove", event => { if (event.buttons) move(event); });
  canvas.addEventListener("keydown", event => {
    const step = { ArrowLeft: [plane.across, -1], ArrowRight: [plane.across, 1], ArrowUp: [plane.up, 1],
      ArrowDown: [plane.up, -1], PageUp: [plane.along, 1], PageDown: [plane.along, -1] }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const to = crosshair.slice();
    to[step[0]] += step[1];
    setCross(...to);
  });
  const context = canvas.getContext("2d");
  panes.push({ id: volume.id, plane, canvas, context, image: context.createImageData(width, height), drawn: -1, slider, place,
    vertical, horizontal });
  return element("figure", {}, element("figcaption", { textContent: volume.label }),
    element("div", { className: "pane" }, canvas, vertical, horizontal));
}

// All slices that changed; every one with `all`, when the colours did.
function drawSlices(all) {
  const tables = {};
  for (const one of panes) {
    const { plane, id } = one, place = crosshair[plane.along];
    if (all || one.drawn !== place) {
      one.drawn = place;
      paint(one, tables[id] ||= byteColours(id), place);
      if (info(id).fades) fade(one, place);
      outline(one, place);
      one.context.putImageData(one.image, 0, 0);
    }
    one.vertical.style.left = (crosshair[plane.across] + .5) / SIZE[plane.across] * 100 + "%";
    one.horizontal.style.top = (SIZE[plane.up] - .5 - crosshair[plane.up]) / SIZE[plane.up] * 100 + "%";
    one.slider.value = place;
    one.place.textContent = `${angstrom(plane.along, place).toFixed(1)} Å`;
  }
  readout();
}

// Colour of each byte, as 32 bits of a picture.
function byteColours(id) {
  const volume = info(id), table = sliceTable(id), bytes = new Uint8ClampedArray(1024);
  const [low, high] = (volume.window || [volume.low, volume.high]).map(value => toByte(id, value));
  for (let i = 0; i < 256; i++) {
    const entry = 3 * clamp(Math.round((i - low) / (high - low) * 255), 0, 255);
    bytes[4 * i] = table[entry];
    bytes[4 * i + 1] = table[entry + 1];
    bytes[4 * i + 2] = table[entry + 2];
    bytes[4 * i + 3] = 255;
  }
  return new Uint32Array(bytes.buffer);
}

function paint({ id, plane, canvas, image }, colours, place) {
  const volume = sliceBytes(id), pixels = new Uint32Array(image.data.buffer), { width, height } = canvas;
  const right = STRIDES[plane.across], up = STRIDES[plane.up], first = place * STRIDES[plane.along];
  for (let row = 0, o = 0; row < height; row++) {
    let p = first + (height - 1 - row) * up;
    for (let i = 0; i < width; i++, o++, p += right) pixels[o] = colours[volume[p]];
  }
}

// The colours of a slice into those of the page, where there is no content and in its rim.
function fade({ plane, canvas, image }, place) {
  const { seen, confidence } = volumes, { data } = image, { width, height } = canvas, page = rgbOf(style("--slice-back"));
  const right = STRIDES[plane.across], up = STRIDES[plane.up], first = place * STRIDES[plane.along];
  for (let row = 0, o = 0; row < height; row++) {
    let p = first + (height - 1 - row) * up;
    for (let i = 0; i < width; i++, o += 4, p += right) {
      const share = seen[p] * confidence[p] / 65025;
      for (let j = 0; j < 3; j++) data[o + j] = page[j] + (data[o + j] - page[j]) * share;
    }
  }
}

// Value of a volume at the crosshair.
const valueHere = id => fromByte(id, volumes[id][crosshair[0] * STRIDES[0] + crosshair[1] * STRIDES[1] + crosshair[2] * STRIDES[2]]);

function readout() {
  const place = crosshair.map((voxel, axis) => angstrom(axis, voxel).toFixed(1)).join(", ");
  const entries = [["x, y, z", `${place} Å`], ...META.volumes.map(({ id, short, kind }) =>
    [short, kind === "density" ? shortNumber(valueHere(id)) : valueHere(id).toFixed(kind === "signed" ? 0 : 2)])];
  document.getElementById("readout").replaceChildren(...entries.map(([name, value]) =>
    element("span", {}, `${name} `, element("b", { textContent: value }))));
}

function setCross(...place) {
  place.forEach((value, axis) => { crosshair[axis] = clamp(Math.round(value), 0, SIZE[axis] - 1); });
  drawSlices(false);
  for (const listener of crossListeners) listener(...crosshair);
}
