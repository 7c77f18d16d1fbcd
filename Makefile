# make demo, make test, make lint: each sets up .venv first, and only when pyproject.toml changed.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint setup constraints clean
.DEFAULT_GOAL := demo

demo: $(INSTALLED) ## the whole pipeline on a scene of its own, for about a minute
	$(VENV)/bin/jack-stream demo

test: $(INSTALLED) ## all tests
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

lint: $(INSTALLED) ## style, format and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt scripts/setup.sh
	sh scripts/setup.sh $(VENV) $(PYTHON)
	@touch $@

constraints: $(INSTALLED) ## choose the newest versions that pyproject.toml allows
	{ sed -n '/^#/p' constraints.txt; $(VENV)/bin/uv pip compile -q pyproject.toml --universal \
	    --python-version 3.10 --all-extras --group test --group lint --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links | grep -v -E "'never'|'win32'"; } > constraints.new
	mv constraints.new constraints.txt

clean: ## everything that make made; the compiled kernels in the user's cache stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
