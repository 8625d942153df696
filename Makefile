# One verb for everything; `make` alone lists them.

VENV := .venv
PYTHON := $(VENV)/bin/python
LANES := $(PYTHON) scripts/lanes.py

DATA ?=
SEED ?= 0
COUNT ?= 1000
SECONDS ?= 600
SIZE ?=
BENCH ?= $(basename $(notdir $(shell grep -l '^if __name__' benchmarks/[a-z]*.py)))

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench sim fuzz openapi lock sbom audit format clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.dev ## make .venv with all that development needs

demo: $(VENV)/.demo ## run the whole loop and write a report; DATA=DIR replays recorded answers
	$(PYTHON) -m examples.demo $(if $(DATA),--data "$(DATA)")

test: $(VENV)/.dev ## run every test lane, as CI does
	$(LANES) test

check: $(VENV)/.dev ## run the fast test lanes, for every change
	$(LANES) check

bench: $(VENV)/.dev ## measure and write docs/benchmarks.md: every benchmark, or BENCH=name
	@$(PYTHON) -m benchmarks $(BENCH)

sim: $(VENV)/.dev ## simulate COUNT worlds from SEED on; SIZE="--workers 3000" for a crowd
	$(PYTHON) -m tests.simulation --seed $(SEED) --count $(COUNT) $(SIZE)

fuzz: $(VENV)/.dev ## random requests, then random sources, for SECONDS each
	$(PYTHON) -m tests.fuzz --seed $(SEED) --seconds $(SECONDS)

openapi: $(VENV)/.dev ## write the description of the HTTP API anew, after a change that is meant
	$(PYTHON) -m serve_apps.gateway.openapi > tests/unit/gateway/openapi.json

lock: $(VENV)/.dev ## write the hashes in locks/ anew, after a change of constraints.txt
	scripts/lock.sh $(VENV)/bin/uv

sbom: $(VENV)/.dev ## write build/sbom.json: what a deployment installs, in CycloneDX
	@mkdir -p build
	@{ grep '^torch==' constraints.txt; cat locks/service.txt; } | \
	  $(PYTHON) -W ignore -m cyclonedx_py requirements --output-reproducible \
	  --pyproject pyproject.toml -o build/sbom.json -

audit: $(VENV)/.dev ## ask PyPI for known holes in what is pinned; needs its network
	$(PYTHON) -m pip_audit --disable-pip --no-deps -r constraints.txt

format: $(VENV)/.dev ## put the code into its one format
	$(PYTHON) -m ruff check --fix-only --quiet .
	$(PYTHON) -m ruff format --quiet .

clean: ## remove what can be made again, but neither .venv nor var
	rm -rf build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The stamps: an environment is made once, and again when what it is made from changes.
$(VENV)/.demo: pyproject.toml constraints.txt locks/demo.txt scripts/setup.sh
	@scripts/setup.sh $(VENV) demo
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt locks/dev.txt scripts/setup.sh
	@scripts/setup.sh $(VENV) demo,dev
	@touch $(VENV)/.demo $@
