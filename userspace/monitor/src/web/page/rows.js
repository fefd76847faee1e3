// The table. Only rows in sight are in the document, so that thousands of targets cost no more than a screenful.
const ROW = 32;
const table = { sort: COLUMNS[1], isUp: false, filter: "", rows: [], made: new Map(), view: null, trails: new Map(), alarms: new Set() };

const hashOf = name => `#target=${encodeURIComponent(name)}`;
const drawHead = () => byId("head").replaceChildren(...COLUMNS.map(column => {
  const isSorted = table.sort === column;
  return h("div", { role: "columnheader", class: column.hide, "aria-sort": isSorted ? (table.isUp ? "ascending" : "descending") : null },
    h("button", { type: "button", click: () => sortBy(column) }, column.label));
}));
const sortBy = column => {
  table.isUp = table.sort === column ? !table.isUp : !column.metric;
  table.sort = column;
  drawHead();
  orderRows();
};

const orderRows = () => {
  const { view, sort, isUp } = table;
  if (!view) return;
  const wanted = table.filter.toLowerCase();
  const missing = view.missing.map(target => ({ target, values: [], isGone: true }));
  const rows = view.targets.concat(missing).filter(row => row.target.toLowerCase().includes(wanted));
  const value = new Map(rows.map(row => [row, sort.metric ? valueOf(row, sort, view) : null]));
  const byName = (a, b) => a.target < b.target ? -1 : a.target > b.target ? 1 : 0;
  const sign = isUp ? 1 : -1;
  // What is absent comes last either way.
  rows.sort((a, b) => {
    if (!sort.metric) return sign * byName(a, b);
    const [x, y] = [value.get(a), value.get(b)];
    if (x === null || y === null) return (x === null) - (y === null) || byName(a, b);
    return sign * (x - y) || byName(a, b);
  });
  table.rows = rows;
  const total = view.targets.length + missing.length;
  setText(byId("shown"), rows.length === total ? `${total}` : `${rows.length} of ${total}`);
  byId("table").setAttribute("aria-rowcount", rows.length + 1);
  byId("none").hidden = rows.length > 0;
  setText(byId("none"), total ? "No target has such a name." : "No target has a process yet.");
  drawRows();
};

const makeRow = name => {
  const link = h("a", { href: hashOf(name) }, name);
  const cells = COLUMNS.slice(1).map(column => {
    const drawing = column.trail === undefined ? null : spark(column.trail);
    const text = h("span");
    return { column, drawing, text, element: h("div", { role: "cell", class: `cell ${column.hide || ""}` }, drawing && drawing.picture, text) };
  });
  const element = h("div", { role: "row", class: "row", click: event => { if (event.target !== link && !element.classList.contains("gone")) location.hash = hashOf(name); } },
    h("div", { role: "rowheader", class: "name" }, link), cells.map(cell => cell.element));
  return { element, link, cells };
};
const fillRow = (made, row, position) => {
  made.element.style.transform = `translateY(${position * ROW}px)`;
  made.element.setAttribute("aria-rowindex", position + 2);
  made.element.classList.toggle("gone", Boolean(row.isGone));
  made.element.classList.toggle("alarm", table.alarms.has(row.target));
  const trail = table.trails.get(row.target) || [];
  for (const cell of made.cells) {
    setText(cell.text, row.isGone ? (cell.column.key === "cpu" ? "missing" : "") : known(valueOf(row, cell.column, table.view), cell.column.format));
    if (cell.drawing) cell.drawing.draw(trail.map(point => point[cell.column.trail]), SPARK);
  }
};

const drawRows = () => {
  const body = byId("rows");
  body.style.height = `${table.rows.length * ROW}px`;
  const top = -body.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / ROW) - 4);
  const last = Math.min(table.rows.length, Math.ceil((top + innerHeight) / ROW) + 4);
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  const inSight = table.rows.slice(first, Math.max(first, last));
  const names = new Set(inSight.map(row => row.target));
  for (const [name, made] of table.made) if (!names.has(name)) { made.element.remove(); table.made.delete(name); }
  inSight.forEach((row, i) => {
    let made = table.made.get(row.target);
    if (!made) table.made.set(row.target, made = makeRow(row.target));
    fillRow(made, row, first + i);
    if (body.children[i] !== made.element) body.insertBefore(made.element, body.children[i] || null);
  });
  if (focused && focused !== document.activeElement && body.contains(focused)) focused.focus({ preventScroll: true });
};

// Moves the focus by rows, scrolling what is not in sight into it.
const moveFocus = step => {
  const at = table.rows.findIndex(row => table.made.get(row.target)?.link === document.activeElement);
  const next = Math.max(0, Math.min(table.rows.length - 1, at < 0 ? 0 : at + step));
  if (!table.rows[next]) return;
  const y = byId("rows").getBoundingClientRect().top + next * ROW;
  if (y < ROW * 2) scrollBy(0, y - ROW * 2);
  else if (y + ROW > innerHeight) scrollBy(0, y + ROW * 2 - innerHeight);
  drawRows();
  table.made.get(table.rows[next].target)?.link.focus({ preventScroll: true });
};
