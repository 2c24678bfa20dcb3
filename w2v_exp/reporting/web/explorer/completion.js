/** A text field with suggestions of words. */

const SUGGESTIONS = 8;

/** Return the ids of at most `count` words that match a text without case: equal to it, then beginning with it, then containing it. */
function matching(text, lowered, count) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const [equal, beginning, containing] = [[], [], []];
  for (let id = 0; id < lowered.length; id++) {
    const start = lowered[id].indexOf(wanted);
    if (start < 0) continue;
    if (lowered[id].length === wanted.length) equal.push(id);
    else if (start === 0 && beginning.length < count) beginning.push(id);
    else if (start > 0 && containing.length < count) containing.push(id);
  }
  return [...equal, ...beginning, ...containing].slice(0, count);
}

class Completion {
  /**
   * `lowered`: the words in lower case; `detail(id)`: the text beside a suggestion; `onChoose(id)`: called for a chosen word.
   * `chosen` is the id of the chosen word; null once something else is typed.
   */
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
    this.ids = matching(this.input.value, this.lowered, SUGGESTIONS);
    this.list.replaceChildren();
    this.ids.forEach((id, rank) => this.#addItem(id, rank));
    if (!this.ids.length && this.input.value.trim()) element("li", { class: "none" }, this.list, "no such word");
    this.list.hidden = !this.list.children.length;
    this.input.setAttribute("aria-expanded", String(this.ids.length > 0));
    this.#activate(this.ids.length ? 0 : -1);
  }

  #addItem(id, rank) {
    const item = element("li", { id: `${this.list.id}-${rank}`, role: "option" }, this.list);
    element("bdi", {}, item, shown(this.words[id]));
    element("span", {}, item, this.detail(id));
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the field keeps the focus
      this.#choose(id);
    });
  }

  #activate(rank) {
    this.active = rank;
    this.ids.forEach((_, i) => this.list.children[i].setAttribute("aria-selected", String(i === rank)));
    if (rank >= 0) this.input.setAttribute("aria-activedescendant", `${this.list.id}-${rank}`);
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
