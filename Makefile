# One vocabulary for people, hooks and CI.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install run test slow check lock

install: ## an environment with the tested versions
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint requirements.lock --editable ".[dev]"

run: ## the default run, offline
	$(BIN)/python pipelines/pets_pipeline.py

test: ## the tests, without the slow ones: two processes share them, those of whole runs come first
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

slow: ## the tests that take long
	$(BIN)/pytest -m slow

check: ## the linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lock: ## the exact versions of everything, for each supported Python
	uv pip compile --quiet --universal --all-extras --no-emit-index-url --no-header --no-annotate \
		--python-version 3.10 pyproject.toml --output-file requirements.lock
	$(BIN)/python -m pipelines.engine.requirements
