/** The page: the maps, the chosen word with its nearest words, and analogies. */

const FEW = 10; // nearest words that are shown first
const MANY = 50;
const FREQUENCIES = 5; // colours for frequencies

const data = JSON.parse(byId("data").textContent);
const numbers = bytesOf(data.vectors).buffer;
const vectors = new Vectors(data.words, data.bits === 16 ? new Int16Array(numbers) : new Int8Array(numbers), data.dim);
const lowered = data.words.map((word) => word.toLowerCase());
const maps = data.maps.map((one) => ({
  ...one,
  positions: Float32Array.from(new Uint16Array(bytesOf(one.positions).buffer), (number) => number / 65535),
}));
const clusterOf = data.clusters ? bytesOf(data.clusters) : null;
const clusters = namesOfClusters();

/** Return the words that name each cluster. */
function namesOfClusters() {
  const ids = new Uint32Array(bytesOf(data.clusterNames).buffer);
  const names = [];
  for (let first = 0; first < ids.length; first += data.names) {
    const known = [...ids.subarray(first, first + data.names)].filter((id) => id < data.words.length);
    names.push(known.map((id) => shown(data.words[id], 24)));
  }
  return names;
}

/** Return the size of the label of each word, between 0 and 1: by the logarithm of its count, or of its rank. */
function importance() {
  const counts = data.counts ?? data.words.map((_, id) => 1 / (id + 1));
  const logarithms = counts.map((count) => Math.log(Math.max(count, 1e-9)));
  const known = logarithms.filter((_, id) => counts[id] > 0);
  const low = known.reduce((a, b) => Math.min(a, b), Infinity);
  const span = known.reduce((a, b) => Math.max(a, b), -Infinity) - low;
  return logarithms.map((value) => (span > 0 ? Math.max((value - low) / span, 0) : 0.5));
}

/** Return the colours of the style sheet, which differ between light and dark mode. */
function colours() {
  const names = { page: "page", ink: "ink", quiet: "quiet", dot: "c0", near: "c1", nearInk: "near-ink" };
  return Object.fromEntries(Object.entries(names).map(([key, name]) => [key, colour(name)]));
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const classes = importance().map((share) => Math.min(Math.floor(share * FREQUENCIES), FREQUENCIES - 1)); // of frequency
const map = new WordMap(byId("map"), data.words, maps[0].positions, importance(), colours(), (id) => choose(id), () => remember());

const written = (value) => value.toLocaleString("en-GB");
const cosine = (value) => value.toFixed(2).replace("-", "−").replace(/^−(0\.00)$/, "$1");
const count = (id) => (data.counts ? written(data.counts[id]) : "");

/** Fill a list with words and their cosines, as buttons. */
function fill(list, found) {
  list.replaceChildren();
  for (const neighbour of found) {
    const button = element("button", { type: "button" }, element("li", {}, list));
    const bar = element("span", { class: "bar" }, button);
    bar.style.width = `${100 * Math.max(neighbour.cosine, 0)}%`;
    element("bdi", {}, button, shown(data.words[neighbour.id]));
    element("span", { class: "cosine" }, button, cosine(neighbour.cosine));
    button.addEventListener("click", () => choose(neighbour.id));
  }
  if (!found.length) element("li", { class: "empty" }, list, "There is no other word.");
}

function choose(id, neighbours = FEW) {
  const found = vectors.neighbours(id, neighbours);
  byId("hint").hidden = true;
  byId("word").hidden = false;
  byId("chosen").textContent = shown(data.words[id]);
  const occurrences = data.counts ? `${count(id)} occurrence${data.counts[id] === 1 ? "" : "s"}, ` : "";
  byId("frequency").textContent = `${occurrences}word ${written(id + 1)} of ${written(data.words.length)}`;
  fill(byId("near"), found);
  byId("more").hidden = neighbours > FEW || data.words.length <= FEW + 1;
  byId("more").onclick = () => choose(id, MANY);
  const marked = Math.min(FEW, Math.ceil(data.words.length / 4)); // in a small vocabulary not all
  if (data.words.length > 3 && !example.slice(0, 2).includes(id)) propose(2, id);
  map.choose(id, found.slice(0, marked).map((neighbour) => neighbour.id));
  remember();
}

/** The words of the analogy for empty fields; the third becomes the chosen word. */
const usual = ["man", "king", "woman"].map((word) => vectors.ids.get(word));
const example = usual.includes(undefined) ? [0, 1, 2] : usual;
const completions = ["one", "other", "third"].map((name) => {
  const field = byId(name);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && field.getAttribute("aria-expanded") !== "true") answer();
  });
  return new Completion(field, field.nextElementSibling, data.words, lowered, count, () => {});
});

function propose(i, id) {
  example[i] = id;
  completions[i].input.placeholder = shown(data.words[id], 40);
}

/** Return the id of the word in a field: spelled exactly so, or else without case; undefined if there is none. */
function wordIn({ input, chosen }, i) {
  if (chosen !== null) return chosen;
  const word = input.value.trim();
  if (!word) return example[i];
  const small = word.toLowerCase();
  return vectors.ids.get(word) ?? matching(word, lowered, 1).find((id) => lowered[id] === small);
}

function answer() {
  completions.forEach((completion) => completion.close());
  const ids = completions.map(wordIn);
  const unknown = completions.find((_, i) => ids[i] === undefined);
  byId("problem").textContent = unknown ? `“${shown(unknown.input.value, 60)}” is not in the vocabulary of this page.` : "";
  if (unknown) byId("answers").replaceChildren();
  else fill(byId("answers"), vectors.analogy(...ids, FEW));
}

/** Show the map that is selected. */
function arrange() {
  const chosen = selectedMap();
  byId("note").textContent = chosen.note;
  if (map.target !== chosen.positions) map.arrange(chosen.positions);
}

/** Return the smallest and the largest count in each class of frequencies; without counts, those of the numbers of words. */
function rangesOfCounts() {
  return Array.from({ length: FREQUENCIES }, (_, k) => {
    const values = classes.flatMap((group, id) => (group === k ? [data.counts?.[id] ?? id + 1] : []));
    const [low, high] = [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), 0)];
    return !values.length ? "none" : low === high ? written(low) : `${written(low)} to ${written(high)}`;
  });
}

/** Colour the words as it is selected, with a legend. */
function paint() {
  const kind = byId("colour").value;
  const groups = { clusters: clusterOf, frequency: classes }[kind] ?? null;
  const palette = { clusters: clusters.map((_, k) => colour(`k${k}`)), frequency: Array.from({ length: FREQUENCIES }, (_, k) => colour(`f${k}`)) }[kind];
  if (groups !== map.groups) map.highlighted = null;
  map.paint(colours(), groups, palette ?? [], kind === "clusters" ? clusters : []);
  byId("legend").hidden = kind === "none";
  byId("legend-title").textContent = kind === "clusters" ? "Clusters, with their most typical words" : data.counts ? "Occurrences" : "Words, in the order of the file";
  const labels = kind === "clusters" ? clusters.map((words) => words.join(", ")) : rangesOfCounts();
  byId("groups").replaceChildren();
  if (groups) palette.forEach((tone, group) => legend(tone, group, labels[group]));
}

function legend(tone, group, label) {
  const item = element("li", {}, byId("groups"));
  const button = element("button", { type: "button", "aria-pressed": String(map.highlighted === group) }, item);
  element("rect", { width: 12, height: 12, rx: 2, fill: tone }, element("svg", { width: 12, height: 12, "aria-hidden": "true" }, button));
  element("bdi", {}, button, label);
  button.addEventListener("click", () => {
    map.highlight(map.highlighted === group ? null : group);
    press();
  });
}

function press() {
  [...byId("groups").children].forEach((item, group) => item.firstChild.setAttribute("aria-pressed", String(map.highlighted === group)));
}

const selectedMap = () => maps.find((one) => one.key === byId("maps").value) ?? maps[0];

/** Return the state of the page as the fragment of its address. */
function fragment() {
  const state = new URLSearchParams({ map: selectedMap().key, colour: byId("colour").value });
  if (map.highlighted !== null) state.set("group", map.highlighted);
  if (map.chosen !== null) state.set("word", data.words[map.chosen]);
  if (map.moved) {
    state.set("x", map.view.x.toFixed(4));
    state.set("y", map.view.y.toFixed(4));
    state.set("zoom", map.zoomed.toFixed(2));
  }
  return `#${state}`;
}

/** Write the state into the address, soon: browsers allow few changes per second. */
function remember() {
  clearTimeout(remember.timer);
  remember.timer = setTimeout(() => {
    byId("link").href = fragment();
    if (!embedded) history.replaceState(null, "", fragment());
  }, 250);
}

/** Restore the state of an address; what it does not have, or what is not on this page, stays as it is. */
function restore() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const [name, key] of [["maps", "map"], ["colour", "colour"]]) {
    const select = byId(name);
    if ([...select.options].some((option) => option.value === state.get(key))) select.value = state.get(key);
  }
  arrange();
  paint();
  const group = Number(state.get("group") ?? NaN);
  if (map.groups && group in map.palette) map.highlight(group);
  press();
  const id = vectors.ids.get(state.get("word"));
  if (id !== undefined) choose(id);
  const [x, y, zoom] = ["x", "y", "zoom"].map((key) => Number(state.get(key) || NaN));
  if ([x, y, zoom].every(Number.isFinite)) map.show(x, y, zoom);
}

/** Copy the address, where the browser allows it. */
async function copyLink(event) {
  event.preventDefault();
  history.replaceState(null, "", fragment());
  try {
    await navigator.clipboard.writeText(location.href);
    byId("done").textContent = "Link copied.";
  } catch {
    byId("done").textContent = "The address of the page is the link.";
  }
  setTimeout(() => (byId("done").textContent = ""), 4000);
}

const titleOfPicture = () => `${data.title} · ${selectedMap().name} · w2v_exp`;
function fileName(suffix) {
  const word = map.chosen === null ? "" : `-${data.words[map.chosen].replace(/[^\p{L}\p{N}_-]/gu, "").slice(0, 40)}`;
  return `map-${selectedMap().key}${word}.${suffix}`;
}

new Completion(byId("search"), byId("search-found"), data.words, lowered, count, (id) => choose(id));
byId("analogy").hidden = data.words.length <= 3; // three words for the question, a fourth for the answer
if (data.words.length > 3) example.forEach((id, i) => propose(i, id));
// The field keeps the focus until the click: if its list closed before, the button would move from under the pointer.
byId("answer").addEventListener("mousedown", (event) => event.preventDefault());
byId("answer").addEventListener("click", answer);
byId("closer").addEventListener("click", () => map.zoom(1.6));
byId("farther").addEventListener("click", () => map.zoom(1 / 1.6));
byId("whole").addEventListener("click", () => map.showWhole());
byId("maps").addEventListener("change", arrange);
byId("colour").addEventListener("change", () => {
  paint();
  remember();
});
byId("link").addEventListener("click", copyLink);
byId("png").addEventListener("click", async () => save(await pngOf(map, titleOfPicture()), fileName("png")));
byId("svg").addEventListener("click", () => save(svgOf(map, titleOfPicture()), fileName("svg")));
// In a frame, such as that of MLflow, the page has no address of its own and may save no files.
const embedded = window.parent !== window;
byId("share").hidden = embedded;
byId("in-frame").hidden = !embedded;
restore();
window.addEventListener("hashchange", restore);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
window.explorer = { vectors, map, choose, maps, fragment }; // for the browser's console
