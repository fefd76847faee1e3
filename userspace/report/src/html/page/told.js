// What the heat map tells of a cell: when, where, who, how much, and the block that was there.
const heatTold = (own, samples, { addressAt, scaleAt, regionAt }) => {
  const most = sums => [...sums].sort((a, b) => b[1] - a[1]);
  const add = (sums, key, value) => sums.set(key, (sums.get(key) || 0) + value);
  const codeName = rank => {
    const frame = data.frames[own.code[rank]];
    return [shortName(frame.name), frame.place].filter(Boolean).join(" ");
  };
  const siteName = rank => own.sites[rank] === null ? "site not listed" : siteLabel(data.sites.list[own.sites[rank]]);
  const blockAt = (ns, at) => own.blocks.findLast(([index, from, bytes]) =>
    at >= from && at < from + bytes && ns >= (data.traced.from_ns[index] ?? 0) && ns <= (data.traced.to_ns[index] ?? time.whole));
  const block = (ns, at) => {
    const hit = blockAt(ns, at);
    if (!hit) return [];
    const { site, size, from_ns } = data.traced;
    const row = site[hit[0]];
    return [
      ["block", `${formatBytes(size[hit[0]])}, ${from_ns[hit[0]] === null ? "from before the run" : `from ${(from_ns[hit[0]] / 1e9).toFixed(3)}s`}`],
      row !== null && ["allocated by", shortName(siteLabel(data.sites.list[row]))],
    ];
  };
  const sumUp = (cell, kind) => {
    const { at, what, place, weight } = samples;
    const [codes, threads, sites] = own.makers;
    const sum = { loads: 0, stores: 0, codes: new Map(), tids: new Map(), sites: new Map(), count: 0, first: -1 };
    const end = firstAt(at, cell.to);
    for (let i = firstAt(at, cell.from); i < end; i += 1) {
      if (place[i] < cell.low || place[i] >= cell.high || (kind !== 2 && kind !== (what[i] & 1))) continue;
      sum[what[i] & 1 ? "stores" : "loads"] += weight[i];
      sum.count += 1;
      sum.first = i;
      const maker = what[i] >> 1;
      add(sum.codes, codes[maker], weight[i]);
      add(sum.tids, threads[maker], weight[i]);
      if (sites[maker] > 0) add(sum.sites, sites[maker] - 1, weight[i]);
    }
    return sum;
  };
  const seconds = ns => `${(ns / 1e9).toFixed(own.unit_ns < 1e6 ? 6 : 3)}s`;
  return (cell, state) => {
    const middle = [(cell.from + cell.to) / 2, (cell.low + cell.high) / 2];
    const sum = sumUp(cell, state.kind);
    const behind = state.showsBlocks ? block(...middle) : [];
    if (sum.count === 0 && behind.length === 0) return null;
    const at = sum.count === 1 ? samples.place[sum.first] : cell.low;
    const region = regionAt(sum.count > 0 ? samples.place[sum.first] : middle[1]);
    const all = sum.loads + sum.stores;
    const parts = (sums, name) => most(sums).slice(0, 3).map(([key, value], i) =>
      [i === 0 ? name : "", `${value < all ? `${formatPct(100 * value / all)} ` : ""}`, key]);
    return tipRows([
      ["time", sum.count === 1 ? `${(samples.at[sum.first] / 1e9).toFixed(6)}s` : `${seconds(cell.from)} – ${seconds(cell.to)}`],
      ["address", sum.count === 1 ? `0x${addressAt(at).toString(16)}` : `0x${addressAt(Math.min(at, own.height - 1)).toString(16)}, ${formatBytes(Math.ceil((cell.high - cell.low) / scaleAt(at)))}`],
      region && ["mapping", region[0] + (region[4] > 0 ? `, ${formatBytes(region[4])} in huge pages` : "") + (region[5] === null ? "" : `, node ${region[5]}`)],
      sum.count > 0 && ["loads", formatCount(sum.loads)],
      sum.count > 0 && ["stores", formatCount(sum.stores)],
      ...parts(sum.codes, "by").map(([name, share, key]) => [name, share + codeName(key)]),
      own.threads.length > 1 && sum.count > 0 && ["thread", most(sum.tids).slice(0, 3).map(([key]) => own.threads[key]).join(", ")],
      ...parts(sum.sites, "in blocks of").map(([name, share, key]) => [name, share + shortName(siteName(key))]),
      ...behind,
    ]);
  };
};

// What the picture leaves out, and how to use it.
const heatNotes = own => {
  const processes = new Set(own.stretches.map(([process]) => process)).size;
  const used = own.stretches.reduce((sum, [, , length]) => sum + length, 0);
  const magnified = own.stretches.some(([, , , scale]) => scale > 1);
  const cut = own.stretches.length > 1 ? ` Gaps of more than ${formatBytes(own.gap_bytes)} without a sample${own.blocks.length > 0 ? " or a block" : ""} are cut out; a dashed line marks where.` : "";
  return [
    note(`${whole(own.shown)} samples over ${formatBytes(used)} of addresses in use.${cut}${magnified ? " What would be too small to see is drawn larger: ×8 beside a name says how much." : ""}${processes > 1 ? ` ${processes} processes lie above one another.` : ""} Ctrl and the wheel zoom where the pointer is; after a click the wheel alone does.`),
    own.count > own.shown && note(`One in ${whole(Math.round(own.count / own.shown))} of ${whole(own.count)} samples is drawn, chosen evenly; the tables count all.`, true),
  ].filter(Boolean);
};
