// Allocation activity over time: bytes, calls, what lives and what is mapped.
const drawActivity = () => {
  const body = bodyOf("activity");
  const own = data.activity;
  if (!own) { empty("activity", "Allocations were not collected; the reasons are under measurement quality."); return; }
  const has = values => values.some(v => v !== null);
  const estimated = data.estimated ? ", estimated" : "";
  const panel = (title, unit, format, series, height) => {
    const drawn = series.filter(one => has(one.values));
    if (drawn.length === 0) return [];
    const chart = timeline(() => ({ unit, format, series: drawn, label: title }), height);
    const legend = h("div", { class: "legend" }, drawn.map(one => h("span", {}, swatch(one.color), one.name)));
    return [h("div", { class: "bar" }, h("h3", { class: "grow" }, title), legend), chart.element];
  };
  body.append(
    ...panel(`Bytes per second${estimated}`, "bytes", perSecond("bytes"), [
      { name: "allocated", color: color(0), values: own.bytes, area: true },
      { name: "freed", color: color(1), values: own.freed },
    ], 170),
    ...panel(`Calls per second${estimated}`, "count", perSecond("count"), [
      { name: "allocations", color: color(0), values: own.calls, area: true },
      { name: "frees", color: color(1), values: own.frees },
    ], 130),
    ...panel("Live and mapped bytes since the start", "bytes", formatBytes, [
      { name: "live", color: color(2), values: own.live, area: true },
      { name: "mapped minus unmapped (mmap, brk)", color: color(4), values: own.mapped },
    ], 170));
  if (!has(own.live)) body.append(note(`Live bytes are not available${data.null_reason ? `: ${data.null_reason}` : "."}`));
  if (own.probed_ratio.some(ratio => ratio < 1)) {
    const mean = own.probed_ratio.reduce((a, b) => a + b, 0) / own.probed_ratio.length;
    body.append(note(`The probes counted during ${formatPct(mean * 100)} of the time; values are estimates for whole windows, and grey stretches were not probed at all.`, true));
  }
};
