# `make help` lists what there is. Needs python3 >= 3.11, make and git; everything else goes into .venv.
PYTHON ?= python3
SEED ?= 0
BIN := .venv/bin
export UV_HTTP_TIMEOUT ?= 300
export OMP_WAIT_POLICY ?= passive

# One target for each arm of each recipe, read from the `arms:` section of the YAML files.
RECIPES := $(sort $(wildcard recipes/*/*.yaml))
RUNS := $(shell awk '\
  FNR == 1 { n = split(FILENAME, part, "/"); sub(/\.yaml$$/, "", part[n]); arms = 0 } \
  /^[a-z]/ { arms = /^arms:/ } \
  arms && /^  [a-z0-9_]+:/ { split($$1, arm, ":"); print part[n-1] "-" part[n] "-" arm[1] }' \
  $(RECIPES) /dev/null)
arm = $(lastword $(subst -, ,$@))

.PHONY: help setup demo test test-slow lint tables figures histograms curves report docs faults bench gpu-check appendix-a lock clean $(RUNS)

help:  ## list the targets (this list)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile
	@echo 'One arm of one recipe, for example `make imagenet-resnet18-dsd IMAGENET=/path SEED=1`;'
	@echo 'SCALE=mini runs it on a miniature corpus, ARGS="..." goes to `dsd run`:'
	@echo $(RUNS) | fmt -w 76 | sed 's/^/  /'

setup: .venv/.stamp  ## create .venv from requirements.lock (unpacks to about 5 GB)

.venv/.stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "$(PYTHON): needs Python 3.11 or newer with venv (Debian: apt install python3-venv);" \
	    "name another one with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	awk '/^[a-z]/ { uv = /^uv==/ } uv' requirements.lock | $(BIN)/pip install -q --require-hashes -r /dev/stdin
	$(BIN)/uv pip sync --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## the main job on miniature data: every arm of ResNet-18, NeuralTalk and DeepSpeech
	$(BIN)/dsd run imagenet-resnet18 --scale mini --arm all
	$(BIN)/dsd run flickr8k-neuraltalk --scale mini --arm all
	$(BIN)/dsd run wsj-deepspeech --scale mini --arm all
	$(BIN)/dsd tables --scale mini
	$(BIN)/dsd gallery runs/records/flickr8k-neuraltalk.mini.*.seed0.json
	$(BIN)/dsd report --scale mini

test: lint  ## linter, type checker and tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

test-slow: setup  ## the tests that take minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m slow

lint: setup  ## linter, format and type checker
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

$(RUNS): setup
	$(BIN)/dsd run $(@:%-$(arm)=%) --arm $(arm) --seed $(SEED) $(if $(SCALE),--scale $(SCALE)) $(ARGS)

tables: setup  ## results/ as tables, the paper's figures beside ours; LaTeX: ARGS="--latex DIR"
	$(BIN)/dsd tables $(ARGS)

figures: setup  ## results/ as pictures: curves, equal budgets, histograms, sweeps; SVG: ARGS=--svg
	$(BIN)/dsd figures $(ARGS)

histograms: setup  ## the paper's figure 2: RUN=record, or folder of a finished phase; LAYER=...
	$(BIN)/dsd histograms $(RUN) $(if $(LAYER),--layer $(LAYER)) $(ARGS)

curves: setup  ## learning curves: RUN="records of one recipe and seed"
	$(BIN)/dsd curves $(RUN) $(ARGS)

report: setup  ## results/report.html: verdicts, tables, figures, transcripts in one file
	$(BIN)/dsd report $(ARGS)

docs: setup  ## the documentation as a site, with its links checked: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

faults: setup  ## kills, full disks, flipped bits, overrides, hostile files: the table of docs/faults.md
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults --write

bench: setup  ## speed: masks, steps, loops, input, start-up, as ratios beside their targets
	$(BIN)/python -m benchmarks

gpu-check: setup  ## what needs a GPU, tried on it in ten minutes: one record, one table
	$(BIN)/python -m benchmarks.gpu_check $(ARGS)

appendix-a: setup  ## the paper's 16 dsd and 16 fine-tuned ResNet-20 from one baseline: CIFAR10=/path [JOBS=8] [MINUTES=60]
	start=$$(date +%s); failed=0; for seeds in 0-3 4-7 8-11 12-15; do \
	  left=$$(( $(or $(MINUTES),100000) - ($$(date +%s) - start) / 60 )); [ $$left -gt 0 ] || exit $$failed; \
	  $(BIN)/dsd sweep cifar10-resnet20 --arm baseline --arm dsd --arm finetune --seed $$seeds --fast \
	    --time-limit $$left $(if $(JOBS),--jobs $(JOBS)) $(ARGS); \
	  case $$? in 0) ;; 1) failed=1 ;; 75) exit 0 ;; *) exit 2 ;; esac; done; exit $$failed

lock: setup  ## renew requirements.lock, and environment.yml from it
	$(BIN)/uv pip compile pyproject.toml --extra cli --group suite --group dev --python-version 3.11 \
	  --universal --fork-strategy fewest --generate-hashes --no-emit-index-url --upgrade --quiet \
	  --custom-compile-command 'make lock' --output-file requirements.lock
	awk 'NR == FNR { if (split($$1, pin, "==") == 2) version[pin[1]] = pin[2]; next } \
	  match($$0, /[a-z0-9-]+==/) { name = substr($$0, RSTART, RLENGTH - 2); sub(/==.*/, "==" version[name]) } \
	  { print }' requirements.lock environment.yml > environment.yml.new
	mv environment.yml.new environment.yml

clean:  ## remove .venv and caches; runs and results stay
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
