"""The code of a logged model: MLflow copies this file into the model and executes it where the model is loaded.

It uses NumPy and MLflow alone, because a server of the model need not have w2v_exp. Nothing is unpickled.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

NEIGHBOURS, VECTORS = "neighbours", "vectors"


class ServedEmbeddings(PythonModel):  # type: ignore[misc]
    """Embeddings as a model: words in, their nearest words or their vectors out."""

    def load_context(self, context: Any) -> None:
        """Read the archive of the embeddings."""
        with np.load(context.artifacts["embeddings"], allow_pickle=False) as archive:
            self._words: list[str] = json.loads(archive["words"].tobytes())
            self._vectors = archive["input"]
        self._ids = {word: number for number, word in enumerate(self._words)}
        lengths = np.linalg.norm(self._vectors, axis=1, keepdims=True)
        self._directions = self._vectors / np.where(lengths > 0, lengths, 1)

    # MLflow takes the hint of the input for its schema. It has none for the output, and would warn of a vague one.
    def predict(self, context: Any, model_input: list[str], params: dict[str, Any] | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """Return an object per word: neighbours with their cosines, or the vector; null for an unknown word."""
        given: dict[str, Any] = {"output": NEIGHBOURS, "topn": 10} | (params or {})
        if given["output"] == VECTORS:
            return [{"word": word, "vector": self._vector(word)} for word in model_input]
        if given["output"] != NEIGHBOURS:
            raise MlflowException.invalid_parameter_value(
                f"output={given['output']}: no such output. Use {NEIGHBOURS} or {VECTORS}."
            )
        if given["topn"] < 1:
            raise MlflowException.invalid_parameter_value(f"topn={given['topn']}: must be 1 or more.")
        return [{"word": word} | self._neighbours(word, int(given["topn"])) for word in model_input]

    def _vector(self, word: str) -> list[float] | None:
        return self._vectors[self._ids[word]].tolist() if word in self._ids else None

    def _neighbours(self, word: str, topn: int) -> dict[str, Any]:
        """Return the words with the largest cosines, the largest first; of an unknown word null."""
        if word not in self._ids:
            return {"neighbours": None, "similarities": None}
        row = self._ids[word]
        cosines = self._directions @ self._directions[row]
        others = np.delete(np.arange(len(cosines)), row)
        if topn < len(others):
            others = others[np.argpartition(-cosines[others], topn)[:topn]]
        nearest = others[np.lexsort((others, -cosines[others]))]
        return {
            "neighbours": [self._words[other] for other in nearest],
            "similarities": cosines[nearest].tolist(),
        }


set_model(ServedEmbeddings())
