# Everything that is done to this repository, in one place. `make` alone lists it.
#
# The environment is .venv, made once and again whenever a lock file changes: by uv where it is installed, else by
# `python -m venv` and pip with the hashed requirements. `make PYTHON=python3.12 check` names another interpreter.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PY := .venv/bin/python
READY := .venv/.ready
UV ?= uv
PYPI := https://pypi.org/simple
# A user's own uv settings (mirrors, private indexes) must not find their way into the lock files.
UV_LOCKING := env -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS UV_PYTHON_DOWNLOADS=never $(UV) --no-config

.PHONY: help demo test test-core test-rest check lint format types layers rules fmt mutants bench bench-plot soak lock setup clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: $(READY) ## See it work, with look-alike apps on this machine
	@.venv/bin/twoway demo

test: test-core test-rest ## Run every test; the core must be covered to the last branch

# Only the core is measured, and only by its own tests: the tracer would slow all the others for nothing.
test-core: $(READY)
	@$(PY) -m pytest tests/core -q --cov=twoway.core --cov-branch --cov-fail-under=100 \
		--cov-report=term-missing:skip-covered

# A file's tests stay in one process: they share its servers.
test-rest: $(READY)
	@$(PY) -m pytest -q --ignore=tests/core -n auto --dist loadfile

check: lint format types layers rules ## Lint, format, types, layers, and the repository's own rules

lint: $(READY)
	@.venv/bin/ruff check --quiet

format: $(READY)
	@.venv/bin/ruff format --check --quiet

types: $(READY)
	@.venv/bin/mypy

layers: $(READY)
	@.venv/bin/lint-imports

# Among others: no file over 500 lines, no clock read outside its module, lock files that fit the project.
rules: $(READY)
	@$(PY) -m pytest -q tests/test_repository.py

fmt: $(READY) ## Mend what can be mended by itself
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

JOBS ?= 1
mutants: $(READY) ## Mutate the core, JOBS=1 at a time: the tests must kill 95 %, the rest be listed
	@nice -n 15 $(PY) -m tools.mutation --jobs $(JOBS)

bench: $(READY) ## Measure the speed of a cycle
	@$(PY) -m benchmarks

SIZES ?= 10000 100000
bench-plot: $(READY) ## Measure the speed of a cycle at SIZES, and draw docs/speed-*.svg
	@mkdir -p build
	@$(PY) -m benchmarks.speed --records $(SIZES) --json build/speed.json
	@$(PY) -m benchmarks.speed.plot build/speed.json --into docs

N ?= 20000
soak: $(READY) ## Play N=20000 random histories of the whole engine
	@$(PY) -m twoway.testing.simulator --seeds 100000:$$((100000 + $(N))) --jobs 2

setup: $(READY) ## Make .venv without doing anything else

$(READY): pyproject.toml uv.lock requirements-dev.txt requirements-build.txt tools/venv.sh
	@UV='$(UV)' PYTHON='$(PYTHON)' sh tools/venv.sh
	@touch $@

lock: ## Renew uv.lock and the requirements files (needs uv)
	@$(UV_LOCKING) lock --default-index $(PYPI)
	@$(UV_LOCKING) export --quiet --frozen --no-emit-project --no-dev --format requirements-txt -o requirements.txt
	@$(UV_LOCKING) export --quiet --frozen --no-emit-project --format requirements-txt -o requirements-dev.txt
	@$(UV_LOCKING) pip compile --quiet --default-index $(PYPI) --universal --python-version 3.11 --generate-hashes \
		-c requirements-dev.txt requirements-build.in -o requirements-build.txt

clean: ## Remove what was generated, .venv too
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage build dist mutants
