/** The map: dots and labels on a canvas, which can be moved and zoomed. */

const LABEL_FONT = '"Source Sans 3", "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", "DejaVu Sans", sans-serif';
const MARGIN = 48; // pixels around the whole map
const CLOSEST = 300; // times the scale of the whole map
const ROUND = 1.6; // pixels; dots of a smaller radius are drawn as squares, which takes a third of the time
const REACH = 14; // pixels from a dot within which a click or the pointer selects it
const CELL = 4; // pixels; labels are kept apart on a grid of such cells
const PIXELS_PER_LABEL = 4200; // of the whole map, so that labels do not crowd it; divided by the root of the zoom
const FEWEST_PIXELS = 1400; // per label
const TRIES_PER_LABEL = 60; // words that are tried at most for each label that fits
const NAMED_UNTIL = 4; // times the scale of the whole map, up to which the clusters are named
const NARROW = 600; // pixels; on a narrower map a cluster is named by one word, and tools and note take two lines
const APART = 30; // pixels between two positions of a word from which on both have a label
const GLIDE = 500; // milliseconds of a change from one map to another

/** Return the smallest rectangle around the positions of some words. */
function boundsOf(positions, ids) {
  let [left, right, low, high] = [1, 0, 1, 0];
  for (const id of ids) {
    left = Math.min(left, positions[2 * id]);
    right = Math.max(right, positions[2 * id]);
    low = Math.min(low, positions[2 * id + 1]);
    high = Math.max(high, positions[2 * id + 1]);
  }
  return { left, right, low, high };
}

/** Return the share of a movement after some of its milliseconds; 1 for readers who want no movement. */
function eased(milliseconds, duration) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const t = still ? 1 : Math.min(Math.max(milliseconds / duration, 0), 1);
  return t * t * (3 - 2 * t);
}

class WordMap {
  /**
   * `ids`: of the words on the map, the most frequent first; `positions`: x and y of each word, between 0 and 1;
   * `importance`: of each word, between 0 and 1, for the size of labels; `onChoose(id)`: called for a clicked word;
   * `onHover(id)`: called for a word under the pointer, or null; `onChange()`: called after each change of the view.
   */
  constructor(canvas, words, ids, positions, importance, colours, { onChoose, onHover, onChange }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.labels = words.map((word) => shown(word, 40));
    this.ids = ids;
    this.positions = this.target = positions; // they differ while one map changes to another
    this.bounds = boundsOf(positions, ids);
    const smallest = ids.length > 200 ? 11.5 : 14;
    this.sizes = importance.map((share) => Math.round(2 * (smallest + 4.5 * share)) / 2);
    this.widths = new Float32Array(words.length); // of labels, relative to the font size; 0: not measured yet
    this.colours = colours;
    Object.assign(this, { onChoose, onHover, onChange });
    this.groups = null; // the group of each word, with a colour of `palette`; null: one colour
    this.palette = [];
    this.names = []; // of groups that are written on the map: lists of words
    this.highlighted = null; // a group
    this.chosen = null;
    this.near = [];
    this.common = new Set(); // of the nearest words, those in bold
    this.hovered = null;
    this.pointed = null; // the same, if the pointer is on this map
    this.other = null; // on a map of two runs: what `compare` got
    this.drawn = []; // labels of words with their rectangles
    this.named = []; // names of groups with their rectangles
    this.pointers = new Map();
    this.view = { x: 0.5, y: 0.5, scale: 1 }; // the position in the middle, pixels per unit
    this.moved = false; // whether the view differs from the whole map
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
  }

  /** Return the position of a word in pixels from the upper left corner. */
  pixel(id) {
    return this.#pixelAt(this.positions, id);
  }

  #pixelAt(positions, id) {
    return [
      (positions[2 * id] - this.view.x) * this.view.scale + this.width / 2,
      (this.view.y - positions[2 * id + 1]) * this.view.scale + this.height / 2,
    ];
  }

  /** Highlight a word and its nearest words, some of them in bold, and move the word into view; null: none. */
  choose(id, near, common = []) {
    this.chosen = id;
    this.near = near;
    this.common = new Set(common);
    this.#schedule();
    if (id === null || !this.width) return;
    const [x, y] = this.pixel(id);
    const inside = x > MARGIN && y > MARGIN && x < this.width - MARGIN && y < this.height - MARGIN;
    if (!inside) this.#glide(this.positions[2 * id], this.positions[2 * id + 1]);
  }

  /**
   * Draw arrows to the positions of words in another run. `positions`: x and y of each word there; `moved`: ids of words with
   * an arrow, beside the chosen one; `near`: ids of its nearest words there. null: no other run.
   */
  compare(other) {
    this.other = other;
    this.#schedule();
  }

  /** Emphasise a word as under the pointer, which is elsewhere; null: none. */
  hover(id) {
    if (id === this.hovered) return;
    [this.hovered, this.pointed] = [id, null];
    this.#schedule();
  }

  /** Redraw in other colours: those of the page, and one for each group of words, with names for some groups. */
  paint(colours, groups, palette, names) {
    Object.assign(this, { colours, groups, palette, names });
    if (!groups) this.highlighted = null;
    this.#schedule();
  }

  /** Emphasise a group of words; null: none. */
  highlight(group) {
    this.highlighted = group;
    this.#schedule();
    this.onChange();
  }

  /** Move the words to other positions, and show all of them. */
  arrange(positions) {
    this.bounds = boundsOf(positions, this.ids);
    const [from, began] = [this.positions, performance.now()];
    const step = (now) => {
      if (this.target !== positions) return; // another change has begun
      const share = eased(now - began, GLIDE);
      const between = (value, i) => (Number.isNaN(value) ? positions[i] : value + (positions[i] - value) * share);
      this.positions = share < 1 ? from.map(between) : positions;
      this.#schedule();
      if (share < 1) requestAnimationFrame(step);
    };
    this.target = positions;
    step(began);
    this.showWhole();
  }

  showWhole() {
    this.view = this.#whole();
    this.glide = null;
    this.moved = false;
    this.#schedule();
    this.onChange();
  }

  /** The scale relative to the whole map. */
  get zoomed() {
    return this.view.scale / this.#whole().scale;
  }

  /** Show the position (x, y) in the middle, at a scale relative to the whole map. */
  show(x, y, zoomed) {
    this.#setView(x, y, Math.min(Math.max(zoomed, 0.7), CLOSEST) * this.#whole().scale);
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const whole = this.#whole().scale;
    const scale = Math.min(Math.max(this.view.scale * factor, 0.7 * whole), CLOSEST * whole);
    const gain = 1 / this.view.scale - 1 / scale;
    this.#setView(this.view.x + (x - this.width / 2) * gain, this.view.y - (y - this.height / 2) * gain, scale);
  }

  move(x, y) {
    this.#setView(this.view.x - x / this.view.scale, this.view.y + y / this.view.scale, this.view.scale);
  }

  /** Return the word whose label or dot is at a pixel, or null. */
  at(x, y) {
    for (const label of this.drawn) {
      if (label.id === this.hovered && this.pointed === null) continue; // it may cover other words
      if (x >= label.left && x <= label.right && y >= label.top && y <= label.bottom) return label.id;
    }
    let found = null;
    let shortest = REACH;
    for (const id of this.ids) {
      const [left, top] = this.pixel(id);
      const distance = Math.hypot(left - x, top - y);
      if (distance < shortest) [found, shortest] = [id, distance];
    }
    return found;
  }

  /** Show the position (x, y) in the middle; `glide`: the movement that this is a part of, as every other one ends. */
  #setView(x, y, scale, glide = null) {
    this.glide = glide;
    const inside = (value) => Math.min(Math.max(value, 0), 1); // the middle stays on the map
    this.view = { x: inside(x), y: inside(y), scale };
    this.moved = true;
    this.#schedule();
    this.onChange();
  }

  #whole() {
    const { left, right, low, high } = this.bounds;
    const narrow = this.width < NARROW;
    const across = Math.max(this.width - (narrow ? 2 : 3) * MARGIN, 40) / (right - left || 1); // labels are on the right
    const up = Math.max(this.height - (narrow ? 4 : 2) * MARGIN, 40) / (high - low || 1);
    return { x: (left + right) / 2, y: (low + high) / 2, scale: Math.min(across, up) };
  }

  #glide(x, y) {
    const from = { ...this.view };
    const began = performance.now();
    const glide = (now) => {
      if (now !== began && (this.glide !== glide || this.pointers.size)) return;
      const share = eased(now - began, 300);
      this.#setView(from.x + (x - from.x) * share, from.y + (y - from.y) * share, from.scale, glide);
      if (share < 1) requestAnimationFrame(glide);
    };
    glide(began);
  }

  #resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    [this.width, this.height, this.ratio] = [width, height, ratio];
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (!this.moved) this.view = this.#whole();
    if (width) this.#schedule(); // else it is hidden
  }

  #schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.#draw();
    });
  }

  #draw() {
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.context.clearRect(0, 0, this.width, this.height);
    this.drawOn(this.context);
  }

  /** Draw the view with a pen, which is the context of a canvas or a `SvgPen`. */
  drawOn(pen) {
    this.pen = pen;
    const small = Math.min(Math.min(this.width, this.height) / NARROW, 1); // smaller dots on a small map
    const radius = Math.min(Math.max((60 * small) / Math.sqrt(this.ids.length), 1.3 * small) * this.zoomed ** 0.35, 4.5);
    const visible = this.#visible();
    const strength = this.groups ? 0.8 : 0.55;
    if (this.groups) {
      this.palette.forEach((colour, group) => {
        pen.globalAlpha = (this.highlighted ?? group) === group ? strength : 0.12;
        if (this.chosen !== null) pen.globalAlpha *= 0.6;
        this.#dots(visible.filter((id) => this.groups[id] === group), radius, colour);
      });
    } else {
      pen.globalAlpha = this.chosen === null ? strength : 0.3;
      this.#dots(visible, radius, this.colours.dot);
    }
    pen.globalAlpha = 1;
    if (this.other) this.#drawMoved();
    if (this.chosen !== null) this.#drawChosen(radius);
    this.#drawLabels(visible, radius);
  }

  /** Return the ids of the words whose dot or label is within the view; the most frequent word is first. */
  #visible() {
    const { left, top, scale } = this.#origin();
    const visible = [];
    for (const id of this.ids) {
      const x = left + this.positions[2 * id] * scale;
      const y = top - this.positions[2 * id + 1] * scale;
      if (x > -200 && y > -20 && x < this.width + 20 && y < this.height + 20) visible.push(id);
    }
    return visible;
  }

  /** Return the pixel of the position (0, 0), and the scale. */
  #origin() {
    const { x, y, scale } = this.view;
    return { left: this.width / 2 - x * scale, top: this.height / 2 + y * scale, scale };
  }

  #dots(ids, radius, colour) {
    const c = this.pen;
    const { left, top, scale } = this.#origin();
    c.fillStyle = colour;
    c.beginPath();
    for (const id of ids) {
      const x = left + this.positions[2 * id] * scale;
      const y = top - this.positions[2 * id + 1] * scale;
      if (radius < ROUND) {
        c.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
      } else {
        c.moveTo(x + radius, y);
        c.arc(x, y, radius, 0, 2 * Math.PI);
      }
    }
    c.fill();
  }

  #drawChosen(radius) {
    const size = Math.max(radius, 3);
    if (this.other) {
      const end = this.#pixelAt(this.other.positions, this.chosen);
      this.#rays(end, this.other.near, this.colours.far);
      this.#dots(this.other.near, size, this.colours.far);
      this.#arrow(this.pixel(this.chosen), end, 2.2, this.colours.far);
    }
    this.#rays(this.pixel(this.chosen), this.near, this.colours.near);
    this.#dots(this.near, size, this.colours.near);
    this.#dots([this.chosen], size + 2, this.colours.near);
  }

  /** Draw lines from a pixel to words. */
  #rays([x, y], ids, colour) {
    const c = this.pen;
    c.strokeStyle = colour;
    c.globalAlpha = 0.35;
    c.lineWidth = 1.2;
    c.beginPath();
    for (const id of ids) {
      c.moveTo(x, y);
      c.lineTo(...this.pixel(id));
    }
    c.stroke();
    c.globalAlpha = 1;
  }

  /** Draw the arrows of words that moved. */
  #drawMoved() {
    this.pen.globalAlpha = this.chosen === null ? 0.8 : 0.35;
    for (const id of this.other.moved) {
      if (id !== this.chosen) this.#arrow(this.pixel(id), this.#pixelAt(this.other.positions, id), 1.2, this.colours.ink);
    }
    this.pen.globalAlpha = 1;
  }

  #arrow([x, y], [toX, toY], width, colour) {
    const c = this.pen;
    const length = Math.hypot(toX - x, toY - y);
    if (!(length > 1)) return; // also without a position
    const [head, u, v] = [Math.min(4 + 3 * width, length), (toX - x) / length, (toY - y) / length];
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.beginPath();
    c.moveTo(x, y);
    c.lineTo(toX, toY);
    for (const side of [0.4, -0.4]) {
      c.moveTo(toX, toY);
      c.lineTo(toX - head * (u - side * v), toY - head * (v + side * u));
    }
    c.stroke();
  }

  /** Write labels without overlap: first the chosen word, the word under the pointer and the nearest words, then by frequency. */
  #drawLabels(visible, radius) {
    this.drawn = [];
    this.named = [];
    this.columns = Math.ceil(this.width / CELL);
    this.taken = new Uint8Array(this.columns * Math.ceil(this.height / CELL));
    const first = new Map([[this.hovered, "hovered"], [this.chosen, "chosen"]].filter(([id]) => id !== null));
    for (const [id, kind] of first) this.#label(id, radius, kind);
    if (this.other && this.chosen !== null) this.#labelEnd(radius);
    for (const [kind, ids] of [["near", this.near], ["far", this.other?.near ?? []], ["moved", this.other?.moved ?? []]]) {
      for (const id of ids) {
        if (!first.has(id)) this.#label(id, radius, kind);
        first.set(id, kind);
      }
    }
    if (this.zoomed < NAMED_UNTIL && this.positions === this.target) this.names.forEach((name, group) => this.#name(name, group));
    const most = (this.width * this.height) / Math.max(PIXELS_PER_LABEL / Math.sqrt(this.zoomed), FEWEST_PIXELS) + this.drawn.length;
    let tries = most * TRIES_PER_LABEL;
    for (const id of visible) {
      if (this.drawn.length >= most || --tries < 0) break;
      if (this.highlighted !== null && this.groups[id] !== this.highlighted) continue;
      if (!first.has(id)) this.#label(id, radius, "plain");
    }
  }

  /** Label the chosen word at its position in the other run, unless that is near. */
  #labelEnd(radius) {
    const [[x, y], [toX, toY]] = [this.positions, this.other.positions].map((positions) => this.#pixelAt(positions, this.chosen));
    if (Math.hypot(toX - x, toY - y) > APART) this.#label(this.chosen, radius, "end", this.other.positions);
  }

  /** Write the name of a group in the middle of its words or near it, unless other names or labels are there. */
  #name(words, group) {
    if (!words.length || (this.highlighted ?? group) !== group) return;
    const c = this.pen;
    const text = words.slice(0, this.width < NARROW ? 1 : words.length).join(" · ");
    const font = `600 13px ${LABEL_FONT}`;
    const width = this.#widthOf(text, font);
    const [x, middle] = this.#middle(group);
    for (const y of [0, -24, 24, -48, 48].map((shift) => middle + shift)) {
      const label = { group, left: x - width / 2, top: y - 9, right: x + width / 2, bottom: y + 11 };
      if (!this.#isFree(label)) continue;
      this.#occupy(label);
      this.named.push(label);
      this.#write(text, font, label.left, y, this.colours.ink, 4);
      c.fillStyle = this.palette[group];
      c.beginPath();
      c.fillRect(label.left, y + 8, width, 2.5);
      c.fill();
      return;
    }
  }

  /** Return the pixel in the middle of the words of a group: the medians of both coordinates. */
  #middle(group) {
    if (this.middlesOf !== this.positions) [this.middlesOf, this.middles] = [this.positions, new Map()];
    if (!this.middles.has(group)) {
      const ids = Array.from(this.ids).filter((id) => this.groups[id] === group);
      const median = (k) => ids.map((id) => this.positions[2 * id + k]).sort((a, b) => a - b)[ids.length >> 1];
      this.middles.set(group, [median(0), median(1)]);
    }
    const { left, top, scale } = this.#origin();
    const [x, y] = this.middles.get(group);
    return [left + x * scale, top - y * scale];
  }

  #widthOf(text, font) {
    this.context.font = font;
    return this.context.measureText(text).width;
  }

  #write(text, font, left, middle, colour, halo = 3) {
    const c = this.pen;
    c.font = font;
    c.textBaseline = "middle";
    c.direction = "ltr";
    c.lineWidth = halo;
    c.lineJoin = "round";
    c.strokeStyle = this.colours.page;
    c.globalAlpha = 0.85;
    c.strokeText(text, left, middle);
    c.globalAlpha = 1;
    c.fillStyle = colour;
    c.fillText(text, left, middle);
  }

  #label(id, radius, kind, positions = this.positions) {
    const size = kind === "chosen" || kind === "end" ? Math.max(this.sizes[id], 15) + 1 : this.sizes[id];
    const bold = kind === "chosen" || kind === "end" || (this.common.has(id) && (kind === "near" || kind === "far"));
    const font = `${bold ? 600 : 400} ${size}px ${LABEL_FONT}`; // to set it takes 10 µs, and most words do not fit
    if (!this.widths[id]) this.widths[id] = this.#widthOf(this.labels[id], font) / size;
    const width = this.widths[id] * size * (bold ? 1.06 : 1); // bold letters are wider
    const [x, y] = this.#pixelAt(positions, id);
    if (!Number.isFinite(x)) return; // not on this map
    const gap = radius + 3;
    const half = 0.6 * size;
    const corners = [[x + gap, y - half], [x - gap - width, y - half], [x - width / 2, y - gap - 2 * half], [x - width / 2, y + gap]];
    const forced = kind === "chosen" || kind === "hovered"; // also over others
    for (const [left, top] of corners) {
      const label = { id, left, top, right: left + width, bottom: top + 2 * half };
      if (!forced && !this.#isFree(label)) continue;
      this.#occupy(label);
      this.drawn.push(label);
      this.#write(this.labels[id], font, left, top + half, this.#labelColour(kind));
      return;
    }
  }

  #labelColour(kind) {
    if (kind === "chosen" || kind === "near") return this.colours.nearInk;
    if (kind === "end" || kind === "far") return this.colours.farInk;
    return kind === "hovered" || kind === "moved" || this.chosen === null ? this.colours.ink : this.colours.quiet;
  }

  /** Return whether the cells of a label are free. */
  #isFree(label) {
    const { first, last, top, bottom } = this.#cells(label);
    for (let row = top; row <= bottom; row++) {
      for (let cell = row * this.columns + first; cell <= row * this.columns + last; cell++) if (this.taken[cell]) return false;
    }
    return true;
  }

  #occupy(label) {
    const { first, last, top, bottom } = this.#cells(label);
    for (let row = top; row <= bottom; row++) this.taken.fill(1, row * this.columns + first, row * this.columns + last + 1);
  }

  /** Return the visible cells that a label covers, with a margin to its left and right. */
  #cells(label) {
    const within = (pixel, most) => Math.min(Math.max(Math.floor(pixel / CELL), 0), most);
    const [columns, rows] = [this.columns - 1, this.taken.length / this.columns - 1];
    const [first, last] = [within(label.left - 2, columns), within(label.right + 2, columns)];
    return { first, last, top: within(label.top + 1, rows), bottom: within(label.bottom - 2, rows) };
  }

  #listen() {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#drag(event));
    canvas.addEventListener("pointerup", (event) => this.#release(event, true));
    canvas.addEventListener("pointercancel", (event) => this.#release(event, false));
    canvas.addEventListener("pointerleave", () => this.#point(null));
    canvas.addEventListener("dblclick", (event) => this.zoom(2, event.offsetX, event.offsetY));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    const wheel = (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      const turned = Math.min(Math.max(event.deltaY * lines, -240), 240);
      this.zoom(Math.exp(-turned * (event.ctrlKey ? 0.01 : 0.0025)), event.offsetX, event.offsetY);
    };
    canvas.addEventListener("wheel", wheel, { passive: false });
  }

  #press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (this.pointers.size === 1) this.travelled = 0;
    this.canvas.classList.add("moving");
  }

  #drag(event) {
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) {
      this.#point(this.at(event.offsetX, event.offsetY));
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, other]) => other);
    const [x, y] = [event.offsetX, event.offsetY];
    this.travelled += Math.hypot(x - pointer.x, y - pointer.y);
    if (others.length === 0 && this.travelled > 3) this.move(x - pointer.x, y - pointer.y);
    if (others.length === 1) {
      const [other] = others;
      const before = Math.hypot(pointer.x - other.x, pointer.y - other.y);
      const after = Math.hypot(x - other.x, y - other.y);
      this.move((x - pointer.x) / 2, (y - pointer.y) / 2);
      if (before && after) this.zoom(after / before, (x + other.x) / 2, (y + other.y) / 2);
    }
    [pointer.x, pointer.y] = [x, y];
  }

  #release(event, meant) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.pointers.size) {
      this.travelled = Infinity; // the end of a pinch is no click
      return;
    }
    this.canvas.classList.remove("moving");
    if (!meant || this.travelled > 3) return;
    const id = this.at(event.offsetX, event.offsetY);
    if (id !== null) this.onChoose(id);
  }

  #point(id) {
    if (id === this.hovered) return;
    this.canvas.classList.toggle("over", id !== null);
    this.hover(id);
    this.pointed = id;
    this.onHover(id);
  }

  #key(event) {
    const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (event.key in steps) this.move(...steps[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (event.key === "0" || event.key === "Home") this.showWhole();
    else return;
    event.preventDefault();
  }
}
