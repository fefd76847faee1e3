// One target: its numbers, its last windows, its processes and threads, who allocates, in which sizes, and where it accesses memory.
const CHARTS = [["CPU", formatCpu], ["Memory", formatBytes], ["Allocated", perSecond(formatBytes)], ["Waits for CPU", formatCpu]];
const LABELS = {
  processes_count: "Processes", threads_count: "Threads", cpu_ns: "CPU", run_queue_ns: "Waits for CPU", off_cpu_ns: "Off CPU",
  minor_faults_count: "Minor faults", major_faults_count: "Major faults", voluntary_switches_count: "Voluntary switches",
  involuntary_switches_count: "Involuntary switches", migrations_count: "Migrations", rss_bytes: "Resident", mapped_bytes: "Mapped",
  mmap_bytes: "Mapped anew", munmap_bytes: "Unmapped", alloc_count: "Allocations", alloc_bytes: "Allocated", free_count: "Frees",
  freed_bytes: "Freed", probed_ratio: "Time probed", access_samples_count: "Access samples", store_ratio: "Stores",
  working_set_bytes: "Working set, at least", cycles_count: "Cycles", instructions_count: "Instructions", cache_misses_count: "Cache misses",
  llc_occupancy_bytes: "Cache occupied", mbm_total_bytes: "Memory traffic", mbm_local_bytes: "Of it local", overhead_ratio: "Overhead",
};
const part = (title, body) => h("div", {}, h("h3", {}, title), body);
const absent = text => h("p", { class: "absent" }, text);
const plain = (heads, rows) => h("table", { class: "plain" },
  h("thead", {}, h("tr", {}, heads.map(head => h("th", { scope: "col" }, head)))),
  h("tbody", {}, rows.map(row => h("tr", {}, row.map(cell => cell instanceof Element ? h("td", { class: "share" }, cell) : h("td", {}, cell))))));
const listed = (title, items, why, heads, row) => part(title, items.length ? plain(heads, items.map(row)) : absent(why));

const drawTarget = detail => {
  const target = detail.window, length = Math.max(1, detail.length_ns);
  const cpuOf = ns => formatCpu(ns * 1e9 / length);
  const why = collector => target.absent[collector] ? `Not measured: ${target.absent[collector]}` : "Nothing in this window.";
  const charts = CHARTS.map(([title, format], at) => {
    const { picture, draw } = spark(at);
    const points = detail.trail.map(point => point[at]);
    const highest = draw(points, Math.max(2, points.length));
    return h("div", {}, h("h3", {}, title, h("span", { class: "top" }, points.some(point => point !== null) ? `up to ${format(highest)}` : "not measured")), picture);
  });
  const numbers = Object.entries(target.values).map(([name, value]) => tile(LABELS[name] || name, showMetric(name, value, length)));
  const threads = target.processes.flatMap(process => process.threads.map(thread => [...thread, process.pid]))
    .sort((a, b) => b[2] - a[2]).slice(0, 16);
  const most = items => Math.max(...items, Number.MIN_VALUE);
  const bytes = most(target.sites.map(site => site.bytes_per_s));
  const sizes = target.sizes.map((amount, power) => [power, amount]).filter(([, amount]) => amount > 0);
  const largest = most(sizes.map(([, amount]) => amount));
  const reasons = Object.entries(target.absent);
  byId("detail").replaceChildren(h("div", {},
    h("div", { class: "bar" }, h("a", { class: "back", href: "#" }, "← Targets"), h("h2", { class: "name" }, target.target)),
    h("div", { class: "charts" }, charts),
    h("dl", { class: "tiles numbers" }, numbers),
    detail.alerts.length ? part("Alerts", detail.alerts.map(drawAlert)) : null,
    h("div", { class: "parts" },
      listed("Processes", target.processes, "No process in this window.", ["Process", "pid", "CPU", "Memory", "Threads"], process => [process.comm,
        String(process.pid), known(process.values.cpu_ns, cpuOf), known(process.values.rss_bytes, formatBytes), known(process.values.threads_count, formatCount)]),
      listed("Threads", threads, "No thread was told.", ["Thread", "tid", "pid", "CPU"], ([tid, name, ns, pid]) => [name, String(tid), String(pid), cpuOf(ns)]),
      listed(target.alloc_mode === "sampled" ? "Who allocates, by the allocator's own samples (otel_memory)" : "Who allocates", target.sites, why("allocations"), ["Caller", "Bytes", "Calls", ""], site => [site.name,
        perSecond(formatBytes)(site.bytes_per_s), perSecond(formatCount)(site.alloc_per_s), meter(site.bytes_per_s / bytes)]),
      listed("Sizes of blocks", sizes, why("allocations"), ["From", "Bytes", ""], ([power, amount]) => [formatBytes(2 ** power),
        perSecond(formatBytes)(amount * 1e9 / length), meter(amount / largest)]),
      listed("Where it accesses memory", target.regions, why("accesses"), ["Region", "Accesses", "Stores", ""], region => [region.name,
        formatPct(region.share_ratio * 100), formatPct(region.store_ratio * 100), meter(region.share_ratio)]),
      reasons.length ? part("Not measured", plain(["Collector", "Why"], reasons.map(([collector, reason]) => [collector, reason]))) : null)));
};
