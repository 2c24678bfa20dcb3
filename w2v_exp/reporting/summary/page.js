// Draw everything; again where the page gets wider or narrower, and where something opens.

const data = JSON.parse(document.getElementById("data").textContent);
const table = document.querySelector("table.sortable");
const settings = { epochs: null, logEpochs: false, colours: colouring(data, "rank"), zoom: null };

function draws(place, draw) {
  let drawn = 0;
  const redraw = () => {
    drawn = place.clientWidth;
    if (drawn) draw(place);
  };
  new ResizeObserver(() => {
    if (place.clientWidth !== drawn) redraw();
  }).observe(place);
  return redraw;
}

if (table) startTable(table);

const charts = [...document.querySelectorAll("[data-curves]")];
if (charts.length) {
  const redraws = charts.map((chart) => {
    const metric = chart.dataset.curves;
    const curves = readCurves(data, metric);
    return draws(chart, () => drawCurves(chart, data, metric, curves, settings));
  });
  const redraw = () => redraws.forEach((each) => each());
  const whole = document.getElementById("all-epochs");
  settings.zoom = (epochs) => {
    settings.epochs = epochs;
    whole.hidden = epochs === null;
    redraw();
  };
  whole.addEventListener("click", () => settings.zoom(null));
  document.getElementById("log-epochs").addEventListener("change", (event) => {
    settings.logEpochs = event.target.checked;
    redraw();
  });
  const choice = document.getElementById("colours");
  choice.append(new Option(data.groups.length > data.colours ? `the ${data.colours - 1} best` : "by configuration", "rank"));
  data.keys.forEach((key, place) => choice.append(new Option(`by ${key.name}`, place)));
  const recolour = () => {
    settings.colours = colouring(data, choice.value);
    drawLegend(document.getElementById("legend"), settings.colours.legend);
    if (table) colourTable(table, settings.colours);
    redraw();
  };
  choice.addEventListener("change", recolour);
  recolour();
}

const fronts = document.getElementById("fronts-charts");
if (fronts) {
  for (const front of data.fronts) {
    const place = document.createElement("figure");
    place.className = "chart";
    fronts.append(place);
    draws(place, () => drawFront(place, data, front))();
  }
}

document.querySelectorAll("[data-metric]").forEach((details) => {
  const draw = () => {
    for (const place of details.querySelectorAll("[data-effect]")) {
      const effect = data.effects[Number(details.dataset.metric) * data.keys.length + Number(place.dataset.effect)];
      draws(place, () => drawEffect(place, data, effect))();
    }
  };
  if (details.open) draw();
  else details.addEventListener("toggle", draw, { once: true });
});
