// Columns of numbers as html/data/packed.rs writes them: varints in base64. `each` may turn a number into another.
const unpack = (text, column, each) => {
  const bytes = atob(text);
  const own = each || (value => value);
  for (let at = 0, i = 0; i < column.length; i += 1) {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = bytes.charCodeAt(at);
      at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
    }
    column[i] = own(value, i);
  }
  return column;
};
const unzigzag = value => value % 2 === 0 ? value / 2 : -(value + 1) / 2;
