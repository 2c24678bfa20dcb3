"""Runs, sweeps and the other sub-commands of ``w2v-exp``, from the command line to the files that they leave."""

SUBCOMMANDS = {
    "ask": "nearest words, similarity, analogies, scores and an explorer page of saved embeddings",
    "cache": "list or clear the cache of encoded texts",
    "compare": "compare recorded runs of a sweep or a filter",
    "estimate": "print the memory and training time of each label encoding; trains nothing",
    "sync": "upload to MLflow what runs could not log",
}
