/** Draw all charts; again when their width changes, and when a folded part opens. */

const data = JSON.parse(byId("data").textContent);
const table = document.querySelector("table.sortable");
const settings = { epochs: null, logEpochs: false, colours: colouring(data, "rank"), zoom: null };

/** Return the function that draws into a figure; from then on it is drawn again when its width changes. */
function drawer(holder, draw) {
  let drawn = 0;
  const redraw = () => {
    drawn = holder.clientWidth;
    if (drawn) draw(holder);
  };
  new ResizeObserver(() => {
    if (holder.clientWidth !== drawn) redraw();
  }).observe(holder);
  return redraw;
}

if (table) startTable(table);

const charts = [...document.querySelectorAll("[data-curves]")];
if (charts.length) {
  const redraws = charts.map((chart) => {
    const metric = chart.dataset.curves;
    const curves = readCurves(data, metric);
    return drawer(chart, () => drawCurves(chart, data, metric, curves, settings));
  });
  const redraw = () => redraws.forEach((each) => each());
  const whole = byId("all-epochs");
  settings.zoom = (epochs) => {
    settings.epochs = epochs;
    whole.hidden = epochs === null;
    redraw();
  };
  whole.addEventListener("click", () => settings.zoom(null));
  byId("log-epochs").addEventListener("change", (event) => {
    settings.logEpochs = event.target.checked;
    redraw();
  });
  const choice = byId("colours");
  choice.append(new Option(data.groups.length > data.colours ? `by rank: the best ${data.colours - 1}` : "by configuration", "rank"));
  data.keys.forEach((key, i) => choice.append(new Option(`by ${key.name}`, i)));
  const recolour = () => {
    settings.colours = colouring(data, choice.value);
    drawLegend(byId("legend"), settings.colours.legend);
    if (table) colourTable(table, settings.colours);
    redraw();
  };
  choice.addEventListener("change", recolour);
  recolour();
}

const fronts = byId("fronts-charts");
if (fronts) {
  for (const front of data.fronts) {
    const holder = element("figure", { class: "chart" }, fronts);
    drawer(holder, () => drawFront(holder, data, front))();
  }
}

const parallel = byId("parallel-chart");
if (parallel) {
  const state = { metric: 0, ranges: {} };
  const redraw = drawer(parallel, () => drawParallel(parallel, data, state));
  const choice = byId("parallel-metric");
  data.metrics.forEach((metric, i) => choice.append(new Option(metric.heading, i)));
  choice.addEventListener("change", () => {
    Object.assign(state, { metric: Number(choice.value), ranges: {} });
    redraw();
  });
  redraw();
}

document.querySelectorAll("[data-metric]").forEach((details) => {
  const draw = () => {
    for (const holder of details.querySelectorAll("[data-importance]")) {
      drawer(holder, () => drawImportance(holder, data, data.importance[Number(details.dataset.metric)]))();
    }
    for (const holder of details.querySelectorAll("[data-effect]")) {
      const effect = data.effects[Number(details.dataset.metric) * data.keys.length + Number(holder.dataset.effect)];
      drawer(holder, () => drawEffect(holder, data, effect))();
    }
  };
  if (details.open) draw();
  else details.addEventListener("toggle", draw, { once: true });
});
