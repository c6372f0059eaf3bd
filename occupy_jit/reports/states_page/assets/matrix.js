// The heat map as a table, for readers of screens: made when it is asked for, some columns at a time.

const COLUMNS_SHOWN = 25;
const MATRIX = { first: 0 };

function matrix() {
  if (!$("#matrix").open) return;
  const { rows, columns } = HEAT, last = Math.max(0, columns.length - 1);
  MATRIX.first = Math.max(0, Math.min(MATRIX.first, last - last % COLUMNS_SHOWN));
  const some = columns.slice(MATRIX.first, MATRIX.first + COLUMNS_SHOWN);
  const cell = (name, text, scope) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (scope) made.scope = scope;
    return made;
  };
  const line = cells => { const made = document.createElement("tr"); made.append(...cells); return made; };
  $("#matrixtable thead").replaceChildren(line([cell("th", "part", "col"), ...some.map(k => cell("th", nameOfColumn(k), "col"))]));
  $("#matrixtable tbody").replaceChildren(...rows.map(row => line([cell("th", nameOfRow(row), "row"), ...some.map(k => {
    const [value, error, call] = cellOf(k, row), made = cell("td", `${withError(value, error)} ${call}`);
    made.className = call;
    return made;
  })])));
  $("#matrixsays").textContent = columns.length ? `Columns ${MATRIX.first + 1} to ${MATRIX.first + some.length} of ${columns.length}` : "Nothing passes the filters.";
  $("#matrixback").disabled = MATRIX.first === 0;
  $("#matrixnext").disabled = MATRIX.first + COLUMNS_SHOWN >= columns.length;
}

function startMatrix() {
  $("#matrix").addEventListener("toggle", matrix);
  for (const [button, step] of [["#matrixback", -1], ["#matrixnext", 1]]) $(button).addEventListener("click", () => { MATRIX.first += step * COLUMNS_SHOWN; matrix(); });
}
