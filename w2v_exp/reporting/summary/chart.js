// What all charts are made of: SVG elements, scales with their ticks, a frame with axes. Texts are only ever set as text.

function element(name, attributes, parent, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function steps(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size > 0.999 * rough);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-6); i * step <= high + 1e-6 * step; i += 1) ticks.push(i * step + 0); // + 0: no minus before a zero
  return ticks;
}

function decades(low, high) {
  const ticks = [];
  const factors = high / low < 30 ? [1, 2, 5] : [1];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const factor of factors) ticks.push(factor * 10 ** power);
  }
  return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

// Making a formatter takes longer than drawing a line: each is made once.
const formats = new Map();

function written(value, least, most) {
  const key = 10 * least + most;
  if (!formats.has(key)) {
    formats.set(key, new Intl.NumberFormat("en-GB", { minimumFractionDigits: least, maximumFractionDigits: most }));
  }
  return formats.get(key).format(value);
}

function figure(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size && (size < 1e-4 || size >= 1e9)) return value.toExponential(digits - 1);
  const decimals = size >= 1000 ? 0 : size >= 1 ? digits - 1 : digits + (size && size < 0.01 ? 2 : 0);
  return written(value, 0, Math.max(0, decimals));
}

// How ticks are written: all with as many decimals as tell them apart, unless they go by ratio.
function tickTexts(ticks, kind) {
  if (kind !== "linear" || ticks.length < 2) return (tick) => figure(tick);
  const decimals = Math.min(9, Math.max(0, -Math.floor(Math.log10(ticks[1] - ticks[0]) + 1e-6)));
  if (Math.abs(ticks[ticks.length - 1]) >= 1e9) return (tick) => figure(tick);
  return (tick) => written(tick, decimals, decimals);
}

// A map from values low … high to pixels from … to; "log" by ratio, "log1p" by ratio from 1 on, so that 0 has a place.
function scale(low, high, from, to, kind = "linear") {
  const forth = { linear: (v) => v, log: Math.log10, log1p: (v) => Math.log10(v + 1) }[kind];
  const back = { linear: (v) => v, log: (v) => 10 ** v, log1p: (v) => 10 ** v - 1 }[kind];
  const [start, end] = [forth(low), forth(high)];
  const span = end - start || 1;
  return {
    low,
    high,
    kind,
    at: (value) => from + ((forth(value) - start) / span) * (to - from),
    value: (pixel) => back(start + ((pixel - from) / (to - from)) * span),
    ticks(wanted, whole = false) {
      if (kind === "log" && high / low > 3) return decades(low, high);
      if (kind === "log1p" && high > 10 * (low + 1)) {
        return [...(low <= 0 ? [0] : []), ...decades(Math.max(1, low), high)];
      }
      return steps(low, high, wanted).filter((tick) => !whole || Number.isInteger(tick));
    },
  };
}

// The range of some numbers with a little room at both ends; around a single number, room enough to see it.
function range(numbers, room = 0.05) {
  let [low, high] = [Infinity, -Infinity];
  for (const number of numbers) {
    if (number < low) low = number;
    if (number > high) high = number;
  }
  if (low > high) return [0, 1];
  const span = high - low > 1e-6 * Math.max(1e-9, Math.abs(high)) ? high - low : 0.2 * Math.abs(high) || 1;
  return high - low === span ? [low - room * span, high + room * span] : [low - span / 2, high + span / 2];
}

// An empty SVG that fills its place, as wide as that is now.
function canvas(place, height, label) {
  const width = Math.max(280, place.clientWidth || 600);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, tabindex: "0" });
  place.replaceChildren(...[...place.children].filter((child) => child.tagName === "FIGCAPTION"), svg);
  return { svg, width, height };
}

// One more drawing on top of another, which the pointer does not notice. The browser keeps its pixels: it can become
// pale, or what lies on it change, without hundreds of lines being drawn anew.
function layer(place, svg) {
  const attributes = { class: "layer", viewBox: svg.getAttribute("viewBox"), "aria-hidden": "true" };
  return element("svg", attributes, place);
}

// Axes with their ticks; `names` instead of numbers below, or only whole numbers.
function frame(svg, x, y, labels, names = null, whole = false) {
  const [left, right] = [x.at(x.low), x.at(x.high)];
  const [bottom, top] = [y.at(y.low), y.at(y.high)];
  const heights = y.ticks(Math.max(4, (bottom - top) / 50));
  const height = tickTexts(heights, y.kind);
  for (const tick of heights) {
    element("line", { class: "grid", x1: left, x2: right, y1: y.at(tick), y2: y.at(tick) }, svg);
    element("text", { x: left - 7, y: y.at(tick) + 4, "text-anchor": "end" }, svg, height(tick));
  }
  element("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }, svg);
  if (names) {
    names.forEach((name, place) => {
      const short = name.length > 14 ? `${name.slice(0, 13)}…` : name;
      element("text", { class: "name", x: x.at(place), y: bottom + 18, "text-anchor": "middle" }, svg, short);
    });
  } else {
    const places = x.ticks(Math.max(3, (right - left) / 90), whole);
    const text = tickTexts(places, x.kind);
    for (const tick of places) {
      element("line", { class: "axis", x1: x.at(tick), x2: x.at(tick), y1: bottom, y2: bottom + 4 }, svg);
      element("text", { x: x.at(tick), y: bottom + 18, "text-anchor": "middle" }, svg, text(tick));
    }
  }
  element("text", { x: right, y: bottom + 36, "text-anchor": "end" }, svg, labels.x);
  element("text", { x: left - 42, y: top - 10 }, svg, labels.y);
}

// Where in a chart's own units the pointer is.
function pointed(svg, event) {
  const box = svg.getBoundingClientRect();
  const ratio = svg.viewBox.baseVal.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
}
