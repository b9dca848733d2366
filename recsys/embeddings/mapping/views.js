// A view: one map on one canvas, with its camera, and how mouse, fingers and keys move it.

const NEAREST = 64;        // how far in one can zoom
const REACH = 14;          // how near, in CSS pixels, the pointer must be to a point
const LABELLED = 1500;     // points in view up to which names are written
const MOST_LABELS = 45;

class View {
  // `page` is told of what happens: hovered(row, view, event), chosen(row), moved(view); it has scene, style, theme, shown.
  constructor(page, data, canvas) {
    Object.assign(this, { page, data, canvas, painter: new Painter(canvas), pointers: new Map(), camera: null, waiting: false });
    this.mode = canvas.parentElement.querySelector(".mode");
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.listen();
  }

  resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    if (!width || !height) return;
    const before = this.camera && this.camera.scale / this.fit().scale;
    Object.assign(this, { width, height });
    this.painter.resize(width, height, Math.min(devicePixelRatio || 1, 2));
    if (this.camera) this.camera.scale = this.fit().scale * before;
    else this.camera = this.fit();
    this.paintNow();
  }

  // The camera that sees everything.
  fit() {
    const box = this.page.scene.aligned ? this.page.box : this.data.box;
    const wide = Math.max(box.right - box.left, 1), high = Math.max(box.bottom - box.top, 1);
    const scale = 0.92 * Math.min(this.width / wide, this.height / high);
    return { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2, scale };
  }

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const amount = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
      this.zoom(Math.exp(-amount * (event.ctrlKey ? 0.01 : 0.0018)), event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.pressed(event));
    canvas.addEventListener("pointermove", (event) => this.pointed(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.released(event));
    canvas.addEventListener("pointerleave", () => this.page.hovered(-1));
    canvas.addEventListener("dblclick", (event) => this.zoom(2, event.offsetX, event.offsetY));
    canvas.addEventListener("keydown", (event) => this.typed(event));
    for (const button of canvas.parentElement.querySelectorAll("[data-zoom]")) {
      const does = { in: () => this.zoom(1.6), out: () => this.zoom(1 / 1.6), all: () => this.goTo(this.fit()) };
      button.addEventListener("click", does[button.dataset.zoom]);
    }
  }

  pressed(event) {
    try {
      this.canvas.setPointerCapture(event.pointerId);
    } catch {
      // A pointer that is gone already can not be captured, and need not be.
    }
    this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    this.still = this.pointers.size === 1;
    this.began = { x: event.offsetX, y: event.offsetY };
    this.goal = null;
  }

  pointed(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.page.hovered(this.rowAt(event.offsetX, event.offsetY), this, event);
      return;
    }
    const now = { x: event.offsetX, y: event.offsetY };
    if (this.still && Math.hypot(now.x - this.began.x, now.y - this.began.y) < 5) return;
    this.still = false;
    this.page.hovered(-1);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const growth = Math.hypot(now.x - other.x, now.y - other.y) / (Math.hypot(before.x - other.x, before.y - other.y) || 1);
      this.zoom(growth, (now.x + other.x) / 2, (now.y + other.y) / 2);
    }
    const share = other ? 0.5 : 1;
    this.move((before.x - now.x) * share, (before.y - now.y) * share);
    this.pointers.set(event.pointerId, now);
  }

  released(event) {
    const pressed = this.pointers.delete(event.pointerId);
    if (pressed && this.still && event.type === "pointerup") {
      this.page.chosen(this.rowAt(event.offsetX, event.offsetY, event.pointerType === "touch" ? 1.8 : 1));
    }
    this.still = false;
  }

  typed(event) {
    const step = event.shiftKey ? 200 : 60;
    const does = {
      ArrowLeft: () => this.move(-step, 0), ArrowRight: () => this.move(step, 0),
      ArrowUp: () => this.move(0, -step), ArrowDown: () => this.move(0, step),
      "+": () => this.zoom(1.4), "=": () => this.zoom(1.4), "-": () => this.zoom(1 / 1.4), 0: () => this.goTo(this.fit()),
      Enter: () => this.page.chosen(this.rowAt(this.width / 2, this.height / 2, 8)),
    }[event.key];
    if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    does();
  }

  // The row under a place of the canvas, or -1.
  rowAt(x, y, patience = 1) {
    const { camera, page } = this;
    const across = camera.x + (x - this.width / 2) / camera.scale, down = camera.y + (y - this.height / 2) / camera.scale;
    return nearestRow(this.data, across, down, (REACH * patience) / camera.scale, (row) => !page.shown || page.shown[row]);
  }

  // Where a row stands on the canvas, in CSS pixels, or null.
  placeOf(row) {
    const point = this.data.pointOf[row];
    return point < 0 || !this.camera ? null : this.seen(this.data.x[point], this.data.y[point]);
  }

  // A place of the map, in steps, as CSS pixels of the canvas.
  seen(x, y) {
    const camera = this.camera;
    return { x: (x - camera.x) * camera.scale + this.width / 2, y: (y - camera.y) * camera.scale + this.height / 2 };
  }

  move(right, down) {
    this.camera.x += right / this.camera.scale;
    this.camera.y += down / this.camera.scale;
    this.changed();
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const camera = this.camera, least = this.fit().scale;
    const scale = Math.min(least * NEAREST, Math.max(least * 0.7, camera.scale * factor));
    camera.x += (x - this.width / 2) * (1 / camera.scale - 1 / scale);
    camera.y += (y - this.height / 2) * (1 / camera.scale - 1 / scale);
    camera.scale = scale;
    this.changed();
  }

  // Brings a row to the middle, so near that half of its neighbours are around it.
  centre(row) {
    const { data } = this, point = data.pointOf[row];
    if (point < 0) return;
    const x = data.x[point], y = data.y[point], least = this.fit().scale;
    const far = neighboursOf(data, row).map((other) => data.pointOf[other])
      .map((other) => Math.hypot(data.x[other] - x, data.y[other] - y)).sort((one, other) => one - other);
    const wanted = (0.2 * Math.min(this.width, this.height)) / Math.max(far[far.length >> 1] ?? Infinity, 1e-9);
    const scale = Math.min(Math.max(this.camera.scale, wanted, 4 * least), Math.max(this.camera.scale, (NEAREST / 2) * least));
    this.goTo({ x, y, scale });
  }

  goTo(goal) {
    if (calm.matches) {
      Object.assign(this.camera, goal);
      this.changed();
      return;
    }
    const from = { ...this.camera }, begin = performance.now();
    this.goal = goal;
    const step = (now) => {
      if (this.goal !== goal) return;
      const share = Math.min(1, Math.max(0, (now - begin) / 350)), eased = share * share * (3 - 2 * share);
      for (const part of ["x", "y"]) this.camera[part] = from[part] + (goal[part] - from[part]) * eased;
      this.camera.scale = from.scale * (goal.scale / from.scale) ** eased;
      this.changed();
      if (share < 1) requestAnimationFrame(step);
      else this.goal = null;
    };
    requestAnimationFrame(step);
  }

  changed() {
    this.page.moved(this);
    this.paintSoon();
  }

  paintSoon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.paintNow());
  }

  paintNow() {
    this.waiting = false;
    if (!this.camera) return;
    const { page } = this, start = performance.now();
    const { inView, dense } = this.painter.paint(this.data, this.camera, page.style, page.shown, page.theme);
    this.paintOver(inView, dense);
    performance.clearMeasures("draw");
    performance.measure("draw", { start, end: performance.now() });
    this.canvas.dataset.points = inView;
    this.canvas.dataset.mode = dense ? "density" : "points";
    this.mode.hidden = !dense;
    this.mode.textContent = dense ? `Density of ${wholeNumber.format(inView)} points. Zoom in to see them one by one.` : "";
  }

  // Names, rings and lines, on top of the points.
  paintOver(inView, dense) {
    const { page, painter } = this, pen = painter.context;
    pen.setTransform(painter.ratio, 0, 0, painter.ratio, 0, 0);
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    pen.lineJoin = "round";
    const written = [];
    const selected = this.placeOf(page.selected), near = page.selected < 0 ? [] : neighboursOf(this.data, page.selected);
    if (selected) {
      pen.strokeStyle = cssColour(page.theme.ink, 0.45);
      for (const row of near) this.line(selected, this.placeOf(row));
    }
    pen.strokeStyle = cssColour(page.theme.ink);
    for (const row of near) this.ring(row, 5, 1.25);
    if (selected) this.ring(page.selected, 8, 2.5);
    if (page.hover >= 0) this.ring(page.hover, 7, 2);
    for (const row of [page.hover, page.selected, ...near]) if (row >= 0) this.write(row, written, row === page.selected);
    if (page.matches.length && page.matches.length <= MOST_LABELS) for (const row of page.matches) this.write(row, written);
    if (!dense && inView <= LABELLED) this.writeSome(written);
    else if (page.column?.kind === "category" && page.selected < 0 && !page.matches.length) this.writeValues(written);
    pen.setTransform(1, 0, 0, 1, 0, 0);
  }

  writeSome(written) {
    const { camera, data, page } = this, across = this.width / 2 / camera.scale, down = this.height / 2 / camera.scale;
    const rows = [];
    visitAround(data, camera.x - across, camera.y - down, camera.x + across, camera.y + down, (point) => {
      if (!page.shown || page.shown[data.rows[point]]) rows.push(data.rows[point]);
    });
    for (const row of rows.sort((one, other) => one - other)) {
      if (written.length >= MOST_LABELS) break;
      this.write(row, written);
    }
  }

  // The names of categories, each where it is thickest.
  writeValues(written) {
    const { page, painter: { context: pen } } = this, chosen = page.chosenValues;
    if (this.named?.column !== page.column) this.named = { column: page.column, places: thickestPlaces(this.data, page.column) };
    pen.font = pen.font.replace("12px", "600 13px");
    for (const { value, x, y } of this.named.places) {
      if (chosen.size && !chosen.has(value)) continue;
      const name = page.column.values[value], text = name.length > 24 ? `${name.slice(0, 23)}…` : name;
      const wide = pen.measureText(text).width, place = this.seen(x, y);
      if (place.x < 0 || place.y < 0 || place.x > this.width || place.y > this.height) continue;
      this.writeAt(text, Math.min(Math.max(4, place.x - wide / 2), this.width - 4 - wide), place.y, written);
    }
  }

  // A name beside its point, unless it would cover another.
  write(row, written, always = false) {
    const place = this.placeOf(row), pen = this.painter.context;
    if (!place || place.x < 0 || place.y < 0 || place.x > this.width || place.y > this.height) return;
    const label = this.page.scene.labels[row], text = label.length > 34 ? `${label.slice(0, 33)}…` : label;
    const wide = pen.measureText(text).width, left = place.x + 9 + wide > this.width - 4 ? place.x - 9 - wide : place.x + 9;
    this.writeAt(text, left, place.y, written, always);
  }

  writeAt(text, left, middle, written, always = false) {
    const pen = this.painter.context, wide = pen.measureText(text).width;
    const box = [left - 3, middle - 9, left + wide + 3, middle + 9];
    const covers = written.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]);
    if (covers && !always) return;
    written.push(box);
    pen.lineWidth = 4;
    pen.strokeStyle = cssColour(this.page.theme.paper, 0.88);
    pen.strokeText(text, left, middle + 4);
    pen.fillStyle = cssColour(this.page.theme.ink);
    pen.fillText(text, left, middle + 4);
  }

  ring(row, radius, width) {
    const place = this.placeOf(row), pen = this.painter.context;
    if (!place) return;
    pen.lineWidth = width;
    pen.beginPath();
    pen.arc(place.x, place.y, radius, 0, 2 * Math.PI);
    pen.stroke();
  }

  line(from, to) {
    if (!to) return;
    const pen = this.painter.context;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(to.x, to.y);
    pen.stroke();
  }
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");
