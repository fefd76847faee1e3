// The heat map's samples as typed arrays, and their sums in a grid of cells: done anew for every view.
const samplesOf = own => {
  const n = own.shown;
  let now = 0;
  const at = unpack(own.at, new Float64Array(n), step => { now += step; return now * 1000; });
  const what = unpack(own.what, new Uint32Array(n));
  const last = new Float64Array(own.code.length);
  const place = unpack(own.place, new Float64Array(n), (step, i) => {
    const code = own.makers[0][what[i] >> 1];
    last[code] += unzigzag(step);
    return last[code];
  });
  const weight = own.weight ? unpack(own.weight, new Float64Array(n)) : new Float64Array(n).fill(1);
  return { at, what, place, weight };
};

// First sample at or after an instant.
const firstAt = (at, ns) => {
  let [low, high] = [0, at.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] < ns) low = middle + 1; else high = middle;
  }
  return low;
};

// Cells start at multiples of their size, so that samples stay in their cell when the view moves.
const gridOf = (own, view, columns, rows) => {
  const unit = (span, count, least) => Math.max(least, Math.ceil(span / Math.max(count, 1) / least) * least);
  const wide = unit(view.to - view.from, columns, own.unit_ns);
  const tall = unit(view.high - view.low, rows, own.block_bytes);
  const [left, bottom] = [Math.floor(view.from / wide), Math.floor(view.low / tall)];
  return { wide, tall, left, bottom, columns: Math.ceil(view.to / wide) - left, rows: Math.ceil(view.high / tall) - bottom };
};

// Loads and stores of each cell, and the most of any cell. `kind` is 0 for loads, 1 for stores, 2 for both.
const binned = (samples, grid, kind) => {
  const { at, what, place, weight } = samples;
  const { wide, tall, left, bottom, columns, rows } = grid;
  const loads = new Float32Array(columns * rows);
  const stores = new Float32Array(columns * rows);
  const end = firstAt(at, (left + columns) * wide);
  const [low, high] = [bottom * tall, (bottom + rows) * tall];
  for (let i = firstAt(at, left * wide); i < end; i += 1) {
    const y = place[i];
    if (y < low || y >= high) continue;
    const isStore = what[i] & 1;
    if (kind !== 2 && kind !== isStore) continue;
    const x = Math.floor(at[i] / wide) - left;
    const cell = (Math.floor(y / tall) - bottom) * columns + x;
    if (isStore) stores[cell] += weight[i]; else loads[cell] += weight[i];
  }
  let most = 0;
  for (let cell = 0; cell < loads.length; cell += 1) {
    const sum = loads[cell] + stores[cell];
    if (sum > most) most = sum;
  }
  return { loads, stores, most };
};
