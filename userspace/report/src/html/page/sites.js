// The site table: sortable, searchable, each row opening into its stacks and threads.
const frameName = id => data.frames[id].name;
const frameItem = id => {
  const frame = data.frames[id];
  return h("li", { class: frame.inlined ? "inlined" : null }, h("span", { class: "mono" }, frame.name),
    h("span", { class: "place" }, ` ${[frame.module, frame.place, frame.inlined && "inlined"].filter(Boolean).join(" · ")}`));
};
const siteLabel = site => site.caller.length > 0 ? frameName(site.caller[0]) : "caller not known";

const drawSites = () => {
  const body = bodyOf("sites");
  const { list, omitted, omitted_bytes } = data.sites;
  if (list.length === 0) { empty("sites", "No allocation site was seen."); return; }
  const PAGE = 100;
  const everything = list.reduce((sum, site) => sum + site.bytes, omitted_bytes);
  const estimated = data.estimated ? "~" : "";
  const exact = list.some(site => site.live !== null);
  const columns = [
    ["Bytes", site => site.bytes, site => estimated + formatBytes(site.bytes)],
    ["Share", site => site.bytes, site => formatPct(100 * site.bytes / everything)],
    ["Calls", site => site.calls, site => estimated + formatCount(site.calls)],
    ["Mean", site => site.bytes / Math.max(site.calls, 1e-9), site => formatBytes(site.bytes / Math.max(site.calls, 1e-9)), "minor"],
    ...(exact ? [
      ["Live", site => site.live, site => known(site.live, formatBytes)],
      ["At peak", site => site.peak, site => known(site.peak, formatBytes), "minor"],
      ["Temporary", site => site.temporary / Math.max(site.calls, 1), site => known(site.temporary, v => formatPct(100 * v / Math.max(site.calls, 1))), "minor"],
    ] : []),
    ["Stacks", site => site.samples, site => formatCount(site.samples), "minor"],
    ["Immediate caller", siteLabel, null],
  ];
  const state = { column: 0, descending: true, wanted: "", shown: PAGE };
  const texts = list.map(site => [...site.caller, ...site.stacks.flatMap(stack => stack[1])]
    .map(id => { const frame = data.frames[id]; return [frame.name, frame.module, frame.place].join(" "); }).join(" ").toLowerCase());
  const threads = site => site.threads.length === 0 ? null : h("p", { class: "note" }, "By thread: ",
    site.threads.map(([tid, bytes, calls]) => `${tid} ${formatBytes(bytes)} in ${formatCount(calls)}`).join(" · "));
  const opened = site => [
    site.stacks.length === 0 ? [note("No stack was sampled here; the immediate caller is right for every call."), h("ol", {}, site.caller.map(frameItem))]
      : site.stacks.map(([samples, frames]) => [note(`${formatCount(samples)} of ${formatCount(site.samples)} sampled stacks, innermost first`), h("ol", {}, frames.map(frameItem))]),
    threads(site),
    site.caller.length > 0 && h("button", { type: "button", click: () => findInFlame(siteLabel(site)) }, "Find in flame graph"),
  ].flat(2).filter(Boolean);
  const caller = site => {
    const frame = site.caller.length > 0 ? data.frames[site.caller[0]] : {};
    const details = h("details", {}, h("summary", { title: siteLabel(site) }, h("span", { class: "mono" }, shortName(siteLabel(site))),
      h("span", { class: "place" }, ` ${[frame.place, frame.module].filter(Boolean).join(" · ")}`)));
    details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(...opened(site)); });
    return details;
  };
  const head = h("tr", {}, columns.map(([name, , , kind], at) => h("th", { scope: "col", class: kind }, h("button", {
    type: "button",
    click: () => {
      state.descending = state.column === at ? !state.descending : at !== columns.length - 1;
      state.column = at;
      refresh();
    },
  }, name))));
  const rows = h("tbody", {});
  const found = h("output", {});
  const more = h("button", { type: "button", click: () => { state.shown += 5 * PAGE; refresh(); } }, "Show more");
  const refresh = () => {
    const key = columns[state.column][1];
    const words = state.wanted.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = list.map((site, at) => at).filter(at => words.every(word => texts[at].includes(word)));
    const order = (a, b) => { const [x, y] = [key(list[a]), key(list[b])]; return typeof x === "string" ? x.localeCompare(y) : x - y; };
    matching.sort((a, b) => (state.descending ? -1 : 1) * order(a, b) || a - b);
    [...head.children].forEach((th, at) => at === state.column ? th.setAttribute("aria-sort", state.descending ? "descending" : "ascending") : th.removeAttribute("aria-sort"));
    rows.replaceChildren(...matching.slice(0, state.shown).map(at => h("tr", {}, columns.map(([name, , write, kind]) =>
      h("td", name === "Share" ? { class: "share", style: { "--share": `${(100 * list[at].bytes / everything).toFixed(2)}%` } } : { class: kind }, write ? write(list[at]) : caller(list[at]))))));
    const bytes = matching.reduce((sum, at) => sum + list[at].bytes, 0);
    found.textContent = `${matching.length} of ${list.length} sites, ${estimated}${formatBytes(bytes)} (${formatPct(100 * bytes / everything)})`;
    more.hidden = matching.length <= state.shown;
  };
  const search = h("input", { type: "search", class: "grow", placeholder: "Search functions, modules, files", "aria-label": "Search sites", input: event => { state.wanted = event.target.value; state.shown = PAGE; refresh(); } });
  body.append(h("div", { class: "bar" }, search, found), h("div", { class: "scroll" }, h("table", { class: "sites" }, h("thead", {}, head), rows)), more);
  if (omitted > 0) body.append(note(`${whole(omitted)} smaller sites with ${formatBytes(omitted_bytes)} together are not listed.`));
  refresh();
};
