# make demo   a fresh machine with Python 3.11 to a segmented scene
# make test   the tests; make test-slow those that take minutes, test-all both
# make plugin the plugin for QGIS, as dist/clusternet_provider.zip (docs/qgis.md)
# make mutate whether the tests notice small changes of the algorithm (takes long)
PYTHON ?= python3
VENV := .venv
# processes that run the tests side by side
WORKERS ?= 2
RUN := $(VENV)/bin/python

.PHONY: demo test test-slow test-all mutate lint plugin clean

demo: $(VENV)/installed
	$(RUN) tools/demo.py

test: $(VENV)/installed
	$(RUN) -m pytest -n $(WORKERS)

test-slow: $(VENV)/installed
	$(RUN) -m pytest -n $(WORKERS) -m slow

test-all: $(VENV)/installed
	$(RUN) -m pytest -n $(WORKERS) -m ""

mutate: $(VENV)/installed
	nice -n 15 $(RUN) tests/mutate.py --children $(WORKERS)

lint: $(VENV)/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

plugin:
	mkdir -p dist
	rm -rf dist/clusternet_provider.zip qgis/clusternet_provider/__pycache__
	cd qgis && $(PYTHON) -m zipfile -c ../dist/clusternet_provider.zip clusternet_provider/

$(VENV)/installed: requirements.txt setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -r requirements.txt
	touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
