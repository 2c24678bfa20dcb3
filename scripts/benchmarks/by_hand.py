"""The article's model as a user would write it by hand: a Hydra application that logs to MLflow. Baseline of sweeps.

python by_hand.py window=3,5 dim=10,50 -m
"""

import re
import time
from dataclasses import dataclass

import hydra
import mlflow
import numpy as np
from hydra.core.config_store import ConfigStore
from mlflow.entities import Metric
from omegaconf import OmegaConf

TEXT = "After the deduction of the costs of investing, beating the stock market is a loser's game."


@dataclass
class Config:
    """The settings of a run."""

    window: int = 3
    dim: int = 50
    epochs: int = 5000
    learning_rate: float = 0.05
    seed: int = 0


ConfigStore.instance().store(name="config", node=Config)


@hydra.main(version_base=None, config_name="config")  # type: ignore[untyped-decorator]
def main(config: Config) -> None:
    """Train a run, and log parameters, cost and embeddings."""
    words = re.findall(r"[a-z']+", TEXT.lower())
    vocabulary = sorted(set(words))
    ids = [vocabulary.index(word) for word in words]
    places = range(len(ids))
    pairs = [(ids[i], ids[j]) for i in places for j in places if 0 < abs(i - j) <= config.window]
    centres, contexts = np.array(pairs).T
    generator = np.random.default_rng(config.seed)
    embedding, output = generator.normal(0, 0.01, (2, len(vocabulary), config.dim))
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("by_hand")
    with mlflow.start_run(run_name=f"window={config.window} dim={config.dim} seed={config.seed}") as run:
        mlflow.log_params(OmegaConf.to_container(config))
        rate, metrics, now = config.learning_rate, [], int(time.time() * 1000)
        for epoch in range(config.epochs):
            hidden = embedding[centres]
            scores = hidden @ output.T
            exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
            errors = exponentials / exponentials.sum(axis=1, keepdims=True)
            cost = -np.log(errors[np.arange(len(centres)), contexts]).mean()
            errors[np.arange(len(centres)), contexts] -= 1
            gradients = errors @ output, errors.T @ hidden / len(centres)
            np.add.at(embedding, centres, -rate * gradients[0])
            output -= rate * gradients[1]
            if epoch % 10 == 0:
                metrics.append(Metric("cost", float(cost), now, epoch))
            if epoch and epoch % 100 == 0:
                rate *= 0.98
        mlflow.MlflowClient().log_batch(run.info.run_id, metrics)
        np.savez("embeddings.npz", embedding=embedding, output=output)
        mlflow.log_artifact("embeddings.npz")


if __name__ == "__main__":
    main()
