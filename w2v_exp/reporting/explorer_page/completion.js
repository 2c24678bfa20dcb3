/** A field that completes words. */

const COMPLETIONS = 8;

/** Return the ids of words that a text may mean: spelled so, then beginning with it, then containing it. */
function matching(text, lowered, count) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const [same, beginning, containing] = [[], [], []];
  for (let id = 0; id < lowered.length; id++) {
    const place = lowered[id].indexOf(wanted);
    if (place < 0) continue;
    if (lowered[id].length === wanted.length) same.push(id);
    else if (place === 0 && beginning.length < count) beginning.push(id);
    else if (place > 0 && containing.length < count) containing.push(id);
  }
  return [...same, ...beginning, ...containing].slice(0, count);
}

class Completion {
  /** `lowered`: the words in small letters; `detail`: what is said beside a word; `onChoose` gets its id; `chosen` is the last one. */
  constructor(input, list, words, lowered, detail, onChoose) {
    Object.assign(this, { input, list, words, lowered, detail, onChoose, ids: [], active: -1, chosen: null });
    input.addEventListener("input", () => {
      this.chosen = null;
      this.#open();
    });
    input.addEventListener("focus", () => input.select());
    input.addEventListener("blur", () => this.close());
    input.addEventListener("keydown", (event) => this.#key(event));
  }

  close() {
    this.ids = [];
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  #open() {
    this.ids = matching(this.input.value, this.lowered, COMPLETIONS);
    const items = this.ids.map((id, place) => this.#item(id, place));
    if (!items.length && this.input.value.trim()) items.push(this.#none());
    this.list.replaceChildren(...items);
    this.list.hidden = !items.length;
    this.input.setAttribute("aria-expanded", String(this.ids.length > 0));
    this.#activate(this.ids.length ? 0 : -1);
  }

  #item(id, place) {
    const item = document.createElement("li");
    const word = document.createElement("bdi");
    const detail = document.createElement("span");
    word.textContent = shown(this.words[id]);
    detail.textContent = this.detail(id);
    item.append(word, detail);
    item.id = `${this.list.id}-${place}`;
    item.setAttribute("role", "option");
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the field keeps the focus
      this.#choose(id);
    });
    return item;
  }

  #none() {
    const item = document.createElement("li");
    item.className = "none";
    item.textContent = "no such word";
    return item;
  }

  #activate(place) {
    this.active = place;
    this.ids.forEach((_, i) => this.list.children[i].setAttribute("aria-selected", String(i === place)));
    if (place >= 0) this.input.setAttribute("aria-activedescendant", `${this.list.id}-${place}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  #choose(id) {
    this.input.value = shown(this.words[id]);
    this.chosen = id;
    this.close();
    this.onChoose(id);
  }

  #key(event) {
    const count = this.ids.length;
    if (event.key === "ArrowDown" && !count) this.#open();
    else if (event.key === "ArrowDown") this.#activate((this.active + 1) % count);
    else if (event.key === "ArrowUp" && count) this.#activate((this.active + count - 1) % count);
    else if (event.key === "Enter" && count) this.#choose(this.ids[this.active]);
    else if (event.key === "Escape" && !this.list.hidden) this.close();
    else return;
    event.preventDefault();
  }
}
