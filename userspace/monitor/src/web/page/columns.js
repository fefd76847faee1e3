// Columns of the table: what they show, how they are sorted, and up to which width they are left out.
const COLUMNS = [
  { key: "target", label: "Target" },
  { key: "cpu", label: "CPU", metric: "cpu_ns", format: formatCpu, rate: true, trail: 0 },
  { key: "rss", label: "Memory", metric: "rss_bytes", format: formatBytes, trail: 1 },
  { key: "alloc", label: "Allocated", metric: "alloc_bytes", format: perSecond(formatBytes), rate: true, trail: 2, hide: "mid" },
  { key: "wait", label: "Waits for CPU", metric: "run_queue_ns", format: formatCpu, rate: true, trail: 3, hide: "mid" },
  { key: "procs", label: "Procs", metric: "processes_count", format: formatCount, hide: "mid" },
  { key: "threads", label: "Threads", metric: "threads_count", format: formatCount, hide: "mid wide" },
  { key: "faults", label: "Faults", metric: "minor_faults_count", format: perSecond(formatCount), rate: true, hide: "mid wide" },
  { key: "cost", label: "Overhead", metric: "overhead_ratio", format: v => formatPct(v * 100), hide: "mid wide" },
];
const valueOf = (row, column, view) => {
  const value = row.values[view.at[column.metric]];
  if (value === null || value === undefined) return null;
  return column.rate ? value * 1e9 / Math.max(1, view.length_ns) : value;
};
