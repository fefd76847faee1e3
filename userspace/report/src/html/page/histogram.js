// Log2 histograms of sizes and lifetimes: a bar per power of two.
const histogram = (title, buckets, format, weights) => {
  const host = h("div", { class: "chart histogram" });
  const height = 190;
  const margin = { left: 54, right: 6, top: 8, bottom: 22 };
  const by = new Map(buckets.map(bucket => [bucket.log2, bucket]));
  const low = Math.min(...by.keys());
  const high = Math.max(...by.keys());
  let weight = weights[0][0];
  const totals = Object.fromEntries(weights.map(([key]) => [key, buckets.reduce((sum, bucket) => sum + bucket[key], 0)]));
  const svg = s("svg", { height, role: "group", "aria-label": title });
  const tipOf = (bucket, log2, x, y) => {
    const share = key => totals[key] > 0 ? ` (${formatPct(100 * bucket[key] / totals[key])})` : "";
    showTip(x, y, h("div", { class: "soft" }, `${format(2 ** log2)} to ${format(2 ** (log2 + 1))}`),
      tipRows(weights.map(([key, name, write]) => [name, write(bucket[key]) + share(key)])));
  };
  const draw = () => {
    const width = host.clientWidth;
    const [, , write] = weights.find(([key]) => key === weight);
    const top = Math.max(...buckets.map(bucket => bucket[weight]), 1e-9);
    const floor = height - margin.bottom;
    const slot = Math.min(72, (width - margin.left - margin.right) / (high - low + 1));
    const toY = v => floor - v / top * (floor - margin.top);
    const every = Math.max(1, Math.ceil(58 / slot));
    const step = niceStep(top, 4, weight === "bytes" ? "bytes" : "count");
    const bars = Array.from({ length: high - low + 1 }, (_, i) => {
      const log2 = low + i;
      const bucket = by.get(log2) || { count: 0, bytes: 0 };
      const x = margin.left + i * slot;
      const name = `${format(2 ** log2)} to ${format(2 ** (log2 + 1))}: ${write(bucket[weight])}`;
      return s("g", {
        tabindex: bucket.count > 0 ? "0" : null, role: "img", "aria-label": name,
        pointermove: event => tipOf(bucket, log2, event.clientX, event.clientY), pointerleave: hideTip, blur: hideTip,
        focus: event => { const box = event.currentTarget.getBoundingClientRect(); tipOf(bucket, log2, box.right, box.top); },
      },
      s("rect", { class: "catch", x, width: slot, y: margin.top, height: floor - margin.top }),
      bucket[weight] > 0 && s("rect", { class: "bucket", x: x + 1, width: Math.max(1, slot - 2), y: Math.min(toY(bucket[weight]), floor - 1.5), height: Math.max(1.5, floor - toY(bucket[weight])), rx: 1.5 }));
    });
    svg.replaceChildren(
      ...ticksOf(0, top, step).flatMap(v => [
        s("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: toY(v), y2: toY(v) }),
        s("text", { x: margin.left - 6, y: toY(v) + 4, "text-anchor": "end" }, write(v)),
      ]),
      ...bars,
      ...Array.from({ length: high - low + 2 }, (_, i) => i).filter(i => i % every === 0).map(i => {
        const x = margin.left + i * slot;
        return s("text", { x, y: height - 6, "text-anchor": x > width - 24 ? "end" : "middle" }, format(2 ** (low + i)));
      }));
  };
  host.append(svg);
  const bar = h("div", { class: "bar" }, h("h3", { class: "grow" }, title),
    choice("Weight", weights.map(([key, name]) => [key, name]), weight, value => { weight = value; draw(); }));
  return h("div", {}, bar, redrawn(host, draw));
};

const drawHistograms = () => {
  const weights = [["count", "calls", formatCount], ["bytes", "bytes", formatBytes]];
  const some = buckets => buckets.some(bucket => bucket.count > 0);
  const charts = [
    some(data.sizes) && histogram("Sizes asked for", data.sizes, formatBytes, weights),
    some(data.lifetimes) && histogram("Lifetimes", data.lifetimes, formatNs, weights),
  ].filter(Boolean);
  if (charts.length === 0) { empty("histograms", "No allocation was counted."); return; }
  bodyOf("histograms").append(h("div", { class: "pair" }, charts));
  if (!some(data.lifetimes)) bodyOf("histograms").append(note("Lifetimes are known in exact mode only."));
};
