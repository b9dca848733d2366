// From points to pixels, by hand: a disc is a small table of coverage that is blended into an image buffer. Ten thousand
// take about a millisecond, need no graphics hardware, and give the same pixels everywhere.

const SLOTS = 8;           // colours of categories; one more slot is grey
const RAMP = 64;           // steps of a scale; one more slot is grey
const DENSE = 100000;      // points in view from which density is shown
const CELL = 3;            // side of a cell of density, in CSS pixels

// A colour "#rrggbb" as [red, green, blue].
const parsed = (colour) => [1, 3, 5].map((place) => parseInt(colour.trim().slice(place, place + 2), 16));

// The colours of the page as it stands, light or dark.
function themeNow() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => parsed(style.getPropertyValue(name));
  const stops = [1, 2, 3, 4, 5].map((number) => named(`--ramp-${number}`));
  const ramp = Array.from({ length: RAMP }, (_, step) => {
    const place = (step / (RAMP - 1)) * (stops.length - 1), left = Math.min(Math.floor(place), stops.length - 2);
    return stops[left].map((part, index) => Math.round(part + (stops[left + 1][index] - part) * (place - left)));
  });
  const categories = Array.from({ length: SLOTS }, (_, number) => named(`--category-${number + 1}`));
  return { paper: named("--map"), ink: named("--ink"), grey: named("--rest"), faded: named("--faded"), single: named("--single"),
    ramp, categories };
}

const cssColour = ([red, green, blue], alpha = 1) => `rgb(${red} ${green} ${blue} / ${alpha})`;

// How each row is coloured: `slots` by row into `palette`, whose last colour is grey. `swatches`: the slot of each value.
function colouring(scene, column, theme, chosen) {
  const rows = scene.ids.length;
  if (!column) return { slots: new Uint8Array(rows), palette: [theme.single, theme.grey] };
  if (column.kind === "category") {
    const swatches = slotsOfValues(column.values.length, chosen);
    const slots = Uint8Array.from(column.codes, (code) => (code ? swatches[code - 1] : SLOTS));
    return { slots, palette: [...theme.categories, theme.grey], swatches };
  }
  const slots = Uint8Array.from(column.numbers, (number) => {
    const share = shareOf(column, number);
    return Number.isNaN(share) ? RAMP : Math.round(share * (RAMP - 1));
  });
  return { slots, palette: [...theme.ramp, theme.grey] };
}

// The most frequent values have colours; one that is chosen and has none borrows that of one that is not chosen.
function slotsOfValues(count, chosen) {
  const slots = Array.from({ length: count }, (_, value) => Math.min(value, SLOTS));
  const free = slots.slice(0, SLOTS).filter((slot) => !chosen.has(slot));
  for (const value of chosen) if (slots[value] === SLOTS && free.length) slots[value] = free.shift();
  return slots;
}

// Where a number stands between the least and the most of its column, 0 to 1.
function shareOf(column, number) {
  if (column.low === column.high) return Number.isNaN(number) ? NaN : 0.5;
  if (!column.log) return (number - column.low) / (column.high - column.low);
  return Math.log(number / column.low) / Math.log(column.high / column.low);
}

// Coverage 0 to 255 of a disc at each half of a pixel across and down: four tables of size × size.
function discs(radius, strength) {
  const size = Math.ceil(2 * radius) + 2, tables = [];
  for (const [across, down] of [[0, 0], [0.5, 0], [0, 0.5], [0.5, 0.5]]) {
    const table = new Uint8Array(size * size), middle = size / 2;
    for (let place = 0; place < table.length; place++) {
      const x = (place % size) + 0.5 - middle - across, y = Math.floor(place / size) + 0.5 - middle - down;
      table[place] = Math.round(strength * 255 * Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y))));
    }
    tables.push(table);
  }
  return { size, tables };
}

class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.known = new Map();
  }

  resize(width, height, ratio) {
    this.width = Math.max(1, Math.round(width * ratio));
    this.height = Math.max(1, Math.round(height * ratio));
    this.canvas.width = this.width;
    this.canvas.height = this.height;
    this.ratio = ratio;
    this.image = this.context.createImageData(this.width, this.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  disc(radius, strength) {
    const key = `${radius}/${strength}`;
    if (!this.known.has(key)) this.known.set(key, discs(radius, strength));
    return this.known.get(key);
  }

  // Draws the points of a view as the camera sees them. `shown` (by row) or null: what stands out from the rest.
  // Returns how many are in view, and how they are shown.
  paint(view, camera, style, shown, theme) {
    const [red, green, blue] = theme.paper;
    this.pixels.fill((255 << 24 | blue << 16 | green << 8 | red) >>> 0);
    const scale = camera.scale * this.ratio;
    const left = this.width / 2 - camera.x * scale, top = this.height / 2 - camera.y * scale;
    const inView = this.countInView(view, scale, left, top);
    const dense = inView > DENSE;
    if (dense) this.paintCells(view, style, shown, theme, scale, left, top);
    else this.paintDiscs(view, style, shown, theme, scale, left, top, this.radius(inView));
    this.context.putImageData(this.image, 0, 0);
    return { inView, dense };
  }

  // In CSS pixels: smaller the more there are, so that the map is neither empty nor a blot.
  radius(inView) {
    const room = (this.width / this.ratio) * (this.height / this.ratio);
    return Math.min(6, Math.max(1.1, Math.round(2.4 * Math.sqrt(room / (inView + 300) / 22)) / 2 || 0.5, Math.sqrt(room / (inView + 60)) / 4.6));
  }

  countInView(view, scale, left, top) {
    let count = 0;
    for (let point = 0; point < view.count; point++) {
      const x = view.x[point] * scale + left, y = view.y[point] * scale + top;
      if (x >= 0 && x < this.width && y >= 0 && y < this.height) count++;
    }
    return count;
  }

  // What does not stand out is drawn first, then what has no colour of its own, then the rest; on a scale the most last.
  paintDiscs(view, { slots, palette }, shown, theme, scale, left, top, radius) {
    const disc = this.disc(Math.round(radius * this.ratio * 4) / 4, 0.86), grey = palette.length - 1;
    const isScale = palette.length > SLOTS + 1, layers = Array.from({ length: isScale ? RAMP + 2 : 3 }, () => []);
    for (let point = 0; point < view.count; point++) {
      const x = view.x[point] * scale + left, y = view.y[point] * scale + top;
      if (x < -disc.size || y < -disc.size || x > this.width + disc.size || y > this.height + disc.size) continue;
      const row = view.rows[point], slot = slots[row];
      layers[shown && !shown[row] ? 0 : slot === grey ? 1 : isScale ? slot + 2 : 2].push(point);
    }
    layers.forEach((points, layer) => {
      for (const point of points) {
        const colour = layer === 0 ? theme.faded : palette[slots[view.rows[point]]];
        this.stamp(disc, view.x[point] * scale + left, view.y[point] * scale + top, colour);
      }
    });
  }

  stamp({ size, tables }, x, y, [red, green, blue]) {
    const half = Math.floor(x * 2) & 1 | (Math.floor(y * 2) & 1) << 1, table = tables[half];
    const column = Math.floor(x) - (size >> 1), line = Math.floor(y) - (size >> 1);
    if (column + size <= 0 || line + size <= 0 || column >= this.width || line >= this.height) return;
    const fromX = Math.max(0, -column), toX = Math.min(size, this.width - column);
    const toY = Math.min(size, this.height - line);
    for (let down = Math.max(0, -line); down < toY; down++) {
      const begin = (line + down) * this.width + column;
      for (let across = fromX; across < toX; across++) {
        const cover = table[down * size + across];
        if (!cover) continue;
        const there = this.pixels[begin + across];
        const r = there & 255, g = there >> 8 & 255, b = there >> 16 & 255;
        this.pixels[begin + across] = (255 << 24 | b + ((blue - b) * cover >> 8) << 16 |
          g + ((green - g) * cover >> 8) << 8 | r + ((red - r) * cover >> 8)) >>> 0;
      }
    }
  }

  // Square cells, the fuller the stronger, by orders of magnitude; each in the colour that most of its points have.
  paintCells(view, { slots, palette }, shown, theme, scale, left, top) {
    const side = Math.max(1, Math.round(CELL * this.ratio)), wide = Math.ceil(this.width / side);
    const cells = wide * Math.ceil(this.height / side), kinds = palette.length;
    const isScale = kinds > SLOTS + 1, votes = isScale ? new Float64Array(cells) : new Uint32Array(cells * kinds);
    const counts = new Uint32Array(cells), others = new Uint32Array(cells);
    let most = 1;
    for (let point = 0; point < view.count; point++) {
      const x = view.x[point] * scale + left, y = view.y[point] * scale + top;
      if (x < 0 || y < 0 || x >= this.width || y >= this.height) continue;
      const cell = Math.floor(y / side) * wide + Math.floor(x / side), row = view.rows[point];
      if (shown && !shown[row]) {
        others[cell]++;
        continue;
      }
      counts[cell]++;
      if (counts[cell] > most) most = counts[cell];
      if (isScale) votes[cell] += slots[row];
      else votes[cell * kinds + slots[row]]++;
    }
    for (let cell = 0; cell < cells; cell++) {
      if (!counts[cell] && !others[cell]) continue;
      const strength = counts[cell] ? Math.log1p(counts[cell]) / Math.log1p(most) : 0.4;
      let colour = theme.faded;
      if (counts[cell] && kinds === 2) colour = theme.ramp[Math.round(strength * (RAMP - 1))];
      else if (counts[cell]) colour = palette[isScale ? Math.round(votes[cell] / counts[cell]) : winner(votes, cell * kinds, kinds)];
      const alpha = kinds === 2 && counts[cell] ? 1 : 0.35 + 0.65 * strength;
      this.fill((cell % wide) * side, Math.floor(cell / wide) * side, side, colour.map((part, index) =>
        Math.round(theme.paper[index] + (part - theme.paper[index]) * alpha)));
    }
  }

  fill(left, top, side, [red, green, blue]) {
    const pixel = (255 << 24 | blue << 16 | green << 8 | red) >>> 0, right = Math.min(left + side, this.width);
    for (let line = top; line < Math.min(top + side, this.height); line++) {
      this.pixels.fill(pixel, line * this.width + left, line * this.width + right);
    }
  }
}

function winner(votes, begin, count) {
  let best = 0;
  for (let kind = 1; kind < count; kind++) if (votes[begin + kind] > votes[begin + best]) best = kind;
  return best;
}
