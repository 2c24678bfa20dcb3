/** The page: what is chosen, what is near it, analogies. */

const FIRST = 10; // neighbours that are shown at once
const MORE = 50;

const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const numbers = bytesOf(data.vectors).buffer;
const vectors = new Vectors(data.words, data.bits === 16 ? new Int16Array(numbers) : new Int8Array(numbers), data.dim);
const lowered = data.words.map((word) => word.toLowerCase());
const places = Float32Array.from(new Uint16Array(bytesOf(data.places).buffer), (place) => place / 65535);

/** Return how large the label of each word is, between 0 and 1: by the logarithm of its count, or of its rank. */
function importance() {
  const counts = data.counts ?? data.words.map((_, id) => 1 / (id + 1));
  const logarithms = counts.map((count) => Math.log(Math.max(count, 1e-9)));
  const known = logarithms.filter((_, id) => counts[id] > 0);
  const low = known.reduce((a, b) => Math.min(a, b), Infinity);
  const span = known.reduce((a, b) => Math.max(a, b), -Infinity) - low;
  return logarithms.map((value) => (span > 0 ? Math.max((value - low) / span, 0) : 0.5));
}

/** Return the colours of the style sheet, which are others on a dark ground. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = { ground: "ground", ink: "ink", quiet: "quiet", dot: "dot", near: "near", nearInk: "near-ink" };
  return Object.fromEntries(Object.entries(names).map(([key, name]) => [key, style.getPropertyValue(`--${name}`).trim()]));
}

const map = new WordMap(element("map"), data.words, places, importance(), colours(), (id) => choose(id));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => map.paint(colours()));

const number = (value) => value.toLocaleString("en-GB");
const cosine = (value) => value.toFixed(2).replace("-", "−").replace(/^−(0\.00)$/, "$1");
const counted = (id) => (data.counts ? number(data.counts[id]) : "");

/** Show words with their cosines as a list of buttons. */
function fill(list, found) {
  const items = found.map((neighbour) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const [word, value, bar] = ["bdi", "span", "span"].map((name) => document.createElement(name));
    button.type = "button";
    word.textContent = shown(data.words[neighbour.id]);
    value.textContent = cosine(neighbour.cosine);
    value.className = "cosine";
    bar.className = "bar";
    bar.style.width = `${100 * Math.max(neighbour.cosine, 0)}%`;
    button.append(bar, word, value);
    button.addEventListener("click", () => choose(neighbour.id));
    item.append(button);
    return item;
  });
  if (!items.length) {
    const item = document.createElement("li");
    item.className = "empty";
    item.textContent = "There is no other word.";
    items.push(item);
  }
  list.replaceChildren(...items);
}

function choose(id, count = FIRST) {
  const found = vectors.neighbours(id, count);
  element("hint").hidden = true;
  element("word").hidden = false;
  element("chosen").textContent = shown(data.words[id]);
  const times = data.counts ? `occurs ${data.counts[id] === 1 ? "once" : `${number(data.counts[id])} times`}; ` : "";
  element("frequency").textContent = `${times}number ${number(id + 1)} of ${number(data.words.length)} words`;
  fill(element("near"), found);
  element("more").hidden = count > FIRST || data.words.length <= FIRST + 1;
  element("more").onclick = () => choose(id, MORE);
  const marked = Math.min(FIRST, Math.ceil(data.words.length / 4)); // of few words not all
  if (data.words.length > 3 && !example.slice(0, 2).includes(id)) propose(2, id);
  map.choose(id, found.slice(0, marked).map((neighbour) => neighbour.id));
}

/** The words of the analogy that is asked where nothing is typed; the third is the chosen word. */
const usual = ["man", "king", "woman"].map((word) => vectors.ids.get(word));
const example = usual.includes(undefined) ? [0, 1, 2] : usual;
const completions = ["one", "other", "third"].map((name) => {
  const field = element(name);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && field.getAttribute("aria-expanded") !== "true") answer();
  });
  return new Completion(field, field.nextElementSibling, data.words, lowered, counted, () => {});
});

function propose(place, id) {
  example[place] = id;
  completions[place].input.placeholder = shown(data.words[id], 40);
}

/** Return the id of what is typed in a field: spelled so, or else but for its case; undefined for no word. */
function typed({ input, chosen }, place) {
  if (chosen !== null) return chosen;
  const word = input.value.trim();
  if (!word) return example[place];
  const small = word.toLowerCase();
  return vectors.ids.get(word) ?? matching(word, lowered, 1).find((id) => lowered[id] === small);
}

function answer() {
  completions.forEach((completion) => completion.close());
  const ids = completions.map(typed);
  const unknown = completions.find((_, place) => ids[place] === undefined);
  element("problem").textContent = unknown ? `“${shown(unknown.input.value, 60)}” is not among the words.` : "";
  if (unknown) element("answers").replaceChildren();
  else fill(element("answers"), vectors.analogy(...ids, FIRST));
}

new Completion(element("search"), element("found"), data.words, lowered, counted, (id) => choose(id));
element("analogy").hidden = data.words.length <= 3; // three words ask, a fourth answers
if (data.words.length > 3) example.forEach((id, place) => propose(place, id));
if (data.share.trim()) element("share").textContent = `, which hold ${data.share.trim()} of their variance`;
// The field keeps the focus until the click: the list that closes without it would move the button from under the pointer.
element("answer").addEventListener("mousedown", (event) => event.preventDefault());
element("answer").addEventListener("click", answer);
element("closer").addEventListener("click", () => map.zoom(1.6));
element("farther").addEventListener("click", () => map.zoom(1 / 1.6));
element("whole").addEventListener("click", () => map.showWhole());
window.explorer = { vectors, map, choose }; // for questions in the browser's console
