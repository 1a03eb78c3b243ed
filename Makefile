# Each verb is one command. They use the active environment's Python; see CONTRIBUTING.md for setting one up.
PYTHON ?= python

.PHONY: help check lint types imports test slow browser notebooks demo bench pictures

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

check: lint types imports test notebooks ## everything below but slow, browser and bench

lint: ## style and formatting
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: ## mypy, strict
	$(PYTHON) -m mypy

imports: ## which room may import which
	lint-imports

test: ## the tests, without the slow ones
	$(PYTHON) -m pytest

slow: ## the tests that take over ten seconds
	$(PYTHON) -m pytest -m slow

browser: ## only the tests in a real JupyterLab in headless Chromium
	$(PYTHON) -m pytest -m browser

notebooks: ## run the committed notebooks from their recordings, and compare their outputs strictly
	settings=$$(mktemp -d) && trap 'rm -rf "$$settings"' EXIT && \
		IPYTHON_ASSISTANT_MODE=replay IPYTHONDIR="$$settings/ipython" JUPYTER_CONFIG_DIR="$$settings/jupyter" \
		$(PYTHON) -m pytest --nbval --nbval-current-env notebooks -p no:cacheprovider -m ""

demo: ## the main job, without a browser
	ipython-assistant demo --headless

bench: ## the benchmarks: ratios, each measured in one run
	$(PYTHON) benchmarks/run.py

pictures: ## make the README's pictures anew
	$(PYTHON) docs/make_pictures.py
