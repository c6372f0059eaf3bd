// The start of everything.

function options(select) {
  select.replaceChildren(...DATA.parts.map((name, p) => { const made = document.createElement("option"); made.value = p; made.textContent = name; return made; }));
}

function showState(state) {
  chooseState(state);
  if (HEAT.what === "states") HEAT.at.column = Math.max(0, HEAT.columns.indexOf(state));
  else HEAT.at.column = Math.max(0, HEAT.columns.findIndex(k => stateOf(k) === state));
  draw();
  tell();
}

function start() {
  const begin = performance.now(), root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => { HEAT.picture = null; draw(); document.dispatchEvent(new Event("themechange")); };
  $("#theme").addEventListener("click", () => {
    const now = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = now ? "light" : "dark";
    repaint();
  });
  dark.addEventListener("change", repaint);
  for (const select of ["#partname", "#pairx", "#pairy"]) options($(select));
  const first = DATA.order[0];
  if (first) [CHOSEN.part, $("#pairx").value, $("#pairy").value] = [first[0], first[0], first[1]];
  else $("#pairy").value = Math.min(1, NP - 1);
  $("#partname").value = CHOSEN.part;
  if (DATA.coordinate) $("#sortcolumns").value = "direction";
  startHeat();
  startMatrix();
  arrange();
  strip();
  scatter();
  tell();
  $("#partname").addEventListener("change", event => { choosePart(+event.target.value); HEAT.at.row = Math.max(0, HEAT.rows.indexOf(CHOSEN.part)); draw(); tell(); });
  for (const select of ["#pairx", "#pairy"]) $(select).addEventListener("change", scatter);
  for (const row of $$("[data-state]")) {
    row.addEventListener("click", () => showState(+row.dataset.state - 1));
    row.addEventListener("keydown", event => { if (row.matches("g") && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); showState(+row.dataset.state - 1); } });
  }
  for (const row of $$("tr[data-part]")) {
    row.style.cursor = "pointer";
    row.addEventListener("click", () => {
      [$("#pairx").value, $("#pairy").value] = [DATA.parts.indexOf(row.dataset.part), DATA.parts.indexOf(row.dataset.other)];
      scatter();
    });
  }
  for (const button of $$("button[data-csv]")) button.addEventListener("click", () => save(`${button.dataset.csv}.csv`, csv(TABLES[button.dataset.csv]()), "text/csv"));
  $("#graphsave")?.addEventListener("click", () => saveSvg($("#graphsvg"), "graph_of_states.svg"));
  $("#graphpng")?.addEventListener("click", () => savePng($("#graphsvg"), "graph_of_states.png"));
  $("#stripsvg").addEventListener("click", () => saveSvg($("#strip svg"), "part_over_volumes.svg"));
  $("#scattersvg").addEventListener("click", () => saveSvg($("#scatter svg"), "pair_of_parts.svg"));
  addEventListener("beforeprint", () => { root.dataset.before = root.dataset.theme || ""; root.dataset.theme = "light"; repaint(); if (MAPS) $("#mapstill").src = MAPS.view.png(); $$("details:not(#matrix)").forEach(part => { part.dataset.open = part.open; part.open = true; }); });
  addEventListener("afterprint", () => { root.dataset.before ? root.dataset.theme = root.dataset.before : delete root.dataset.theme; repaint(); $$("details:not(#matrix)").forEach(part => { part.open = part.dataset.open === "true"; }); });
  window.occupyStates = { ready: true, maps: null, time: performance.now() - begin, heat: HEAT, frame, chosen: CHOSEN, tables: name => csv(TABLES[name]()), heatSvg, graphSvg: () => saveSvg($("#graphsvg")) };
}

// the maps come last: everything else is there while they are unpacked
async function openMaps() {
  if (!$("#meta")) return;
  try {
    MAPS = window.occupyStates.maps = await startMaps({
      name: part => DATA.parts[part], names: DATA.parts,
      part: part => { if (part === undefined) return CHOSEN.part; choosePart(part); HEAT.at.row = Math.max(0, HEAT.rows.indexOf(part)); draw(); tell(); light(); },
      state: showState,
      present: (state, part) => DATA.calls[state][part] === "p",
      call: (state, part) => `${DATA.parts[part]} is ${CALLS[DATA.calls[state][part]]} in this state (${withError(FOUND.states.value[state * NP + part], FOUND.states.error[state * NP + part])}).`,
    });
    if (MAPS && CHOSEN.state) MAPS.state(CHOSEN.state);
  } catch (error) {
    $("#mapsays").textContent = `The maps cannot be shown: ${error.message}`;
  }
}

start();
openMaps();
