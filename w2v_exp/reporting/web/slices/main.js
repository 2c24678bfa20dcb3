/** The page: the changed words, and the chosen word with its similarities, nearest words and path. */

const NEAREST = 8; // words of each slice in the table
const AROUND = 3; // words of each slice on the map
const LISTED = 500; // changed words
const MOST_LINES = 7;

const data = JSON.parse(byId("data").textContent);
const [count, wordCount] = [data.slices.length, data.words.length];
const rows = new Int32Array(bytesOf(data.rows).buffer); // of slice s and word w at s · wordCount + w
const tokens = new Int32Array(bytesOf(data.tokens).buffer);
const numbers = new Int8Array(bytesOf(data.vectors).buffer);
const vectors = new Vectors(Array.from({ length: numbers.length / data.dim }, (_, row) => String(row)), numbers, data.dim);
const lowered = data.words.map((word) => word.toLowerCase());
const totals = data.words.map((_, word) => data.slices.reduce((sum, _, place) => sum + tokens[place * wordCount + word], 0));
const changes = new Map(data.changes.map(([word, relative, effect, p, q]) => [word, { relative, effect, p, q }]));
const bands = new Map(data.pairs.map(([one, other], row) => [`${one},${other}`, row]));
const ids = new Map(data.words.map((word, id) => [word, id]));
const frequent = data.slices.map((_, place) => data.words.map((_, word) => word).filter((word) => rows[place * wordCount + word] >= 0));
let current = 0;
let compared = [];

const rowOf = (place, word) => rows[place * wordCount + word];
const cosineText = (value) => value.toFixed(2).replace("-", "−").replace(/^−(0\.00)$/, "$1");
const places = () => data.slices.map((_, place) => place);
const probability = (value) => (value < 0.001 ? "< 0.001" : `${value.toFixed(3)}`);

/** Return the nearest words of a word in a slice. */
function nearest(place, word, number) {
  const own = rowOf(place, word);
  if (own < 0) return [];
  const direction = vectors.direction(own);
  const found = frequent[place]
    .filter((other) => other !== word)
    .map((id) => ({ id, cosine: vectors.cosine(rowOf(place, id), direction) }));
  return found.sort((a, b) => b.cosine - a.cosine || a.id - b.id).slice(0, number);
}

/** Return the similarities of two words by slice, with their band. */
function lineOf(word, other, colour) {
  const band = bands.get(`${Math.min(word, other)},${Math.max(word, other)}`);
  const ends = (table) => places().map((place) => (band === undefined ? null : table[band][place]));
  const cosines = places().map((place) => {
    const [one, two] = [rowOf(place, word), rowOf(place, other)];
    return one < 0 || two < 0 ? null : vectors.cosine(two, vectors.direction(one));
  });
  return { word: shown(data.words[other], 24), other, colour, cosines, low: ends(data.low), high: ends(data.high), hasBand: band !== undefined };
}

/** Return the words to compare a word with at first: those with bands, or else the nearest in its first and last slice. */
function companions(word) {
  const banded = data.pairs.filter((pair) => pair.includes(word)).map(([one, other]) => (one === word ? other : one));
  const present = places().filter((place) => rowOf(place, word) >= 0);
  const near = [present[0], present[present.length - 1]].flatMap((place) => nearest(place, word, 2).map(({ id }) => id));
  return [...new Set([...near, ...banded])].slice(0, banded.length ? 5 : 4);
}

function drawChart() {
  const lines = compared.map((other, i) => lineOf(current, other, `var(--c${i})`));
  const rare = places().map((place) => (rowOf(place, current) < 0 ? `${tokens[place * wordCount + current].toLocaleString("en-GB")} occurrences, too rare for an embedding` : ""));
  byId("legend").replaceChildren();
  lines.forEach((line) => {
    const item = element("li", {}, byId("legend"));
    element("span", { class: "swatch" }, item).style.background = line.colour;
    element("bdi", {}, item, line.word);
    const remove = element("button", { type: "button", class: "remove", "aria-label": `Remove ${line.word}`, title: "Remove" }, item, "×");
    remove.addEventListener("click", () => {
      compared = compared.filter((other) => other !== line.other);
      drawChart();
    });
  });
  drawSimilarities(byId("chart"), data.slices, lines, rare, `Similarity of ${shown(data.words[current])} over the slices`);
  const without = lines.filter((line) => !line.hasBand).map((line) => line.word);
  byId("note").textContent = [
    lines.some((line) => line.hasBand) ? "Bands: 95 % intervals, by bootstrap over the documents of each slice; the output weights stay frozen." : "",
    without.length ? `No band was computed for ${without.join(", ")}: add words to slices.words.` : "",
    rare.some((text) => text) ? "× marks slices in which the word is too rare for an embedding." : "",
  ].join(" ");
}

function fillNeighbours() {
  const table = byId("neighbours");
  table.replaceChildren();
  const head = element("tr", {}, element("thead", {}, table));
  const size = element("tr", {}, element("thead", {}, table));
  const body = element("tbody", {}, table);
  const found = places().map((place) => nearest(place, current, NEAREST));
  for (const place of places()) {
    element("th", { scope: "col" }, head, data.slices[place]);
    const number = tokens[place * wordCount + current].toLocaleString("en-GB");
    element("td", { class: "quiet" }, size, rowOf(place, current) < 0 ? `${number}×: rare` : `${number}×`);
  }
  for (let rank = 0; rank < NEAREST; rank++) {
    const row = element("tr", {}, body);
    for (const place of places()) {
      const cell = element("td", {}, row);
      const near = found[place][rank];
      if (!near) continue;
      const button = element("button", { type: "button", title: `cosine ${cosineText(near.cosine)}` }, cell);
      element("bdi", {}, button, shown(data.words[near.id], 24));
      button.addEventListener("click", () => choose(near.id));
    }
  }
}

function fillPath() {
  const present = places().filter((place) => rowOf(place, current) >= 0);
  const stops = present.map((place) => ({ name: data.slices[place], direction: vectors.direction(rowOf(place, current)) }));
  const around = new Map();
  for (const place of present) {
    for (const { id } of nearest(place, current, AROUND)) {
      const seen = around.get(id) ?? [];
      around.set(id, [...seen, vectors.direction(rowOf(place, id))]);
    }
  }
  const mean = (all) => all[0].map((_, k) => all.reduce((sum, one) => sum + one[k], 0) / all.length);
  const words = [...around].map(([id, all]) => ({ name: data.words[id], direction: mean(all) }));
  drawPath(byId("path"), stops, words, `Path of ${shown(data.words[current])}`);
}

function choose(word) {
  current = word;
  compared = companions(word);
  byId("chosen").textContent = shown(data.words[word]);
  const present = places().filter((place) => rowOf(place, word) >= 0).length;
  const change = changes.get(word);
  const facts = [`${totals[word].toLocaleString("en-GB")} occurrences, frequent enough in ${present} of ${count} slices.`];
  if (change) {
    const verdict = change.q <= data.rate ? "It changed" : "A change is not shown";
    facts.push(`${verdict}: change ${change.relative.toFixed(2)}, ${change.effect.toFixed(4)} nats a pair, p ${probability(change.p)}, q ${probability(change.q)}.`);
  } else facts.push("Its change was not tested.");
  byId("about").textContent = facts.join(" ");
  drawChart();
  fillNeighbours();
  fillPath();
  try {
    history.replaceState(null, "", `#${encodeURIComponent(data.words[word])}`);
  } catch { /* a page in a frame without an address */ }
}

for (const [word, relative, , , q] of data.changes.filter((change) => change[4] <= data.rate).slice(0, LISTED)) {
  const row = element("tr", {}, byId("changed").tBodies[0]);
  const button = element("button", { type: "button" }, element("td", {}, row));
  element("bdi", {}, button, shown(data.words[word], 40));
  button.addEventListener("click", () => choose(word));
  element("td", { class: "number" }, row, relative.toFixed(2));
  element("td", { class: "number" }, row, probability(q));
}

const detail = (id) => totals[id].toLocaleString("en-GB");
new Completion(byId("search"), byId("search-found"), data.words, lowered, detail, choose);
new Completion(byId("add"), byId("add-found"), data.words, lowered, detail, (id) => {
  byId("add").value = "";
  if (id !== current && !compared.includes(id)) compared = [...compared.slice(-(MOST_LINES - 1)), id];
  drawChart();
});
addEventListener("resize", () => { drawChart(); fillPath(); });

/** Return the word in the address, or else the one that changed most. */
function first() {
  try {
    const named = ids.get(decodeURIComponent(location.hash.slice(1)));
    if (named !== undefined) return named;
  } catch { /* a malformed address */ }
  return data.changes.length ? data.changes[0][0] : 0;
}
choose(first());
