"""Our trainings against those of gensim and fastText: same words, same cores, same evaluation."""
