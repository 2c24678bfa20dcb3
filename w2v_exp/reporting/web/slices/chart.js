/** The chart of similarities: a line for each word over the slices, with a band where there is one. */

const LONGEST_LABEL = 16;

/** Return the parts of a line between slices without a value, as lists of numbers of slices. */
function stretches(values) {
  const parts = [];
  values.forEach((value, place) => {
    if (value === null) return;
    const last = parts[parts.length - 1];
    if (last && last[last.length - 1] === place - 1) last.push(place);
    else parts.push([place]);
  });
  return parts;
}

/**
 * Draw lines over the slices. `lines`: each with its `word`, `colour`, `cosines`, `low` and `high` by slice, null where there
 * is none. `rare`: for each slice, the text below it if the chosen word is rare there, else "".
 */
function drawSimilarities(holder, slices, lines, rare, label) {
  const description = lines.map((line) => `${line.word}: ${line.cosines.map((x) => (x === null ? "rare" : x.toFixed(2))).join(", ")}`);
  const { svg, width, height } = canvas(holder, 300, label, description.join(". "), Math.max(420, 34 * slices.length));
  const numbers = lines.flatMap((line) => [...line.cosines, ...line.low, ...line.high]).filter((x) => x !== null);
  const [low, high] = range([...numbers, 0], 0.04);
  const x = scale(0, Math.max(1, slices.length - 1), 52, width - 30);
  const y = scale(low, high, height - 46, 22);
  frame(svg, x, y, { x: "", y: "cosine" }, []);
  const every = Math.max(1, Math.ceil((slices.length * 110) / (width - 80)));
  slices.forEach((name, place) => {
    if (place % every === 0) {
      const attributes = { x: x.at(place), y: height - 28, "text-anchor": place === 0 ? "start" : place === slices.length - 1 ? "end" : "middle", class: "name" };
      element("text", attributes, svg, name.length > LONGEST_LABEL ? `${name.slice(0, LONGEST_LABEL - 1)}…` : name);
    }
    if (rare[place]) {
      const mark = element("text", { x: x.at(place), y: height - 50, "text-anchor": "middle", class: "rare" }, svg, "×");
      element("title", {}, mark, `${name}: ${rare[place]}`);
    }
  });
  element("line", { class: "zero", x1: x.at(x.low), x2: x.at(x.high), y1: y.at(0), y2: y.at(0) }, svg);
  for (const line of lines) {
    for (const part of stretches(line.low)) {
      const there = part.map((place) => `${x.at(place)},${y.at(line.high[place])}`);
      const back = part.map((place) => `${x.at(place)},${y.at(line.low[place])}`).reverse();
      if (part.length === 1) {
        const [place] = part;
        const attributes = { x1: x.at(place), x2: x.at(place), y1: y.at(line.low[place]), y2: y.at(line.high[place]), stroke: line.colour, "stroke-width": 6, class: "band" };
        element("line", attributes, svg);
      } else element("polygon", { points: [...there, ...back].join(" "), fill: line.colour, class: "band" }, svg);
    }
  }
  for (const line of lines) {
    for (const part of stretches(line.cosines)) {
      const points = part.map((place) => `${x.at(place)},${y.at(line.cosines[place])}`).join(" ");
      element("polyline", { points, stroke: line.colour, class: "line" }, svg);
      for (const place of part) {
        const dot = element("circle", { cx: x.at(place), cy: y.at(line.cosines[place]), r: 3.5, fill: line.colour }, svg);
        const band = line.low[place] === null ? "" : `, 95 % interval ${line.low[place].toFixed(2)} to ${line.high[place].toFixed(2)}`;
        element("title", {}, dot, `${line.word}, ${slices[place]}: ${line.cosines[place].toFixed(2)}${band}`);
      }
    }
  }
}
