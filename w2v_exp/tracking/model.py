"""The embeddings of a run as an MLflow model, for the model registry and ``mlflow models serve``."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import UserError
from w2v_exp.tracking.locations import artifact_repository

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

NAME = "model"  # of the model in its run, and of its folder among the run's files
CODE = Path(__file__).with_name("served_model.py")
DESCRIPTION = "MLmodel"  # the file by which MLflow recognises a model
EXAMPLES = 2  # words in the input example
REQUIRED = ("mlflow", "numpy")  # packages of the model, pinned to the versions that wrote it


def write_model(embeddings: Embeddings, folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write embeddings as an MLflow model: code, archive of the vectors, signature, example and requirements.

    Parameters
    ----------
    embeddings : Embeddings
        The vectors to serve are the input vectors.
    folder : Path
        The folder to write; the whole folder or nothing.
    metadata : mapping of str to object
        Notes in the model's description.

    Raises
    ------
    UserError
        If MLflow cannot write the model.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own type hints
        import mlflow.pyfunc
    from importlib.metadata import version

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it reports every step
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array

    strings, numbers = Array(DataType.string), Array(DataType.double)
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string)]),
        outputs=Schema(
            [
                ColSpec(DataType.string, "word"),
                ColSpec(strings, "neighbours", required=False),
                ColSpec(numbers, "similarities", required=False),
                ColSpec(numbers, "vector", required=False),
            ]
        ),
        params=ParamSchema(
            [ParamSpec("output", DataType.string, "neighbours"), ParamSpec("topn", DataType.long, 10)]
        ),
    )
    # Beside the folder of the run's files: a process that is killed must not leave parts of a model among them.
    with tempfile.TemporaryDirectory(dir=folder.parent.parent, prefix="model-") as temporary:
        archive = Path(temporary) / "embeddings.npz"
        Embeddings(embeddings.words, embeddings.counts, embeddings.input).save(archive)
        written = Path(temporary) / NAME
        try:
            mlflow.pyfunc.save_model(
                written,
                python_model=str(CODE),
                artifacts={"embeddings": str(archive)},
                input_example=(embeddings.words[:EXAMPLES], {"output": "neighbours", "topn": 10}),
                pip_requirements=[f"{package}=={version(package)}" for package in REQUIRED],
                metadata=dict(metadata),
            )
            description = Model.load(str(written))
            description.signature = (
                signature  # `save_model` has replaced it by that of the type hint, without outputs
            )
            description.save(str(written / DESCRIPTION))
        except MlflowException as error:
            raise UserError(f"tracking.model=true: the model cannot be written ({error}).") from error
        written.replace(folder)


def is_model(folder: Path) -> bool:
    """Return whether a folder is a model of `write_model`."""
    return (folder / DESCRIPTION).is_file()


def log_model(client: MlflowClient, run: Run, folder: Path) -> None:
    """Log the model in a folder as the model of a run; a model that was begun before is completed.

    It is found as ``runs:/RUN/model``, and on the pages of the run and the experiment.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    known = _begun(client, run)
    model = known or client.create_logged_model(
        run.info.experiment_id,
        NAME,
        source_run_id=run.info.run_id,
        params=run.data.params,
        model_type="embeddings",
    )
    repository = artifact_repository(client, model.artifact_location)
    repository.log_artifacts(str(folder))
    description = Model.load(str(folder))
    description.run_id = run.info.run_id
    description.model_id = description.model_uuid = model.model_id
    description.artifact_path = model.artifact_location
    with tempfile.TemporaryDirectory() as temporary:
        description.save(str(Path(temporary) / DESCRIPTION))
        repository.log_artifact(str(Path(temporary) / DESCRIPTION))
    client.finalize_logged_model(model.model_id, "READY")
    outputs = run.outputs.model_outputs if run.outputs else []
    if model.model_id not in {output.model_id for output in outputs}:
        client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])


def _begun(client: MlflowClient, run: Run) -> LoggedModel | None:
    """Return the model of a run that an interrupted upload has created."""
    found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    return found[0] if found else None
