// What WebGL is told: shaders, and buffers of meshes and of thin bars.

const VERTEX_SHADER = `#version 300 es
uniform mat3 turn; uniform vec3 target; uniform vec4 frame; // frame: 1 / half width, 1 / half height, near, 1 / depth
uniform vec2 fog;
in vec3 position; in vec3 normal; in vec3 colour;
out vec4 shade; // colour, and how much of it the fog leaves
void main() {
  vec3 p = turn * (position - target), n = turn * normal;
  gl_Position = vec4(p.xy * frame.xy, (frame.z - p.z) * frame.w * 2.0 - 1.0, 1.0);
  float light = 0.42 + 0.5 * max(dot(n, vec3(0.36, 0.48, 0.8)), 0.0) + 0.2 * max(dot(n, vec3(-0.7, -0.3, 0.65)), 0.0);
  shade = vec4(min(colour * light * 1.12, 1.0), clamp((p.z - fog.x) * fog.y, 0.0, 1.0));
}`;
const FRAGMENT_SHADER = `#version 300 es
precision mediump float;
uniform vec3 back; uniform float inside;
in vec4 shade;
out vec4 result;
void main() {
  vec3 colour = gl_FrontFacing ? shade.rgb : shade.rgb * inside;
  result = vec4(mix(back, colour, shade.a), 1.0);
}`;
const LINE_VERTEX_SHADER = `#version 300 es
uniform mat3 turn; uniform vec3 target; uniform vec4 frame;
in vec3 position;
void main() {
  vec3 p = turn * (position - target);
  gl_Position = vec4(p.xy * frame.xy, (frame.z - p.z) * frame.w * 2.0 - 1.0, 1.0);
}`;
const LINE_FRAGMENT_SHADER = `#version 300 es
precision mediump float;
uniform vec4 ink;
out vec4 result;
void main() { result = ink; }`;

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  ["position", "normal", "colour"].forEach((name, place) => gl.bindAttribLocation(made, place, name));
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  const out = { program: made };
  for (const name of ["turn", "target", "frame", "fog", "back", "inside", "ink"]) out[name] = gl.getUniformLocation(made, name);
  return out;
}

function meshBuffers(gl) {
  const buffers = { array: gl.createVertexArray(), count: 0 };
  gl.bindVertexArray(buffers.array);
  for (const [name, place, size, type] of [["position", 0, 3, gl.FLOAT], ["normal", 1, 4, gl.BYTE],
    ["colour", 2, 4, gl.UNSIGNED_BYTE]]) {
    buffers[name] = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, type, type !== gl.FLOAT, 0, 0);
  }
  buffers.index = gl.createBuffer();
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers.index);
  gl.bindVertexArray(null);
  return buffers;
}

function upload(gl, buffers, shape, colour) {
  gl.bindVertexArray(buffers.array);
  if (buffers.shape !== shape) {
    for (const name of ["position", "normal"]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, shape[name], gl.STATIC_DRAW);
    }
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, shape.index, gl.STATIC_DRAW);
    buffers.shape = shape;
  }
  buffers.count = shape.index.length;
  gl.bindBuffer(gl.ARRAY_BUFFER, buffers.colour);
  gl.bufferData(gl.ARRAY_BUFFER, colourOf(shape, colour), gl.STATIC_DRAW);
  gl.bindVertexArray(null);
}

function barBuffers(gl) {
  const buffers = { array: gl.createVertexArray(), position: gl.createBuffer(), count: 0 };
  gl.bindVertexArray(buffers.array);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffers.position);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
  gl.bindVertexArray(null);
  return buffers;
}

// Boxes given by their lowest and highest corner: lines of WebGL are one pixel thin everywhere.
function fillBars(gl, buffers, boxes) {
  const faces = [0, 1, 3, 0, 3, 2, 4, 6, 7, 4, 7, 5, 0, 4, 5, 0, 5, 1, 2, 3, 7, 2, 7, 6, 0, 2, 6, 0, 6, 4, 1, 5, 7, 1, 7, 3];
  const points = boxes.flatMap(box => faces.flatMap(corner => [0, 1, 2].map(axis => box[corner >> axis & 1][axis])));
  gl.bindBuffer(gl.ARRAY_BUFFER, buffers.position);
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(points), gl.STATIC_DRAW);
  buffers.count = points.length / 3;
}

// The twelve edges of a box, as bars.
function edgesOf(low, high, width) {
  const ends = [low, high], edges = [];
  for (let axis = 0; axis < 3; axis++) for (let k = 0; k < 4; k++) {
    const side = [k & 1, k >> 1], at = [0, 1, 2].map(i => i === axis ? 0 : ends[side[i === (axis + 1) % 3 ? 0 : 1]][i]);
    edges.push([[0, 1, 2].map(i => (i === axis ? low[i] : at[i]) - width), [0, 1, 2].map(i => (i === axis ? high[i] : at[i]) + width)]);
  }
  return edges;
}
