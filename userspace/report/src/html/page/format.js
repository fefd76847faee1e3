// Quantities as people read them; the same rules as the terminal summary.
const withUnit = (value, step, units) => {
  let at = 0;
  while (Math.abs(value) >= step * 0.9995 && at + 1 < units.length) { value /= step; at += 1; }
  const size = Math.abs(value);
  const digits = at === 0 ? (size < 9.995 && size % 1 !== 0 ? 2 : 0) : size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return value.toFixed(digits) + units[at];
};
const formatBytes = v => withUnit(v, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
const formatCount = v => withUnit(v, 1000, ["", "k", "M", "G", "T", "P"]);
const formatNs = v => Math.abs(v) < 120e9 ? withUnit(v, 1000, ["ns", "us", "ms", "s"])
  : Math.abs(v) < 7200e9 ? (v / 60e9).toFixed(1) + "m" : (v / 3600e9).toFixed(1) + "h";
const formatters = { bytes: formatBytes, ns: formatNs, count: formatCount, cycles: formatCount };
const perSecond = unit => v => formatters[unit](v) + "/s";
const formatPct = p => !isFinite(p) ? "-" : p > 0 && p < 0.005 ? "<0.01%"
  : p > 0 && p < 0.995 ? p.toFixed(2) + "%" : p >= 99.95 ? p.toFixed(0) + "%" : p.toFixed(1) + "%";
const whole = n => n.toLocaleString("en");
const known = (value, format) => value === null || value === undefined ? "not known" : format(value);

// A function name without the inside of its template and call arguments; names whose brackets do not match stay.
const shortName = name => {
  if (name.length <= 48) return name;
  let [kept, open, last] = ["", [], ""];
  for (const c of name) {
    const isArrow = c === ">" && last === "-";
    last = c;
    if (c === "<" || c === "(") {
      if (open.length === 0) kept += `${c}…`;
      open.push(c === "<" ? ">" : ")");
    } else if ((c === ">" || c === ")") && !isArrow) {
      if (open.pop() !== c) return name;
      if (open.length === 0) kept += c;
    } else if (open.length === 0) kept += c;
  }
  return open.length === 0 ? kept : name;
};

// A time on the axis, with just the digits that tell neighbouring ticks apart.
const formatTime = (ns, step) => {
  if (step >= 60e9) return (ns / 60e9).toFixed(step % 60e9 ? 1 : 0) + "m";
  const [unit, name] = step >= 1e8 ? [1e9, "s"] : step >= 1e5 ? [1e6, "ms"] : [1e3, "us"];
  const digits = Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9));
  return (ns / unit).toFixed(digits) + name;
};

// Round steps for axis ticks: 1, 2, 5 times a power of ten, of a binary unit for bytes, of a minute for long times.
const niceStep = (span, ticks, unit) => {
  const raw = Math.max(span / ticks, Number.MIN_VALUE);
  let base = 1;
  if (unit === "bytes") while (raw / base >= 1024) base *= 1024;
  if (unit === "ns" && raw > 20e9) base = 60e9;
  const power = Math.pow(10, Math.floor(Math.log10(raw / base)));
  const times = [1, 2, 5, 10].find(m => m * power * base >= raw * 0.999999);
  return times * power * base;
};
const ticksOf = (low, high, step) => {
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9); i += 1) ticks.push(i * step);
  return ticks;
};
