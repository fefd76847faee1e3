// Elements are made here and only here; text goes in as text nodes, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const fillElement = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) element.style.setProperty(key, v);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
};
const h = (tag, attributes, ...children) => fillElement(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fillElement(document.createElementNS(SVG, tag), attributes, children);
const bodyOf = id => document.querySelector(`#${id} > .body`);
const note = (text, isFlag) => h("p", { class: isFlag ? "note flag" : "note" }, text);
const empty = (id, text) => bodyOf(id).append(h("p", { class: "empty" }, text));
const color = i => `var(--c${Math.min(i, 7)})`;
const swatch = fill => h("span", { class: "swatch", style: { background: fill } });

// One of several: a row of buttons, the pressed one counts.
const choice = (label, options, selected, onChange) => {
  const buttons = options.map(([value, text]) => h("button", {
    type: "button", "aria-pressed": String(value === selected),
    click: event => {
      buttons.forEach(button => button.setAttribute("aria-pressed", String(button === event.currentTarget)));
      onChange(value);
    },
  }, text));
  return h("span", { class: "choice", role: "group", "aria-label": label }, buttons);
};

// Draws once everything is in its place, and again whenever the element's width changes.
const drawings = [];
const redrawn = (element, draw) => {
  let width = 0;
  const drawIfResized = () => {
    const now = element.clientWidth;
    if (now > 0 && now !== width) { width = now; draw(); }
  };
  new ResizeObserver(() => requestAnimationFrame(drawIfResized)).observe(element);
  drawings.push(drawIfResized);
  return element;
};

// The tooltip follows the pointer, or stands beside a focused element, and never leaves the window.
const tip = document.getElementById("tip");
const showTip = (x, y, ...content) => {
  tip.replaceChildren(...content.flat(Infinity).filter(Boolean));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, x + 14 + width > innerWidth ? x - width - 14 : x + 14) + "px";
  tip.style.top = Math.max(4, Math.min(y + 14, innerHeight - height - 4)) + "px";
};
const hideTip = () => { tip.hidden = true; };
const tipRows = rows => h("table", {}, rows.filter(Boolean).map(([name, value, fill]) =>
  h("tr", {}, h("td", {}, fill ? swatch(fill) : null, name), h("td", {}, value))));
const speak = text => { document.getElementById("live").textContent = text; };
addEventListener("scroll", hideTip, { passive: true });
