// Quality against memory or time: a point for each configuration, and the line of those that no other beats.

function drawFront(place, data, front) {
  const [quality, effort] = [data.metrics[front.metric], data.metrics[front.effort]];
  const groups = data.groups
    .map((group, number) => ({ number, name: group.name, x: group.means[front.effort], y: group.means[front.metric],
      dx: group.deviations[front.effort] ?? 0, dy: group.deviations[front.metric] ?? 0 }))
    .filter((group) => group.x !== null && group.y !== null);
  const { svg, width, height } = canvas(place, 300, `${quality.heading} against ${effort.heading}`);
  const positive = groups.every((group) => group.x > 0);
  const [low, high] = range(groups.flatMap((group) => [group.x - group.dx, group.x + group.dx]), 0.08);
  const [least, most] = range(groups.map((group) => group.x), 0);
  const log = positive && most > 30 * least;
  const x = log ? scale(least / 1.3, most * 1.3, 58, width - 14, "log") : scale(positive ? Math.max(0, low) : low, high, 58, width - 14);
  const y = scale(...range(groups.flatMap((group) => [group.y - group.dy, group.y + group.dy]), 0.08), height - 46, 24);
  frame(svg, x, y, { x: effort.heading === "seconds" ? "seconds of training" : effort.heading, y: quality.heading });
  const clamped = (value) => Math.min(Math.max(x.at(Math.max(value, x.low)), 58), width - 14);
  const best = front.front.map((number) => groups.find((group) => group.number === number)).filter(Boolean);
  if (best.length) {
    // what is as good and takes more lies right of the line, what is worse below or above it
    const steps = best.map((g, i) => `${i ? `H${x.at(g.x).toFixed(1)}V` : `M${x.at(g.x).toFixed(1)},`}${y.at(g.y).toFixed(1)}`);
    element("path", { class: "front", d: `${steps.join("")}H${width - 14}` }, svg);
  }
  const marks = [];
  for (const group of groups) {
    const centre = [x.at(group.x), y.at(group.y)];
    const ends = [
      [group.dx, { x1: clamped(group.x - group.dx), x2: clamped(group.x + group.dx), y1: centre[1], y2: centre[1] }],
      [group.dy, { x1: centre[0], x2: centre[0], y1: y.at(group.y - group.dy), y2: y.at(group.y + group.dy) }],
    ];
    for (const [size, line] of ends) {
      if (size > 0) marks.push({ node: element("line", { class: "bar", ...line }, svg), group: group.number });
    }
  }
  for (const group of [...groups].reverse()) {
    const node = element("circle", { class: "dot", cx: x.at(group.x), cy: y.at(group.y), r: 5, "data-group": group.number }, svg);
    if (best.includes(group)) node.style.fill = "var(--c0)";
    marks.push({ node, group: group.number });
  }
  if (best.length <= 5) nameFront(svg, best, groups, x, y, width);
  const spread = (mean, deviation) => figure(mean) + (deviation ? ` ± ${figure(deviation)}` : "");
  const spots = groups.map((group) => ({
    group: group.number,
    x: x.at(group.x),
    y: y.at(group.y),
    told: () => [
      group.name,
      [
        `${quality.heading} ${spread(group.y, group.dy)}`,
        `${effort.heading} ${spread(group.x, group.dx)}`,
        ...(best.includes(group) ? ["no other is as good for less"] : []),
      ],
    ],
  }));
  explore(svg, spots, (px, py) => nearest(spots, px, py, 30));
  follow(svg, marks);
}

// Write the names of the few on the front beside them, where there is room.
function nameFront(svg, best, groups, x, y, width) {
  const taken = [];
  const dots = groups.map((group) => [x.at(group.x), y.at(group.y)]);
  for (const group of best) {
    const [cx, cy] = [x.at(group.x), y.at(group.y)];
    const length = 6.2 * group.name.length;
    const right = cx + 9 + length < width;
    const left = right ? cx + 9 : cx - 9 - length;
    if (left < 58) continue;
    const isFree = (line) =>
      line > 20 &&
      taken.every(([start, end, other]) => Math.abs(other - line) > 13 || left > end || left + length < start) &&
      dots.every(([dx, dy]) => Math.abs(dy + 4 - line) > 11 || dx < left - 5 || dx > left + length + 5);
    const free = [cy - 8, cy + 17].find(isFree);
    if (free === undefined) continue;
    taken.push([left, left + length, free]);
    element("text", { class: "label", x: right ? left : cx - 9, y: free, "text-anchor": right ? "start" : "end" }, svg, group.name);
  }
}
