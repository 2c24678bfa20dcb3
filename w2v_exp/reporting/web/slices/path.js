/** The path of a word over the slices, on a map of itself and its nearest words. */

/** Return the first two principal components of points of equal length, as a list of [x, y]. */
function principal(points) {
  const [count, dim] = [points.length, points[0].length];
  const mean = Array.from({ length: dim }, (_, k) => points.reduce((sum, point) => sum + point[k], 0) / count);
  const centred = points.map((point) => point.map((value, k) => value - mean[k]));
  // With fewer points than dimensions, the products of points are the smaller matrix.
  const products = centred.map((one) => centred.map((other) => one.reduce((sum, value, k) => sum + value * other[k], 0)));
  const axes = [];
  for (let number = 0; number < 2; number++) {
    let axis = products.map((_, i) => Math.sin(1 + i * (1 + number)));
    for (let round = 0; round < 300; round++) {
      const next = products.map((row) => row.reduce((sum, value, j) => sum + value * axis[j], 0));
      for (const { vector } of axes) {
        const part = next.reduce((sum, value, i) => sum + value * vector[i], 0);
        next.forEach((_, i) => { next[i] -= part * vector[i]; });
      }
      const length = Math.hypot(...next);
      if (length < 1e-12) { axis = next.map(() => 0); break; }
      axis = next.map((value) => value / length);
    }
    const value = axis.reduce((sum, a, i) => sum + a * products[i].reduce((s, p, j) => s + p * axis[j], 0), 0);
    axes.push({ vector: axis, size: Math.sqrt(Math.max(value, 0)) });
  }
  return points.map((_, i) => axes.map(({ vector, size }) => vector[i] * size));
}

/** Draw a path through `stops` and the words around it. Both have a `name` and a `direction`. */
function drawPath(holder, stops, words, label) {
  holder.replaceChildren();
  if (stops.length < 2) return;
  const positions = principal([...stops, ...words].map((one) => [...one.direction]));
  const { svg, width, height } = canvas(holder, 380, label, "", 420);
  const [xs, ys] = [0, 1].map((axis) => range(positions.map((position) => position[axis]), 0.08));
  const [x, y] = [scale(...xs, 60, width - 60), scale(...ys, height - 20, 20)];
  const places = positions.map(([one, other]) => [x.at(one), y.at(other)]);
  element("polyline", { class: "trace", points: places.slice(0, stops.length).map((place) => place.join(",")).join(" ") }, svg);
  const taken = [];
  const put = (text, [left, top], style) => {
    const half = 3.4 * text.length + 2;
    const box = [left - half, left + half, top - 12, top + 4];
    if (taken.some((other) => box[0] < other[1] && other[0] < box[1] && box[2] < other[3] && other[2] < box[3])) return;
    taken.push(box);
    element("text", { x: left, y: top, "text-anchor": "middle", class: style }, svg, text);
  };
  stops.forEach((stop, i) => {
    const dot = element("circle", { cx: places[i][0], cy: places[i][1], r: 3, fill: "var(--c1)" }, svg);
    element("title", {}, dot, stop.name);
  });
  const order = [0, stops.length - 1, ...stops.map((_, i) => i).slice(1, -1)];
  for (const i of order) put(stops[i].name, [places[i][0], places[i][1] - 7], "stop");
  words.forEach((word, i) => put(shown(word.name, 24), places[stops.length + i], "neighbour"));
}
