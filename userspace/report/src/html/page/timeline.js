// A chart over the run's time: stepped lines, or stacked areas, one value per point.
//
// options() gives: series [{name, color, values}], unit, format, stacked, low/high (range inside points),
// partial (share counted per point), label. A null value leaves a gap.
const timeline = (options, height) => {
  const host = h("div", { class: "chart" });
  const margin = { left: 66, right: 10, top: 10, bottom: 20 };
  const scale = {
    toX: ns => margin.left + (ns - time.from) / (time.to - time.from) * scale.width,
    toTime: x => time.from + Math.min(1, Math.max(0, (x - margin.left) / scale.width)) * (time.to - time.from),
    width: 1,
  };
  const visible = () => {
    const { start_ns, end_ns } = data.points;
    const shown = [];
    for (let i = 0; i < start_ns.length; i += 1) if (end_ns[i] > time.from && start_ns[i] < time.to) shown.push(i);
    return shown;
  };
  const bounds = (o, points) => {
    let [low, high] = [0, 0];
    for (const i of points) {
      const values = o.series.map(one => one.values[i]).filter(v => v !== null);
      const top = o.stacked ? values.reduce((a, b) => a + b, 0) : Math.max(0, ...values);
      high = Math.max(high, top, o.high ? o.high[i] : 0);
      low = Math.min(low, ...values);
    }
    return [low, high > low ? high : low + 1];
  };
  const stepped = (points, base, values, toY) => {
    const { start_ns, end_ns } = data.points;
    let [path, run] = ["", []];
    const close = () => {
      if (run.length === 0) return;
      const top = run.map(i => `H${X(start_ns[i])}V${toY(values[i])}H${X(end_ns[i])}`).join("");
      const first = `M${X(start_ns[run[0]])},${toY(values[run[0]])}`;
      path += first + top;
      if (base) path += run.slice().reverse().map(i => `H${X(end_ns[i])}V${toY(base[i])}H${X(start_ns[i])}`).join("") + "Z";
      run = [];
    };
    const X = ns => scale.toX(ns).toFixed(1);
    let last = null;
    for (const i of points) {
      if (values[i] === null || (last !== null && start_ns[i] > end_ns[last] + 1)) close();
      if (values[i] !== null) { run.push(i); last = i; }
    }
    close();
    return path;
  };
  const bands = (points, matches, y, tall, name) => points.filter(matches).map(i => {
    const [a, b] = [scale.toX(data.points.start_ns[i]), scale.toX(data.points.end_ns[i])];
    return s("rect", { class: name, x: Math.max(a, margin.left).toFixed(1), width: Math.max(0.5, b - Math.max(a, margin.left)).toFixed(1), y, height: tall });
  });
  const curves = (o, points, toY) => {
    const count = data.points.start_ns.length;
    if (!o.stacked) return [
      o.high && s("path", { d: stepped(points, o.low, o.high, v => toY(v).toFixed(1)), style: { fill: o.series[0].color, opacity: ".22" } }),
      o.series.map(one => [
        one.area && s("path", { d: stepped(points, new Array(count).fill(0), one.values, v => toY(v).toFixed(1)), style: { fill: one.color, opacity: ".18" } }),
        s("path", { d: stepped(points, null, one.values, v => toY(v).toFixed(1)), style: { fill: "none", stroke: one.color, "stroke-width": "1.5" } }),
      ]),
    ];
    let base = new Array(count).fill(0);
    return o.series.map(one => {
      const top = base.map((v, i) => v + (one.values[i] || 0));
      const path = stepped(points, base, top, v => toY(v).toFixed(1));
      base = top;
      return s("path", { d: path, style: { fill: one.color, opacity: ".85" } });
    });
  };
  const axes = (o, low, high, toY, width) => {
    const yStep = niceStep(high - low, height > 150 ? 5 : 4, o.unit);
    const xStep = niceStep(time.to - time.from, Math.max(2, scale.width / 110), "ns");
    return [
      ticksOf(low, high, yStep).map(v => [
        s("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: toY(v), y2: toY(v) }),
        s("text", { x: margin.left - 7, y: toY(v) + 4, "text-anchor": "end" }, o.format(v)),
      ]),
      ticksOf(time.from, time.to, xStep).map(v => s("text", { x: scale.toX(v), y: height - 5, "text-anchor": scale.toX(v) > width - 26 ? "end" : "middle" }, formatTime(v, xStep))),
    ];
  };
  const overlay = s("g", {});
  const svg = s("svg", { tabindex: "0", role: "img", height });
  const draw = () => {
    const width = host.clientWidth;
    if (width === 0) return;
    const o = options();
    scale.width = Math.max(10, width - margin.left - margin.right);
    const points = visible();
    const [low, high] = bounds(o, points);
    const floor = height - margin.bottom;
    const toY = v => floor - (v - low) / (high - low) * (floor - margin.top);
    const clip = `clip-${Math.random().toString(36).slice(2)}`;
    svg.setAttribute("aria-label", `${o.label}. Arrow keys read values, dragging zooms, Escape shows the whole run.`);
    svg.replaceChildren(
      s("clipPath", { id: clip }, s("rect", { x: margin.left, y: 0, width: scale.width, height })),
      ...[axes(o, low, high, toY, width)].flat(Infinity),
      s("g", { "clip-path": `url(#${clip})` },
        bands(points, i => o.series.length > 0 && o.series.every(one => one.values[i] === null), margin.top, floor - margin.top, "unmeasured"),
        curves(o, points, toY),
        o.partial ? bands(points, i => o.partial[i] !== null && o.partial[i] < 1, 1, 4, "partial") : null),
      s("line", { class: "axis", x1: margin.left, x2: width - margin.right, y1: toY(0), y2: toY(0) }),
      overlay);
    point();
  };
  const point = () => {
    const x = time.cursor === null ? null : scale.toX(time.cursor);
    const isOut = x === null || x < margin.left - 1 || x > margin.left + scale.width + 1;
    const [from, to] = (time.selection || [0, 0]).map(scale.toX).sort((a, b) => a - b);
    overlay.replaceChildren(...[
      isOut ? null : s("line", { class: "cursor", x1: x, x2: x, y1: margin.top, y2: height - margin.bottom }),
      time.selection ? s("rect", { class: "select", x: from, width: to - from, y: margin.top, height: height - margin.bottom - margin.top }) : null,
    ].filter(Boolean));
  };
  const describe = (x, y) => {
    const i = time.cursor === null ? -1 : pointAt(time.cursor);
    if (i < 0) { hideTip(); return; }
    const o = options();
    const rows = o.series.map(one => [one.name, one.values[i] === null ? "not measured" : o.format(one.values[i]), one.color]);
    const sum = o.stacked && rows.length > 1 ? o.series.reduce((sum, one) => sum + (one.values[i] || 0), 0) : null;
    showTip(x, y, h("div", { class: "soft" }, pointName(i)), tipRows([
      ...rows, sum !== null && ["all", o.format(sum)],
      o.high && ["windows inside", `${o.format(o.low[i])} – ${o.format(o.high[i])}`],
      o.partial && o.partial[i] !== null && o.partial[i] < 1 && ["counted", `${formatPct(o.partial[i] * 100)} of the time, not scaled`],
    ]));
  };
  host.append(svg);
  timeGestures(svg, scale, describe);
  time.watchers.push(draw);
  time.cursorWatchers.push(point);
  return { element: redrawn(host, draw), draw };
};
