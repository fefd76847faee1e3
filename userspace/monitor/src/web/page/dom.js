// Elements are made here; text goes in as text nodes, never as markup: names of targets are what processes chose to be called.
const SVG = "http://www.w3.org/2000/svg";
const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
};
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes || {}, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes || {}, children);
const byId = id => document.getElementById(id);
const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const meter = (share, isOver) => {
  const bar = h("i");
  bar.style.width = `${Math.max(0, Math.min(1, share || 0)) * 100}%`;
  return h("span", { class: isOver ? "meter over" : "meter" }, bar);
};
const tile = (name, value, note, state, extra) =>
  h("div", { class: `tile ${state || ""}` }, h("dt", {}, name), h("dd", {}, value, extra), h("dd", { class: "note" }, note || ""));
