// What the page carries: grids of bytes, what they mean, and their colours.

const META = JSON.parse(document.getElementById("meta").textContent);
const SIZE = META.grid.size; // voxels along x, y, z; x is fastest
const VOXELS = SIZE[0] * SIZE[1] * SIZE[2];
const volumes = {}; // id -> Uint8Array

const SHARPEST = 3; // slices fade in the rim of content, the surface ends where they have faded to a third

const clamp = (value, low, high) => value < low ? low : value > high ? high : value;
const info = id => META.volumes.find(volume => volume.id === id);
const toByte = (id, value) => (value - info(id).low) / (info(id).high - info(id).low) * 255;
const fromByte = (id, byte) => info(id).low + byte / 255 * (info(id).high - info(id).low);
const angstrom = (axis, voxel) => META.grid.origin[axis] + voxel * META.grid.spacing;
const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Densities have any size: three digits, and powers of ten where there would be many zeros.
function shortNumber(value) {
  const size = Math.abs(value);
  return size >= 1e5 || (size && size < 1e-3) ? value.toExponential(2) : String(+value.toPrecision(3));
}

// What a surface is drawn of: the density without solvent and without islands of it.
const cleaned = {};
function surfaceBytes(id) {
  if (cleaned[id]) return cleaned[id];
  const volume = volumes[id], seen = volumes.seen, out = cleaned[id] = new Uint8Array(VOXELS);
  const zero = clamp(toByte(id, info(id).zero), 0, 255);
  for (let i = 0; i < VOXELS; i++) out[i] = Math.round(zero + (volume[i] - zero) * Math.min(1, SHARPEST * seen[i] / 255));
  return out;
}

// A volume as slices show it: the rim of content at the scale of what it is the rim of. Layer by layer from inside, a
// voxel takes the largest value beside it that lies further inside, or where there is none that of a voxel of its layer
// that has taken one.
const filled = {};
function sliceBytes(id) {
  if (info(id).kind !== "scale") return volumes[id];
  if (filled[id]) return filled[id];
  const out = filled[id] = volumes[id].slice(), { seen } = volumes, [nx, ny, nz] = SIZE;
  const layers = new Map();
  for (let p = 0; p < VOXELS; p++) if (seen[p] && seen[p] < 255) {
    if (!layers.has(seen[p])) layers.set(seen[p], []);
    layers.get(seen[p]).push(p);
  }
  const largestBeside = (p, counts) => {
    const x = p % nx, y = (p / nx | 0) % ny, z = p / (nx * ny) | 0;
    let best = 0;
    for (let dz = z ? -1 : 0; dz <= (z < nz - 1 ? 1 : 0); dz++) for (let dy = y ? -1 : 0; dy <= (y < ny - 1 ? 1 : 0); dy++)
      for (let dx = x ? -1 : 0; dx <= (x < nx - 1 ? 1 : 0); dx++) {
        const q = p + dx + nx * (dy + ny * dz);
        if (out[q] > best && counts(q)) best = out[q];
      }
    return best;
  };
  for (const depth of [...layers.keys()].sort((a, b) => b - a)) {
    const alone = new Set();
    for (const p of layers.get(depth)) {
      const best = largestBeside(p, q => seen[q] > depth);
      if (!best) alone.add(p);
      out[p] = Math.max(out[p], best);
    }
    for (const p of alone) out[p] = Math.max(out[p], largestBeside(p, q => seen[q] === depth && !alone.has(q)));
  }
  return out;
}

async function unpack(id) {
  const text = atob(document.getElementById("volume-" + id).textContent.trim());
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  if (bytes.length !== VOXELS) throw new Error(`${id}: ${bytes.length} bytes instead of ${VOXELS}`);
  volumes[id] = bytes;
}

// ---- colours

const rgbOf = colour => [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16));

// 256 colours of three bytes, straight lines between stops [place from 0 to 1, [r, g, b]].
function colourTable(stops) {
  const table = new Uint8Array(768);
  for (let i = 0; i < 256; i++) {
    const place = i / 255;
    let k = 1;
    while (k < stops.length - 1 && place > stops[k][0]) k++;
    const [from, a] = stops[k - 1], [to, b] = stops[k];
    const share = clamp((place - from) / (to - from || 1), 0, 1);
    for (let j = 0; j < 3; j++) table[3 * i + j] = Math.round(a[j] + share * (b[j] - a[j]));
  }
  return table;
}

const surfaceTable = id => colourTable(info(id).stops.map(([place, colour]) => [place, rgbOf(colour)]));

// In slices, what means nothing fades into the page.
function sliceTable(id) {
  const volume = info(id);
  if (volume.kind === "density") return colourTable([[0, [0, 0, 0]], [1, [255, 255, 255]]]);
  const page = rgbOf(style("--slice-back"));
  if (volume.kind === "share") return colourTable([[0, page], [1, rgbOf(style(volume.ink))]]);
  const stops = volume.stops.map(([place, colour]) => [place, rgbOf(colour)]);
  if (volume.kind === "signed") return colourTable([stops[0], [stops[1][0], page], stops[2]]);
  return colourTable([[0, page], [stops[0][0] / 2, page], ...stops]);
}

// ---- values between voxels

// A function of x, y, z in voxels: value of a volume, straight lines between voxels.
function sampler(volume, size) {
  const [nx, ny, nz] = size, sy = nx, sz = nx * ny;
  return (x, y, z) => {
    x = clamp(x, 0, nx - 1.001); y = clamp(y, 0, ny - 1.001); z = clamp(z, 0, nz - 1.001);
    const i = x | 0, j = y | 0, k = z | 0, fx = x - i, fy = y - j, fz = z - k, p = i + j * sy + k * sz;
    const a = volume[p] + fx * (volume[p + 1] - volume[p]);
    const b = volume[p + sy] + fx * (volume[p + sy + 1] - volume[p + sy]);
    const q = p + sz;
    const c = volume[q] + fx * (volume[q + 1] - volume[q]);
    const d = volume[q + sy] + fx * (volume[q + sy + 1] - volume[q + sy]);
    const near = a + fy * (b - a);
    return near + fz * (c + fy * (d - c) - near);
  };
}

// The same for numbers that name something, and have nothing between them: that of the nearest voxel.
function nearest(volume, [nx, ny, nz]) {
  return (x, y, z) => volume[clamp(Math.round(x), 0, nx - 1) + nx * (clamp(Math.round(y), 0, ny - 1)
    + ny * clamp(Math.round(z), 0, nz - 1))];
}

// A volume of half the grid: means of two voxels along each axis.
function halved(volume) {
  const [nx, ny, nz] = SIZE, size = SIZE.map(n => Math.max(2, n >> 1)), [mx, my, mz] = size;
  const out = new Uint8Array(mx * my * mz), sy = nx, sz = nx * ny;
  const dx = nx > 1 ? 1 : 0, dy = ny > 1 ? sy : 0, dz = nz > 1 ? sz : 0;
  for (let z = 0, o = 0; z < mz; z++) for (let y = 0; y < my; y++) {
    let p = Math.min(2 * z, nz - 1 - (dz > 0)) * sz + Math.min(2 * y, ny - 1 - (dy > 0)) * sy;
    for (let x = 0; x < mx; x++, p += 2, o++) {
      out[o] = (volume[p] + volume[p + dx] + volume[p + dy] + volume[p + dx + dy] + volume[p + dz] + volume[p + dz + dx]
        + volume[p + dz + dy] + volume[p + dz + dy + dx] + 4) >> 3;
    }
  }
  return { volume: out, size };
}
