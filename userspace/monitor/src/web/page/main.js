// Asks once a window, and joins what comes to what is there.
const live = { view: null, fetched: 0, trouble: "", chosen: null, isAsking: false, again: 0 };

const ask = async path => {
  const token = sessionStorage.getItem("token");
  const answer = await fetch(path, { cache: "no-store", headers: token ? { Authorization: `Bearer ${token}` } : {} });
  if (answer.status === 401) { sessionStorage.removeItem("token"); location.reload(); }
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${answer.status} ${(await answer.text()).trim()}`);
  return answer.json();
};

// The past of every target: asked for once, then one point a window.
const joinTrails = (view, isFresh) => {
  const joined = new Map();
  for (const row of view.targets) {
    const past = isFresh ? [] : table.trails.get(row.target) || [];
    joined.set(row.target, past.concat(row.trail).slice(-SPARK));
  }
  table.trails = joined;
};

const update = async () => {
  const before = live.view;
  let view = await ask("api/v1/overview?last=1");
  const isSame = before && before.index !== null && before.started_unix_ns === view.started_unix_ns;
  const passed = isSame ? view.index - before.index : SPARK;
  if (passed > 1 || (!isSame && view.index !== null)) view = await ask(`api/v1/overview?last=${Math.min(SPARK, Math.max(1, passed))}`);
  // A window that came between the two questions costs the curves one point.
  live.view = view;
  live.fetched = performance.now();
  view.at = Object.fromEntries(view.columns.map((name, at) => [name, at]));
  if (passed === 0) return;
  joinTrails(view, !isSame || passed >= SPARK);
  table.view = view;
  drawAlerts((await ask("api/v1/alerts")).alerts);
  drawHost(view);
  orderRows();
};

const showChosen = async () => {
  const chosen = location.hash.startsWith("#target=") ? decodeURIComponent(location.hash.slice(8)) : null;
  const isNew = chosen !== live.chosen;
  live.chosen = chosen;
  byId("detail").hidden = chosen === null;
  byId("targets").hidden = chosen !== null;
  document.body.classList.toggle("one", chosen !== null);
  if (chosen === null) { if (isNew) orderRows(); return; }
  const detail = await ask(`api/v1/target?name=${encodeURIComponent(chosen)}`);
  if (live.chosen !== chosen) return;
  if (detail) drawTarget(detail);
  else if (isNew || !byId("detail").hasChildNodes()) {
    byId("detail").replaceChildren(h("div", { class: "bar" }, h("a", { class: "back", href: "#" }, "← Targets"), h("h2", { class: "name" }, chosen)),
      absent("It has no process in the last window."));
  }
  if (isNew) scrollTo(0, 0);
};

const round = async () => {
  clearTimeout(live.again);
  if (live.isAsking) return;
  live.isAsking = true;
  const before = live.view?.index;
  try {
    await update();
    if (live.view.index !== before) await showChosen();
    live.trouble = "";
  } catch (error) {
    live.trouble = `no answer: ${error.message}`;
  }
  live.isAsking = false;
  drawPulse(live.view, live.fetched, live.trouble);
  const window = live.view ? live.view.window_ns / 1e6 : 2000;
  const wait = live.trouble || !live.view || live.view.index === null ? 2000 : Math.max(500, Math.min(window, window - live.view.age_ns / 1e6 + 200));
  live.again = setTimeout(round, document.hidden ? Math.max(wait, 10000) : wait);
};

drawHead();
addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
addEventListener("resize", () => requestAnimationFrame(drawRows));
addEventListener("hashchange", () => showChosen().catch(error => { live.trouble = error.message; }));
document.addEventListener("visibilitychange", () => { if (!document.hidden) round(); });
byId("filter").addEventListener("input", event => { table.filter = event.target.value; orderRows(); });
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const filter = byId("filter");
  if (event.key === "Escape") {
    if (live.chosen !== null) location.hash = "";
    else if (filter.value) { filter.value = table.filter = ""; orderRows(); }
    else document.activeElement.blur();
    return;
  }
  const isFilter = event.target === filter;
  if (isFilter ? event.key === "ArrowDown" : event.key === "j" || event.key === "ArrowDown") { event.preventDefault(); moveFocus(1); }
  else if (!isFilter && (event.key === "k" || event.key === "ArrowUp")) { event.preventDefault(); moveFocus(-1); }
  else if (!isFilter && event.key === "/") { event.preventDefault(); filter.focus(); }
});
setInterval(() => drawPulse(live.view, live.fetched, live.trouble), 1000);
round();
