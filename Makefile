# The commands of the project. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 5000

.DEFAULT_GOAL := help
.PHONY: help sweep ui test test-all test-slow reproduce exact-softmax ablation benchmark reference docs clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed; this is " + sys.version.split()[0] + ". Name one: make PYTHON=python3.12 ...")'
	@echo "Making $(VENV) from constraints.txt (once; a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m compileall -q w2v_exp  # else Python does it at each start where PYTHONDONTWRITEBYTECODE is set: 0.2 s
	@touch $@

sweep: $(VENV)/.installed ## four runs of the article's model, tracked in ./mlflow.db
	@$(BIN)/python -m w2v_exp window=3,5 dim=10,50 -m

ui: $(VENV)/.installed ## serve the runs in ./mlflow.db on this machine (PORT=5000)
	@$(BIN)/python -m w2v_exp ui --uri sqlite:///mlflow.db --port $(PORT)

test: $(VENV)/.installed ## lint, types and the first tier of the tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist worksteal -m 'not second_tier'

test-all: test ## also the second tier: processes, servers, kills
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist worksteal -m 'second_tier and not (slow or browser or slurm or postgres)'

# Software that not every machine has: its tests run where it is.
SERVICES := $(if $(and $(shell command -v chromium),$(wildcard $(VENV)/lib/*/site-packages/playwright)), or browser) \
	$(if $(shell command -v slurmctld), or slurm) $(if $(wildcard /usr/lib/postgresql/*/bin/postgres), or postgres)

test-slow: $(VENV)/.installed ## tests that take minutes, or need Chromium, Slurm, PostgreSQL
	@W2V_EXP_THOROUGH=1 $(BIN)/pytest -n auto --dist worksteal -m 'slow or hypothesis $(SERVICES)'

reproduce: $(VENV)/.installed ## each result of the article beside ours, as a report
	@$(BIN)/python scripts/reproduce_article.py

exact-softmax: $(VENV)/.installed ## the exact softmax against gensim, as a report (ten minutes)
	@$(BIN)/python scripts/compare_peers.py

ablation: $(VENV)/.installed ## each choice of the exact softmax changed (half an hour)
	@$(BIN)/python -m w2v_exp sweep=ablation

reference: $(VENV)/.installed ## the pages of docs/reference that are generated from the code
	@$(BIN)/python docs/generate_reference.py

benchmark: $(VENV)/.installed ## speed, as ratios to plain code of the article's recipe
	@$(BIN)/python scripts/benchmark.py

$(VENV)/.docs-installed: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	@touch $@

docs: $(VENV)/.docs-installed reference ## the documentation in build/docs, with executed tutorials
	@$(BIN)/python -m sphinx -q -E -W --keep-going docs build/docs
	@echo "Open build/docs/index.html"

clean: ## remove the environment and all caches; runs and stores stay
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
