/** Vectors of words, with nearest words and analogies as in Python's `Embeddings`. */

/** One vector of whole numbers per word, a row of `rows`; only its direction matters. */
class Vectors {
  constructor(words, rows, dim) {
    this.words = words;
    this.rows = rows;
    this.dim = dim;
    this.ids = new Map(words.map((word, id) => [word, id]));
    this.scales = new Float64Array(words.length); // 1 / length of each row; 0 for a row of zeros
    for (let id = 0; id < words.length; id++) {
      let squares = 0;
      for (let i = id * dim; i < (id + 1) * dim; i++) squares += rows[i] * rows[i];
      this.scales[id] = squares ? 1 / Math.sqrt(squares) : 0;
    }
  }

  /** Return the vector of a word, with length 1. */
  direction(id) {
    return Float64Array.from(this.rows.subarray(id * this.dim, (id + 1) * this.dim), (x) => x * this.scales[id]);
  }

  cosine(id, direction) {
    let product = 0;
    for (let i = id * this.dim, k = 0; k < this.dim; i++, k++) product += this.rows[i] * direction[k];
    return product * this.scales[id];
  }

  /** Return the `count` words with the highest cosine to a direction; equal cosines are in the order of ids. */
  nearest(direction, excluded, count) {
    const best = [];
    for (let id = 0; id < this.words.length; id++) {
      if (excluded.includes(id)) continue;
      const cosine = this.cosine(id, direction);
      if (best.length === count && cosine <= best[count - 1].cosine) continue;
      let rank = best.length;
      while (rank > 0 && best[rank - 1].cosine < cosine) rank--;
      best.splice(rank, 0, { id, cosine });
      if (best.length > count) best.pop();
    }
    return best;
  }

  neighbours(id, count) {
    return this.nearest(this.direction(id), [id], count);
  }

  /** Return the words nearest to other − one + third (3CosAdd), which answer “one is to other as third is to …”. */
  analogy(one, other, third, count) {
    const [a, b, c] = [one, other, third].map((id) => this.direction(id));
    const wanted = a.map((_, k) => b[k] - a[k] + c[k]);
    const length = Math.hypot(...wanted);
    return this.nearest(length ? wanted.map((x) => x / length) : wanted, [one, other, third], count);
  }
}

/** Return a word for display, at most `longest` characters: invisible characters and changes of the writing direction become �. */
function shown(word, longest = Infinity) {
  const visible = word.replace(/[\p{C}\p{Z}]/gu, (c) => (c === " " || c === "\u200c" || c === "\u200d" ? c : "\ufffd"));
  return visible.length <= longest ? visible : Array.from(visible).slice(0, longest - 1).join("") + "…";
}
