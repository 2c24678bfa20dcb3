/** Highlighting: one configuration or run in all charts and the table at once, with a tooltip. */

const focus = { group: null, run: null, marked: null, listeners: [] };

/** Highlight a configuration, or one of its runs; with null the marked configuration, if there is one. */
function highlight(group, run = null) {
  if (group === null) group = focus.marked;
  if (group === focus.group && run === focus.run) return;
  Object.assign(focus, { group, run });
  for (const listener of focus.listeners) listener(group, run);
}

/** Highlight the marks of a chart from now on: each has the number of its configuration, and of its run if it is one. */
function follow(svg, marks, paint = painter(svg)) {
  function show(group, run) {
    const isChosen = (mark) => (run !== null && mark.run !== undefined ? mark.run === run : mark.group === group);
    paint(group === null ? [] : marks.filter(isChosen));
  }
  focus.listeners = focus.listeners.filter((listener) => !listener.svg || listener.svg.isConnected);
  focus.listeners.push(Object.assign(show, { svg }));
  show(focus.group, focus.run);
}

/** Return the function that highlights marks, and fades all others. */
function painter(svg) {
  let before = [];
  return (chosen) => {
    svg.classList.toggle("busy", chosen.length > 0);
    for (const mark of before) mark.node.classList.remove("over");
    for (const mark of chosen) mark.node.classList.add("over");
    before = chosen;
  };
}

const tip = byId("tip");

function showTip(title, lines, x, y) {
  tip.replaceChildren();
  element("b", {}, tip, title);
  element("div", {}, tip, lines.join("\n"));
  tip.hidden = false;
  const right = x + 16 + tip.offsetWidth > window.innerWidth;
  const low = y + 16 + tip.offsetHeight > window.innerHeight;
  tip.style.left = `${Math.max(4, right ? x - 12 - tip.offsetWidth : x + 16)}px`;
  tip.style.top = `${Math.max(4, low ? y - 12 - tip.offsetHeight : y + 16)}px`;
}

function hideTip() {
  tip.hidden = true;
}

/** Let pointer and arrow keys visit the spots of a chart: each has a position (x, y), and `describe` returns its tooltip. */
function explore(svg, spots, find) {
  let current = -1;
  const order = spots.map((_, i) => i).sort((a, b) => spots[a].y - spots[b].y || spots[a].x - spots[b].x);
  function show(spot, clientX, clientY) {
    highlight(spot.group, spot.run ?? null);
    showTip(...spot.describe(), clientX, clientY);
  }
  function leave() {
    hideTip();
    highlight(null);
  }
  svg.addEventListener("pointermove", (event) => {
    const spot = find(...pointed(svg, event));
    if (spot) show(spot, event.clientX, event.clientY);
    else leave();
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") leave();
    if (!by || !order.length) return;
    event.preventDefault();
    current = (current + by + order.length) % order.length;
    const spot = spots[order[current]];
    const box = svg.getBoundingClientRect();
    const ratio = box.width / svg.viewBox.baseVal.width;
    show(spot, box.left + spot.x * ratio, box.top + spot.y * ratio);
  });
}

/** Return the spot nearest to a position, at most `reach` away; null if there is none. */
function nearest(spots, x, y, reach) {
  let [best, least] = [null, reach];
  for (const spot of spots) {
    const distance = Math.hypot(spot.x - x, spot.y - y);
    if (distance < least) [best, least] = [spot, distance];
  }
  return best;
}
