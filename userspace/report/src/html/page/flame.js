// The flame graph: callers above, callees below, as wide as their share of the chosen weight. Allocations and accesses are
// trees of their own; the weight decides which one is shown.
let findInFlame = () => {};
const drawFlame = () => {
  const body = bodyOf("flame");
  const grown = (tree, hint, weights, estimated) => {
    if (!tree || tree.parent.length < 2) return [];
    const children = tree.parent.map(() => []);
    tree.parent.forEach((parent, node) => { if (node > 0) children[parent].push(node); });
    const own = { tree, children, hint, estimated };
    return weights.filter(([key]) => tree[key]).map(([key, text, format]) => ({ key, text, format, own }));
  };
  const allocated = grown(data.flame, "A site's totals are split over its sampled stacks in proportion to their samples; what was never sampled hangs under “stack not sampled” with its immediate caller.",
    [["bytes", "Bytes", formatBytes], ["calls", "Calls", formatCount], ["live", "Live bytes", formatBytes], ["peak", "Live at the peak", formatBytes]], data.estimated ? "~" : "");
  const accessed = grown(data.flame_accesses, "Sampled accesses: the function that made them, above it what it was inlined into, below it the mapping it reached. A sample has no call stack.",
    [["accesses", "Accesses", formatCount], ["loads", "Loads", formatCount], ["stores", "Stores", formatCount], ["latency", "Latency", v => `${formatCount(v)} cycles`]], "");
  const views = [...allocated, ...accessed];
  if (views.length === 0) { empty("flame", "No allocation site was seen, and no access."); return; }
  const ROW = 19;
  const state = { view: views[0], root: 0, wanted: "", focus: 0 };
  const value = node => state.view.own.tree[state.view.key][node];
  const write = v => state.view.own.estimated + state.view.format(v);
  const name = node => data.frames[state.view.own.tree.frame[node]].name;
  const moduleOf = node => data.frames[state.view.own.tree.frame[node]].module || "";
  const below = node => state.view.own.children[node];
  const above = node => state.view.own.tree.parent[node];
  const hue = text => { let hash = 7; for (const c of text) hash = (hash * 31 + c.codePointAt(0)) >>> 0; return hash % 360; };
  const fill = node => state.wanted && matches(node) ? "var(--hit)"
    : moduleOf(node) === "" ? "hsl(215 12% var(--flame-l))" : `hsl(${hue(moduleOf(node))} var(--flame-s) calc(var(--flame-l) + ${hue(name(node)) % 11 - 5}%))`;
  const matches = node => name(node).toLowerCase().includes(state.wanted) || moduleOf(node).toLowerCase().includes(state.wanted);
  const path = node => { const up = []; for (let at = node; at > 0; at = above(at)) up.unshift(at); return up; };

  const host = h("div", { class: "flame" });
  const svg = s("svg", { role: "tree", "aria-label": "Flame graph" });
  const found = h("output", {});
  const shown = new Map();
  const layout = width => {
    shown.clear();
    const up = path(state.root);
    const place = (node, depth, x, wide) => {
      shown.set(node, { depth, x, wide });
      let at = x;
      const scale = value(node) > 0 ? wide / value(node) : 0;
      for (const child of below(node).slice().sort((a, b) => value(b) - value(a))) {
        const childWide = value(child) * scale;
        if (childWide < 0.6) break;
        place(child, depth + 1, at, childWide);
        at += childWide;
      }
    };
    [0, ...up].slice(0, -1).forEach((node, depth) => shown.set(node, { depth, x: 0, wide: width, isAbove: true }));
    place(state.root, up.length, 0, width);
  };
  const all = () => Math.max(value(0), 1);
  const describe = (node, x, y) => showTip(x, y, h("div", { class: "mono" }, name(node)), h("div", { class: "soft" }, moduleOf(node)), tipRows([
    ...views.filter(view => view.own === state.view.own).map(({ key, text, format, own: { tree, estimated } }) => [text.toLowerCase(), `${estimated}${format(tree[key][node])} (${formatPct(100 * tree[key][node] / Math.max(tree[key][0], 1))})`]),
    state.root !== 0 && ["of what is zoomed to", formatPct(100 * value(node) / Math.max(value(state.root), 1))],
  ]));
  const cut = (text, wide) => { const room = Math.floor((wide - 8) / 7.4); return room < 3 ? "" : text.length <= room ? text : text.slice(0, room - 1) + "…"; };
  const zoom = node => { state.root = node; state.focus = node; draw(true); };
  const box = node => {
    const { depth, x, wide, isAbove } = shown.get(node);
    return s("g", {
      tabindex: node === state.focus ? "0" : "-1", role: "treeitem", "data-node": node, class: isAbove ? "faded" : null,
      "aria-label": `${name(node)}, ${write(value(node))}, ${formatPct(100 * value(node) / all())}`,
      click: () => { hideTip(); zoom(node); }, pointermove: event => describe(node, event.clientX, event.clientY), pointerleave: hideTip, blur: hideTip,
      focus: event => { const at = event.currentTarget.getBoundingClientRect(); describe(node, at.left + Math.min(at.width, 60), at.bottom); },
    }, s("rect", { x: x.toFixed(2), y: depth * ROW, width: Math.max(wide, 0.5).toFixed(2), height: ROW, rx: 2, style: { fill: fill(node) } }),
    wide > 28 && s("text", { x: x + 4, y: depth * ROW + 13.5 }, cut(shortName(name(node)), wide)));
  };
  const draw = isFocused => {
    const width = host.clientWidth;
    if (width === 0) return;
    layout(width);
    svg.setAttribute("height", (Math.max(...[...shown.values()].map(at => at.depth)) + 1) * ROW);
    svg.replaceChildren(...[...shown.keys()].map(box));
    const counted = node => matches(node) ? value(node) : below(node).reduce((sum, child) => sum + counted(child), 0);
    found.textContent = state.wanted ? `${formatPct(100 * counted(0) / all())} of ${write(value(0))} matches` : `${write(value(0))} in all`;
    reset.hidden = state.root === 0;
    if (isFocused) svg.querySelector(`[data-node="${state.focus}"]`)?.focus({ preventScroll: true });
  };
  svg.addEventListener("keydown", event => {
    const siblings = below(above(state.focus)).filter(node => shown.has(node)).sort((a, b) => value(b) - value(a));
    const at = siblings.indexOf(state.focus);
    const next = {
      ArrowUp: () => above(state.focus), ArrowLeft: () => siblings[at - 1], ArrowRight: () => siblings[at + 1],
      ArrowDown: () => below(state.focus).filter(node => shown.has(node)).sort((a, b) => value(b) - value(a))[0],
    }[event.key];
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); zoom(state.focus); }
    else if (event.key === "Escape") zoom(0);
    else if (next) {
      event.preventDefault();
      const node = next();
      if (node === undefined || !shown.has(node)) return;
      svg.querySelector(`[data-node="${state.focus}"]`)?.setAttribute("tabindex", "-1");
      state.focus = node;
      const element = svg.querySelector(`[data-node="${node}"]`);
      element.setAttribute("tabindex", "0");
      element.focus({ preventScroll: true });
    }
  });
  const search = h("input", { type: "search", class: "grow", placeholder: "Search functions and modules", "aria-label": "Search the flame graph", input: event => { state.wanted = event.target.value.trim().toLowerCase(); draw(); } });
  const reset = h("button", { type: "button", hidden: true, click: () => zoom(0) }, "Zoom out");
  const show = view => {
    if (view.own !== state.view.own) state.root = state.focus = 0;
    state.view = view;
    hint.textContent = `Callers above, callees below. ${view.own.hint} Click or Enter zooms, arrows move, Escape zooms out.`;
    omitted.textContent = `The ${whole(view.own.tree.omitted)} smallest frames are not drawn.`;
    omitted.hidden = view.own.tree.omitted === 0;
    draw();
  };
  const picker = choice("Weight", views.map(view => [view, view.text]), state.view, show);
  const [hint, omitted] = [note(""), note("")];
  findInFlame = text => {
    search.value = text;
    state.wanted = text.toLowerCase();
    state.root = state.focus = 0;
    // Sites are those of allocations, whose weights come first.
    if (state.view.own !== views[0].own) picker.querySelector("button").click();
    draw();
    document.getElementById("flame").scrollIntoView();
  };
  host.append(svg);
  body.append(h("div", { class: "bar" }, picker, search, found, reset), redrawn(host, () => draw()), hint, omitted);
  show(state.view);
};
