// Surfaces at a level of a grid of bytes: surface nets. One vertex for each cell that the surface crosses, at the
// mean of the crossings of its edges; one quadrangle for each edge of the grid that crosses the level.

const DUST_SHARE = 1 / 500, LEAST_DUST = 40; // of the vertices: smaller pieces are noise and left out
const COARSE = 4; // voxels an edge of the cells in which the surroundings are looked at
const EDGES = [0, 1, 0, 2, 0, 4, 1, 3, 1, 5, 2, 3, 2, 6, 3, 7, 4, 5, 4, 6, 5, 7, 6, 7];

function surfaceNets(volume, size, level) {
  const [nx, ny, nz] = size, sy = nx, sz = nx * ny;
  let position = new Float32Array(3 << 16), vertices = 0;
  let index = new Uint32Array(1 << 18), count = 0;
  const layers = [new Int32Array(sz), new Int32Array(sz)], value = new Float32Array(8);
  const quadrangle = (a, b, c, d, turned) => {
    if (count + 6 > index.length) { const more = new Uint32Array(2 * index.length); more.set(index); index = more; }
    if (!turned) { const swap = b; b = d; d = swap; }
    index[count] = a; index[count + 1] = b; index[count + 2] = c;
    index[count + 3] = a; index[count + 4] = c; index[count + 5] = d;
    count += 6;
  };
  for (let z = 0; z < nz - 1; z++) {
    const here = layers[z & 1], below = layers[1 - (z & 1)];
    for (let y = 0; y < ny - 1; y++) {
      let p = z * sz + y * sy;
      // corner k of a cell is at x + (k & 1), y + (k >> 1 & 1), z + (k >> 2); those at x are the right ones of the last
      let right = (volume[p] > level) | (volume[p + sy] > level) << 2 | (volume[p + sz] > level) << 4
        | (volume[p + sz + sy] > level) << 6;
      for (let x = 0; x < nx - 1; x++, p++) {
        const left = right, q = p + 1;
        right = (volume[q] > level) | (volume[q + sy] > level) << 2 | (volume[q + sz] > level) << 4
          | (volume[q + sz + sy] > level) << 6;
        const inside = left | right << 1;
        if (inside === 0 || inside === 255) continue;
        value[0] = volume[p]; value[1] = volume[q]; value[2] = volume[p + sy]; value[3] = volume[q + sy];
        value[4] = volume[p + sz]; value[5] = volume[q + sz]; value[6] = volume[p + sz + sy]; value[7] = volume[q + sz + sy];
        let n = 0, px = 0, py = 0, pz = 0;
        for (let e = 0; e < 24; e += 2) {
          const a = EDGES[e], b = EDGES[e + 1];
          if (((inside >> a) ^ (inside >> b)) & 1) {
            const t = (level - value[a]) / (value[b] - value[a]);
            px += (a & 1) + t * ((b & 1) - (a & 1));
            py += (a >> 1 & 1) + t * ((b >> 1 & 1) - (a >> 1 & 1));
            pz += (a >> 2) + t * ((b >> 2) - (a >> 2));
            n++;
          }
        }
        if (3 * vertices + 3 > position.length) {
          const more = new Float32Array(2 * position.length); more.set(position); position = more;
        }
        position[3 * vertices] = x + px / n; position[3 * vertices + 1] = y + py / n; position[3 * vertices + 2] = z + pz / n;
        const cell = y * nx + x, first = inside & 1;
        here[cell] = vertices;
        if (y && z && first !== (inside >> 1 & 1)) quadrangle(vertices, here[cell - nx], below[cell - nx], below[cell], first);
        if (x && z && first !== (inside >> 2 & 1)) quadrangle(vertices, below[cell], below[cell - 1], here[cell - 1], first);
        if (x && y && first !== (inside >> 4 & 1)) quadrangle(vertices, here[cell - 1], here[cell - 1 - nx], here[cell - nx], first);
        vertices++;
      }
    }
  }
  return { position: position.slice(0, 3 * vertices), index: withoutDust(index.slice(0, count), vertices) };
}

// Triangles of pieces with enough vertices, found by joining what a triangle joins.
function withoutDust(index, vertices) {
  const parent = new Int32Array(vertices);
  for (let i = 0; i < vertices; i++) parent[i] = i;
  const root = i => { while (parent[i] !== i) { parent[i] = parent[parent[i]]; i = parent[i]; } return i; };
  for (let k = 0; k < index.length; k += 3) {
    const a = root(index[k]);
    parent[root(index[k + 1])] = a;
    parent[root(index[k + 2])] = a;
  }
  const members = new Int32Array(vertices);
  for (let i = 0; i < vertices; i++) members[root(i)]++;
  const least = Math.max(LEAST_DUST, vertices * DUST_SHARE);
  let kept = 0;
  for (let k = 0; k < index.length; k += 3) {
    if (members[root(index[k])] < least) continue;
    index[kept] = index[k]; index[kept + 1] = index[k + 1]; index[kept + 2] = index[k + 2];
    kept += 3;
  }
  // a map of many small pieces is better than none
  return kept ? index.slice(0, kept) : index;
}

// How full the surroundings of a point are, 0 to 1: the share of voxels above a level, blurred over coarse cells.
function crowding(volume, level) {
  const [nx, ny, nz] = SIZE, size = SIZE.map(n => Math.ceil(n / COARSE) + 1), [mx, my, mz] = size;
  let cells = new Float32Array(mx * my * mz);
  for (let z = 0, p = 0; z < nz; z++) for (let y = 0; y < ny; y++) {
    const row = (z >> 2) * mx * my + (y >> 2) * mx;
    for (let x = 0; x < nx; x++, p++) if (volume[p] > level) cells[row + (x >> 2)] += 1 / 64;
  }
  const blurred = (from, stride, n) => {
    const to = new Float32Array(from.length);
    for (let i = 0; i < from.length; i++) {
      const place = (i / stride | 0) % n;
      to[i] = .5 * from[i] + .25 * ((place ? from[i - stride] : 0) + (place < n - 1 ? from[i + stride] : 0));
    }
    return to;
  };
  for (let round = 0; round < 2; round++) {
    cells = blurred(cells, 1, mx);
    cells = blurred(cells, mx, my);
    cells = blurred(cells, mx * my, mz);
  }
  const sample = sampler(cells, size), shift = .5 - .5 / COARSE;
  return (x, y, z) => sample(x / COARSE - shift, y / COARSE - shift, z / COARSE - shift);
}

// What the surface of a map at a level looks like before it is coloured: a mesh, its normals, and the light that reaches it.
function shapeOf(id, level, coarse) {
  const volume = shownBytes(id, level), byte = toByte(id, level);
  let mesh;
  if (coarse) {
    if (!halves.has(volume)) halves.set(volume, halved(volume));
    const half = halves.get(volume);
    mesh = surfaceNets(half.volume, half.size, byte);
    for (let i = 0; i < mesh.position.length; i++) mesh.position[i] = 2 * mesh.position[i] + .5;
  } else mesh = surfaceNets(volume, SIZE, byte);
  const at = sampler(volume, SIZE), crowd = crowding(volume, byte), step = coarse ? 1.5 : 1;
  const { position } = mesh, vertices = position.length / 3;
  const normal = new Int8Array(4 * vertices), light = new Float32Array(vertices);
  for (let i = 0; i < vertices; i++) {
    const x = position[3 * i], y = position[3 * i + 1], z = position[3 * i + 2];
    let gx = at(x - step, y, z) - at(x + step, y, z), gy = at(x, y - step, z) - at(x, y + step, z);
    let gz = at(x, y, z - step) - at(x, y, z + step);
    const length = Math.hypot(gx, gy, gz) || 1;
    gx /= length; gy /= length; gz /= length;
    normal[4 * i] = Math.round(127 * gx); normal[4 * i + 1] = Math.round(127 * gy); normal[4 * i + 2] = Math.round(127 * gz);
    light[i] = clamp(1.14 - 1.2 * crowd(x + 3 * gx, y + 3 * gy, z + 3 * gz), .4, 1);
  }
  return { ...mesh, normal, light };
}
const halves = new WeakMap();

// Colour of each vertex. A surface is where density ends: what it is the surface of lies up to a kernel's radius below,
// so the largest of three values down to there counts.
function colourOf(shape, id) {
  const { position, normal, light } = shape, vertices = light.length, colour = new Uint8Array(4 * vertices);
  const region = chosenRegion();
  if (id === "none") {
    for (let i = 0; i < vertices; i++) {
      const grey = 205 * light[i], own = region && belongs(region, position[3 * i], position[3 * i + 1], position[3 * i + 2], 0, 0, 0);
      for (let j = 0; j < 3; j++) colour[4 * i + j] = own ? PART_RGB[j] * light[i] : grey;
      colour[4 * i + 3] = 255;
    }
    return colour;
  }
  const { kind } = info(id), at = (kind === "labels" ? nearest : sampler)(volumes[id], SIZE), table = surfaceTable(id);
  const depth = (info(id).flat ? 0 : META.inside) / 127;
  for (let i = 0; i < vertices; i++) {
    const x = position[3 * i], y = position[3 * i + 1], z = position[3 * i + 2];
    const dx = depth * normal[4 * i], dy = depth * normal[4 * i + 1], dz = depth * normal[4 * i + 2];
    const value = Math.max(at(x, y, z), at(x - dx / 2, y - dy / 2, z - dz / 2), at(x - dx, y - dy, z - dz));
    const entry = 3 * Math.round(value);
    const pale = region && !belongs(region, x, y, z, dx / 2, dy / 2, dz / 2);
    for (let j = 0; j < 3; j++) colour[4 * i + j] = (pale ? PALE : table[entry + j]) * light[i];
    colour[4 * i + 3] = 255;
  }
  return colour;
}
