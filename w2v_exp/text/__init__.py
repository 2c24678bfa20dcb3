"""From text to ids: corpora, tokenizers, vocabularies."""
