// The stretch of the run on screen and the instant under the pointer: one state shared by every timeline.
const time = {
  from: 0, to: Math.max(data.duration_ns, data.points.end_ns.at(-1) || 0, 1), cursor: null,
  watchers: [], cursorWatchers: [],
  zoom(from, to) {
    const [low, high] = from < to ? [from, to] : [to, from];
    if (high - low < time.whole / 5000) return;
    [time.from, time.to] = [Math.max(0, low), Math.min(time.whole, high)];
    document.getElementById("zoom-reset").hidden = time.from === 0 && time.to === time.whole;
    time.watchers.forEach(draw => draw());
  },
  point(cursor) {
    time.cursor = cursor;
    time.cursorWatchers.forEach(draw => draw());
  },
};
time.whole = time.to;
const resetZoom = () => time.zoom(0, time.whole);
document.getElementById("zoom-reset").addEventListener("click", resetZoom);

// Position of the point that holds an instant, or -1 between points.
const pointAt = ns => {
  const { start_ns, end_ns } = data.points;
  let [low, high] = [0, start_ns.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (ns < start_ns[middle]) high = middle - 1;
    else if (ns >= end_ns[middle]) low = middle + 1;
    else return middle;
  }
  return -1;
};

// Which windows a point stands for, in words.
const pointName = i => {
  const { start_ns, end_ns, merged, windows } = data.points;
  const first = i * merged;
  const last = Math.min(first + merged, windows) - 1;
  const range = `${(start_ns[i] / 1e9).toFixed(3)}–${(end_ns[i] / 1e9).toFixed(3)}s`;
  return `${range}, ${first === last ? `window ${first}` : `windows ${first}–${last}`}`;
};

// Dragging selects a stretch, a double click or Escape shows the whole run, arrows move the cursor.
const timeGestures = (element, scale, describe) => {
  let anchor = null;
  const at = event => scale.toTime(event.clientX - element.getBoundingClientRect().left);
  element.addEventListener("pointerdown", event => {
    if (event.button === 0 && event.pointerType !== "touch") { anchor = at(event); element.setPointerCapture(event.pointerId); }
  });
  element.addEventListener("pointermove", event => {
    time.selection = anchor === null ? null : [anchor, at(event)];
    time.point(at(event));
    describe(event.clientX, event.clientY);
  });
  element.addEventListener("pointerup", event => {
    const from = anchor;
    [anchor, time.selection] = [null, null];
    if (from !== null && Math.abs(scale.toX(at(event)) - scale.toX(from)) > 4) time.zoom(from, at(event));
    else time.point(time.cursor);
  });
  element.addEventListener("pointerleave", () => { if (anchor === null) { time.point(null); hideTip(); } });
  element.addEventListener("dblclick", resetZoom);
  element.addEventListener("blur", () => { time.point(null); hideTip(); });
  element.addEventListener("keydown", event => {
    if (event.key === "Escape") { resetZoom(); return; }
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
    if (!step || data.points.start_ns.length === 0) return;
    event.preventDefault();
    const now = time.cursor === null ? -1 : pointAt(time.cursor);
    const next = Math.min(data.points.start_ns.length - 1, Math.max(0, now + step));
    time.point((data.points.start_ns[next] + data.points.end_ns[next]) / 2);
    const box = element.getBoundingClientRect();
    describe(box.left + scale.toX(time.cursor), box.top);
    speak(tip.textContent);
  });
};
