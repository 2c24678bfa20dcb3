/** Pictures of the maps that are shown, side by side, for download. */

const GAP = 12; // pixels between two maps
const FINEST = 2; // pixels of a PNG per pixel of the page, at least

/** Draws into an element of SVG, by the part of the interface of a canvas that `WordMap` uses. */
class SvgPen {
  constructor(svg) {
    this.svg = svg;
    Object.assign(this, { globalAlpha: 1, fillStyle: "", strokeStyle: "", lineWidth: 1, font: "", path: [] });
  }

  beginPath() {
    this.path = [];
  }

  moveTo(x, y) {
    this.path.push(`M${x.toFixed(1)} ${y.toFixed(1)}`);
  }

  lineTo(x, y) {
    this.path.push(`L${x.toFixed(1)} ${y.toFixed(1)}`);
  }

  /** Add a circle; the path is at its rightmost point. */
  arc(x, y, radius) {
    const [r, d] = [radius.toFixed(1), (2 * radius).toFixed(1)];
    this.path.push(`a${r} ${r} 0 1 0 -${d} 0a${r} ${r} 0 1 0 ${d} 0z`);
  }

  /** Add a rectangle, which `fill` fills with the rest of the path. */
  fillRect(x, y, width, height) {
    this.moveTo(x, y);
    this.path.push(`h${width.toFixed(1)}v${height.toFixed(1)}h${(-width).toFixed(1)}z`);
  }

  fill() {
    if (!this.path.length) return;
    element("path", { d: this.path.join(""), fill: this.fillStyle, "fill-opacity": this.globalAlpha.toFixed(2) }, this.svg);
  }

  stroke() {
    const look = { fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth, "stroke-opacity": this.globalAlpha.toFixed(2) };
    element("path", { d: this.path.join(""), ...look }, this.svg);
  }

  /** Nothing: `fillText` draws the outline as well. */
  strokeText() {}

  fillText(text, x, y) {
    const [, weight, size, family] = /^(\d+) ([\d.]+)px (.*)$/.exec(this.font);
    const outline = { stroke: this.strokeStyle, "stroke-width": this.lineWidth, "stroke-opacity": 0.85, "stroke-linejoin": "round", "paint-order": "stroke" };
    const letters = { "font-family": family, "font-size": size, "font-weight": weight, "dominant-baseline": "central", "xml:space": "preserve" };
    element("text", { x: x.toFixed(1), y: y.toFixed(1), fill: this.fillStyle, ...letters, ...outline }, this.svg, text);
  }
}

/** Write the title of a picture into its lower left corner. */
function caption(map, pen, text) {
  map.context.font = pen.font = `400 12px ${LABEL_FONT}`;
  Object.assign(pen, { textBaseline: "middle", strokeStyle: map.colours.page, lineWidth: 3, globalAlpha: 1 });
  pen.fillStyle = map.colours.page;
  pen.beginPath();
  pen.fillRect(0, map.height - 28, map.context.measureText(text).width + 24, 28); // over labels of words
  pen.fill();
  pen.fillStyle = map.colours.quiet;
  pen.fillText(text, 12, map.height - 14);
}

/** Return the size of pictures of maps in a row, with a gap between them. */
function sizeOf(maps) {
  const widths = maps.map(({ map }) => map.width);
  const lefts = widths.map((_, k) => widths.slice(0, k).reduce((a, b) => a + b + GAP, 0));
  return { lefts, width: lefts.at(-1) + widths.at(-1), height: Math.max(...maps.map(({ map }) => map.height)) };
}

/** Return the shown parts of maps with their titles as SVG. */
function svgOf(maps) {
  const { lefts, width, height } = sizeOf(maps);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
  element("rect", { width, height, fill: maps[0].map.colours.page }, svg);
  maps.forEach(({ map, title }, k) => {
    const part = element("svg", { x: lefts[k], width: map.width, height: map.height }, svg); // labels end at its edge
    const pen = new SvgPen(part);
    map.drawOn(pen);
    caption(map, pen, title);
  });
  return new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
}

/** Return a promise of the shown parts of maps with their titles as PNG. */
function pngOf(maps) {
  const canvas = element("canvas");
  const ratio = Math.max(maps[0].map.ratio, FINEST);
  const { lefts, width, height } = sizeOf(maps);
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.fillStyle = maps[0].map.colours.page;
  pen.fillRect(0, 0, width, height);
  maps.forEach(({ map, title }, k) => {
    pen.save();
    pen.translate(lefts[k], 0);
    pen.beginPath();
    pen.rect(0, 0, map.width, map.height);
    pen.clip();
    map.drawOn(pen);
    caption(map, pen, title);
    pen.restore();
  });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** Save a file on the reader's machine. */
function save(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
