# `make help` lists everything there is. The first target used sets up its own .venv with pinned versions.

VENV := .venv
BIN := $(VENV)/bin
# The first Python of 3.11 or newer; set PYTHON=... to choose another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# A process a processor, each with whole files of tests.
PYTEST := $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=8 --dist=loadfile
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# The kernels run once more as plain Python: what they compute must not depend on the compiler.
KERNEL_TESTS := tests/test_als.py tests/test_product_kernels.py tests/test_quantised_kernels.py tests/test_screening_kernels.py tests/test_explicit_als.py tests/test_retrieval.py tests/test_metrics.py \
	tests/test_metrics_shown.py tests/test_recommending.py \
	tests/test_csr_kernels.py tests/test_sparse_kernels.py tests/test_lightfm.py tests/test_glove.py tests/test_found_kernels.py tests/test_ingest_kernels.py tests/test_item_item_kernels.py tests/test_pairwise.py tests/test_resampling.py

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench quality notebooks clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## the main job on the bundled data, from log to recommendations
	$(BIN)/recsys demo --output demo

test: $(VENV)/.test lint ## lint, types, all tests, and the kernels again without compilation
	$(PYTEST) tests
	NUMBA_DISABLE_JIT=1 $(PYTEST) $(KERNEL_TESTS)

lint: $(VENV)/.test ## ruff and mypy
	$(BIN)/ruff check recsys tests data notebooks
	$(BIN)/ruff format --check recsys tests data notebooks
	$(BIN)/mypy

format: $(VENV)/.test ## let ruff rewrite what it can
	$(BIN)/ruff check --fix recsys tests data notebooks
	$(BIN)/ruff format recsys tests data notebooks

bench: $(VENV)/.bench ## speed and memory as ratios to named rivals, with the quality beside them
	$(BIN)/python tests/benchmarks/bench_ingest.py
	$(BIN)/python tests/benchmarks/bench_als.py
	$(BIN)/python tests/benchmarks/bench_svd.py
	$(BIN)/python tests/benchmarks/bench_pairwise.py
	$(BIN)/python tests/benchmarks/bench_lightfm.py
	$(BIN)/python tests/benchmarks/bench_glove.py
	$(BIN)/python tests/benchmarks/bench_item_item.py
	$(BIN)/python tests/benchmarks/bench_retrieval.py
	$(BIN)/python tests/benchmarks/bench_recommend_job.py
	$(BIN)/python tests/benchmarks/bench_index.py --output build/bench-index
	$(BIN)/python tests/benchmarks/bench_metrics.py
	$(BIN)/python tests/benchmarks/bench_compare.py
	$(BIN)/python tests/benchmarks/bench_embeddings.py
	$(BIN)/python tests/benchmarks/bench_compression.py --goals gowalla movielens
	$(BIN)/python tests/benchmarks/bench_store.py

quality: $(VENV)/.bench ## our numbers beside published ones, on real data where it is present
	$(BIN)/python tests/benchmarks/quality.py
	$(BIN)/python tests/benchmarks/bench_explicit.py

notebooks: $(VENV)/.notebooks ## execute the notebooks and keep what they show
	$(BIN)/python notebooks/execute.py

clean: ## remove the environment and everything built
	rm -rf $(VENV) build demo *.egg-info .mypy_cache .ruff_cache .hypothesis
	find recsys tests data -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Error: no Python 3.11 or newer was found. Set PYTHON=/path/to/python3." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml setup.cfg constraints.txt | $(BIN)/python
	$(INSTALL) .
	@touch $@

$(VENV)/.test: pyproject.toml setup.cfg constraints.txt | $(BIN)/python
	$(INSTALL) '.[test,lint]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.bench: pyproject.toml setup.cfg constraints.txt | $(BIN)/python
	$(INSTALL) '.[bench]'
	@touch $@

$(VENV)/.notebooks: pyproject.toml setup.cfg constraints.txt | $(BIN)/python
	$(INSTALL) '.[notebooks]'
	@touch $@
