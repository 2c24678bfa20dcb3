"""What `scripts/benchmark.py peers` measures: our sampled objectives against gensim's and fastText's."""
