// A view of time × heights that can be zoomed and moved in both. Its time is the one all timelines share.
const planeOf = (height, finest) => {
  const plane = {
    low: 0, high: height,
    get from() { return time.from; },
    get to() { return time.to; },
    isWhole: () => plane.low === 0 && plane.high === height && time.from === 0 && time.to === time.whole,
    // The stretch of a given length that stays inside.
    show(from, to, low, high) {
      const inside = (a, b, end, least) => {
        const span = Math.min(end, Math.max(least, b - a));
        const start = Math.min(end - span, Math.max(0, (a + b - span) / 2));
        return [start, start + span];
      };
      [plane.low, plane.high] = inside(low, high, height, Math.min(height, finest * 4));
      time.zoom(...inside(from, to, time.whole, time.whole / 4900));
    },
    zoomAt(x, y, factor) {
      const around = (low, high, at) => [at - (at - low) * factor, at + (high - at) * factor];
      plane.show(...around(time.from, time.to, x), ...around(plane.low, plane.high, y));
    },
    move(x, y) {
      const within = (by, low, high, end) => Math.max(-low, Math.min(end - high, by));
      const [dx, dy] = [within(x, time.from, time.to, time.whole), within(y, plane.low, plane.high, height)];
      plane.show(time.from + dx, time.to + dx, plane.low + dy, plane.high + dy);
    },
    whole() {
      [plane.low, plane.high] = [0, height];
      resetZoom();
    },
  };
  return plane;
};

// Dragging selects a rectangle or moves the view, the wheel zooms where it points, keys do the same.
const planeGestures = (canvas, plane, scale, hooks) => {
  let [anchor, moved] = [null, null];
  let pending = null;
  const soon = act => {
    if (pending === null) requestAnimationFrame(() => { const now = pending; pending = null; now(); });
    pending = act;
  };
  const at = event => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", event => {
    if (event.button !== 0 || event.pointerType === "touch") return;
    const [x, y] = at(event);
    anchor = { x, y, pans: hooks.pans() !== event.shiftKey, from: time.from, to: time.to, low: plane.low, high: plane.high };
    moved = null;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", event => {
    const [x, y] = at(event);
    if (anchor && anchor.pans) {
      const dx = (anchor.x - x) / scale.width * (anchor.to - anchor.from);
      const dy = (y - anchor.y) / scale.tall * (anchor.high - anchor.low);
      hideTip();
      soon(() => plane.move(anchor ? anchor.from + dx - time.from : 0, anchor ? anchor.low + dy - plane.low : 0));
      return;
    }
    moved = anchor && Math.hypot(x - anchor.x, y - anchor.y) > 4 ? [x, y] : null;
    hooks.select(moved && [anchor.x, anchor.y, x, y]);
    hooks.point(x, y, event.clientX, event.clientY);
  });
  canvas.addEventListener("pointerup", () => {
    const [from, to] = [anchor, moved];
    [anchor, moved] = [null, null];
    hooks.select(null);
    if (!from || from.pans || !to) return;
    const order = (a, b) => a < b ? [a, b] : [b, a];
    plane.show(...order(scale.toTime(from.x), scale.toTime(to[0])), ...order(scale.toHeight(from.y), scale.toHeight(to[1])));
  });
  canvas.addEventListener("pointerleave", () => { if (!anchor) hooks.leave(); });
  canvas.addEventListener("blur", hooks.leave);
  canvas.addEventListener("dblclick", plane.whole);
  canvas.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
    event.preventDefault();
    const [x, y] = at(event);
    const [ns, h] = [scale.toTime(x), scale.toHeight(y)];
    soon(() => plane.zoomAt(ns, h, Math.exp(Math.max(-300, Math.min(300, event.deltaY)) / 400)));
  }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const factor = { "+": 0.7, "=": 0.7, "-": 1 / 0.7, _: 1 / 0.7 }[event.key];
    if (event.key === "Escape") plane.whole();
    else if (factor) plane.zoomAt(...hooks.cursor(), factor);
    else if (arrows && event.shiftKey) plane.move(arrows[0] * (time.to - time.from) / 5, arrows[1] * (plane.high - plane.low) / 5);
    else if (arrows) hooks.step(...arrows);
    else return;
    event.preventDefault();
  });
};
