/** A metric of every run by epoch: the pointer identifies the run of a line, dragging zooms in. */

/** Return the float32 numbers, little-endian, of a text in base64. */
function decoded(packed) {
  const view = new DataView(bytesOf(packed).buffer);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** Return the colours of configurations: by rank, where the best have colours, or by the value of a key. */
function colouring(data, by) {
  const key = by === "rank" ? null : data.keys[Number(by)];
  const count = key ? key.values.length : data.groups.length;
  const graded = key && count > 3 && key.values.every((value) => value !== "" && Number.isFinite(Number(value)));
  const coloured = count <= data.colours ? count : data.colours - 1;
  const colour = (i) => {
    if (graded) return `color-mix(in srgb, var(--c0), var(--c4) ${Math.round((100 * i) / (count - 1))}%)`;
    return i < coloured ? `var(--c${i})` : "var(--other)";
  };
  const named = graded ? count : coloured;
  return {
    of: (group) => (group < 0 ? "var(--other)" : colour(key ? data.groups[group].values[Number(by)] : group)),
    legend: Array.from({ length: Math.min(named, 30) }, (_, i) => ({
      text: key ? `${key.name}=${key.values[i]}` : data.groups[i].name,
      group: key ? null : i,
      colour: colour(i),
    })).concat(named < count ? [{ text: `${count - named} others`, group: null, colour: "var(--other)" }] : []),
  };
}

function drawLegend(list, entries) {
  list.replaceChildren();
  for (const entry of entries) {
    const item = element("li", {}, list);
    element("span", {}, item).style.background = entry.colour;
    item.append(entry.text);
    if (entry.group !== null) {
      item.addEventListener("pointerenter", () => highlight(entry.group));
      item.addEventListener("pointerleave", () => highlight(null));
    }
  }
}

function readCurves(data, metric) {
  const { epochs, values } = data.curves[metric];
  return data.runs
    .map((run, i) => {
      const [which, packed] = values[i];
      return { run: i, group: run.group, metric, epochs: epochs[which], values: decoded(packed) };
    })
    .filter((curve) => curve.values.length);
}

/** Return the index of the epoch that is nearest to `epoch`, in rising `epochs`. */
function nearestIndex(epochs, epoch) {
  let [low, high] = [0, epochs.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (epochs[middle] <= epoch) low = middle;
    else high = middle;
  }
  return Math.abs(epochs[high] - epoch) < Math.abs(epochs[low] - epoch) ? high : low;
}

/** Return whether a point of a curve, or a line to one of its neighbours, lies between two epochs. */
function isBetween(curve, i, first, last) {
  const end = curve.epochs.length - 1;
  return curve.epochs[Math.min(i + 1, end)] >= first && curve.epochs[Math.max(0, i - 1)] <= last;
}

function curvePath(curve, x, y, first, last) {
  let path = "";
  for (let i = 0; i < curve.values.length; i += 1) {
    if (!isBetween(curve, i, first, last)) continue;
    path += `${path ? "L" : "M"}${x.at(curve.epochs[i]).toFixed(1)},${y.at(curve.values[i]).toFixed(1)}`;
  }
  return path;
}

function drawCurves(holder, data, metric, curves, settings) {
  const { heading } = data.curves[metric];
  const { svg, width, height } = canvas(holder, 420, `${heading} by epoch of ${curves.length} runs`);
  const longest = Math.max(1, ...curves.map((curve) => curve.epochs[curve.epochs.length - 1]));
  const [first, last] = settings.epochs ?? [0, longest];
  const inside = (curve) => curve.values.filter((_, i) => isBetween(curve, i, first, last));
  const finished = curves.filter((curve) => curve.group >= 0);
  const shown = (finished.length ? finished : curves).map(inside).filter((values) => values.length).flatMap((values) => [Math.min(...values), Math.max(...values)]);
  const level = metric === "cost" ? data.floor : null;
  const floor = level !== null && !settings.epochs ? [level] : [];
  const [low, high] = range(shown.concat(floor), 0.04);
  const x = scale(first, last, 58, width - 14, settings.logEpochs ? "log1p" : "linear");
  const y = scale(low, high, height - 46, 24);
  frame(svg, x, y, { x: "epoch", y: `${heading}, nats per pair` }, null, true);
  const inner = `inside-${metric}`; // ids are unique in the page
  const clip = element("clipPath", { id: inner }, svg);
  element("rect", { x: 58, y: 14, width: width - 72, height: height - 59 }, clip);
  if (level !== null && level >= low && level <= high) {
    element("line", { class: "floor", x1: 58, x2: width - 14, y1: y.at(level), y2: y.at(level) }, svg);
    element("text", { x: width - 14, y: y.at(level) - 5, "text-anchor": "end" }, svg, `cost floor ${rounded(level, 5)}`);
  }
  const ground = layer(holder, svg);
  const top = layer(holder, svg);
  const lines = element("g", { "clip-path": `url(#${inner})` }, ground);
  const chosenLines = element("g", { "clip-path": `url(#${inner})` }, top);
  // The worst are first, so that the best lie on top.
  const marks = [...curves]
    .sort((a, b) => (a.group < 0 ? -1 : b.group < 0 ? 1 : b.group - a.group))
    .map((curve) => {
      const name = curve.group < 0 ? "line unfinished" : "line";
      const path = curvePath(curve, x, y, first, last);
      const dot = path && !path.includes("L") ? `${path}h0.1` : path; // a single point is a dot
      const node = element("path", { class: name, d: dot, "data-run": curve.run, "stroke-linecap": "round" }, lines);
      node.style.stroke = settings.colours.of(curve.group);
      return { node, group: curve.group, run: curve.run };
    });
  const cursor = element("line", { class: "cursor", y1: 24, y2: height - 46, visibility: "hidden" }, top);
  const spotAt = (curve, epoch) => {
    const i = nearestIndex(curve.epochs, epoch);
    return { group: curve.group, run: curve.run, x: x.at(curve.epochs[i]), y: y.at(curve.values[i]), describe: () => describePoint(data, curve, i) };
  };
  svg.addEventListener("pointerleave", () => cursor.setAttribute("visibility", "hidden"));
  explore(svg, curves.map((curve) => spotAt(curve, last)), (px, py) => {
    const epoch = x.value(Math.min(Math.max(px, 58), width - 14));
    cursor.setAttribute("visibility", "visible");
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, x.at(epoch));
    let [best, least] = [null, 40];
    for (const curve of curves) {
      const spot = spotAt(curve, epoch);
      const distance = Math.abs(spot.y - py) + Math.max(0, Math.abs(spot.x - px) - 20);
      if (distance < least) [best, least] = [spot, distance];
    }
    return best;
  });
  selectEpochs(svg, top, x, height, settings.zoom);
  follow(svg, marks, (chosen) => {
    ground.classList.toggle("pale", chosen.length > 0);
    chosenLines.replaceChildren(...chosen.map((mark) => mark.node.cloneNode()));
    for (const line of chosenLines.children) line.classList.add("over");
  });
}

/** Return title and lines of the tooltip of a point of a curve. */
function describePoint(data, curve, i) {
  const run = data.runs[curve.run];
  const end = curve.values.length - 1;
  const name = curve.group < 0 ? `${run.name} (not finished)` : data.groups[curve.group].name;
  const estimated = curve.metric === "cost" && data.estimated.includes(curve.run) ? " (sampled estimate)" : "";
  const { heading } = data.curves[curve.metric];
  const lines = [`seed ${run.seed}`, `epoch ${written(curve.epochs[i], 0, 0)}: ${heading} ${rounded(curve.values[i], 5)}${estimated}`];
  if (i < end) lines.push(`last: ${rounded(curve.values[end], 5)}`);
  return [name, lines];
}

/** Let the pointer select the epochs to zoom to. */
function selectEpochs(svg, top, x, height, zoom) {
  let from = null;
  const part = element("rect", { class: "window", y: 24, height: height - 70, visibility: "hidden" }, top);
  const clamped = (event) => Math.min(Math.max(pointed(svg, event)[0], x.at(x.low)), x.at(x.high));
  svg.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType !== "touch") from = clamped(event);
  });
  svg.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const to = clamped(event);
    part.setAttribute("x", Math.min(from, to));
    part.setAttribute("width", Math.abs(to - from));
    part.setAttribute("visibility", "visible");
  });
  svg.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const [low, high] = [from, clamped(event)].sort((a, b) => a - b).map(x.value);
    const far = Math.abs(from - clamped(event)) > 8;
    from = null;
    part.setAttribute("visibility", "hidden");
    if (far && high - low >= 1) zoom([Math.max(0, low), high]);
  });
  svg.addEventListener("dblclick", () => zoom(null));
  svg.addEventListener("keydown", (event) => {
    if (event.key === "Escape") zoom(null);
  });
}
