// The page around the maps: colours and their legend, search, what a point says; and what links two maps.

const FOUND = 30;          // search results listed

// An element with text content and children; nothing here is ever read as HTML.
function made(name, content, ...children) {
  const node = document.createElement(name);
  if (content) node.textContent = content;
  node.append(...children);
  return node;
}

class Page {
  constructor(scene) {
    const at = (name) => document.getElementById(name);
    Object.assign(this, { scene, selected: -1, hover: -1, matches: [], chosenValues: new Set(), shown: null, active: -1,
      legend: at("legend"), panel: at("point"), tip: at("hover"), picker: at("colour"), searchBox: at("search"), list: at("found") });
    this.together = at("together");
    this.colourable = scene.columns.filter((column) => column.kind !== "text");
    this.column = scene.columns[scene.colour] ?? null;
    this.box = scene.views.map((view) => view.box).reduce((one, other) => ({
      left: Math.min(one.left, other.left), right: Math.max(one.right, other.right),
      top: Math.min(one.top, other.top), bottom: Math.max(one.bottom, other.bottom) }));
    this.fillPicker();
    this.recolour();
    this.views = scene.views.map((data, number) => new View(this, data, document.querySelector(`[data-view="${number}"]`)));
    this.listen();
  }

  listen() {
    this.picker.addEventListener("change", () => this.colourBy(this.colourable[this.picker.value] ?? null));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    // Another screen may have finer pixels though nothing changes its size.
    addEventListener("resize", () => { for (const view of this.views) view.resize(); });
    addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.chosen(-1);
      if (event.key === "/" && this.searchBox && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
        event.preventDefault();
        this.searchBox.focus();
      }
    });
    if (!this.searchBox) return;
    this.searchBox.addEventListener("input", () => this.searched());
    this.searchBox.addEventListener("keydown", (event) => this.typed(event));
    this.searchBox.addEventListener("focus", () => this.searched());
    this.searchBox.addEventListener("blur", () => setTimeout(() => this.closeList(), 150));
  }

  paint() {
    for (const view of this.views ?? []) view.paintSoon();
  }

  // ---- colours

  fillPicker() {
    this.picker.append(made("option", "None"));
    this.picker.lastChild.value = "";
    this.colourable.forEach((column, number) => {
      this.picker.append(made("option", column.name));
      this.picker.lastChild.value = number;
    });
    this.picker.value = this.column ? this.colourable.indexOf(this.column) : "";
    this.picker.closest("label").hidden = !this.colourable.length;
  }

  colourBy(column) {
    this.column = column;
    this.chosenValues.clear();
    this.emphasise();
    this.recolour();
  }

  recolour() {
    this.theme = themeNow();
    this.style = colouring(this.scene, this.column, this.theme, this.chosenValues);
    this.drawLegend();
    this.paint();
  }

  drawLegend() {
    const scrolled = this.legend.parentElement.scrollTop;
    this.legend.replaceChildren();
    this.legend.hidden = !this.column;
    if (!this.column) return;
    this.legend.append(made("h2", this.column.name));
    if (this.column.kind === "category") this.drawValues();
    else this.drawScale();
    this.legend.parentElement.scrollTop = scrolled;
  }

  drawValues() {
    const list = made("ul");
    this.column.values.forEach((value, number) => {
      const swatch = made("span");
      swatch.className = "swatch";
      const isOut = this.chosenValues.size && !this.chosenValues.has(number);
      swatch.style.background = cssColour(isOut ? this.theme.faded : this.style.palette[this.style.swatches[number]]);
      const count = made("span", wholeNumber.format(this.column.counts[number]));
      count.className = "count";
      const button = made("button", "", swatch, made("span", value), count);
      button.type = "button";
      button.setAttribute("aria-pressed", this.chosenValues.has(number));
      button.addEventListener("click", () => {
        if (!this.chosenValues.delete(number)) this.chosenValues.add(number);
        this.emphasise();
        this.recolour();
        this.legend.querySelectorAll("button")[number].focus();
      });
      list.append(made("li", "", button));
    });
    this.legend.append(list);
    const more = this.column.values.length > SLOTS ? `The ${SLOTS} most frequent have colours. ` : "";
    this.legend.append(made("p", `${more}Choose some to see them alone.`));
  }

  drawScale() {
    const { low, high, log } = this.column, bar = made("div");
    if (!(low <= high)) {
      this.legend.append(made("p", "No values."));
      return;
    }
    bar.className = "bar";
    bar.style.background = `linear-gradient(to right, ${this.theme.ramp.filter((_, step) => step % 7 === 0).map((colour) =>
      cssColour(colour)).join(", ")})`;
    const middle = log ? Math.sqrt(low * high) : (low + high) / 2, ends = made("div");
    ends.className = "ends";
    for (const number of low === high ? [low] : [low, middle, high]) {
      const shown = high - low > 50 ? Math.round(number) : number;
      ends.append(made("span", numberInWords(this.column, this.column.kind === "time" ? number : shown)));
    }
    this.legend.append(bar, ends);
    const missing = this.column.numbers.some(Number.isNaN) ? "Grey: no value." : "";
    if (log || missing) this.legend.append(made("p", `${log ? "Logarithmic scale. " : ""}${missing}`));
  }

  // What stands out: the values chosen in the legend, or what was searched for, or both.
  emphasise() {
    const values = this.chosenValues, searched = this.matches.length > 0;
    if (!values.size && !searched) {
      this.shown = null;
      return;
    }
    this.shown = new Uint8Array(this.scene.ids.length).fill(searched ? 0 : 1);
    for (const row of this.matches) this.shown[row] = 1;
    if (values.size) this.column.codes.forEach((code, row) => { if (!values.has(code - 1)) this.shown[row] = 0; });
  }

  // ---- search

  searched() {
    this.matches = searchRows(this.scene, this.searchBox.value);
    this.active = -1;
    this.emphasise();
    this.list.replaceChildren(...this.matches.slice(0, FOUND).map((row, number) => {
      const option = made("li", this.scene.labels[row]);
      Object.assign(option, { id: `found-${number}`, role: "option", ariaSelected: "false" });
      if (this.scene.labels[row] !== this.scene.ids[row]) option.append(made("span", this.scene.ids[row]));
      option.addEventListener("pointerdown", (event) => event.preventDefault());
      option.addEventListener("click", () => this.take(row));
      return option;
    }));
    const text = this.searchBox.value.trim(), beyond = this.matches.length - FOUND;
    if (text && (beyond > 0 || !this.matches.length)) {
      const rest = made("li", this.matches.length ? `and ${wholeNumber.format(beyond)} more` : "Nothing found");
      rest.className = "rest";
      this.list.append(rest);
    }
    this.list.hidden = !text;
    this.searchBox.setAttribute("aria-expanded", !this.list.hidden);
    document.documentElement.dataset.found = this.matches.length;
    this.paint();
  }

  typed(event) {
    const options = [...this.list.querySelectorAll("[role=option]")];
    if (event.key === "Enter" && this.matches.length) this.take(this.matches[Math.max(this.active, 0)]);
    if (event.key === "Escape") {
      this.searchBox.value = "";
      this.searched();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !options.length) return;
    event.preventDefault();
    this.active = (this.active + step + options.length) % options.length;
    options.forEach((option, number) => { option.ariaSelected = String(number === this.active); });
    this.searchBox.setAttribute("aria-activedescendant", options[this.active].id);
    options[this.active].scrollIntoView({ block: "nearest" });
  }

  take(row) {
    this.closeList();
    this.matches = [];
    this.emphasise();
    this.chosen(row, true);
  }

  closeList() {
    this.list.hidden = true;
    this.searchBox.setAttribute("aria-expanded", "false");
    this.searchBox.removeAttribute("aria-activedescendant");
  }

  // ---- points

  hovered(row, view, event) {
    if (row !== this.hover) {
      this.hover = row;
      this.paint();
    }
    this.tip.hidden = row < 0;
    if (row < 0) return;
    this.tip.replaceChildren(made("strong", this.scene.labels[row]), this.facts(row, 6));
    const { clientX, clientY } = event, { offsetWidth, offsetHeight } = this.tip;
    const left = clientX + 16 + offsetWidth > innerWidth ? clientX - 16 - offsetWidth : clientX + 16;
    const top = Math.min(clientY + 16, innerHeight - offsetHeight - 8);
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }

  facts(row, most = Infinity) {
    const list = made("dl");
    if (this.scene.labels[row] !== this.scene.ids[row]) list.append(made("dt", this.scene.kind), made("dd", this.scene.ids[row]));
    for (const column of this.scene.columns.slice(0, most)) {
      const text = valueInWords(column, row);
      if (text) list.append(made("dt", column.name), made("dd", text));
    }
    return list;
  }

  // A row was chosen, -1 for none: says all about it, and brings it to the middle if asked.
  chosen(row, centre = false) {
    this.selected = row;
    this.panel.hidden = row < 0;
    this.panel.replaceChildren();
    document.documentElement.dataset.selected = row < 0 ? "" : this.scene.ids[row];
    if (row >= 0) {
      const close = made("button", "×");
      Object.assign(close, { type: "button", className: "close", ariaLabel: "Close" });
      close.addEventListener("click", () => this.chosen(-1));
      this.panel.append(close, made("h2", this.scene.labels[row]), this.facts(row), ...this.nearLists(row));
      this.panel.scrollIntoView?.({ block: "nearest" });
      if (centre) this.centre(row);
    }
    this.paint();
  }

  centre(row) {
    const views = this.views.filter((view) => view.data.pointOf[row] >= 0);
    for (const view of this.together?.checked ? views.slice(0, 1) : views) view.centre(row);
  }

  // Its nearest in the embedding, a list a map; what only one of the two has is marked.
  nearLists(row) {
    const all = this.views.map((view) => neighboursOf(view.data, row));
    return this.views.map((view, number) => {
      const others = all[1 - number], two = this.views.length > 1, part = made("div");
      part.className = "near";
      part.append(made("h3", two ? `Nearest, ${view.data.name}` : "Nearest in the embedding"));
      if (view.data.pointOf[row] < 0) part.append(made("p", "Not on this map."));
      const list = made("ol");
      for (const other of all[number]) {
        const button = made("button", this.scene.labels[other]);
        button.type = "button";
        if (two && others.length && !others.includes(other)) button.className = "alone";
        button.addEventListener("click", () => this.chosen(other, true));
        list.append(made("li", "", button));
      }
      if (all[number].length) part.append(list);
      return part.childElementCount > 1 ? part : "";
    });
  }

  // Two maps that lie alike move together.
  moved(view) {
    if (!this.together?.checked) return;
    for (const other of this.views) {
      if (other === view || !other.camera) continue;
      Object.assign(other.camera, view.camera);
      other.goal = null;
      other.paintSoon();
    }
  }
}

readScene(document.getElementById("data").textContent).then((scene) => {
  new Page(scene);
  requestAnimationFrame(() => { document.documentElement.dataset.ready = "yes"; });
}, (error) => {
  document.getElementById("summary").textContent = `This map could not be drawn: ${error.message}`;
  console.error(error);
});
