/** Words in two runs: how far each moved from one to the other, as a list. */

const ROWS = 20; // words of the list that are shown first, and have arrows on the map
const MORE_ROWS = 200;
const FREQUENT = [1000, 5000]; // numbers of words to choose from
const CHANGES = 5; // colours for changes

/** The changes in the data of the page: words that both runs have, the most frequent first. */
class Changes {
  constructor(given, size) {
    this.of = given.of; // nearest words that are compared
    this.ids = new Uint32Array(bytesOf(given.ids).buffer);
    this.measure = given.measure; // a phrase for the cosines
    this.cosines = new Float32Array(bytesOf(given.cosines).buffer);
    this.shared = bytesOf(given.shared); // of the nearest words; only of the first words
    this.ranks = new Int32Array(size).fill(-1);
    this.ids.forEach((id, rank) => (this.ranks[id] = rank));
    const sorted = Float32Array.from(this.cosines).sort();
    this.bounds = Array.from({ length: CHANGES + 1 }, (_, k) => sorted[Math.round((k * (sorted.length - 1)) / CHANGES)]);
  }

  has(id) {
    return this.ranks[id] >= 0;
  }

  cosine(id) {
    return this.cosines[this.ranks[id]];
  }

  /** Return the class of the change of each word, 0 for the largest changes; the last class: not in both runs. */
  get groups() {
    const group = (cosine) => Math.max(this.bounds.slice(1, -1).filter((bound) => cosine > bound).length, 0);
    return Array.from(this.ranks, (rank) => (rank < 0 ? CHANGES : group(this.cosines[rank])));
  }
}

class MovedList {
  /** `fill(list, ids)`: fills the list with words; `onList(ids)`: called with the words that are shown first. */
  constructor(changes, words, lowered, fill, onList) {
    Object.assign(this, { changes, words, lowered, fill, onList, rows: ROWS });
    const numbers = FREQUENT.filter((number) => number < changes.ids.length);
    for (const number of [...numbers, changes.ids.length]) {
      const text = number < changes.ids.length ? `${written(number)} most frequent` : `all ${written(number)}`;
      element("option", { value: number }, byId("moved-among"), text);
    }
    for (const name of ["order", "among"]) byId(`moved-${name}`).addEventListener("change", () => this.show());
    byId("moved-search").addEventListener("input", () => this.show());
    byId("moved-more").addEventListener("click", () => this.show(MORE_ROWS));
  }

  show(rows = ROWS) {
    const found = this.#found();
    this.fill(byId("moved-words"), found.slice(0, rows));
    byId("moved-more").hidden = found.length <= rows || rows > ROWS;
    this.onList(found.slice(0, ROWS));
  }

  #found() {
    const { ids, cosines, shared, ranks } = this.changes;
    const wanted = byId("moved-search").value.trim().toLowerCase();
    const among = ids.subarray(0, Number(byId("moved-among").value));
    const found = Array.from(among).filter((id) => this.lowered[id].includes(wanted));
    const by = (value) => found.sort((a, b) => value(ranks[a]) - value(ranks[b]));
    const order = byId("moved-order").value;
    if (order === "most") return by((rank) => cosines[rank]);
    if (order === "least") return by((rank) => -cosines[rank]);
    if (order === "fewest") return by((rank) => shared[rank] ?? this.changes.of + 1);
    if (order === "alphabet") return found.sort((a, b) => (this.words[a] < this.words[b] ? -1 : 1));
    return found;
  }
}
