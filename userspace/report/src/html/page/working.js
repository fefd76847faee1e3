// The working set over time: distinct pages and lines among each window's samples.
const drawWorking = () => {
  if (!document.getElementById("accesses")) return;
  const own = data.working;
  if (!own) { empty("accesses", "No window has a sample of which the access is known."); return; }
  const chart = timeline(() => ({
    unit: "bytes", format: formatBytes, label: "Working set over the run",
    series: [
      { name: "pages of 4 KiB", color: color(0), values: own.pages, area: true },
      { name: "lines of 64 B", color: color(1), values: own.lines },
    ],
  }), 170);
  bodyOf("accesses").append(
    h("div", { class: "legend" }, h("span", {}, swatch(color(0)), "pages of 4 KiB"), h("span", {}, swatch(color(1)), "lines of 64 B")),
    chart.element,
    note(`What the samples of ${data.points.merged > 1 ? "the busiest window inside each point" : "each window"} fell on: a lower bound that grows with the rate of sampling.`));
};
