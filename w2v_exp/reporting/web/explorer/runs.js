/** The runs of the page, one or two: the words, vectors and maps of each. An id is that of a word among all words of the page. */

const FREQUENCIES = 5; // colours for frequencies
const ABSENT = 255; // the group of a word that a run lacks

class Run {
  /** `given`: the run in the data of the page; `words`: all words of the page. */
  constructor(given, words) {
    this.name = given.name;
    this.counts = given.counts; // in the order of `ids`
    const numbers = bytesOf(given.vectors).buffer;
    const rows = given.bits === 16 ? new Int16Array(numbers) : new Int8Array(numbers);
    const first = Uint32Array.from({ length: rows.length / given.dim }, (_, id) => id);
    this.ids = given.members ? new Uint32Array(bytesOf(given.members).buffer) : first;
    this.rows = new Int32Array(words.length).fill(-1); // of the vectors; −1: the run lacks the word
    this.ids.forEach((id, row) => (this.rows[id] = row));
    const own = Array.from(this.ids, (id) => words[id]);
    this.vectors = new Vectors(own, rows, given.dim);
    this.importance = this.spread(importanceOf(given.counts ?? own.map((_, row) => 1 / (row + 1))), 0);
    const classes = this.importance.map((share) => Math.min(Math.floor(share * FREQUENCIES), FREQUENCIES - 1));
    this.frequencies = classes.map((group, id) => (this.has(id) ? group : ABSENT));
    this.clusters = given.clusters ? this.spread(bytesOf(given.clusters), ABSENT) : null;
  }

  has(id) {
    return this.rows[id] >= 0;
  }

  /** Return an array with the value of each word of the page, from those of this run's words. */
  spread(values, absent) {
    return Array.from(this.rows, (row) => (row < 0 ? absent : values[row]));
  }

  /** Return x and y of each word of the page, from packed ones of this run's words; NaN for a word that it lacks. */
  positionsOf(packed) {
    const numbers = new Uint16Array(bytesOf(packed).buffer);
    return Float32Array.from({ length: 2 * this.rows.length }, (_, i) => numbers[2 * this.rows[i >> 1] + (i & 1)] / 65535);
  }

  count(id) {
    return this.counts?.[this.rows[id]];
  }

  /** Return the nearest words, with their cosines; none of a word that the run lacks. */
  neighbours(id, count) {
    return this.has(id) ? this.#withIds(this.vectors.neighbours(this.rows[id], count)) : [];
  }

  /** Return the answers to an analogy of three words, with their cosines; none if the run lacks one of them. */
  analogy(ids, count) {
    return ids.every((id) => this.has(id)) ? this.#withIds(this.vectors.analogy(...ids.map((id) => this.rows[id]), count)) : [];
  }

  #withIds(found) {
    return found.map(({ id, cosine }) => ({ id: this.ids[id], cosine }));
  }
}

/** Return numbers between 0 and 1, by the logarithms of counts. */
function importanceOf(counts) {
  const logarithms = counts.map((count) => Math.log(Math.max(count, 1e-9)));
  const known = logarithms.filter((_, i) => counts[i] > 0);
  const low = known.reduce((a, b) => Math.min(a, b), Infinity);
  const span = known.reduce((a, b) => Math.max(a, b), -Infinity) - low;
  return logarithms.map((value) => (span > 0 ? Math.max((value - low) / span, 0) : 0.5));
}
