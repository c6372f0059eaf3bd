// The page: light and dark, copying, printing, controls; and the start of everything.

const $ = selector => document.querySelector(selector), $$ = selector => [...document.querySelectorAll(selector)];

function startPage() {
  const root = document.documentElement, prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const announce = () => document.dispatchEvent(new Event("themechange"));
  $("#theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches;
    root.dataset.theme = dark ? "light" : "dark";
    announce();
  });
  prefersDark.addEventListener("change", announce);
  for (const button of $$("button[data-copy]")) button.addEventListener("click", () => copy(button));
  // paper has no folds
  addEventListener("beforeprint", () => $$("details").forEach(part => { part.dataset.open = part.open; part.open = true; }));
  addEventListener("afterprint", () => $$("details").forEach(part => { part.open = part.dataset.open === "true"; }));
}

async function copy(button) {
  const text = $(button.dataset.copy).textContent.trim();
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a file opened from a disk may not use the clipboard; a selection it may copy
    const area = element("textarea", {});
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 1200);
}

function legend(id) {
  const box = $("#legend");
  box.hidden = id === "none";
  if (box.hidden) return;
  const volume = info(id), first = volume.stops[0][0], table = surfaceTable(id);
  const colours = Array.from({ length: 25 }, (_, i) => {
    const entry = 3 * Math.round((first + (1 - first) * i / 24) * 255);
    return `rgb(${table[entry]},${table[entry + 1]},${table[entry + 2]})`;
  });
  $("#legend .bar").style.background = `linear-gradient(90deg,${colours.join(",")})`;
  $("#legend .title").textContent = volume.label;
  $("#legend .ticks").replaceChildren(...[0, .5, 1].map((share, i) => {
    const value = volume.low + (first + (1 - first) * share) * (volume.high - volume.low);
    return element("span", { textContent: `${i === 0 && first > 0 ? "≤ " : ""}${+value.toFixed(2)}` });
  }));
  $("#legend .hint").textContent = volume.hint;
}

function startControls(view) {
  const level = $("#level"), cut = $("#cut");
  // equal steps of the slider are equal factors, so that weak parts have as much of its way as strong ones
  const range = () => { const { zero, levels: [low, high] } = info(view.state.map); return [zero, low - zero, high - zero]; };
  const ofSlider = () => { const [zero, low, high] = range(); return zero + low * (high / low) ** +level.value; };
  const sayLevel = () => {
    level.setAttribute("aria-valuetext", shortNumber(view.state.level));
    $("#levelout").textContent = shortNumber(view.state.level);
  };
  const showLevel = () => {
    const [zero, low, high] = range();
    level.value = Math.log((view.state.level - zero) / low) / Math.log(high / low);
    sayLevel();
  };
  for (const choice of $$("input[name=map]")) choice.addEventListener("change", () => {
    view.set({ map: choice.value, level: info(choice.value).level });
    showLevel();
  });
  for (const choice of $$("input[name=colour]")) choice.addEventListener("change", () => {
    view.set({ colour: choice.value });
    legend(choice.value);
  });
  level.addEventListener("input", () => {
    view.set({ level: ofSlider() });
    sayLevel();
  });
  cut.addEventListener("input", () => view.set({ cut: cut.value / 100 }));
  $("#showcube")?.addEventListener("change", event => view.set({ cube: event.target.checked }));
  const directions = { x: [[1, 0, 0], [0, 0, 1]], y: [[0, -1, 0], [0, 0, 1]], z: [[0, 0, 1], [0, 1, 0]] };
  for (const button of $$("button[data-look]")) {
    button.addEventListener("click", () => view.look(...directions[button.dataset.look]));
  }
  $("#reset").addEventListener("click", () => {
    cut.value = 0;
    view.set({ level: info(view.state.map).level, cut: 0 });
    showLevel();
    view.home();
  });
  $("#save").addEventListener("click", () => {
    element("a", { href: view.png(), download: META.name.replace(/[^\w.-]+/g, "_") + "_surface.png" }).click();
  });
  showLevel();
  legend(view.state.colour);
}

function startPlanes() {
  const slices = $("#slices");
  for (const choice of $$("input[name=planes]")) {
    choice.addEventListener("change", () => { slices.dataset.show = choice.value; });
  }
  if (matchMedia("(max-width: 700px)").matches) {
    $("#planes-xy").checked = true;
    slices.dataset.show = "XY";
  }
}

async function start() {
  const status = $("#status"), times = {}, begin = performance.now();
  const lap = name => { times[name] = performance.now() - begin; };
  status.hidden = false;
  try {
    if (typeof DecompressionStream === "undefined") {
      throw new Error("this browser cannot unpack the maps; use Chrome 80, Firefox 113, Safari 16.4 or newer");
    }
    await Promise.all([...META.volumes.map(volume => volume.id), "seen",
      ...Array.from({ length: META.regions }, (_, k) => `region${k}`)].map(unpack));
    lap("unpacked");
    startSlices();
    startPlanes();
    drawSlices(true);
    document.addEventListener("themechange", () => drawSlices(true));
    $("#slicestrip").classList.add("printonly");
    lap("slices");
    let view = null;
    try {
      $("#viewer").classList.add("live");
      view = startSurface($("#stage3d"), $("#poster"));
    } catch (error) {
      console.warn(error);
    }
    if (view) {
      $("#poster").classList.add("printonly");
      startControls(view);
      crossListeners.push(view.setCross);
      view.setCross(...crosshair);
      status.remove();
    } else {
      $("#viewer").classList.remove("live");
      status.textContent = "This browser has no WebGL, so the surface is a still picture. The slices below are interactive.";
    }
    startParts(view);
    lap("surface");
    window.occupyReport = { chosen, ready: true, times, view, crosshair, setCross, valueHere, surfaceBytes,
      shownBytes: id => shownBytes(id, view ? view.state.level : info(id).level), zeroByte: id => Math.round(clamp(toByte(id, info(id).zero), 0, 255)) };
  } catch (error) {
    status.textContent = `The interactive views cannot be shown: ${error.message}`;
    window.occupyReport = { ready: true, error: error.message };
  }
}

startPage();
start();
