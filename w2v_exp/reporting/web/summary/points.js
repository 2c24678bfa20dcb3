/** Quality against memory or time: a point for each configuration, and the Pareto front as a line. */

function drawFront(holder, data, front) {
  const [quality, resource] = [data.metrics[front.metric], data.metrics[front.resource]];
  const groups = data.groups
    .map((group, number) => ({ number, name: group.name, x: group.means[front.resource], y: group.means[front.metric],
      dx: group.deviations[front.resource] ?? 0, dy: group.deviations[front.metric] ?? 0 }))
    .filter((group) => group.x !== null && group.y !== null);
  const { svg, width, height } = canvas(holder, 300, `${quality.heading} against ${resource.heading}`);
  const positive = groups.every((group) => group.x > 0);
  const [low, high] = range(groups.flatMap((group) => [group.x - group.dx, group.x + group.dx]), 0.08);
  const [least, most] = range(groups.map((group) => group.x), 0);
  const log = positive && most > 30 * least;
  const x = log ? scale(least / 1.3, most * 1.3, 58, width - 14, "log") : scale(positive ? Math.max(0, low) : low, high, 58, width - 14);
  const y = scale(...range(groups.flatMap((group) => [group.y - group.dy, group.y + group.dy]), 0.08), height - 46, 24);
  frame(svg, x, y, { x: resource.heading === "seconds" ? "seconds of training" : resource.heading, y: quality.heading });
  const clamped = (value) => Math.min(Math.max(x.at(Math.max(value, x.low)), 58), width - 14);
  const best = front.front.map((number) => groups.find((group) => group.number === number)).filter(Boolean);
  if (best.length) {
    // Configurations to the right of the line are as good but take more; those beyond its steps are worse.
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
  const spread = (mean, deviation) => rounded(mean) + (deviation ? ` ± ${rounded(deviation)}` : "");
  const spots = groups.map((group) => ({
    group: group.number,
    x: x.at(group.x),
    y: y.at(group.y),
    describe: () => [
      group.name,
      [
        `${quality.heading} ${spread(group.y, group.dy)}`,
        `${resource.heading} ${spread(group.x, group.dx)}`,
        ...(best.includes(group) ? ["on the Pareto front: no other is as good for less"] : []),
      ],
    ],
  }));
  explore(svg, spots, (px, py) => nearest(spots, px, py, 30));
  follow(svg, marks);
}

/** Write the names of the configurations on the front beside their points, where there is room. */
function nameFront(svg, best, groups, x, y, width) {
  const taken = [];
  const dots = groups.map((group) => [x.at(group.x), y.at(group.y)]);
  for (const group of best) {
    const [cx, cy] = [x.at(group.x), y.at(group.y)];
    const label = element("text", { class: "label" }, svg, group.name);
    const length = label.getComputedTextLength();
    const right = cx + 9 + length < width;
    const left = right ? cx + 9 : cx - 9 - length;
    const isFree = (line) =>
      line > 20 &&
      left >= 58 &&
      taken.every(([start, end, other]) => Math.abs(other - line) > 14 || left > end || left + length < start) &&
      dots.every(([dx, dy]) => Math.abs(dy + 4 - line) > 11 || dx < left - 5 || dx > left + length + 5);
    const free = [cy - 8, cy + 17].find(isFree);
    if (free === undefined) {
      label.remove();
      continue;
    }
    taken.push([left, left + length, free]);
    label.setAttribute("x", left);
    label.setAttribute("y", free);
  }
}
