.DEFAULT_GOAL := help
.PHONY: help setup remotes repro test check bench
VENV := .venv
PYTHON ?= python3
# The stages' command is `python ...`: the environment's comes first.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
STAMP := $(VENV)/.installed

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with the pinned packages (Python >= 3.11)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"graft needs Python >= 3.11; {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.12 setup")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

remotes: $(VENV)/.remotes ## Add what the tests of sharing need: SSH, S3 and a server of it

$(VENV)/.remotes: $(STAMP) requirements-remotes.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-remotes.lock
	@touch $@

repro: setup ## Rebuild everything that is not up to date, and print the comparison
	graft params
	dvc repro
	graft table

test: setup ## Run the whole test-suite; without `make remotes` and an sshd, not over SSH and S3
	python -m pytest -n 2 --dist loadfile

check: setup ## Lint, formatting and types
	ruff check .
	ruff format --check .
	mypy

bench: setup ## Measure graft against plain Keras on this machine; rewrites docs/performance.md
	python benchmarks/run.py
