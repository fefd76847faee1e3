// Alerts that hold, and those that held lately.
const RECORDING = { running: "recording…", run: what => `recorded as ${what}`, failed: what => `not recorded: ${what}` };
const recordingOf = ({ state, what }) => {
  const words = RECORDING[state];
  return typeof words === "function" ? words(what) : words || "";
};
const drawAlert = alert => h("div", { class: alert.ended ? "alert over" : "alert holds" },
  h("b", {}, alert.rule, alert.target ? ` · ${alert.target}` : ""),
  h("span", { class: "when" }, clock(alert.began_unix_ns), alert.ended ? `–${clock(alert.ended.at_unix_ns)}` : ""),
  h("span", { class: "detail" }, [alert.detail || alert.when, recordingOf(alert.recording)].filter(Boolean).join(" · ")));
const drawAlerts = alerts => {
  byId("alerts").hidden = alerts.length === 0;
  const holding = alerts.filter(alert => !alert.ended), over = alerts.filter(alert => alert.ended);
  byId("alerts").querySelector(".body").replaceChildren(...holding.slice(0, 50).concat(over.slice(0, 5)).map(drawAlert));
  table.alarms = new Set(holding.map(alert => alert.target));
  document.title = holding.length ? `(${holding.length}) waytrace` : "waytrace";
};
