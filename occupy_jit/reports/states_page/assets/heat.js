// The heat map: parts in rows; volumes or states in columns; trees beside them where these give the order.

const CELL = 4; // pixels of a cell in the picture that is scaled to the screen
const LARGE = 8, MOST_LARGE = 6000; // pixels of a cell, and number of cells, that are hatched one by one
const HEAT = { what: "volumes", rows: [], columns: [], at: { row: 0, column: 0 }, view: null, picture: null, timings: [],
  groups: { rows: [], columns: [] }, folded: { rows: new Set(), columns: new Set() } };
// Rows and columns are numbers of parts, and of volumes or states; numbers beyond these are groups that are folded.
const FOLDS = { rows: [], columns: [] };
const frame = { left: 0, top: 0, width: 0, height: 0 };

function ordered(number, by, tree, filter, names) {
  const text = filter.trim().toLowerCase();
  const all = by ? Array.from({ length: number }, (_, k) => k).sort(by) : [...tree];
  return text ? all.filter(k => names[k].toLowerCase().includes(text)) : all;
}

const byName = names => { const order = new Intl.Collator(undefined, { numeric: true }).compare; return (a, b) => order(names[a], names[b]); };

// What a part is: as its name tells.
const GROUPS = {
  chain: name => name.split(/[/:]/)[0],
  beginning: name => (name.match(/^\d*[^\d/:]+/) || [name])[0],
  kind: name => /\/[A-Z0-9]{1,5}-?\d+[A-Z]?$/i.test(name) ? "ligands" : /[/:]/.test(name) ? "ranges" : /^block_\d+$/.test(name) ? "blocks" : "chains",
};

// An order with the members of each group together; a group that is folded is one row or column.
function grouped(order, group, side, number) {
  HEAT.groups[side] = [];
  FOLDS[side] = [];
  if (!group) return order;
  const by = new Map(), items = [];
  for (const k of order) by.has(group(k)) ? by.get(group(k)).push(k) : by.set(group(k), [k]);
  const names = [...by.keys()], inTurn = byName(names);
  for (const name of names.map((_, k) => k).sort(inTurn).map(k => names[k])) {
    const members = by.get(name), fold = members.length > 1 && HEAT.folded[side].has(name);
    HEAT.groups[side].push({ name, first: items.length, count: fold ? 1 : members.length, size: members.length, fold });
    if (fold) {
      items.push(number + FOLDS[side].length);
      FOLDS[side].push({ name, members });
    } else for (const k of members) items.push(k);
  }
  return items;
}

const stateOf = k => HEAT.what === "states" ? k : k < NV ? DATA.state[k] : DATA.state[FOLDS.columns[k - NV].members[0]];
const nameOfColumn = k => { const { number, names } = FOUND[HEAT.what]; return k < number ? names[k] : FOLDS.columns[k - number].name; };
const nameOfRow = k => k < NP ? DATA.parts[k] : `${FOLDS.rows[k - NP].name} (${FOLDS.rows[k - NP].members.length})`;

// Value, error and call of a cell. Folded volumes are their state; folded parts are their mean by size.
function cellOf(column, row) {
  const folded = column >= FOUND[HEAT.what].number, what = folded ? "states" : HEAT.what, found = FOUND[what];
  const k = folded ? stateOf(column) : column;
  if (row < NP) return [found.value[k * NP + row], found.error[k * NP + row], callOf(what, k, row)];
  let sum = 0, square = 0, weight = 0;
  for (const part of FOLDS.rows[row - NP].members) {
    const value = found.value[k * NP + part], size = DATA.atoms[part] || 1;
    if (Number.isNaN(value)) continue;
    sum += size * value;
    square += (size * found.error[k * NP + part]) ** 2;
    weight += size;
  }
  const value = weight ? sum / weight : NaN, error = weight ? Math.sqrt(square) / weight : NaN;
  return [value, error, !(Math.abs(value - DATA.threshold) > SURE * error) ? "undecided" : value > DATA.threshold ? "present" : "absent"];
}

function fold(side, name) {
  const folded = HEAT.folded[side];
  folded.has(name) ? folded.delete(name) : folded.add(name);
  arrange();
  strip();
  tell();
}

const groupAt = (side, place) => HEAT.groups[side].find(group => place >= group.first && place < group.first + group.count);

function arrange() {
  const { what } = HEAT, found = FOUND[what], rows = $("#sortrows").value, columns = $("#sortcolumns").value;
  const mean = p => { let sum = 0; for (let v = 0; v < NV; v++) sum += FOUND.volumes.value[v * NP + p] || 0; return sum; };
  const means = rows === "mean" ? DATA.parts.map((_, p) => mean(p)) : null;
  const rowBy = { tree: null, name: byName(DATA.parts), size: (a, b) => DATA.atoms[b] - DATA.atoms[a], mean: (a, b) => means[b] - means[a] }[rows];
  const rowGroup = GROUPS[$("#grouprows").value], byState = what === "volumes" && $("#groupcolumns").value === "state";
  HEAT.rows = grouped(ordered(NP, rowBy, DATA.part_leaves, $("#filterrows").value, DATA.parts), rowGroup && (k => rowGroup(DATA.parts[k])), "rows", NP);
  const value = k => { const x = found.value[k * NP + CHOSEN.part]; return Number.isNaN(x) ? -9 : x; };
  const state = what === "volumes" ? DATA.state : DATA.states.map((_, s) => s);
  const columnBy = { tree: null, name: byName(found.names), state: (a, b) => state[a] - state[b], part: (a, b) => value(b) - value(a),
    direction: what === "volumes" ? (a, b) => DATA.coordinate[a] - DATA.coordinate[b] : null }[columns];
  const [tree, leaves] = what === "volumes" ? [DATA.volume_tree, DATA.volume_leaves] : [DATA.state_tree, DATA.state_leaves];
  const inOrder = ordered(found.number, columnBy, leaves, $("#filtercolumns").value, found.names);
  HEAT.columns = grouped(inOrder, byState && (k => `state ${DATA.state[k] + 1}`), "columns", found.number);
  HEAT.rowTree = rows === "tree" && !rowGroup && HEAT.rows.length === NP && DATA.part_tree.length > 0 ? DATA.part_tree : null;
  HEAT.columnTree = columns === "tree" && !byState && HEAT.columns.length === found.number && tree.length > 0 ? tree : null;
  HEAT.picture = null;
  matrix();
  HEAT.at = { row: Math.max(0, HEAT.rows.indexOf(CHOSEN.part)), column: Math.max(0, HEAT.columns.indexOf(what === "volumes" ? CHOSEN.volume : CHOSEN.state)) };
  fit();
}

function picture() {
  if (HEAT.picture) return HEAT.picture;
  const { rows, columns } = HEAT, canvas = document.createElement("canvas");
  canvas.width = Math.max(1, columns.length * CELL);
  canvas.height = Math.max(1, rows.length * CELL);
  const pen = canvas.getContext("2d"), image = pen.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer), dark = 255 << 24;
  const card = rgbOf(css("--card").length === 7 ? css("--card") : "#ffffff");
  const packed = c => (dark | Math.round(c[2]) << 16 | Math.round(c[1]) << 8 | Math.round(c[0])) >>> 0;
  const blank = packed(card), plain = document.createElement("canvas");
  [plain.width, plain.height] = [Math.max(1, columns.length), Math.max(1, rows.length)];
  const brush = plain.getContext("2d"), cells = brush.createImageData(plain.width, plain.height), colours = new Uint32Array(cells.data.buffer);
  HEAT.plain = plain; // a pixel a cell, without hatching
  HEAT.undecided = new Uint8Array(rows.length * columns.length);
  for (let c = 0; c < columns.length; c++) for (let r = 0; r < rows.length; r++) {
    const [value, , call] = cellOf(columns[c], rows[r]), hatched = call === "undecided";
    const colour = Number.isNaN(value) ? blank : packed(colourOf(value));
    colours[r * columns.length + c] = colour;
    HEAT.undecided[r * columns.length + c] = hatched;
    for (let y = 0; y < CELL; y++) for (let x = 0; x < CELL; x++) {
      pixels[(r * CELL + y) * canvas.width + c * CELL + x] = hatched && (x + y) % CELL < 2 ? blank : colour;
    }
  }
  pen.putImageData(image, 0, 0);
  brush.putImageData(cells, 0, 0);
  return HEAT.picture = canvas;
}

function measure() {
  const host = $("#heat"), narrow = host.clientWidth < 600;
  frame.left = (HEAT.rowTree ? (narrow ? 34 : 76) : HEAT.groups.rows.length ? (narrow ? 44 : 76) : 0) + 2;
  frame.top = (HEAT.columnTree ? (narrow ? 34 : 64) : HEAT.groups.columns.length ? 24 : 0) + 2;
  // no higher than its rows need
  const wanted = Math.max(180, Math.min(innerHeight * (narrow ? .62 : .7), frame.top + 66 + 26 * Math.max(1, HEAT.rows.length)));
  if (Math.abs(host.clientHeight - wanted) > 1) host.style.height = `${wanted}px`;
  const box = host.getBoundingClientRect();
  frame.whole = [box.width, box.height];
  frame.labels = narrow ? 58 : 110;
  frame.width = Math.max(20, box.width - frame.left - frame.labels);
  frame.height = Math.max(20, box.height - frame.top - 64);
}

function fit() {
  measure();
  const n = Math.max(1, HEAT.columns.length), m = Math.max(1, HEAT.rows.length);
  HEAT.view = { x: 0, y: 0, sx: Math.min(60, frame.width / n), sy: Math.min(26, frame.height / m) };
  draw();
}

function clampView() {
  const v = HEAT.view, n = HEAT.columns.length, m = HEAT.rows.length;
  v.sx = Math.min(80, Math.max(Math.min(60, frame.width / n), v.sx));
  v.sy = Math.min(40, Math.max(Math.min(26, frame.height / m), v.sy));
  v.x = Math.max(0, Math.min(v.x, n - frame.width / v.sx));
  v.y = Math.max(0, Math.min(v.y, m - frame.height / v.sy));
}

function zoom(factor, px, py) {
  const v = HEAT.view, x = v.x + (px - frame.left) / v.sx, y = v.y + (py - frame.top) / v.sy;
  v.sx *= factor;
  v.sy *= factor;
  clampView();
  v.x = x - (px - frame.left) / v.sx;
  v.y = y - (py - frame.top) / v.sy;
  clampView();
  soon();
}

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function sized(canvas) {
  const ratio = Math.min(2, devicePixelRatio || 1), [width, height] = frame.whole;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

function draw() {
  if (!HEAT.view) return;
  const begin = performance.now(), pen = sized($("#heatmain")), v = HEAT.view, source = picture();
  const n = Math.min(HEAT.columns.length - v.x, frame.width / v.sx), m = Math.min(HEAT.rows.length - v.y, frame.height / v.sy);
  if (n > 0 && m > 0 && Math.max(v.sx, v.sy) >= LARGE && n * m < MOST_LARGE) largeCells(pen, n, m);
  else if (n > 0 && m > 0) {
    pen.imageSmoothingEnabled = Math.min(v.sx, v.sy) < 1.5 || Math.max(v.sx, v.sy) < CELL;
    pen.drawImage(source, v.x * CELL, v.y * CELL, n * CELL, m * CELL, frame.left, frame.top, n * v.sx, m * v.sy);
  }
  labels(pen, n, m);
  if (HEAT.columnTree) drawTree(pen, HEAT.columnTree, HEAT.columns.length, HEAT.columns, true);
  if (HEAT.rowTree) drawTree(pen, HEAT.rowTree, NP, HEAT.rows, false);
  drawGroups(pen, true);
  drawGroups(pen, false);
  mark();
  HEAT.timings.push(performance.now() - begin);
  if (HEAT.timings.length > 200) HEAT.timings.shift();
}

// hatched as fine as the screen allows, however wide the cells are
function largeCells(pen, n, m) {
  const v = HEAT.view, tile = document.createElement("canvas"), back = css("--card");
  tile.width = tile.height = 6;
  const brush = tile.getContext("2d");
  brush.strokeStyle = back;
  brush.lineWidth = 1.8;
  brush.beginPath();
  for (const shift of [-6, 0, 6]) { brush.moveTo(shift - 1, 7); brush.lineTo(shift + 7, -1); }
  brush.stroke();
  const hatch = pen.createPattern(tile, "repeat");
  pen.save();
  pen.beginPath();
  pen.rect(frame.left, frame.top, n * v.sx, m * v.sy);
  pen.clip();
  pen.imageSmoothingEnabled = false;
  pen.drawImage(HEAT.plain, v.x, v.y, n, m, frame.left, frame.top, n * v.sx, m * v.sy);
  pen.beginPath();
  for (let r = Math.floor(v.y); r < v.y + m; r++) for (let c = Math.floor(v.x); c < v.x + n; c++) {
    if (HEAT.undecided[r * HEAT.columns.length + c]) pen.rect(frame.left + (c - v.x) * v.sx, frame.top + (r - v.y) * v.sy, v.sx, v.sy);
  }
  pen.fillStyle = hatch;
  pen.fill();
  pen.restore();
}

// a bracket and the name of each group; a click there folds it
function drawGroups(pen, above) {
  const v = HEAT.view, side = above ? "columns" : "rows", size = above ? v.sx : v.sy, first = above ? v.x : v.y;
  const start = above ? frame.left : frame.top, end = start + Math.min(above ? frame.width : frame.height, HEAT[side].length * size);
  pen.font = "12px sans-serif";
  pen.textBaseline = "middle";
  for (const { name, first: at, count, fold, size: members } of HEAT.groups[side]) {
    const low = Math.max(start, start + (at - first) * size), high = Math.min(end, start + (at + count - first) * size);
    if (high - low < 1) continue;
    pen.strokeStyle = css("--card");
    pen.lineWidth = 2;
    pen.beginPath();
    above ? (pen.moveTo(high, frame.top), pen.lineTo(high, frame.top + frame.height)) : (pen.moveTo(frame.left, high), pen.lineTo(frame.left + frame.width, high));
    pen.stroke();
    pen.strokeStyle = css("--soft");
    pen.lineWidth = 1.5;
    pen.beginPath();
    above ? (pen.moveTo(low + 1, frame.top - 4), pen.lineTo(high - 2, frame.top - 4)) : (pen.moveTo(frame.left - 4, low + 1), pen.lineTo(frame.left - 4, high - 2));
    pen.stroke();
    const text = `${members > 1 ? (fold ? "▸ " : "▾ ") : ""}${name}`, room = above ? high - low : frame.left - 8;
    if (above ? pen.measureText(text).width > room + 8 : high - low < 11) continue;
    pen.fillStyle = css("--ink");
    pen.save();
    pen.beginPath();
    pen.rect(above ? low : 0, above ? 0 : low, above ? high - low : frame.left - 6, above ? frame.top : high - low);
    pen.clip();
    pen.fillText(text, above ? low + 2 : 1, above ? frame.top - 13 : (low + high) / 2);
    pen.restore();
  }
}

function labels(pen, n, m) {
  const v = HEAT.view, right = frame.left + Math.max(0, n) * v.sx + 6;
  pen.font = "12px sans-serif";
  pen.textBaseline = "middle";
  const step = Math.max(1, Math.ceil(12 / v.sy)), own = HEAT.rows.indexOf(CHOSEN.part), soft = css("--soft"), ink = css("--ink");
  for (let r = Math.ceil(v.y); r < v.y + m; r++) {
    if (r !== own && (r % step || (own >= 0 && Math.abs(r - own) * v.sy < 12))) continue;
    pen.fillStyle = r === own ? ink : soft;
    const y = frame.top + (r + .5 - v.y) * v.sy;
    if (y < frame.top || y > frame.top + frame.height) continue;
    pen.fillText(nameOfRow(HEAT.rows[r]).slice(0, 16), right, y);
  }
  const skip = Math.max(1, Math.ceil(14 / v.sx)), bottom = frame.top + Math.max(0, m) * v.sy + 4;
  pen.fillStyle = soft;
  for (let c = Math.ceil(v.x); c < v.x + n; c++) {
    if (c % skip) continue;
    const x = frame.left + (c + .5 - v.x) * v.sx;
    if (x > frame.left + frame.width) continue;
    pen.save();
    pen.translate(x, bottom);
    pen.rotate(Math.PI / 3);
    pen.fillText(nameOfColumn(HEAT.columns[c]).slice(0, 12), 0, 0);
    pen.restore();
  }
}

// leaves stand at the middle of their cells; a merge joins the middles of its two sides
function drawTree(pen, tree, number, order, above) {
  const v = HEAT.view, room = (above ? frame.top : frame.left) - 6;
  const place = new Float64Array(number + tree.length), height = new Float64Array(number + tree.length);
  order.forEach((leaf, k) => { place[leaf] = above ? frame.left + (k + .5 - v.x) * v.sx : frame.top + (k + .5 - v.y) * v.sy; });
  const most = Math.log1p(Math.max(...tree.map(merge => merge[2] || 0), 1e-9));
  pen.save();
  pen.beginPath();
  pen.rect(above ? frame.left : 0, above ? 0 : frame.top, above ? frame.width : frame.left, above ? frame.top : frame.height);
  pen.clip();
  pen.beginPath();
  tree.forEach(([one, other, h], k) => {
    const node = number + k, top = room * Math.log1p(Math.max(0, h || 0)) / most;
    const [a, b] = [place[one], place[other]], edge = room + 3;
    place[node] = (a + b) / 2;
    height[node] = top;
    const points = [[a, height[one]], [a, top], [b, top], [b, height[other]]];
    points.forEach(([along, up], i) => {
      const [x, y] = above ? [along, edge - up] : [edge - up, along];
      i ? pen.lineTo(x, y) : pen.moveTo(x, y);
    });
  });
  pen.strokeStyle = css("--soft");
  pen.lineWidth = 1;
  pen.stroke();
  pen.restore();
}

function mark() {
  const pen = sized($("#heatover")), v = HEAT.view, { row, column } = HEAT.at;
  if (!HEAT.rows.length || !HEAT.columns.length) return;
  const x = frame.left + (column - v.x) * v.sx, y = frame.top + (row - v.y) * v.sy;
  pen.strokeStyle = css("--cross");
  pen.lineWidth = 1;
  const across = Math.min(frame.width, HEAT.columns.length * v.sx), down = Math.min(frame.height, HEAT.rows.length * v.sy);
  if (y >= frame.top - 1 && y < frame.top + frame.height) pen.strokeRect(frame.left, y, across, v.sy);
  if (x >= frame.left - 1 && x < frame.left + frame.width) pen.strokeRect(x, frame.top, v.sx, down);
  pen.lineWidth = 2.5;
  if (x >= frame.left - 1 && y >= frame.top - 1 && x < frame.left + frame.width) pen.strokeRect(x, y, Math.max(4, v.sx), Math.max(4, v.sy));
}

function words(row, column) {
  const k = HEAT.columns[column], [value, error, call] = cellOf(k, HEAT.rows[row]);
  const of = HEAT.what === "volumes" && k < NV ? `, state ${DATA.state[k] + 1}` : "";
  return `${nameOfRow(HEAT.rows[row])} in ${nameOfColumn(k)}${of}: ${withError(value, error)}, ${call}`;
}

function cellAt(event) {
  const box = $("#heat").getBoundingClientRect(), v = HEAT.view, px = event.clientX - box.left, py = event.clientY - box.top;
  const column = Math.floor(v.x + (px - frame.left) / v.sx), row = Math.floor(v.y + (py - frame.top) / v.sy);
  const inside = row >= 0 && row < HEAT.rows.length && py >= frame.top && py < frame.top + frame.height;
  return { px, py, row: inside ? row : -1, column: px >= frame.left && px < frame.left + frame.width && column >= 0 && column < HEAT.columns.length ? column : -1 };
}

function tell() {
  const { row, column } = HEAT.at, chosen = $("#chosen");
  if (!HEAT.rows.length || !HEAT.columns.length) { chosen.textContent = "Nothing passes the filters."; return; }
  chosen.textContent = words(row, column) + ". ";
  const address = HEAT.what === "volumes" ? DATA.reports[HEAT.columns[column]] : null;
  if (address) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = "Open its report";
    chosen.append(link);
  }
}

function choose(row, column, only = false) {
  HEAT.at = { row, column: only ? HEAT.at.column : column };
  const k = HEAT.columns[HEAT.at.column];
  if (HEAT.rows[row] < NP) choosePart(HEAT.rows[row]);
  if (!only) chooseColumn(k);
  light();
  tell();
  draw();
}

function chooseColumn(k) {
  if (HEAT.what === "volumes" && k < NV) CHOSEN.volume = k;
  chooseState(stateOf(k));
}

function openCell() {
  const k = HEAT.columns[HEAT.at.column];
  if (HEAT.what === "states" || k >= NV) $(`tr[data-state="${stateOf(k) + 1}"] button`).focus();
  else if (DATA.reports[k]) location.href = DATA.reports[k];
}

function move(dr, dc) {
  if (!HEAT.rows.length || !HEAT.columns.length) return;
  const row = Math.min(HEAT.rows.length - 1, Math.max(0, HEAT.at.row + dr)), column = Math.min(HEAT.columns.length - 1, Math.max(0, HEAT.at.column + dc));
  const v = HEAT.view;
  v.x = Math.min(column, Math.max(v.x, column + 1 - frame.width / v.sx));
  v.y = Math.min(row, Math.max(v.y, row + 1 - frame.height / v.sy));
  choose(row, column);
}

function startHeat() {
  const over = $("#heatover"), tip = $("#tip"), fingers = new Map();
  let drag = null, spread = 0;
  over.addEventListener("pointerdown", event => {
    over.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    drag = { x: event.clientX, y: event.clientY, moved: fingers.size > 1 };
    spread = 0;
  });
  const lift = event => {
    fingers.delete(event.pointerId);
    if (event.type === "pointerup" && drag && !drag.moved) {
      const { px, py, row, column } = cellAt(event);
      const across = px < frame.left && groupAt("rows", HEAT.view.y + (py - frame.top) / HEAT.view.sy);
      const down = py < frame.top && groupAt("columns", HEAT.view.x + (px - frame.left) / HEAT.view.sx);
      if (across && row >= 0) fold("rows", across.name);
      else if (down && column >= 0) fold("columns", down.name);
      else if (row >= 0) choose(row, column, column < 0);
    }
    if (!fingers.size) drag = null;
  };
  over.addEventListener("pointerup", lift);
  over.addEventListener("pointercancel", lift);
  over.addEventListener("pointermove", event => {
    const v = HEAT.view;
    if (fingers.has(event.pointerId)) {
      const before = fingers.get(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      if (fingers.size === 2) {
        const [a, b] = [...fingers.values()], now = Math.hypot(a[0] - b[0], a[1] - b[1]), box = over.getBoundingClientRect();
        if (spread) zoom(now / spread, (a[0] + b[0]) / 2 - box.left, (a[1] + b[1]) / 2 - box.top);
        spread = now;
      } else if (drag && (drag.moved || Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 5)) {
        drag.moved = true;
        v.x -= (event.clientX - before[0]) / v.sx;
        v.y -= (event.clientY - before[1]) / v.sy;
        clampView();
        soon();
      }
    }
    const { px, py, row, column } = cellAt(event);
    tip.hidden = row < 0 || column < 0 || fingers.size > 0;
    if (tip.hidden) return;
    tip.textContent = words(row, column);
    tip.style.left = `${Math.max(0, Math.min(px + 14, frame.whole[0] - tip.offsetWidth - 4))}px`;
    tip.style.top = `${py + 18 + tip.offsetHeight > frame.whole[1] ? py - tip.offsetHeight - 8 : py + 14}px`;
  });
  over.addEventListener("pointerleave", () => { tip.hidden = true; });
  over.addEventListener("dblclick", openCell);
  // the wheel scrolls the page until the heat map has the focus
  over.addEventListener("wheel", event => {
    if (document.activeElement !== over && !event.ctrlKey) return;
    event.preventDefault();
    const box = over.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  over.addEventListener("keydown", event => {
    const keys = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }, middle = [frame.left + frame.width / 2, frame.top + frame.height / 2];
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (keys[event.key]) move(...keys[event.key]);
    else if (event.key === "Enter") openCell();
    else if (event.key === "+" || event.key === "=") zoom(1.4, ...middle);
    else if (event.key === "-") zoom(1 / 1.4, ...middle);
    else if (event.key === "0") fit();
    else if (event.key === "f" && groupAt("rows", HEAT.at.row)) fold("rows", groupAt("rows", HEAT.at.row).name);
    else if (event.key === "F" && groupAt("columns", HEAT.at.column)) fold("columns", groupAt("columns", HEAT.at.column).name);
    else return;
    event.preventDefault();
  });
  $("#columns").addEventListener("change", event => { HEAT.what = event.target.value; arrange(); tell(); });
  for (const name of ["#sortrows", "#sortcolumns", "#grouprows", "#groupcolumns"]) $(name).addEventListener("change", () => { arrange(); strip(); tell(); });
  for (const name of ["#filterrows", "#filtercolumns"]) $(name).addEventListener("input", () => { arrange(); strip(); tell(); });
  $("#fit").addEventListener("click", fit);
  new ResizeObserver(fit).observe($("#heat"));
  $("#heatpng").addEventListener("click", () => $("#heatmain").toBlob(blob => save("heat_map.png", blob)));
  $("#heatsvg").addEventListener("click", () => save("heat_map.svg", heatSvg(), "image/svg+xml"));
}

const escaped = text => text.replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

// all cells, not only those on the screen; the cells as a picture, names as text
function heatSvg() {
  const size = 14, source = picture(), width = HEAT.columns.length * size, height = HEAT.rows.length * size;
  const rows = HEAT.rows.map((p, r) => `<text x="${width + 5}" y="${r * size + 11}">${escaped(nameOfRow(p))}<\/text>`);
  const columns = HEAT.columns.map((k, c) => `<text transform="translate(${c * size + 4},${height + 6}) rotate(60)">${escaped(nameOfColumn(k))}<\/text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width + 130} ${height + 130}" font-family="sans-serif" font-size="11"><image href="${source.toDataURL()}" width="${width}" height="${height}" preserveAspectRatio="none" style="image-rendering:pixelated"/>${rows.join("")}${columns.join("")}<\/svg>`;
}
