# make demo             the whole path on the built-in corpus, ending in a page to open
# make test             everything quick: no network, no GPU, no server
# make test-services    the tests that need a real browser, a Ray cluster or readers of Parquet, installed if missing
# make campaign         fuzzing for a minute, or ETUDE_CAMPAIGN_SECONDS
# make coverage-of-spec which rows of docs/spec.md have tests
#
# TORCH names the PyTorch to install; for another build: make demo TORCH=torch==2.12.0

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
JOBS ?= 2

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SERVICES := $(VENV)/.services

.PHONY: demo test test-services campaign coverage-of-spec lint install
.DEFAULT_GOAL := demo

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt '$(TORCH)'
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[audio,test]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/etude demo

lint: $(INSTALLED)
	$(BIN)/ruff check .

test: $(INSTALLED) lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist loadfile -m 'not services and not campaign'

$(SERVICES): $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[audio,test,ray,frames]'
	touch $@

test-services: $(SERVICES)
	command -v chromedriver >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium chromium-driver; }
	$(BIN)/pytest -m services

# long runs by hand; docs/campaigns.md keeps their results
campaign: $(INSTALLED)
	$(BIN)/pytest -m campaign -s

coverage-of-spec: $(INSTALLED)
	$(BIN)/python scripts/coverage_of_spec.py
