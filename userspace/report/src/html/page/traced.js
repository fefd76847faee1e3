// Traced allocations: each a rectangle from its birth to its end, as high as its size, where it lay in memory.
const drawTraced = () => {
  const body = bodyOf("traced");
  const own = data.traced;
  if (!own) { empty("traced", "No allocation was traced: that needs --exact, and allocations of at least --min-size."); return; }
  const height = 340;
  const margin = { left: 66, right: 10, top: 6, bottom: 20 };
  const canvas = h("canvas", { height, tabindex: "0", role: "img", "aria-label": "Traced allocations over time and addresses; the site table has the same allocations as text." });
  const host = h("div", { class: "chart" }, canvas);
  const scale = {
    width: 1,
    toX: ns => margin.left + (ns - time.from) / (time.to - time.from) * scale.width,
    toTime: x => time.from + Math.min(1, Math.max(0, (x - margin.left) / scale.width)) * (time.to - time.from),
  };
  const tall = height - margin.top - margin.bottom;
  const toY = at => margin.top + tall - at / own.height * tall;
  const placeOf = address => {
    let [low, high] = [0, own.stretches.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (own.stretches[middle][0] <= address) low = middle; else high = middle - 1;
    }
    return own.stretches[low][2] + address - own.stretches[low][0];
  };
  const bytesOf = new Map();
  own.site.forEach((site, i) => bytesOf.set(site, (bytesOf.get(site) || 0) + own.size[i]));
  const ranked = [...bytesOf.keys()].filter(site => site !== null).sort((a, b) => bytesOf.get(b) - bytesOf.get(a)).slice(0, 7);
  const shade = own.site.map(site => { const at = ranked.indexOf(site); return at < 0 ? 7 : at; });
  const boxes = own.address.map((address, i) => {
    const bottom = toY(placeOf(address));
    const deep = Math.max(1.5, own.size[i] / own.height * tall);
    return { y: bottom - deep, deep, from: own.from_ns[i] ?? 0, to: own.to_ns[i] ?? time.whole };
  });
  const draw = () => {
    const width = host.clientWidth;
    if (width === 0) return;
    scale.width = width - margin.left - margin.right;
    const ratio = devicePixelRatio || 1;
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const paint = name => style.getPropertyValue(name).trim();
    pen.scale(ratio, ratio);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = paint("--soft");
    const step = niceStep(time.to - time.from, Math.max(2, scale.width / 110), "ns");
    for (const v of ticksOf(time.from, time.to, step)) {
      const text = formatTime(v, step);
      const at = scale.toX(v);
      pen.textAlign = at > width - 26 ? "right" : "center";
      pen.fillText(text, at, height - 5);
    }
    pen.textAlign = "right";
    pen.font = "10px system-ui, sans-serif";
    let lastLabel = Infinity;
    for (const [start, , at] of own.stretches) {
      const y = toY(at);
      pen.fillStyle = paint("--grid");
      pen.fillRect(margin.left, y, scale.width, 1);
      if (lastLabel - y > 13) {
        pen.fillStyle = paint("--soft");
        pen.fillText(`…${(start % 2 ** 32).toString(16).padStart(8, "0")}`, margin.left - 6, Math.min(y, height - margin.bottom));
        lastLabel = y;
      }
    }
    pen.save();
    pen.beginPath();
    pen.rect(margin.left, 0, scale.width, height);
    pen.clip();
    pen.globalAlpha = 0.82;
    const fills = Array.from({ length: 8 }, (_, i) => paint(`--c${i}`));
    boxes.forEach((box, i) => {
      const [a, b] = [scale.toX(box.from), scale.toX(box.to)];
      if (b < margin.left || a > width) return;
      pen.fillStyle = fills[shade[i]];
      pen.fillRect(a, box.y, Math.max(1, b - a - 0.5), Math.max(1, box.deep - 0.5));
    });
    pen.globalAlpha = 1;
    if (time.cursor !== null) {
      pen.fillStyle = paint("--soft");
      pen.fillRect(scale.toX(time.cursor), margin.top, 1, tall);
    }
    if (time.selection) {
      const [a, b] = time.selection.map(scale.toX);
      pen.fillStyle = paint("--accent");
      pen.globalAlpha = 0.16;
      pen.fillRect(Math.min(a, b), margin.top, Math.abs(b - a), tall);
    }
    pen.restore();
  };
  const siteName = i => own.site[i] === null ? (own.from_ns[i] === null ? "allocated before the run" : "site not listed") : siteLabel(data.sites.list[own.site[i]]);
  const describe = (x, y) => {
    const inside = y - canvas.getBoundingClientRect().top;
    let hit = -1;
    boxes.forEach((box, i) => { if (time.cursor >= box.from && time.cursor <= box.to && inside >= box.y - 1 && inside <= box.y + box.deep + 1) hit = i; });
    if (hit < 0) { hideTip(); return; }
    const at = ns => `${(ns / 1e9).toFixed(6)}s`;
    const [from, to] = [own.from_ns[hit], own.to_ns[hit]];
    showTip(x, y, h("div", { class: "mono" }, siteName(hit)), tipRows([
      ["size", own.size[hit] > 0 ? formatBytes(own.size[hit]) : "not known"], ["address", `0x${own.address[hit].toString(16)}`],
      ["allocated", from === null ? "before the run" : at(from)], ["freed", to === null ? "not in the run" : at(to)],
      from !== null && to !== null && ["lived", formatNs(to - from)], own.tid[hit] > 0 && ["thread", String(own.tid[hit])],
    ]));
  };
  timeGestures(canvas, scale, describe);
  time.watchers.push(draw);
  time.cursorWatchers.push(() => requestAnimationFrame(draw));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  const legend = h("div", { class: "legend" }, ranked.map((site, i) => h("span", {}, swatch(color(i)), shortName(siteLabel(data.sites.list[site])))), shade.includes(7) && h("span", {}, swatch(color(7)), "others"));
  body.append(redrawn(host, draw), legend,
    note(`${whole(own.address.length)} allocations; ${own.stretches.length > 1 ? "stretches of unused addresses are cut out, a line marks where each used one begins; " : ""}what was there before starts at the left edge, what remains ends at the right.`));
  if (own.omitted > 0) body.append(note(`The ${whole(own.omitted)} that covered least bytes × time are not drawn.`));
};
