// A small curve over the last windows, from zero to its highest point; gaps where there is no number.
const SPARK = 60;
const sparkPath = (points, count, top) => {
  let line = "", area = "", open = null;
  const x = i => ((i + count - points.length) / Math.max(1, count - 1) * 100).toFixed(1);
  const close = i => { if (open !== null) area += `L${x(i)} 20L${x(open)} 20Z`; open = null; };
  points.forEach((value, i) => {
    if (value === null || value === undefined) { close(i - 1); return; }
    const at = `${x(i)} ${(19 - value / top * 17).toFixed(1)}`;
    line += (open === null ? "M" : "L") + at;
    area += (open === null ? "M" : "L") + at;
    if (open === null) open = i;
    if (i + 1 === points.length && open === i) line += `L${at}`;
  });
  close(points.length - 1);
  return [line, area];
};
const spark = kind => {
  const area = s("path", { class: "area" });
  const line = s("path", { class: "line" });
  const picture = s("svg", { class: `spark s${kind}`, viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("path", { class: "base", d: "M0 19.5L100 19.5" }), area, line);
  const draw = (points, count) => {
    let top = 0;
    for (const value of points) if (value > top) top = value;
    const [lines, areas] = sparkPath(points, count, top || 1);
    line.setAttribute("d", lines);
    area.setAttribute("d", areas);
    return top;
  };
  return { picture, draw };
};
