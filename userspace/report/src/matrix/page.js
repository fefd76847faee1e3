'use strict';
// Says which pair is under the pointer. `packed` in page.rs describes the cells.
(function () {
  const picture = document.getElementById('matrix');
  const told = document.getElementById('told');
  const names = JSON.parse(document.getElementById('names').textContent);
  const cells = atob(document.getElementById('cells').textContent);
  const { left, top, side } = picture.dataset;

  function pair(one, other) {
    const row = Math.max(one, other), column = Math.min(one, other);
    const at = 2 * (row * (row - 1) / 2 + column);
    const both = cells.charCodeAt(at) + 256 * cells.charCodeAt(at + 1);
    if (!both) return 'no coefficient';
    const r = ((both & 0x7fff) - 1) / 10000 - 1;
    return 'r = ' + r.toFixed(3) + (both & 0x8000 ? '' : ', not significant');
  }

  picture.addEventListener('mousemove', function (event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
    const cell = side / names.length;
    const column = Math.floor((at.x - left) / cell), row = Math.floor((at.y - top) / cell);
    if (!(column in names) || !(row in names)) return;
    told.textContent = row === column ? names[row] : names[row] + '  ×  ' + names[column] + ': ' + pair(row, column);
  });
})();
