/** The page: the maps, the chosen word with its nearest words, and analogies; of two runs also what differs. */

const FEW = 10; // nearest words that are shown first
const MANY = 50;

const data = JSON.parse(byId("data").textContent);
const written = (value) => value.toLocaleString("en-GB");
const cosine = (value) => value.toFixed(2).replace("-", "−").replace(/^−(0\.00)$/, "$1");
const idOf = new Map(data.words.map((word, id) => [word, id]));
const lowered = data.words.map((word) => word.toLowerCase());
const runs = data.runs.map((given) => new Run(given, data.words));
const maps = data.maps.map((one) => ({ ...one, positions: one.positions.map((packed, k) => runs[k].positionsOf(packed)) }));
const clusters = namesOfClusters();
const changes = data.changes ? new Changes(data.changes, data.words.length) : null;
let chosen = null; // the id of a word
let nearest = runs.map(() => []); // ids of its nearest words in each run, for the maps
let moved = []; // ids of words with an arrow

for (const one of changes ? maps : []) {
  one.other = runs[1].positionsOf(one.other); // the second run's words, on the map of the first run
  one.both = one.positions[0].map((value, i) => (runs[0].has(i >> 1) ? value : one.other[i]));
}

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

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Return the colours of a run's map by the style sheet, which differ between light and dark mode. */
function colours(k) {
  const names = { page: "page", ink: "ink", quiet: "quiet", dot: "c0", near: `near${k}`, nearInk: `near${k}-ink`, far: "near1", farInk: "near1-ink" };
  return Object.fromEntries(Object.entries(names).map(([key, name]) => [key, colour(name)]));
}

runs.forEach((run, k) => {
  const actions = { onChoose: (id) => choose(id), onHover: (id) => hover(id), onChange: () => remember() };
  run.map = new WordMap(byId(`map${k || ""}`), data.words, run.ids, maps[0].positions[k], run.importance, colours(k), actions);
});

/** Emphasise a word on all maps. */
const hover = (id) => runs.forEach((run) => run.map.hover(id));

/** Return the numbers of occurrences of a word, in each run. */
const count = (id) => runs.map((run) => (run.counts ? (run.has(id) ? written(run.count(id)) : "–") : "")).join(runs[0].counts && changes ? " · " : "");

/** Add a word to a list as a button, with a number beside it. */
function addWord(list, id, share, number, names = "") {
  const button = element("button", { type: "button", class: names }, element("li", {}, list));
  const bar = element("span", { class: "bar" }, button);
  bar.style.width = `${100 * Math.max(share, 0)}%`;
  element("bdi", {}, button, shown(data.words[id]));
  element("span", { class: "cosine" }, button, number);
  button.addEventListener("click", () => choose(id));
  for (const [event, hovered] of [["pointerenter", id], ["focus", id], ["pointerleave", null], ["blur", null]]) {
    button.addEventListener(event, () => hover(hovered));
  }
}

/** Fill the list of each run with the words found in it; words that both lists have are marked. */
function fillColumns(name, found, none) {
  const common = commonOf(found.map((words) => words.map(({ id }) => id)));
  found.forEach((words, k) => {
    const list = byId(`${name}${k || ""}`);
    list.replaceChildren();
    for (const { id, cosine: value } of words) {
      const alone = changes && !changes.has(id);
      addWord(list, id, value, cosine(value), common.includes(id) ? "common" : alone ? "alone" : "");
    }
    if (!words.length && none(runs[k])) element("li", { class: "empty" }, list, none(runs[k]));
  });
}

/** Return the ids that the lists of two runs have in common. */
const commonOf = (lists) => (lists.length > 1 ? lists[0].filter((id) => lists[1].includes(id)) : []);

function choose(id, neighbours = FEW) {
  const found = runs.map((run) => run.neighbours(id, neighbours));
  chosen = id;
  hover(null); // the list of the word under the pointer is filled again
  byId("hint").hidden = true;
  byId("word").hidden = false;
  byId("chosen").textContent = shown(data.words[id]);
  describe(id, found);
  fillColumns("near", found, (run) => (run.has(id) ? "There is no other word." : ""));
  byId("more").hidden = neighbours > FEW || data.words.length <= FEW + 1;
  byId("more").onclick = () => choose(id, MANY);
  if (data.words.length > 3 && !example.slice(0, 2).includes(id)) propose(2, id);
  nearest = found.map((words, k) => words.slice(0, Math.min(FEW, Math.ceil(runs[k].ids.length / 4))).map((word) => word.id)); // not all of a few
  mark();
  remember();
}

/** Write the frequency of a word in each run, and how far it moved. */
function describe(id, found) {
  runs.forEach((run, k) => {
    const occurrences = run.counts && run.has(id) ? `${written(run.count(id))} occurrence${run.count(id) === 1 ? "" : "s"}, ` : "";
    const place = `word ${written(run.rows[id] + 1)} of ${written(run.ids.length)}`;
    byId(`frequency${k || ""}`).textContent = run.has(id) ? occurrences + place : "not in this run";
  });
  if (!changes) return;
  const common = commonOf(found.map((words) => words.slice(0, changes.of).map((word) => word.id)));
  const shared = changes.of ? `, ${common.length} of ${changes.of} nearest words shared` : "";
  byId("change").textContent = changes.has(id) ? `${changes.measure} ${cosine(changes.cosine(id))}${shared}` : "only in one of both runs";
}

/** Show the chosen word, its nearest words and the arrows on the maps. */
function mark() {
  const common = commonOf(nearest);
  const overlaid = isOverlaid();
  runs.forEach((run, k) => run.map.choose(chosen !== null && (run.has(chosen) || (overlaid && k === 0)) ? chosen : null, nearest[k], common));
  compare();
}

/** Draw the arrows from the first run to the second on the map of both; on other maps, none. */
function compare() {
  runs[0].map.compare(isOverlaid() ? { positions: selectedMap().other, moved, near: nearest[1] } : null);
}

/** Show the list of words that moved, of two runs. */
function showMoved() {
  const fill = (list, ids) => {
    list.replaceChildren();
    for (const id of ids) {
      const shared = changes.shared[changes.ranks[id]] ?? "–";
      addWord(list, id, changes.cosine(id), `${cosine(changes.cosine(id))} · ${shared} of ${changes.of}`);
    }
    if (!ids.length) element("li", { class: "empty" }, list, "no such word");
  };
  const onList = (ids) => {
    moved = ids;
    compare();
  };
  new MovedList(changes, data.words, lowered, fill, onList).show();
}

/** The words of the analogy for empty fields; the third becomes the chosen word. */
const usual = ["man", "king", "woman"].map((word) => idOf.get(word));
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
  return idOf.get(word) ?? matching(word, lowered, 1).find((id) => lowered[id] === small);
}

function answer() {
  completions.forEach((completion) => completion.close());
  const ids = completions.map(wordIn);
  const unknown = completions.find((_, i) => ids[i] === undefined);
  byId("problem").textContent = unknown ? `“${shown(unknown.input.value, 60)}” is not in the vocabulary of this page.` : "";
  if (unknown) runs.forEach((_, k) => byId(`answers${k || ""}`).replaceChildren());
  else fillColumns("answers", runs.map((run) => run.analogy(ids, FEW)), () => "not all of these words are in this run");
}

/** Show the maps that are selected: one of each run, or that of the first run with the words of both. */
function arrange() {
  const one = selectedMap();
  const overlaid = isOverlaid();
  byId("note").textContent = overlaid ? `${one.note} ${data.changes.note}` : one.note;
  if (changes) [byId("sheet1").hidden, byId("also").hidden] = [overlaid, !overlaid];
  runs.forEach((run, k) => {
    const positions = overlaid && k === 0 ? one.both : one.positions[k];
    if (run.map.target !== positions) run.map.arrange(positions);
  });
  mark();
}

/** Return the smallest and the largest count in each class of frequencies; without counts, those of the numbers of words. */
function rangesOfCounts(run) {
  return Array.from({ length: FREQUENCIES }, (_, k) => {
    const values = Array.from(run.ids).flatMap((id) => (run.frequencies[id] === k ? [run.count(id) ?? run.rows[id] + 1] : []));
    const [low, high] = [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), 0)];
    return !values.length ? "none" : low === high ? written(low) : `${written(low)} to ${written(high)}`;
  });
}

/** The ways to colour words: `groups(run)`, the group of each word; the colours of the groups, their names, and a title. */
const colourings = {
  clusters: {
    groups: (run) => run.clusters,
    palette: clusters.map((_, k) => `k${k}`),
    labels: () => clusters.map((words) => words.join(", ")),
    title: "Clusters, with their most typical words",
  },
  frequency: {
    groups: (run) => run.frequencies,
    palette: Array.from({ length: FREQUENCIES }, (_, k) => `f${k}`),
    labels: () => {
      const ranges = runs.map(rangesOfCounts);
      return ranges[0].map((range, k) => [...new Set([range, ranges.at(-1)[k]])].join(" · "));
    },
    title: runs[0].counts ? "Occurrences" : "Words, in the order of the file",
  },
  change: {
    groups: () => changes.groups,
    palette: [...Array.from({ length: CHANGES }, (_, k) => `f${CHANGES - 1 - k}`), "other"],
    labels: () => [...Array.from({ length: CHANGES }, (_, k) => `${cosine(changes.bounds[k])} to ${cosine(changes.bounds[k + 1])}`), "not in both"],
    title: changes ? changes.measure.replace(/^c/, "C") : "",
  },
};

/** Colour the words as it is selected, with a legend. */
function paint() {
  const kind = byId("colour").value;
  const coloured = colourings[kind];
  if (kind !== paint.kind) runs.forEach((run) => (run.map.highlighted = null));
  paint.kind = kind;
  const palette = coloured ? coloured.palette.map(colour) : [];
  runs.forEach((run, k) => run.map.paint(colours(k), coloured ? coloured.groups(run) : null, palette, kind === "clusters" ? clusters : []));
  byId("legend").hidden = !coloured;
  byId("legend-title").textContent = coloured?.title ?? "";
  byId("groups").replaceChildren();
  const labels = coloured?.labels() ?? [];
  palette.forEach((tone, group) => legend(tone, group, labels[group]));
}

const highlighted = () => runs[0].map.highlighted;
const highlight = (group) => runs.forEach((run) => run.map.highlight(group));

function legend(tone, group, label) {
  const item = element("li", {}, byId("groups"));
  const button = element("button", { type: "button", "aria-pressed": String(highlighted() === group) }, item);
  element("rect", { width: 12, height: 12, rx: 2, fill: tone }, element("svg", { width: 12, height: 12, "aria-hidden": "true" }, button));
  element("bdi", {}, button, label);
  button.addEventListener("click", () => {
    highlight(highlighted() === group ? null : group);
    press();
  });
}

function press() {
  [...byId("groups").children].forEach((item, group) => item.firstChild.setAttribute("aria-pressed", String(highlighted() === group)));
}

const selectedMap = () => maps.find((one) => one.key === byId("maps").value) ?? maps[0];
const isOverlaid = () => changes !== null && byId("view").value === "one";
const shownRuns = () => (isOverlaid() ? runs.slice(0, 1) : runs);

/** Return the state of the page as the fragment of its address. */
function fragment() {
  const state = new URLSearchParams({ map: selectedMap().key, colour: byId("colour").value });
  if (changes) state.set("view", byId("view").value);
  if (highlighted() !== null) state.set("group", highlighted());
  if (chosen !== null) state.set("word", data.words[chosen]);
  shownRuns().forEach(({ map }, k) => {
    if (!map.moved) return;
    state.set(`x${k || ""}`, map.view.x.toFixed(4));
    state.set(`y${k || ""}`, map.view.y.toFixed(4));
    state.set(`zoom${k || ""}`, map.zoomed.toFixed(2));
  });
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
  for (const [name, key] of [["maps", "map"], ["colour", "colour"], ["view", "view"]]) {
    const select = byId(name);
    if (select && [...select.options].some((option) => option.value === state.get(key))) select.value = state.get(key);
  }
  arrange();
  paint();
  const group = Number(state.get("group") ?? NaN);
  if (group in runs[0].map.palette) highlight(group);
  press();
  const id = idOf.get(state.get("word"));
  if (id !== undefined) choose(id);
  shownRuns().forEach((run, k) => {
    const [x, y, zoom] = ["x", "y", "zoom"].map((key) => Number(state.get(`${key}${k || ""}`) || NaN));
    if ([x, y, zoom].every(Number.isFinite)) run.map.show(x, y, zoom);
  });
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

const titleOf = (run) => `${isOverlaid() ? runs.map(({ name }) => name).join(" → ") : run.name} · ${selectedMap().name} · w2v_exp`;
const pictured = () => shownRuns().map((run) => ({ map: run.map, title: titleOf(run) }));
function fileName(suffix) {
  const word = chosen === null ? "" : `-${data.words[chosen].replace(/[^\p{L}\p{N}_-]/gu, "").slice(0, 40)}`;
  return `map-${selectedMap().key}${word}.${suffix}`;
}

new Completion(byId("search"), byId("search-found"), data.words, lowered, count, (id) => choose(id));
byId("analogy").hidden = data.words.length <= 3; // three words for the question, a fourth for the answer
if (data.words.length > 3) example.forEach((id, i) => propose(i, id));
// The field keeps the focus until the click: if its list closed before, the button would move from under the pointer.
byId("answer").addEventListener("mousedown", (event) => event.preventDefault());
byId("answer").addEventListener("click", answer);
byId("closer").addEventListener("click", () => shownRuns().forEach((run) => run.map.zoom(1.6)));
byId("farther").addEventListener("click", () => shownRuns().forEach((run) => run.map.zoom(1 / 1.6)));
byId("whole").addEventListener("click", () => shownRuns().forEach((run) => run.map.showWhole()));
byId("maps").addEventListener("change", arrange);
byId("view")?.addEventListener("change", arrange);
byId("colour").addEventListener("change", () => {
  paint();
  remember();
});
byId("link").addEventListener("click", copyLink);
byId("png").addEventListener("click", async () => save(await pngOf(pictured()), fileName("png")));
byId("svg").addEventListener("click", () => save(svgOf(pictured()), fileName("svg")));
// In a frame, such as that of MLflow, the page has no address of its own and may save no files.
const embedded = window.parent !== window;
byId("share").hidden = embedded;
byId("in-frame").hidden = !embedded;
restore();
if (changes) showMoved();
window.addEventListener("hashchange", restore);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
window.explorer = { ids: idOf, runs, choose, maps, changes, fragment, vectors: runs[0].vectors, map: runs[0].map }; // for the browser's console
