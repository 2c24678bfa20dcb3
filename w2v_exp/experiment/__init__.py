"""The experiment layer: the command line, and the steps of a run."""

SUBCOMMANDS = {
    "ask": "query saved embeddings: nearest words, analogies, scores, associations, changes, two runs side by side",
    "cache": "list or clear the cache of encoded texts and counts",
    "compare": "print the table of earlier runs, of a sweep or of a filter, and how stable their embeddings are",
    "estimate": "print the memory and training time of each label encoding; trains nothing",
    "export": "write saved embeddings in the formats of other programs, or with 8-bit numbers",
    "sync": "upload data to MLflow that runs could not send",
    "ui": "serve MLflow's UI of the runs on this machine",
}
