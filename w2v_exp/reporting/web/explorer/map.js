/** The map: dots and labels on a canvas, which can be moved and zoomed. */

const LABEL_FONT = '"Source Sans 3", "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", "DejaVu Sans", sans-serif';
const MARGIN = 48; // pixels around the whole map
const CLOSEST = 300; // times the scale of the whole map
const ROUND = 1.6; // pixels; dots of a smaller radius are drawn as squares, which takes a third of the time
const REACH = 14; // pixels from a dot within which a click or the pointer selects it
const CELL = 4; // pixels; labels are kept apart on a grid of such cells
const PIXELS_PER_LABEL = 4200; // of the map, so that labels do not crowd it
const TRIES_PER_LABEL = 60; // words that are tried at most for each label that fits

/** Return the smallest rectangle around all positions. */
function boundsOf(positions) {
  let [left, right, low, high] = [1, 0, 1, 0];
  for (let i = 0; i < positions.length; i += 2) {
    left = Math.min(left, positions[i]);
    right = Math.max(right, positions[i]);
    low = Math.min(low, positions[i + 1]);
    high = Math.max(high, positions[i + 1]);
  }
  return { left, right, low, high };
}

class WordMap {
  /** `positions`: x and y of each word, between 0 and 1; `importance`: between 0 and 1, for the size of labels. */
  constructor(canvas, words, positions, importance, colours, onChoose) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.labels = words.map((word) => shown(word, 40));
    this.positions = positions;
    this.bounds = boundsOf(positions);
    const smallest = words.length > 200 ? 11.5 : 14;
    this.sizes = importance.map((share) => Math.round(2 * (smallest + 4.5 * share)) / 2);
    this.widths = new Float32Array(words.length); // of labels, relative to the font size; 0: not measured yet
    this.colours = colours;
    this.onChoose = onChoose;
    this.chosen = null;
    this.near = [];
    this.hovered = null;
    this.drawn = []; // labels with their rectangles
    this.pointers = new Map();
    this.view = { x: 0.5, y: 0.5, scale: 1 }; // the position in the middle, pixels per unit
    this.moved = false; // whether the view differs from the whole map
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
  }

  /** Return the position of a word in pixels from the upper left corner. */
  pixel(id) {
    return [
      (this.positions[2 * id] - this.view.x) * this.view.scale + this.width / 2,
      (this.view.y - this.positions[2 * id + 1]) * this.view.scale + this.height / 2,
    ];
  }

  /** Highlight a word and its nearest words, and move the word into view. */
  choose(id, near) {
    this.chosen = id;
    this.near = near;
    const [x, y] = this.pixel(id);
    const inside = x > MARGIN && y > MARGIN && x < this.width - MARGIN && y < this.height - MARGIN;
    if (!inside) this.#glide(this.positions[2 * id], this.positions[2 * id + 1]);
    this.#schedule();
  }

  /** Redraw in other colours. */
  paint(colours) {
    this.colours = colours;
    this.#schedule();
  }

  showWhole() {
    this.view = this.#whole();
    this.moved = false;
    this.#schedule();
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
      if (x >= label.left && x <= label.right && y >= label.top && y <= label.bottom) return label.id;
    }
    let found = null;
    let shortest = REACH;
    for (let id = 0; id < this.labels.length; id++) {
      const [left, top] = this.pixel(id);
      const distance = Math.hypot(left - x, top - y);
      if (distance < shortest) [found, shortest] = [id, distance];
    }
    return found;
  }

  #setView(x, y, scale) {
    const inside = (value) => Math.min(Math.max(value, 0), 1); // the middle stays on the map
    this.view = { x: inside(x), y: inside(y), scale };
    this.moved = true;
    this.#schedule();
  }

  #whole() {
    const { left, right, low, high } = this.bounds;
    const across = Math.max(this.width - 3 * MARGIN, 40) / (right - left || 1); // labels are on the right
    const up = Math.max(this.height - 2 * MARGIN, 40) / (high - low || 1);
    return { x: (left + right) / 2, y: (low + high) / 2, scale: Math.min(across, up) };
  }

  #glide(x, y) {
    const from = { ...this.view };
    const began = performance.now();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const step = (now) => {
      const t = still ? 1 : Math.min(Math.max((now - began) / 300, 0), 1);
      const share = t * t * (3 - 2 * t);
      this.#setView(from.x + (x - from.x) * share, from.y + (y - from.y) * share, from.scale);
      if (t < 1 && !this.pointers.size) requestAnimationFrame(step);
    };
    step(began);
  }

  #resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    [this.width, this.height, this.ratio] = [width, height, ratio];
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (!this.moved) this.view = this.#whole();
    this.#schedule();
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
    const c = this.context;
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    const zoomed = this.view.scale / this.#whole().scale;
    const radius = Math.min(Math.max(60 / Math.sqrt(this.labels.length), 1.3) * zoomed ** 0.35, 4.5);
    const visible = this.#visible();
    c.globalAlpha = this.chosen === null ? 0.55 : 0.3;
    this.#dots(visible, radius, this.colours.dot);
    c.globalAlpha = 1;
    if (this.chosen !== null) this.#drawChosen(radius);
    this.#drawLabels(visible, radius);
  }

  /** Return the ids of the words whose dot or label is within the view; the most frequent word is first. */
  #visible() {
    const { left, top, scale } = this.#origin();
    const visible = [];
    for (let id = 0; id < this.labels.length; id++) {
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
    const c = this.context;
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
    const c = this.context;
    const [x, y] = this.pixel(this.chosen);
    c.strokeStyle = this.colours.near;
    c.globalAlpha = 0.35;
    c.lineWidth = 1.2;
    c.beginPath();
    for (const id of this.near) {
      c.moveTo(x, y);
      c.lineTo(...this.pixel(id));
    }
    c.stroke();
    c.globalAlpha = 1;
    this.#dots(this.near, Math.max(radius, 3), this.colours.near);
    this.#dots([this.chosen], Math.max(radius, 3) + 2, this.colours.near);
  }

  /** Write labels without overlap: first the chosen word, the word under the pointer and the nearest words, then by frequency. */
  #drawLabels(visible, radius) {
    this.drawn = [];
    this.columns = Math.ceil(this.width / CELL);
    this.taken = new Uint8Array(this.columns * Math.ceil(this.height / CELL));
    const near = new Set(this.near);
    const first = [this.chosen, this.hovered].filter((id) => id !== null);
    for (const id of new Set(first)) this.#label(id, radius, id === this.chosen ? "chosen" : "hovered");
    for (const id of near) if (!first.includes(id)) this.#label(id, radius, "near");
    const most = (this.width * this.height) / PIXELS_PER_LABEL + this.drawn.length;
    let tries = most * TRIES_PER_LABEL;
    for (const id of visible) {
      if (this.drawn.length >= most || --tries < 0) break;
      if (!first.includes(id) && !near.has(id)) this.#label(id, radius, "plain");
    }
  }

  #label(id, radius, kind) {
    const c = this.context;
    const size = kind === "chosen" ? Math.max(this.sizes[id], 15) + 1 : this.sizes[id];
    c.font = `${kind === "chosen" ? 600 : 400} ${size}px ${LABEL_FONT}`;
    if (!this.widths[id]) this.widths[id] = c.measureText(this.labels[id]).width / size;
    const width = this.widths[id] * size * (kind === "chosen" ? 1.06 : 1); // bold letters are wider
    const [x, y] = this.pixel(id);
    const gap = radius + 3;
    const half = 0.6 * size;
    const corners = [[x + gap, y - half], [x - gap - width, y - half], [x - width / 2, y - gap - 2 * half], [x - width / 2, y + gap]];
    const forced = kind === "chosen" || kind === "hovered";
    for (const [left, top] of corners) {
      const label = { id, left, top, right: left + width, bottom: top + 2 * half };
      if (!forced && !this.#isFree(label)) continue;
      this.#occupy(label);
      this.drawn.push(label);
      c.textBaseline = "middle";
      c.direction = "ltr";
      c.lineWidth = 3;
      c.lineJoin = "round";
      c.strokeStyle = this.colours.page;
      c.globalAlpha = 0.85;
      c.strokeText(this.labels[id], left, top + half);
      c.globalAlpha = 1;
      c.fillStyle = this.#labelColour(kind);
      c.fillText(this.labels[id], left, top + half);
      return;
    }
  }

  #labelColour(kind) {
    if (kind === "chosen" || kind === "near") return this.colours.nearInk;
    return kind === "hovered" || this.chosen === null ? this.colours.ink : this.colours.quiet;
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
    canvas.addEventListener("pointerleave", () => this.#hover(null));
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
      this.#hover(this.at(event.offsetX, event.offsetY));
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

  #hover(id) {
    if (id === this.hovered) return;
    this.hovered = id;
    this.canvas.classList.toggle("over", id !== null);
    this.#schedule();
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
