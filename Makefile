# Each verb is one command. They use the active environment's Python; see CONTRIBUTING.md for setting one up.
PYTHON ?= python

# For `make oldest`: what the tests need beside pandas, and which of them it concerns.
TOOLS = hypothesis ipython pytest pytest-timeout pytest-xdist
OF_TABLES = tests/test_inputs.py tests/test_tables.py tests/test_named_frames.py

# What `make quick` leaves out: what starts an engine or JupyterLab in most of its tests, what imports for seconds in
# each process that collects it, and the matrix of faults.
HEAVY = tests/browser tests/engine tests/faults tests/test_api_description.py tests/test_background.py \
	tests/test_lab_installed.py tests/test_lab_saving.py tests/test_local.py tests/test_notebook_runs.py \
	tests/test_vscode.py tests/test_who_answers.py

OF_HUBS = tests/browser/test_jupyterhub.py tests/browser/test_collaboration.py tests/test_marimo.py

# $(call test_apart,PACKAGES,TESTS): in an environment of its own, which is removed afterwards.
define test_apart
apart=$$(mktemp -d) && trap 'rm -rf "$$apart"' EXIT && \
		$(PYTHON) -m venv "$$apart" && \
		"$$apart/bin/pip" install --quiet --disable-pip-version-check '.[test]' $(1) && \
		"$$apart/bin/python" -m pytest -p no:cacheprovider -m '' $(2)
endef

.PHONY: help check all lint types imports test quick slow thorough browser hub oldest notebooks demo bench pictures compat live

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

check: ## before each commit, under a minute: lint, types, imports, notebooks, quick; two of them at a time
	$(MAKE) --jobs=2 --output-sync lint types imports notebooks quick

all: lint types imports notebooks test ## before you send it in: the same, with every test but the slow ones; three minutes

lint: ## style and formatting
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: ## mypy, strict
	$(PYTHON) -m mypy

imports: ## which room may import which
	lint-imports

test: ## the tests, without the slow ones
	$(PYTHON) -m pytest -n 3

quick: ## the tests that need neither an engine nor a browser
	$(PYTHON) -m pytest -n 3 -p no:nbval tests $(HEAVY:%=--ignore=%)

slow: ## the tests that take over ten seconds
	$(PYTHON) -m pytest -n 3 -m slow --timeout 900

thorough: ## the tests that hypothesis feeds, with many more examples
	$(PYTHON) -m pytest -n 3 -m hypothesis --hypothesis-profile thorough --timeout 900

browser: ## only the tests in a real JupyterLab in headless Chromium
	$(PYTHON) -m pytest -m browser

hub: ## the tests with JupyterHub, real-time collaboration (both engines) and marimo, which are installed for it
	$(call test_apart,jupyterhub jupyter-collaboration marimo,$(OF_HUBS))
	$(call test_apart,jupyter-server-documents,tests/browser/test_collaboration.py)

oldest: ## what reads and hashes tables, with the oldest pandas we support and without pyarrow
	old=$$(mktemp -d) && trap 'rm -rf "$$old"' EXIT && \
		pandas=$$(sed -n 's/^ *"pandas>=\([0-9.]*\)",$$/\1/p' pyproject.toml) && \
		$(PYTHON) -m venv "$$old" && \
		"$$old/bin/pip" install --quiet --disable-pip-version-check "pandas==$$pandas.*" $(TOOLS) && \
		"$$old/bin/python" -c 'import pandas; print("pandas", pandas.__version__)' && \
		"$$old/bin/python" -m pytest -p no:cacheprovider --durations=0 --durations-min=5 $(OF_TABLES)

notebooks: ## run the committed notebooks from their recordings, and compare their outputs strictly
	settings=$$(mktemp -d) && trap 'rm -rf "$$settings"' EXIT && \
		IPYTHON_ASSISTANT_MODE=replay IPYTHONDIR="$$settings/ipython" JUPYTER_CONFIG_DIR="$$settings/jupyter" \
		$(PYTHON) -m pytest --nbval --nbval-current-env notebooks -p no:cacheprovider -m ""

compat: ## ask the engine with other people's clients, and LiteLLM's and llama.cpp's servers; they are installed for it
	$(PYTHON) tests/compat/run_clients.py
	$(PYTHON) tests/compat/run_servers.py

live: ## five cells against the real service (needs OPENAI_API_KEY; says the cost first): make live FOLDER=report
	$(PYTHON) tests/live/run_live.py $(FOLDER)

demo: ## the main job, without a browser
	ipython-assistant demo --headless

bench: ## the benchmarks: ratios, each measured in one run
	$(PYTHON) benchmarks/run.py

pictures: ## make the README's pictures anew
	$(PYTHON) docs/make_pictures.py
