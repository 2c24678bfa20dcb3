/** The page: the chosen word with its nearest words, and analogies. */

const FEW = 10; // nearest words that are shown first
const MANY = 50;

const data = JSON.parse(byId("data").textContent);
const numbers = bytesOf(data.vectors).buffer;
const vectors = new Vectors(data.words, data.bits === 16 ? new Int16Array(numbers) : new Int8Array(numbers), data.dim);
const lowered = data.words.map((word) => word.toLowerCase());
const positions = Float32Array.from(new Uint16Array(bytesOf(data.positions).buffer), (number) => number / 65535);

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
  const style = getComputedStyle(document.documentElement);
  const names = { page: "page", ink: "ink", quiet: "quiet", dot: "c0", near: "c1", nearInk: "near-ink" };
  return Object.fromEntries(Object.entries(names).map(([key, name]) => [key, style.getPropertyValue(`--${name}`).trim()]));
}

const map = new WordMap(byId("map"), data.words, positions, importance(), colours(), (id) => choose(id));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => map.paint(colours()));

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

new Completion(byId("search"), byId("search-found"), data.words, lowered, count, (id) => choose(id));
byId("analogy").hidden = data.words.length <= 3; // three words for the question, a fourth for the answer
if (data.words.length > 3) example.forEach((id, i) => propose(i, id));
if (data.share !== null) byId("share").textContent = ` (${Math.round(100 * data.share)} % of the variance)`;
// The field keeps the focus until the click: if its list closed before, the button would move from under the pointer.
byId("answer").addEventListener("mousedown", (event) => event.preventDefault());
byId("answer").addEventListener("click", answer);
byId("closer").addEventListener("click", () => map.zoom(1.6));
byId("farther").addEventListener("click", () => map.zoom(1 / 1.6));
byId("whole").addEventListener("click", () => map.showWhole());
window.explorer = { vectors, map, choose }; // for the browser's console
