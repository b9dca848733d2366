// What the page holds: names and columns by row, and for each view where its points stand. Knows no pixels.

// Places are steps of a square with this side; see packing.py for how the data lie.
const SIDE = 65535;
const CELL_BITS = 9;
const CELLS = 1 << (16 - CELL_BITS);

async function readScene(text) {
  const characters = atob(text.trim());
  const packed = new Uint8Array(characters.length);
  for (let place = 0; place < packed.length; place++) packed[place] = characters.charCodeAt(place);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(stream).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const scene = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const types = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array };
  const section = ([offset, count, type]) => new types[type](bytes, 4 + length + offset, count);
  for (const column of scene.columns) {
    if (column.codes) column.codes = section(column.codes);
    if (column.numbers) Object.assign(column, spanOf(section(column.numbers)));
  }
  scene.labels ??= scene.ids;
  scene.views = scene.views.map((view) => readView(view, section, scene.ids.length));
  return scene;
}

function spanOf(numbers) {
  let low = Infinity, high = -Infinity;
  for (const number of numbers) {
    if (number < low) low = number;
    if (number > high) high = number;
  }
  return { numbers, low, high };
}

function readView(view, section, rowCount) {
  const x = section(view.x), y = section(view.y), count = x.length;
  const rows = view.rows ? section(view.rows) : Uint32Array.from({ length: count }, (_, point) => point);
  const pointOf = new Int32Array(rowCount).fill(-1);
  rows.forEach((row, point) => { pointOf[row] = point; });
  const near = view.near ? section(view.near) : null;
  return { name: view.name, per: view.per, x, y, count, rows, pointOf, near, box: boxOf(x, y), ...cellsOf(x, y) };
}

function boxOf(x, y) {
  const box = { left: SIDE, right: 0, top: SIDE, bottom: 0 };
  for (let point = 0; point < x.length; point++) {
    box.left = Math.min(box.left, x[point]);
    box.right = Math.max(box.right, x[point]);
    box.top = Math.min(box.top, y[point]);
    box.bottom = Math.max(box.bottom, y[point]);
  }
  return box;
}

// Points sorted by square cell: those of cell c are members[starts[c]] … members[starts[c + 1] - 1].
function cellsOf(x, y) {
  const starts = new Uint32Array(CELLS * CELLS + 1);
  const cell = (point) => (y[point] >> CELL_BITS) * CELLS + (x[point] >> CELL_BITS);
  for (let point = 0; point < x.length; point++) starts[cell(point) + 1]++;
  for (let c = 0; c < CELLS * CELLS; c++) starts[c + 1] += starts[c];
  const next = starts.slice(), members = new Uint32Array(x.length);
  for (let point = 0; point < x.length; point++) members[next[cell(point)]++] = point;
  return { starts, members };
}

// Calls visit(point) for each point in the rectangle of cells around these places.
function visitAround(view, left, top, right, bottom, visit) {
  const clip = (place) => Math.min(CELLS - 1, Math.max(0, place >> CELL_BITS));
  const first = clip(left), last = clip(right), end = clip(bottom);
  for (let line = clip(top); line <= end; line++) {
    const stop = view.starts[line * CELLS + last + 1];
    for (let place = view.starts[line * CELLS + first]; place < stop; place++) visit(view.members[place]);
  }
}

const REGION_BITS = 12;    // cells in which the thickest place of a value is looked for
const NAMED = 24;          // values whose place is looked for
const LEAST_SHARE = 0.06;  // of a value's points in one cell, or it has no place of its own

// Where each of the most frequent values of a column is thickest: [{value, x, y}], in steps.
function thickestPlaces(view, column) {
  const side = 1 << (16 - REGION_BITS), values = Math.min(NAMED, column.values.length);
  const counts = new Uint32Array(values * side * side), across = new Float64Array(counts.length), down = new Float64Array(counts.length);
  for (let point = 0; point < view.count; point++) {
    const value = column.codes[view.rows[point]] - 1;
    if (value < 0 || value >= values) continue;
    const cell = (value * side + (view.y[point] >> REGION_BITS)) * side + (view.x[point] >> REGION_BITS);
    counts[cell]++;
    across[cell] += view.x[point];
    down[cell] += view.y[point];
  }
  const places = [];
  for (let value = 0; value < values; value++) {
    let best = value * side * side;
    for (let cell = best; cell < (value + 1) * side * side; cell++) if (counts[cell] > counts[best]) best = cell;
    const count = counts[best];
    if (count > LEAST_SHARE * column.counts[value]) places.push({ value, x: across[best] / count, y: down[best] / count });
  }
  return places;
}

// The row nearest to a place within `reach` steps, or -1. `counts(row)` says whether it may be taken.
function nearestRow(view, x, y, reach, counts) {
  let best = -1, least = reach * reach;
  visitAround(view, x - reach, y - reach, x + reach, y + reach, (point) => {
    const across = view.x[point] - x, down = view.y[point] - y, square = across * across + down * down;
    if (square <= least && counts(view.rows[point])) {
      least = square;
      best = view.rows[point];
    }
  });
  return best;
}

// The rows nearest to a row in the embedding, best first; those that this view lacks have none.
function neighboursOf(view, row) {
  const point = view.pointOf[row];
  return point < 0 || !view.near ? [] : [...view.near.subarray(point * view.per, (point + 1) * view.per)];
}

const shortNumber = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const wholeNumber = new Intl.NumberFormat("en");

function numberInWords(column, number) {
  if (Number.isNaN(number)) return "";
  if (column.kind === "time") {
    const text = new Date(number).toISOString();
    return text.endsWith("T00:00:00.000Z") ? text.slice(0, 10) : text.slice(0, 16).replace("T", " ");
  }
  return Number.isInteger(number) ? wholeNumber.format(number) : shortNumber.format(number);
}

// What a column says of a row, as text; "" where it says nothing.
function valueInWords(column, row) {
  if (column.kind === "category") return column.codes[row] ? column.values[column.codes[row] - 1] : "";
  return column.kind === "text" ? column.texts[row] ?? "" : numberInWords(column, column.numbers[row]);
}

// Upper case and accents do not count in a search.
const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

// Rows whose label or id holds the text: those that begin with it first, then those where a word does, then the others.
function searchRows(scene, text) {
  scene.folded ??= scene.labels.map((label, row) => folded(label === scene.ids[row] ? label : `${label}\n${scene.ids[row]}`));
  const wanted = folded(text.trim()), ranks = [[], [], []];
  if (!wanted) return [];
  scene.folded.forEach((name, row) => {
    const place = name.indexOf(wanted);
    if (place >= 0) ranks[place === 0 ? 0 : /[\p{L}\p{N}]/u.test(name[place - 1]) ? 2 : 1].push(row);
  });
  ranks[0].sort((one, other) => scene.folded[one].length - scene.folded[other].length);
  return ranks.flat();
}
