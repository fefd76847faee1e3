// The host: what its targets take, what watching costs against its budget, what was lost, what each collector does.
const sum = counts => Object.values(counts).reduce((all, count) => all + count, 0);
const told = counts => Object.entries(counts).filter(([, count]) => count > 0).map(([kind, count]) => `${kind} ${formatCount(count)}`).join(", ");

const drawHost = view => {
  const cpu = view.columns.indexOf("cpu_ns"), rss = view.columns.indexOf("rss_bytes");
  const all = at => view.targets.reduce((total, row) => total + (row.values[at] || 0), 0);
  const own = view.own, lost = sum(view.lost), lostAll = sum(view.lost_since_start);
  const budget = (value, ceiling, format) => ceiling === null ? ["", ""] : [value > ceiling ? "warn" : "", `of ${format(ceiling)}`];
  const [cpuState, cpuNote] = budget(own.cpu_pct, view.budget_cpu_pct, formatPct);
  const [rssState, rssNote] = budget(own.rss_bytes, view.budget_rss_bytes, formatBytes);
  const bar = (value, ceiling) => ceiling === null ? null : meter(value / ceiling, value > ceiling);
  const tiles = [
    tile("Targets", String(view.targets.length), view.missing.length ? `${view.missing.length} missing` : "none missing", view.missing.length ? "warn" : ""),
    tile("Their CPU", formatPct(all(cpu) / Math.max(1, view.length_ns) * 100), "100 % is one CPU"),
    tile("Their memory", formatBytes(all(rss)), "resident"),
    tile("Own CPU", formatPct(own.cpu_pct), cpuNote + (own.recording_cpu_pct > 0 ? `, recordings ${formatPct(own.recording_cpu_pct)}` : ""), cpuState, bar(own.cpu_pct, view.budget_cpu_pct)),
    tile("Own memory", formatBytes(own.rss_bytes), rssNote, rssState, bar(own.rss_bytes, view.budget_rss_bytes)),
    tile("Lost", formatCount(lost), lost ? told(view.lost) : lostAll ? `${formatCount(lostAll)} since the start` : "nothing since the start", lost ? "warn" : ""),
  ];
  const history = view.history;
  if (history) {
    const note = history.trouble || `${formatCount(history.waiting)} waiting` + (history.dropped ? `, ${formatCount(history.dropped)} given up` : "");
    tiles.push(tile("History", formatBytes(history.bytes), note, history.trouble ? "bad" : history.dropped ? "warn" : ""));
  }
  byId("host").replaceChildren(...tiles);
  byId("collectors").replaceChildren(...view.collectors.map(collector => h("li", { class: collector.state }, collector.name, " ",
    h("span", { class: "why" }, [collector.state === "full" ? "" : collector.state, collector.reason].filter(Boolean).join(": "),
      collector.tool_cpu_pct > 0 ? ` ${formatPct(collector.tool_cpu_pct)}` : ""))));
};

// Whether windows still come, told every second.
const drawPulse = (view, fetched, trouble) => {
  const pulse = byId("pulse");
  if (trouble) { pulse.className = "late"; setText(pulse, trouble); return; }
  if (!view || view.index === null) return;
  const age = view.age_ns + (performance.now() - fetched) * 1e6;
  const isLate = age > 3 * view.window_ns;
  pulse.className = isLate ? "late" : "well";
  setText(pulse, isLate ? `no window for ${formatTime(age)}`
    : `window ${view.index} of ${formatTime(view.length_ns)}, ${clock(view.start_unix_ns)} · ${view.version}`);
};
