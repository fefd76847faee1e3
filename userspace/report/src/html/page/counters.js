// Counters: a card per event, and the chosen one over time, together or per thread.
const drawCounters = () => {
  const body = bodyOf("counters");
  const events = data.events;
  if (events.length === 0 || data.points.windows === 0) {
    empty("counters", "No counters were collected; the reasons are under measurement quality.");
    return;
  }
  const sums = events.map(event => data.points.start_ns.map((_, i) => event.threads.reduce((sum, one) => sum + one.rates[i], 0)));
  let chosen = Math.max(0, events.findIndex(event => event.total > 0));
  let view = "stacked";
  const hiddenThreads = new Set();

  const sparkline = values => {
    const buckets = Math.min(values.length, 90);
    const top = Math.max(...values, 1e-300);
    const path = Array.from({ length: buckets }, (_, i) => {
      const part = values.slice(Math.floor(i * values.length / buckets), Math.floor((i + 1) * values.length / buckets));
      return `${i ? "L" : "M"}${i},${(25 - Math.max(...part) / top * 23).toFixed(1)}`;
    });
    return s("svg", { viewBox: `0 0 ${Math.max(1, buckets - 1)} 26`, preserveAspectRatio: "none", "aria-hidden": "true" }, s("path", { d: path.join("") }));
  };
  const total = event => event.total === null ? "not counted"
    : `${formatters[event.unit](event.total)}${event.running_ratio ? " · multiplexed" : ""}`;
  const cards = h("div", { class: "events", role: "group", "aria-label": "Event" }, events.map((event, i) => h("button", {
    type: "button", "aria-pressed": String(i === chosen), title: event.name,
    click: () => {
      chosen = i;
      [...cards.children].forEach((card, at) => card.setAttribute("aria-pressed", String(at === i)));
      refresh();
    },
  }, h("span", { class: "name" }, event.name), h("span", { class: "total" }, total(event)), sparkline(sums[i]))));

  const threadsShown = () => events[chosen].threads.map((one, i) => ({ ...one, color: color(i) })).filter(one => !hiddenThreads.has(one.tid));
  const options = () => {
    const event = events[chosen];
    const isTotal = view === "total";
    return {
      unit: event.unit, format: perSecond(event.unit), stacked: view === "stacked",
      label: `${event.name} per second over the run`,
      series: isTotal ? [{ name: "all threads", color: color(0), values: sums[chosen], area: true }]
        : threadsShown().map(one => ({ name: one.name, color: one.color, values: one.rates })),
      low: isTotal ? event.low : null, high: isTotal ? event.high : null, partial: event.running_ratio,
    };
  };
  const chart = timeline(options, 230);
  const heading = h("h3", {});
  const legend = h("div", { class: "legend" });
  const flags = h("div", {});
  const refresh = () => {
    const event = events[chosen];
    heading.textContent = `${event.name}, per second of run time`;
    legend.replaceChildren(...(view === "total" ? [] : event.threads.map((one, i) => h("button", {
      type: "button", "aria-pressed": String(!hiddenThreads.has(one.tid)),
      click: () => { if (!hiddenThreads.delete(one.tid)) hiddenThreads.add(one.tid); refresh(); },
    }, swatch(color(i)), one.name))));
    flags.replaceChildren(...[
      event.running_ratio && note("Multiplexed: in the windows marked at the top edge the event counted only part of the time. Values are as counted, not scaled up.", true),
      data.points.merged > 1 && note(`${whole(data.points.windows)} windows are drawn as ${whole(data.points.start_ns.length)} points of ${data.points.merged} windows each; in the total, the pale band spans the lowest and highest window of each point.`),
    ].filter(Boolean));
    chart.draw();
  };
  const views = choice("Threads", [["stacked", "Threads stacked"], ["lines", "Threads as lines"], ["total", "All together"]], view, value => { view = value; refresh(); });
  body.append(cards, h("div", { class: "bar" }, h("span", { class: "grow" }, heading), views), chart.element, legend, flags);
  refresh();
};
