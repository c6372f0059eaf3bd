// The surface view: WebGL 2, one mesh, two lights, fog; turned, moved, zoomed, cut and picked.

const SOFTWARE = /swiftshader|llvmpipe|software|basic render|softpipe/i;
const SLOW_FRAME = 45; // ms: above, half of the grid is drawn while the view turns
const MANY_TRIANGLES = 40000; // that a renderer without a graphics card draws while it turns
const TURN = Math.PI / 350, KEY_TURN = .12; // radians for each pixel, each key
const FOG_START = .15, FOG_END = 2.9; // radii of the content behind its centre

function startSurface(host, poster) {
  const canvas = document.createElement("canvas");
  const soft = softwareRenderer();
  if (soft === null) return null;
  // without a graphics card smooth edges cost more than half of the time
  const gl = canvas.getContext("webgl2", { antialias: !soft, alpha: false, powerPreference: "high-performance" });
  if (!gl) return null;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label",
    "Surface of the map. Drag or use the arrow keys to turn it, plus and minus to zoom, R to reset.");
  host.append(canvas);

  const surface = program(gl, VERTEX_SHADER, FRAGMENT_SHADER), lines = program(gl, LINE_VERTEX_SHADER, LINE_FRAGMENT_SHADER);
  const fine = meshBuffers(gl, surface), coarse = meshBuffers(gl, surface);
  const cubeBars = barBuffers(gl, lines), crossBars = barBuffers(gl, lines);
  const radius = META.grid.radius;
  const camera = { turn: [1, 0, 0, 0, 1, 0, 0, 0, 1], target: META.start.centre.slice(), half: radius };
  const state = { map: META.start.map, colour: META.start.colour, level: info(META.start.map).level, cut: 0, cube: false,
    part: null, alone: false };
  const view = { canvas, state, camera, triangles: 0, buildMs: 0, soft, frames: [] };
  const pointers = new Map();
  let resting = 0, moving = false, queued = false, lastFrame = 0, slow = soft, shownFine = false;

  // ---- drawing
  function resize() {
    // without a graphics card edges are smooth only at rest, from a picture of twice the size
    const ratio = soft ? (moving ? 1 : 2) : Math.min(devicePixelRatio, 2), width = Math.round(host.clientWidth * ratio);
    const height = Math.round(host.clientHeight * ratio);
    if (!width || !height || (canvas.width === width && canvas.height === height)) return;
    canvas.width = width;
    canvas.height = height;
    draw();
  }
  function stir() { // it moves, until nothing has stirred it for a while
    moving = true;
    clearTimeout(resting);
    if (!pointers.size) resting = setTimeout(rest, 250);
    resize();
    draw();
  }
  function rest() {
    moving = false;
    resize();
    draw();
  }
  function draw() {
    if (queued) return;
    queued = true;
    requestAnimationFrame(render);
  }
  function render() {
    queued = false;
    const { width, height } = canvas, aspect = width / height, tall = aspect < 1 ? camera.half / aspect : camera.half;
    const near = radius * (1.6 - 2.6 * state.cut), depth = near + 2.6 * radius;
    const frame = [1 / (tall * aspect), 1 / tall, near, 1 / depth];
    const back = rgbOf(style("--card")).map(c => c / 255);
    gl.viewport(0, 0, width, height);
    gl.clearColor(...back, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.useProgram(surface.program);
    setCamera(surface, frame);
    gl.uniform2f(surface.fog, -FOG_END * radius, 1 / ((FOG_END - FOG_START) * radius));
    gl.uniform3f(surface.back, ...back);
    gl.uniform1f(surface.inside, .55);
    const mesh = shownFine && !(moving && slow && coarse.count && fine.count > 3 * MANY_TRIANGLES) ? fine : coarse;
    gl.bindVertexArray(mesh.array);
    gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_INT, 0);
    gl.useProgram(lines.program);
    setCamera(lines, frame);
    if (state.cube) bars(cubeBars, rgbOf("#e69f00"));
    bars(crossBars, rgbOf(style("--cross")));
    gl.bindVertexArray(null);
    const now = performance.now();
    if (moving && lastFrame) {
      view.frames.push(now - lastFrame);
      if (view.frames.length > 500) view.frames.shift();
      if (now - lastFrame > SLOW_FRAME && now - lastFrame < 1000) slow = true;
    }
    lastFrame = moving ? now : 0;
  }
  function setCamera(shader, frame) {
    gl.uniformMatrix3fv(shader.turn, true, camera.turn);
    gl.uniform3f(shader.target, ...camera.target);
    gl.uniform4f(shader.frame, ...frame);
  }
  // thin bars, faint where the surface hides them
  function bars(buffers, colour) {
    gl.bindVertexArray(buffers.array);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    for (const hidden of [true, false]) {
      if (hidden) gl.disable(gl.DEPTH_TEST); else gl.enable(gl.DEPTH_TEST);
      gl.uniform4f(lines.ink, ...colour.map(c => c / 255), hidden ? .3 : 1);
      gl.drawArrays(gl.TRIANGLES, 0, buffers.count);
    }
  }

  // ---- what is drawn
  let shape = null, shapeKey = "", later = 0, refit = false;
  const idle = window.requestIdleCallback || (work => setTimeout(work, 50));
  // With `now` from all of the grid; otherwise at once from half of it, and from all of it when there is time.
  function build(now) {
    clearTimeout(later);
    const key = `${state.map} ${state.level} ${chosenKey()}`;
    if (key !== shapeKey) {
      shape = { coarse: null, fine: null };
      shapeKey = key;
    }
    coarse.count = 0;
    shownFine = false;
    if (now || shape.fine) {
      buildFine();
      idle(() => { if (!shape.coarse || !coarse.count) buildCoarse(); });
      return;
    }
    buildCoarse();
    draw();
    later = setTimeout(buildFine, 120);
  }
  function buildCoarse() {
    shape.coarse ||= shapeOf(state.map, state.level, true);
    upload(gl, coarse, shape.coarse, state.colour);
  }
  function buildFine() {
    const start = performance.now();
    shape.fine ||= shapeOf(state.map, state.level, false);
    upload(gl, fine, shape.fine, state.colour);
    shownFine = true;
    view.buildMs = performance.now() - start;
    view.triangles = fine.count / 3;
    if (refit) fit();
    document.getElementById("triangles").textContent = `${Math.round(view.triangles / 1000)}k triangles`;
    draw();
  }
  view.set = (changes, now) => {
    const rebuilt = ["map", "level", "colour", "part", "alone"].some(name => name in changes && changes[name] !== state[name]);
    Object.assign(state, changes);
    if (rebuilt) build(now); else draw();
  };
  view.setCross = (x, y, z) => {
    const reach = .045 * radius, width = .0022 * radius;
    fillBars(gl, crossBars, [0, 1, 2].map(axis => {
      const low = [x, y, z].map((v, i) => v - (i === axis ? reach : width));
      const high = [x, y, z].map((v, i) => v + (i === axis ? reach : width));
      return [low, high];
    }));
    draw();
  };

  // ---- where it is seen from
  function rotate(right, down) { // about the vertical and the horizontal axis of the screen
    const m = camera.turn, c = Math.cos(right), s = Math.sin(right), d = Math.cos(down), t = Math.sin(down);
    const rows = [0, 1, 2].map(i => m.slice(3 * i, 3 * i + 3));
    const mix = (a, u, b, v) => u.map((value, i) => a * value + b * v[i]);
    [rows[0], rows[2]] = [mix(c, rows[0], s, rows[2]), mix(-s, rows[0], c, rows[2])];
    [rows[1], rows[2]] = [mix(d, rows[1], -t, rows[2]), mix(t, rows[1], d, rows[2])];
    camera.turn = rightAngled(rows);
    stir();
  }
  function look(direction, up) {
    const toward = direction.map(v => v / Math.hypot(...direction));
    camera.turn = rightAngled([cross(up, toward), up, toward]);
    camera.target = META.start.centre.slice();
    fit();
  }
  function fit() { // in the middle, and so near that all of it can be seen
    refit &&= !shownFine;
    const { position, index } = shape.fine || shape.coarse, m = camera.turn, t = camera.target;
    const low = [Infinity, Infinity], high = [-Infinity, -Infinity], aspect = canvas.width / canvas.height || 1;
    for (let k = 0; k < index.length; k += 21) {
      const i = 3 * index[k];
      for (let axis = 0; axis < 2; axis++) {
        const place = m[3 * axis] * (position[i] - t[0]) + m[3 * axis + 1] * (position[i + 1] - t[1])
          + m[3 * axis + 2] * (position[i + 2] - t[2]);
        low[axis] = Math.min(low[axis], place);
        high[axis] = Math.max(high[axis], place);
      }
    }
    if (index.length) {
      const right = (low[0] + high[0]) / 2, up = (low[1] + high[1]) / 2;
      camera.target = t.map((v, i) => v + right * m[i] + up * m[3 + i]);
      const half = .53 * Math.max(high[1] - low[1], (high[0] - low[0]) / aspect, 1);
      camera.half = aspect < 1 ? half * aspect : half;
    }
    draw();
  }
  const zoom = factor => { camera.half = clamp(camera.half / factor, radius / 40, 4 * radius); stir(); };
  const pixel = () => 2 * (canvas.width < canvas.height ? camera.half * canvas.height / canvas.width : camera.half)
    / host.clientHeight;
  function pan(right, down) {
    const size = pixel(), m = camera.turn;
    camera.target = camera.target.map((v, i) => v - size * right * m[i] + size * down * m[3 + i]);
    stir();
  }
  view.look = look;
  view.fit = () => { refit = !shownFine; fit(); }; // again when all of the grid is meshed
  view.home = () => look(META.start.direction, META.start.up);

  // the nearest triangle under a point of the canvas
  function pick(clientX, clientY) {
    const box = canvas.getBoundingClientRect(), size = pixel(), m = camera.turn, t = camera.target;
    const px = (clientX - box.left - box.width / 2) * size, py = (box.height / 2 - (clientY - box.top)) * size;
    const { position, index } = shape.fine || shape.coarse, vertices = position.length / 3, seen = new Float32Array(3 * vertices);
    for (let i = 0; i < 3 * vertices; i += 3) {
      const x = position[i] - t[0], y = position[i + 1] - t[1], z = position[i + 2] - t[2];
      seen[i] = m[0] * x + m[1] * y + m[2] * z - px;
      seen[i + 1] = m[3] * x + m[4] * y + m[5] * z - py;
      seen[i + 2] = m[6] * x + m[7] * y + m[8] * z;
    }
    let best = -Infinity;
    const near = radius * (1.6 - 2.6 * state.cut);
    for (let k = 0; k < index.length; k += 3) {
      const a = 3 * index[k], b = 3 * index[k + 1], c = 3 * index[k + 2];
      const u = seen[b] * seen[c + 1] - seen[c] * seen[b + 1], v = seen[c] * seen[a + 1] - seen[a] * seen[c + 1];
      const w = seen[a] * seen[b + 1] - seen[b] * seen[a + 1], sum = u + v + w;
      if (!sum || u * sum < 0 || v * sum < 0 || w * sum < 0) continue;
      const depth = (u * seen[a + 2] + v * seen[b + 2] + w * seen[c + 2]) / sum;
      if (depth > best && depth < near) best = depth;
    }
    if (best > -Infinity) setCross(...[0, 1, 2].map(i => t[i] + px * m[i] + py * m[3 + i] + best * m[6 + i]));
  }

  // ---- hands
  let travelled = 0, spread = 0;
  const spreadOf = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  canvas.addEventListener("pointerdown", event => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size === 1) travelled = 0;
    if (pointers.size === 2) spread = spreadOf();
    stir();
  });
  canvas.addEventListener("pointermove", event => {
    const from = pointers.get(event.pointerId);
    if (!from) return;
    const dx = event.clientX - from.x, dy = event.clientY - from.y;
    from.x = event.clientX;
    from.y = event.clientY;
    travelled += Math.hypot(dx, dy);
    if (pointers.size === 2) {
      pan(dx / 2, dy / 2);
      const now = spreadOf();
      if (spread) zoom(now / spread);
      spread = now;
    } else if (event.buttons & 2 || event.shiftKey) pan(dx, dy);
    else rotate(dx * TURN, dy * TURN);
  });
  const release = event => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    rest();
    if (event.type === "pointerup" && event.button === 0 && travelled < 4) pick(event.clientX, event.clientY);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("contextmenu", event => event.preventDefault());
  canvas.addEventListener("wheel", event => { // the page scrolls until the view was clicked
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(-clamp(event.deltaY * (event.deltaMode ? 25 : 1), -240, 240) / 500));
  }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const turns = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (turns && event.shiftKey) pan(20 * turns[0], 20 * turns[1]);
    else if (turns) rotate(turns[0] * KEY_TURN, turns[1] * KEY_TURN);
    else if (event.key === "+" || event.key === "=") zoom(1.15);
    else if (event.key === "-") zoom(1 / 1.15);
    else if (event.key === "r" || event.key === "R") view.home();
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("webglcontextlost", event => {
    event.preventDefault();
    poster.classList.remove("printonly");
    host.hidden = true;
  });
  document.addEventListener("themechange", draw);
  new ResizeObserver(resize).observe(host);

  view.png = () => { render(); return canvas.toDataURL("image/png"); }; // read before the browser clears it
  view.setCube = corners => { fillBars(gl, cubeBars, edgesOf(...corners, .007 * radius)); draw(); };
  if (META.cube) view.setCube(META.cube);
  resize();
  build(true);
  view.home();
  return view;
}

// True, false, or null where there is no WebGL at all; a context that is asked in vain fills the console with errors.
function softwareRenderer() {
  const probe = document.createElement("canvas").getContext("webgl2");
  if (!probe) return null;
  const extension = probe.getExtension("WEBGL_debug_renderer_info");
  const name = probe.getParameter(extension ? extension.UNMASKED_RENDERER_WEBGL : probe.RENDERER);
  probe.getExtension("WEBGL_lose_context")?.loseContext();
  return SOFTWARE.test(name);
}

const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
// Three rows, the last of them kept, the others turned to right angles: rounding never adds up.
function rightAngled([, up, toward]) {
  const unit = v => v.map(x => x / (Math.hypot(...v) || 1));
  const front = unit(toward), right = unit(cross(up, front));
  return [...right, ...cross(front, right), ...front];
}
