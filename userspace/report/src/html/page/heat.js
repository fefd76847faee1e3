// The heat map: sampled accesses over time and the addresses in use; blue is read, orange is written, strong is often.
const drawHeat = () => {
  if (!document.getElementById("heat")) return;
  const own = data.heat;
  if (!own) { empty("heat", "No sample is in the chosen part of the run, or no access was resolved."); return; }
  const samples = samplesOf(own);
  const starts = new Float64Array(own.stretches.length);
  own.stretches.forEach((_, i) => { starts[i] = i === 0 ? 0 : starts[i - 1] + own.stretches[i - 1][2] * own.stretches[i - 1][3]; });
  const stretchAt = h => Math.max(0, firstAt(starts, h + 0.5) - 1);
  const addressAt = h => {
    const i = stretchAt(h);
    return BigInt(`0x${own.stretches[i][1]}`) + BigInt(Math.max(0, Math.floor((h - starts[i]) / own.stretches[i][3])));
  };
  const blockAt = h => (addressAt(h) / BigInt(own.block_bytes) * BigInt(own.block_bytes)).toString(16);
  const scaleAt = h => own.stretches[stretchAt(h)][3];
  const regionAt = h => own.regions.filter(([, , from, to]) => h >= from && h < to).sort((a, b) => a[3] - a[2] - b[3] + b[2])[0];
  const plane = planeOf(own.height, own.block_bytes);
  const state = { kind: 2, showsBlocks: own.blocks.length > 0, pans: false, cursor: null, selection: null, image: null };

  const height = 470;
  const margin = { left: 92, right: 150, top: 6, bottom: 20 };
  const scale = {
    width: 1, tall: height - margin.top - margin.bottom,
    toX: ns => margin.left + (ns - plane.from) / (plane.to - plane.from) * scale.width,
    toY: h => margin.top + scale.tall - (h - plane.low) / (plane.high - plane.low) * scale.tall,
    toTime: x => plane.from + Math.min(1, Math.max(0, (x - margin.left) / scale.width)) * (plane.to - plane.from),
    toHeight: y => plane.low + Math.min(1, Math.max(0, (margin.top + scale.tall - y) / scale.tall)) * (plane.high - plane.low),
  };
  const map = h("canvas", { height, "aria-hidden": "true" });
  const overlay = h("canvas", {
    class: "overlay", height, tabindex: "0", role: "img",
    "aria-label": "Sampled memory accesses over time and addresses. Arrows read cells, with Shift they move the view, plus and minus zoom, Escape shows everything. The tables below have the same accesses as text.",
  });
  const host = h("div", { class: "chart heat" }, map, overlay);
  const cellOf = (x, y) => {
    const { wide, tall } = state.grid;
    const [column, row] = [Math.floor(scale.toTime(x) / wide), Math.floor(scale.toHeight(y) / tall)];
    return { from: column * wide, to: (column + 1) * wide, low: row * tall, high: (row + 1) * tall };
  };

  // Colours of a cell by share of stores and by intensity, as the pixels of little-endian RGBA.
  const SHADES = 32;
  const coloursOf = paint => {
    const rgb = name => { const hex = paint(name); return [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16)); };
    const stops = [rgb("--read"), rgb("--both"), rgb("--write")];
    const colours = new Uint32Array(SHADES * SHADES);
    for (let share = 0; share < SHADES; share += 1) {
      const at = share / (SHADES - 1) * 2;
      const [a, b, part] = at < 1 ? [stops[0], stops[1], at] : [stops[1], stops[2], at - 1];
      const [r, g, blue] = a.map((v, i) => Math.round(v + (b[i] - v) * part));
      for (let strength = 0; strength < SHADES; strength += 1) {
        const alpha = Math.round(255 * (0.34 + 0.66 * strength / (SHADES - 1)));
        colours[share * SHADES + strength] = ((alpha << 24) | (blue << 16) | (g << 8) | r) >>> 0;
      }
    }
    return colours;
  };
  const stamp = document.createElement("canvas");
  const drawCells = (pen, paint) => {
    const ratio = devicePixelRatio || 1;
    const size = ratio > 1 ? 2 : 3;
    const grid = gridOf(own, plane, scale.width / size, scale.tall / size);
    const { loads, stores, most } = binned(samples, grid, state.kind);
    state.grid = grid;
    const colours = coloursOf(paint);
    [stamp.width, stamp.height] = [grid.columns, grid.rows];
    const brush = stamp.getContext("2d");
    const image = brush.createImageData(grid.columns, grid.rows);
    const pixels = new Uint32Array(image.data.buffer);
    const top = Math.log2(1 + most);
    for (let row = 0; row < grid.rows; row += 1) {
      const to = (grid.rows - 1 - row) * grid.columns;
      for (let cell = row * grid.columns, x = 0; x < grid.columns; cell += 1, x += 1) {
        const sum = loads[cell] + stores[cell];
        if (sum === 0) continue;
        const share = Math.round(stores[cell] / sum * (SHADES - 1));
        const strength = most <= 1 ? SHADES - 1 : Math.round(Math.log2(1 + sum) / top * (SHADES - 1));
        pixels[to + x] = colours[share * SHADES + strength];
      }
    }
    brush.putImageData(image, 0, 0);
    const [x, y] = [scale.toX(grid.left * grid.wide), scale.toY((grid.bottom + grid.rows) * grid.tall)];
    pen.imageSmoothingEnabled = false;
    pen.drawImage(stamp, x, y, scale.toX((grid.left + grid.columns) * grid.wide) - x, scale.toY(grid.bottom * grid.tall) - y);
  };
  const drawBlocks = (pen, paint) => {
    const { from_ns, to_ns } = data.traced;
    pen.fillStyle = paint("--block");
    pen.globalAlpha = 0.2;
    for (const [index, at, bytes] of own.blocks) {
      const [a, b] = [scale.toX(from_ns[index] ?? 0), scale.toX(to_ns[index] ?? time.whole)];
      const [y, bottom] = [scale.toY(at + bytes), scale.toY(at)];
      if (b < margin.left || a > margin.left + scale.width || bottom < margin.top || y > margin.top + scale.tall) continue;
      pen.fillRect(a, y, Math.max(1, b - a), Math.max(1, bottom - y));
    }
    pen.globalAlpha = 1;
  };
  // The largest gaps in view are marked; where one lies on another's mark, the larger counts.
  const gaps = own.stretches.map(([process, start, length], i) => {
    const [before, from, bytes] = i === 0 ? [process, start, 0] : own.stretches[i - 1];
    return { at: starts[i], size: before !== process ? Infinity : Number(BigInt(`0x${start}`) - BigInt(`0x${from}`)) - bytes };
  }).slice(1).sort((a, b) => b.size - a.size);
  const drawGaps = (pen, paint) => {
    pen.fillStyle = paint("--soft");
    pen.globalAlpha = 0.5;
    const free = new Uint8Array(height + 1);
    for (const { at } of gaps) {
      if (at <= plane.low || at >= plane.high) continue;
      const y = Math.round(scale.toY(at));
      if (free[y]) continue;
      free.fill(1, Math.max(0, y - 15), y + 16);
      for (let x = margin.left; x < margin.left + scale.width; x += 8) pen.fillRect(x, y, 3, 1);
    }
    pen.globalAlpha = 1;
  };
  const drawAxes = (pen, paint, width) => {
    pen.fillStyle = paint("--soft");
    pen.font = "11px system-ui, sans-serif";
    const step = niceStep(plane.to - plane.from, Math.max(2, scale.width / 110), "ns");
    pen.textAlign = "center";
    for (const v of ticksOf(plane.from, plane.to, step)) pen.fillText(formatTime(v, step), scale.toX(v), height - 5);
    pen.font = "10px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
    pen.textAlign = "right";
    for (let y = margin.top + scale.tall; y >= margin.top + 8; y -= 44) {
      pen.fillText(blockAt(Math.min(scale.toHeight(y), own.height - 1)), margin.left - 8, y);
      pen.fillRect(margin.left - 5, y - 1, 5, 1);
    }
    drawRegions(pen, paint, width);
  };
  const fitted = (pen, text, room) => {
    if (pen.measureText(text).width <= room) return text;
    let kept = text;
    while (kept.length > 1 && pen.measureText(`${kept}…`).width > room) kept = kept.slice(0, -1);
    return `${kept}…`;
  };
  const drawRegions = (pen, paint, width) => {
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "left";
    const left = margin.left + scale.width + 6;
    let free = Infinity;
    own.regions.forEach(([label, , from, to, huge], i) => {
      const [y, bottom] = [Math.max(margin.top, scale.toY(to)), Math.min(margin.top + scale.tall, scale.toY(from))];
      if (bottom <= y) return;
      pen.fillStyle = paint("--soft");
      pen.globalAlpha = i % 2 === 0 ? 1 : 0.45;
      pen.fillRect(left, y, 4, Math.max(1, bottom - y - 1));
      pen.globalAlpha = 1;
      if (huge > 0) {
        pen.fillStyle = paint("--huge");
        pen.fillRect(left + 5, y, 3, Math.max(1, bottom - y - 1));
      }
      const middle = Math.min((y + bottom) / 2 + 4, free - 12);
      if (middle < (y + bottom) / 2 - 20) return;
      free = middle;
      pen.fillStyle = paint("--ink");
      pen.fillText(fitted(pen, huge > 0 ? `${label} (huge)` : label, width - left - 14), left + 12, middle);
    });
  };
  const paintOf = () => {
    const style = getComputedStyle(document.documentElement);
    return name => style.getPropertyValue(name).trim();
  };
  const penOf = (canvas, width) => {
    const ratio = devicePixelRatio || 1;
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    return pen;
  };
  const clipped = (pen, draw) => {
    pen.save();
    pen.beginPath();
    pen.rect(margin.left, margin.top, scale.width, scale.tall);
    pen.clip();
    draw();
    pen.restore();
  };
  const draw = () => {
    const width = host.clientWidth;
    if (width === 0) return;
    margin.right = width < 700 ? 84 : 150;
    scale.width = Math.max(10, width - margin.left - margin.right);
    const paint = paintOf();
    const pen = penOf(map, width);
    pen.fillStyle = paint("--well");
    pen.fillRect(margin.left, margin.top, scale.width, scale.tall);
    clipped(pen, () => {
      if (state.showsBlocks) drawBlocks(pen, paint);
      drawCells(pen, paint);
      drawGaps(pen, paint);
    });
    drawAxes(pen, paint, width);
    reset.hidden = plane.isWhole();
    drawOverlay();
  };
  const drawOverlay = () => {
    const width = host.clientWidth;
    if (width === 0 || !state.grid) return;
    const paint = paintOf();
    const pen = penOf(overlay, width);
    clipped(pen, () => {
      pen.fillStyle = paint("--soft");
      if (time.cursor !== null) pen.fillRect(scale.toX(time.cursor), margin.top, 1, scale.tall);
      if (state.cursor) {
        pen.strokeStyle = paint("--ink");
        const { from, to, low, high } = state.cursor;
        const [x, y] = [scale.toX(from), scale.toY(high)];
        pen.strokeRect(x - 1.5, y - 1.5, scale.toX(to) - x + 3, scale.toY(low) - y + 3);
      }
      if (state.selection) {
        const [x, y, toX, toY] = state.selection;
        pen.globalAlpha = 0.16;
        pen.fillStyle = paint("--accent");
        pen.fillRect(x, y, toX - x, toY - y);
        pen.globalAlpha = 1;
        pen.strokeStyle = paint("--accent");
        pen.strokeRect(x, y, toX - x, toY - y);
      }
    });
  };
  const told = heatTold(own, samples, { addressAt, scaleAt, regionAt });
  const describe = (cell, clientX, clientY) => {
    const content = told(cell, state);
    if (content) showTip(clientX, clientY, content); else hideTip();
  };
  const pointAtCell = (cell, clientX, clientY) => {
    state.cursor = cell;
    time.point((cell.from + cell.to) / 2);
    describe(cell, clientX, clientY);
  };
  planeGestures(overlay, plane, scale, {
    pans: () => state.pans,
    select: selection => { state.selection = selection; drawOverlay(); },
    point: (x, y, clientX, clientY) => {
      if (x < margin.left || x > margin.left + scale.width) { leave(); return; }
      pointAtCell(cellOf(x, y), clientX, clientY);
    },
    leave: () => leave(),
    cursor: () => state.cursor ? [(state.cursor.from + state.cursor.to) / 2, (state.cursor.low + state.cursor.high) / 2]
      : [(plane.from + plane.to) / 2, (plane.low + plane.high) / 2],
    step: (dx, dy) => {
      const { wide, tall } = state.grid;
      const now = state.cursor || cellOf(margin.left + scale.width / 2, margin.top + scale.tall / 2);
      const x = Math.min(plane.to - wide / 2, Math.max(plane.from + wide / 2, now.from + (dx + 0.5) * wide));
      const y = Math.min(plane.high - tall / 2, Math.max(plane.low + tall / 2, now.low + (dy + 0.5) * tall));
      const cell = cellOf(scale.toX(x), scale.toY(y));
      const box = overlay.getBoundingClientRect();
      pointAtCell(cell, box.left + scale.toX(x), box.top + scale.toY(y));
      speak(tip.hidden ? "no access here" : tip.textContent);
    },
  });
  const leave = () => {
    state.cursor = null;
    hideTip();
    time.point(null);
  };

  const middle = () => [(plane.from + plane.to) / 2, (plane.low + plane.high) / 2];
  const press = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, click: act }, text);
  const reset = h("button", { type: "button", hidden: true, click: plane.whole }, "Everything");
  const blocks = h("button", {
    type: "button", "aria-pressed": "true",
    click: event => {
      state.showsBlocks = !state.showsBlocks;
      event.currentTarget.setAttribute("aria-pressed", String(state.showsBlocks));
      draw();
    },
  }, "Blocks");
  const legend = h("div", { class: "legend" },
    h("span", {}, h("span", { class: "ramp" }), "loads → stores; the stronger, the more (logarithmic)"),
    own.blocks.length > 0 && h("span", {}, swatch("var(--block)"), "life of a traced block"),
    own.regions.some(region => region[4] > 0) && h("span", {}, swatch("var(--huge)"), "holds huge pages"));
  bodyOf("heat").append(
    h("div", { class: "bar" },
      choice("Accesses", [[2, "Loads and stores"], [0, "Loads"], [1, "Stores"]], state.kind, kind => { state.kind = kind; draw(); }),
      choice("Dragging", [[false, "Drag zooms"], [true, "Drag moves"]], state.pans, pans => { state.pans = pans; overlay.classList.toggle("pans", pans); }),
      press("+", "Zoom in", () => plane.zoomAt(...middle(), 0.6)), press("−", "Zoom out", () => plane.zoomAt(...middle(), 1 / 0.6)),
      own.blocks.length > 0 && blocks, reset),
    redrawn(host, draw), legend, ...heatNotes(own));
  time.watchers.push(draw);
  time.cursorWatchers.push(() => requestAnimationFrame(drawOverlay));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  if (own.is_cut) time.zoom(own.from_ns, own.to_ns);
};
