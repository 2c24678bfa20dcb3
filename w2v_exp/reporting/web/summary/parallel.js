/** Parallel coordinates: a line for each run, over an axis for each swept key and one for a metric. */

/** Return the axis of a key: even places for its values, or a scale for many numbers. */
function keyAxis(key, i, low, high) {
  const numbers = key.values.map(Number);
  const numeric = key.values.every((value) => value !== "") && numbers.every(Number.isFinite);
  if (numeric && numbers.length > 12) {
    const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
    const y = scale(least, most, low, high, least > 0 && most > 30 * least ? "log" : "linear");
    const ticks = y.ticks(6);
    const text = tickTexts(ticks, y.kind);
    return { name: key.name, room: 0, at: (run) => y.at(numbers[run.values[i]]), ticks: ticks.map((tick) => [y.at(tick), text(tick)]) };
  }
  const step = (high - low) / key.values.length;
  const place = (value) => low + (value + 0.5) * step;
  const every = Math.ceil(14 / Math.abs(step)); // of the names that have room
  return {
    name: key.name,
    room: Math.min(30, 0.6 * Math.abs(step)),
    at: (run) => place(run.values[i]),
    ticks: key.values.map((value, j) => [place(j), j % every ? "" : value || "–"]),
  };
}

function metricAxis(data, number, low, high) {
  const known = data.runs.map((run) => run.metrics[number]).filter((value) => value !== null);
  const y = scale(...range(known, 0.03), low, high);
  const ticks = y.ticks(6);
  const text = tickTexts(ticks, y.kind);
  return {
    name: data.metrics[number].heading,
    room: 0,
    at: (run) => (run.metrics[number] === null ? null : y.at(run.metrics[number])),
    ticks: ticks.map((tick) => [y.at(tick), text(tick)]),
  };
}

/** Return the place of every run among all by a metric: 0 for the worst, 1 for the best; null if it is unknown. */
function standings(data, number) {
  const { sign } = data.metrics[number];
  const known = data.runs.map((run, i) => i).filter((i) => data.runs[i].metrics[number] !== null);
  known.sort((a, b) => sign * (data.runs[a].metrics[number] - data.runs[b].metrics[number]));
  const places = data.runs.map(() => null);
  known.forEach((i, place) => { places[i] = known.length > 1 ? place / (known.length - 1) : 1; });
  return places;
}

function drawParallel(holder, data, state) {
  const number = state.metric;
  const description = "One line for each run. Arrow keys go from run to run.";
  const label = `Runs by ${data.keys.map((key) => key.name).join(", ")} and ${data.metrics[number].heading}`;
  const { svg, width, height } = canvas(holder, 360, label, description, 96 * data.keys.length + 210);
  const [bottom, top] = [height - 18, 44];
  const axes = [...data.keys.map((key, i) => keyAxis(key, i, bottom, top)), metricAxis(data, number, bottom, top)];
  const [left, gap] = [74, (width - 74 - 52) / (axes.length - 1)];
  const x = (i) => left + i * gap;
  const places = standings(data, number);
  const lines = data.runs.map((run, i) => {
    const aside = places[i] === null ? 0 : 0.5 - places[i]; // lines of a value lie side by side, the better ones above
    const points = axes.map((axis, j) => (axis.at(run) === null ? null : [x(j), axis.at(run) + aside * axis.room]));
    return { run, i, points: points.filter((point) => point !== null) };
  });
  const group = element("g", {}, svg);
  const marks = lines
    .slice()
    .sort((a, b) => (places[a.i] ?? -1) - (places[b.i] ?? -1)) // the best on top
    .map((line) => {
      const d = line.points.map(([px, py], j) => `${j ? "L" : "M"}${px.toFixed(1)},${py.toFixed(1)}`).join("");
      const node = element("path", { class: line.run.group < 0 ? "thread unfinished" : "thread", d, "data-run": line.i }, group);
      if (places[line.i] !== null) node.style.stroke = `color-mix(in srgb, var(--c0) ${Math.round(100 * places[line.i])}%, var(--c4))`;
      line.node = node;
      return { node, group: line.run.group, run: line.i };
    });
  axes.forEach((axis, j) => {
    element("line", { class: "axis", x1: x(j), x2: x(j), y1: top - 6, y2: bottom + 6 }, svg);
    const isLast = j === axes.length - 1;
    const most = Math.floor(gap / 7);
    const short = axis.name.length > most ? `${axis.name.slice(0, most - 1)}…` : axis.name;
    const [end, anchor] = isLast ? [width, "end"] : j ? [x(j), "middle"] : [4, "start"];
    element("text", { class: "name", x: end, y: 22, "text-anchor": anchor }, svg, short);
    for (const [y, text] of axis.ticks) {
      const value = text.length > 11 ? `${text.slice(0, 10)}…` : text;
      element("text", { class: "label", x: x(j) + (isLast ? 8 : -8), y: y + 4, "text-anchor": isLast ? "start" : "end" }, svg, value);
    }
  });
  const isOut = (line) => Object.entries(state.ranges).some(([j, [from, to]]) => {
    const point = line.points[j];
    return !point || point[1] < from || point[1] > to;
  });
  const spots = () => lines.filter((line) => !isOut(line)).map(({ run, i, points }) => ({
    group: run.group,
    run: i,
    points,
    x: points[points.length - 1][0],
    y: points[points.length - 1][1],
    describe: () => [
      run.group < 0 ? `${run.name} (not finished)` : data.groups[run.group].name,
      [`seed ${run.seed}`, `${data.metrics[number].heading} ${rounded(run.metrics[number])}`],
    ],
  }));
  let open = spots();
  explore(svg, open, (px, py) => {
    let [best, least] = [null, 14];
    for (const spot of open) {
      const j = spot.points.findIndex(([end], k) => k > 0 && px <= end && px >= spot.points[k - 1][0]);
      if (j < 0) continue;
      const [[x0, y0], [x1, y1]] = [spot.points[j - 1], spot.points[j]];
      const distance = Math.abs(y0 + ((px - x0) / (x1 - x0)) * (y1 - y0) - py);
      if (distance < least) [best, least] = [spot, distance];
    }
    return best;
  });
  follow(svg, marks);
  selectRanges(svg, axes.map((_, j) => x(j)), [top - 6, bottom + 6], state, () => {
    for (const line of lines) line.node.classList.toggle("out", isOut(line));
    open.splice(0, open.length, ...spots());
    byId("parallel-count").textContent = Object.keys(state.ranges).length ? `${open.length} of ${lines.length} runs.` : "";
  });
}

/** Let the pointer select a range of an axis; a click on the axis removes it. */
function selectRanges(svg, axes, [top, bottom], state, apply) {
  const parts = axes.map((x) => element("rect", { class: "window", x: x - 9, width: 18, visibility: "hidden" }, svg));
  const show = () => {
    parts.forEach((part, j) => {
      const range = state.ranges[j];
      part.setAttribute("visibility", range ? "visible" : "hidden");
      if (range) {
        part.setAttribute("y", range[0]);
        part.setAttribute("height", range[1] - range[0]);
      }
    });
    apply();
  };
  let [axis, from] = [-1, 0];
  const clamped = (event) => Math.min(Math.max(pointed(svg, event)[1], top), bottom);
  svg.addEventListener("pointerdown", (event) => {
    if (event.button || event.pointerType === "touch") return;
    axis = axes.findIndex((x) => Math.abs(x - pointed(svg, event)[0]) < 14);
    from = clamped(event);
    if (axis >= 0) event.preventDefault();
  });
  const move = (event) => {
    if (axis < 0) return;
    const [low, high] = [from, clamped(event)].sort((a, b) => a - b);
    if (high - low > 3) state.ranges[axis] = [low, high];
    else delete state.ranges[axis];
    show();
  };
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerup", (event) => {
    move(event);
    axis = -1;
  });
  svg.addEventListener("pointerleave", () => { axis = -1; });
  show();
}
