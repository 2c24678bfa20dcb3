/** Parts of all charts: scales with ticks, number formats, axes. */

/** Return about `wanted` ticks from low to high, at multiples of 1, 2 or 5 times a power of ten. */
function steps(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size > 0.999 * rough);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-6); i * step <= high + 1e-6 * step; i += 1) ticks.push(i * step + 0); // + 0: no minus before a zero
  return ticks;
}

/** Return ticks of a logarithmic scale: powers of ten; over less than 1.5 decades 2 and 5 times them as well. */
function decades(low, high) {
  const ticks = [];
  const factors = high / low < 30 ? [1, 2, 5] : [1];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const factor of factors) ticks.push(factor * 10 ** power);
  }
  return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

// Creating a formatter takes longer than drawing a line, so each is created once.
const formats = new Map();

/** Return a number with `least` to `most` decimals. */
function written(value, least, most) {
  const key = 10 * least + most;
  if (!formats.has(key)) {
    formats.set(key, new Intl.NumberFormat("en-GB", { minimumFractionDigits: least, maximumFractionDigits: most }));
  }
  return formats.get(key).format(value);
}

/** Return a number with about `digits` significant digits; – for null. */
function rounded(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size && (size < 1e-4 || size >= 1e9)) return value.toExponential(digits - 1);
  const decimals = size >= 1000 ? 0 : size >= 1 ? digits - 1 : digits + (size && size < 0.01 ? 2 : 0);
  return written(value, 0, Math.max(0, decimals));
}

/** Return the function that formats ticks: on a linear scale all have the decimals that distinguish them. */
function tickTexts(ticks, kind) {
  if (kind !== "linear" || ticks.length < 2) return (tick) => rounded(tick);
  const decimals = Math.min(9, Math.max(0, -Math.floor(Math.log10(ticks[1] - ticks[0]) + 1e-6)));
  if (Math.abs(ticks[ticks.length - 1]) >= 1e9) return (tick) => rounded(tick);
  return (tick) => written(tick, decimals, decimals);
}

/** Return a scale from values low … high to pixels from … to; "log1p" is the logarithm of value + 1, which 0 has, too. */
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

/** Return the range of numbers, wider by the share `room` at both ends; a single number is in the middle of a range. */
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

let descriptions = 0;

/** Return a new empty SVG that fills the width of a figure; the figure scrolls if that is less than `least`. */
function canvas(holder, height, label, description = "Arrow keys go from point to point.", least = 280) {
  const width = Math.max(least, holder.clientWidth || 600);
  holder.replaceChildren();
  const id = `description-${(descriptions += 1)}`;
  const attributes = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, "aria-describedby": id, tabindex: "0" };
  const svg = element("svg", attributes, holder);
  element("desc", { id }, svg, description);
  if (width > holder.clientWidth) svg.style.minWidth = `${width}px`;
  return { svg, width, height };
}

/**
 * Return a new SVG on top of another one, transparent for the pointer. The browser keeps the pixels of each layer, so that
 * fading one or changing another does not redraw hundreds of lines.
 */
function layer(holder, svg) {
  const attributes = { class: "layer", viewBox: svg.getAttribute("viewBox"), "aria-hidden": "true" };
  return element("svg", attributes, holder);
}

/** Draw axes with ticks; below them `names` instead of numbers, or only whole numbers. */
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
    names.forEach((name, i) => {
      const short = name.length > 14 ? `${name.slice(0, 13)}…` : name;
      element("text", { class: "name", x: x.at(i), y: bottom + 18, "text-anchor": "middle" }, svg, short);
    });
  } else {
    const ticks = x.ticks(Math.max(4, (right - left) / 90), whole);
    const text = tickTexts(ticks, x.kind);
    for (const tick of ticks) {
      element("line", { class: "axis", x1: x.at(tick), x2: x.at(tick), y1: bottom, y2: bottom + 4 }, svg);
      element("text", { x: x.at(tick), y: bottom + 18, "text-anchor": "middle" }, svg, text(tick));
    }
  }
  element("text", { x: right, y: bottom + 36, "text-anchor": "end" }, svg, labels.x);
  element("text", { x: left - 42, y: top - 10 }, svg, labels.y);
}

/** Return the position of the pointer in the units of a chart. */
function pointed(svg, event) {
  const box = svg.getBoundingClientRect();
  const ratio = svg.viewBox.baseVal.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
}
