.DEFAULT_GOAL := help
.PHONY: FORCE help setup remotes runtimes dask models browser repro test test-all check graph bench docs
VENV := .venv
PYTHON ?= python3
# The stages' command is `python ...`: the environment's comes first.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
STAMP := $(VENV)/.installed
# An environment knows its own place, which the stamp holds, and its Python. One that was moved or copied, or
# whose Python was removed or upgraded, is made again.
INTACT := $(shell [ "$$(cat $(STAMP) 2>&1)" = "$(CURDIR)" ] && $(VENV)/bin/python -c 'import graft' 2>&1 || echo no)
# Of the tarball that `npm pack axe-core@$(AXE)` makes.
AXE := 4.14.1
AXE_SHA512 := 1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5
# The same of onnxruntime-web@$(ORT_WEB).
ORT_WEB := 1.30.0
ORT_WEB_SHA512 := ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with the pinned packages (Python >= 3.11)

$(STAMP): requirements.lock pyproject.toml $(if $(INTACT),FORCE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"graft needs Python >= 3.11; {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.12 setup")'
	$(PYTHON) -m venv $(if $(INTACT),--clear) $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "$(CURDIR)" >$@

FORCE:

remotes: $(VENV)/.remotes ## Add what the tests of sharing need: SSH, S3 and a server of it

$(VENV)/.remotes: $(STAMP) requirements-remotes.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-remotes.lock
	@touch $@

dask: $(VENV)/.dask ## Add what `graft features extract --workers` needs: Dask Distributed

$(VENV)/.dask: $(STAMP) requirements-dask.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dask.lock
	@touch $@

models: $(VENV)/.models ## Add KerasHub, Optuna, imbalanced-learn, LIME and SHAP, each of which is an extra

$(VENV)/.models: $(STAMP) requirements-models.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-models.lock
	@touch $@

runtimes: $(VENV)/.runtimes ## Add what `graft export` and `graft serve` need, ONNX, LiteRT, OpenVINO, FastAPI; and JAX

$(VENV)/.runtimes: $(STAMP) requirements-runtimes.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-runtimes.lock
	@touch $@

browser: $(VENV)/.browser $(VENV)/axe-core-$(AXE).tgz $(VENV)/onnxruntime-web-$(ORT_WEB).tgz ## Add what the tests of pages need: Playwright, axe-core, onnxruntime-web

$(VENV)/.browser: $(STAMP) requirements-browser.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-browser.lock
	@touch $@

.DELETE_ON_ERROR:
$(VENV)/axe-core-$(AXE).tgz: | $(STAMP)
	rm -f $(VENV)/axe-core-*.tgz
	npm pack --silent --pack-destination $(VENV) axe-core@$(AXE) >/dev/null
	@echo "$(AXE_SHA512)  $@" | sha512sum --check --quiet

$(VENV)/onnxruntime-web-$(ORT_WEB).tgz: | $(STAMP)
	rm -f $(VENV)/onnxruntime-web-*.tgz
	npm pack --silent --pack-destination $(VENV) onnxruntime-web@$(ORT_WEB) >/dev/null
	@echo "$(ORT_WEB_SHA512)  $@" | sha512sum --check --quiet

repro: setup ## Rebuild everything that is not up to date, and print the comparison
	@graft repro

PYTEST := python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: setup ## Run the tests but those marked `long`, in 5 minutes on two cores
	$(PYTEST) -m 'not long'

test-all: setup ## Run the whole test-suite; without `make remotes`, `runtimes`, `dask`, `models`, `browser`, sshd and Chromium, not all of it
	$(PYTEST)

check: setup ## Lint, formatting and types
	ruff check .
	ruff format --check .
	mypy

graph: setup ## Write the code that each stage depends on into dvc.yaml
	python tests/helpers/graph.py

docs: $(VENV)/.docs ## Build the site in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet

$(VENV)/.docs: $(STAMP) requirements-docs.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.lock
	@touch $@

bench: setup ## Measure graft against plain Keras on this machine; rewrites docs/performance.md
	python benchmarks/run.py
