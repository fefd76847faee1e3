// Quantities as people read them; absent ones are a dash, which is not zero.
const known = (value, format) => value === null || value === undefined ? "–" : format(value);
const withUnit = (value, step, units) => {
  let at = 0;
  while (Math.abs(value) >= step * 0.9995 && at + 1 < units.length) { value /= step; at += 1; }
  const size = Math.abs(value);
  const digits = at === 0 ? (size < 9.995 && size % 1 !== 0 ? 2 : 0) : size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return value.toFixed(digits) + units[at];
};
const formatBytes = v => withUnit(v, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]);
const formatCount = v => withUnit(v, 1000, ["", " k", " M", " G", " T"]);
const formatPct = v => v > 0 && v < 0.005 ? "<0.01 %" : (v >= 99.95 ? v.toFixed(0) : v >= 9.995 ? v.toFixed(1) : v.toFixed(2)) + " %";
const formatTime = v => v < 1e3 ? v.toFixed(0) + " ns" : v < 1e6 ? (v / 1e3).toFixed(1) + " µs"
  : v < 1e9 ? (v / 1e6).toFixed(1) + " ms" : v < 120e9 ? (v / 1e9).toFixed(1) + " s"
  : v < 7200e9 ? (v / 60e9).toFixed(0) + " min" : v < 48 * 3600e9 ? (v / 3600e9).toFixed(1) + " h" : (v / 86400e9).toFixed(1) + " d";
const clock = ns => new Date(ns / 1e6).toLocaleTimeString([], { hour12: false });
const perSecond = format => v => format(v) + "/s";
// Nanoseconds per second are shares of a CPU.
const formatCpu = v => formatPct(v / 1e7);
// How each metric is shown, by the ending of its name and whether it is an amount: [format, per second].
const LEVELS = new Set(["processes_count", "threads_count", "rss_bytes", "mapped_bytes", "working_set_bytes", "llc_occupancy_bytes"]);
const showMetric = (name, value, length_ns) => {
  if (name.endsWith("_ratio")) return formatPct(value * 100);
  const format = name.endsWith("_bytes") ? formatBytes : formatCount;
  if (LEVELS.has(name)) return format(value);
  const rate = value * 1e9 / length_ns;
  return name.endsWith("_ns") ? formatCpu(rate) : perSecond(format)(rate);
};
