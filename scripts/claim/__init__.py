"""What `scripts/exact_softmax.py` compares: the article's objective, exact, and gensim's skip-gram."""
