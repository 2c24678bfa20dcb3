/** Importance of the keys, and the effect of their values: the mean of each with its interval, and its runs as dots. */

/** Draw the share of the variance of a metric that each key explains, as bars with intervals. */
function drawImportance(holder, data, { metric, shares }) {
  const height = 56 + 34 * shares.length;
  const { svg, width } = canvas(holder, height, `Importance for ${data.metrics[metric].heading}`);
  const left = Math.min(170, 0.36 * width);
  const x = scale(0, 1, left, width - 14);
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    element("line", { class: "grid", x1: x.at(tick), x2: x.at(tick), y1: 12, y2: height - 40 }, svg);
    element("text", { x: x.at(tick), y: height - 22, "text-anchor": "middle" }, svg, `${100 * tick} %`);
  }
  const spots = shares.filter(([, share]) => share !== null).map(([name, share, low, high, isKey], i) => {
    const y = 29 + 34 * i;
    const most = Math.floor((left - 10) / 7);
    const short = name.length > most ? `${name.slice(0, most - 1)}…` : name;
    element("text", { class: "name", x: left - 8, y: y + 4, "text-anchor": "end" }, svg, short);
    element("rect", { class: isKey ? "part" : "part rest", x: left, y: y - 9, width: Math.max(1, x.at(share) - left), height: 18 }, svg);
    if (low !== null) element("line", { class: "interval", x1: x.at(low), x2: x.at(high), y1: y, y2: y }, svg);
    const percent = (value) => `${rounded(100 * value, 3)} %`;
    const interval = low === null ? "interval unknown" : `${percent(low)} to ${percent(high)} (95 %)`;
    return { group: null, x: x.at(share), y, describe: () => [name, [percent(share), interval]] };
  });
  explore(svg, spots, (px, py) => spots.find((spot) => Math.abs(spot.y - py) < 16) ?? null);
}

function drawEffect(holder, data, effect) {
  const key = data.keys[effect.key];
  const metric = data.metrics[effect.metric];
  const values = [...effect.values].sort((a, b) => a[0] - b[0]);
  const column = new Map(values.map(([value], i) => [value, i]));
  const runs = data.runs
    .map((run, number) => ({ number, group: run.group, seed: run.seed, y: run.metrics[effect.metric], column: column.get(run.values[effect.key]) }))
    .filter((run) => run.group >= 0 && run.y !== null && run.column !== undefined);
  const { svg, width, height } = canvas(holder, 240, `${metric.heading} by ${key.name}`);
  const x = scale(-0.5, values.length - 0.5, 58, width - 14);
  const ends = values.flatMap(([, mean, margin]) => [mean - (margin ?? 0), mean + (margin ?? 0)]);
  const [lowest, highest] = range(runs.map((run) => run.y), 0);
  // The interval of two runs can be far wider than the range of all runs: it is cut, so that the runs stay apart.
  const room = highest - lowest || Math.abs(highest) || 1;
  const near = ends.map((end) => Math.min(Math.max(end, lowest - room), highest + room));
  const y = scale(...range([...runs.map((run) => run.y), ...near], 0.08), height - 46, 24);
  const crowded = values.length > (width - 72) / 40;
  const every = Math.ceil((values.length * 40) / (width - 72));
  const names = values.map(([value], i) => (crowded && i % every ? "" : key.values[value]));
  frame(svg, x, y, { x: key.name, y: metric.heading }, names);
  const spots = [];
  const marks = [];
  for (const run of runs) {
    // The runs of a value lie side by side, at positions that depend on their numbers.
    const aside = ((run.number * 0.618) % 1) - 0.5;
    const [cx, cy] = [x.at(run.column + 0.35 * aside), y.at(run.y)];
    const node = element("circle", { class: "run-dot", cx, cy, r: 2.6, "data-run": run.number }, svg);
    marks.push({ node, group: run.group, run: run.number });
    const describe = () => [data.groups[run.group].name, [`seed ${run.seed}`, `${metric.heading} ${rounded(run.y)}`]];
    spots.push({ group: run.group, run: run.number, x: cx, y: cy, describe });
  }
  const line = values.map(([, mean], i) => `${i ? "L" : "M"}${x.at(i).toFixed(1)},${y.at(mean).toFixed(1)}`);
  element("path", { class: "mean", d: line.join(""), opacity: 0.35 }, svg);
  values.forEach(([value, mean, margin], i) => {
    if (margin) {
      const limit = (end) => y.at(Math.min(Math.max(end, y.low), y.high));
      element("line", { class: "mean", x1: x.at(i), x2: x.at(i), y1: limit(mean - margin), y2: limit(mean + margin) }, svg);
    }
    element("circle", { class: "mean-dot", cx: x.at(i), cy: y.at(mean), r: 4.5 }, svg);
    const interval = margin === null ? "interval unknown" : `± ${rounded(margin)} (95 %)`;
    const describe = () => [`${key.name}=${key.values[value]}`, [`mean ${rounded(mean)} ${interval}`]];
    spots.push({ group: null, x: x.at(i), y: y.at(mean), describe });
  });
  explore(svg, spots, (px, py) => nearest([...spots].reverse(), px, py, 22));
  follow(svg, marks);
}
