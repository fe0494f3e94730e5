# Every target creates what it needs: `make demo` and `make test` work in a fresh clone.
SHELL := /bin/sh
PY := .venv/bin/python
.DEFAULT_GOAL := help

.PHONY: help
help: ## list all targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-25s %s\n", $$1, $$2 }'

.PHONY: setup
setup: .venv/.ready ## create .venv from the lock files (once, and again when they change)

.venv/.ready: requirements-dev.lock requirements-uv.lock pyproject.toml .ci/setup
	@sh .ci/setup

.PHONY: demo
demo: setup ## run everything on this machine: exchange, warm-up, snapshot, paper trader (under 90 s)
	@$(PY) examples/demo.py

.PHONY: chromium
chromium: ## install Chromium for the browser tests, if there is no browser (apt-get, as root or with sudo)
	@sh .ci/chromium

.PHONY: test
test: setup chromium ## run all tests
	@$(PY) -m pytest -n auto --dist loadgroup

.PHONY: test-full
test-full: setup chromium ## run all tests, the long ones in full (about an hour)
	@WARMUP_TEST_FULL=1 WARMUP_TEST_SCALE=50 $(PY) -m pytest -n auto --dist loadgroup

.PHONY: test-containers
test-containers: setup ## test image, compose and pods (needs a container engine, or the lab)
	@sh .ci/with-engine .venv/bin/python -m pytest -n 2 --dist loadfile -m container tests/container

.PHONY: test-image
test-image: setup ## run all tests inside the image (takes as long as `make test`)
	@sh .ci/with-engine sh .ci/test-image full

.PHONY: test-image-job
test-image-job: setup ## run the tests that need no Nautilus inside the job's image
	@sh .ci/with-engine sh .ci/test-image job

.PHONY: bench-container
bench-container: bench-pods ## measure size, start and memory of the image, and pods (over an hour); see docs/performance.md
	@sh .ci/with-engine .venv/bin/python -m tests.bench.container

.PHONY: bench-pods
bench-pods: setup ## measure from pod start to live (an hour of an idle machine); ARGS="--runs 1 --conditions 2-warm"
	@sh .ci/with-engine .venv/bin/python -m tests.bench.pod_start $(ARGS)

.PHONY: bench
bench: setup ## compare whole processes with peers (some minutes); see docs/performance.md
	@$(PY) -m tests.bench.bench

.PHONY: docs
docs: setup .venv-docs/.ready ## write the generated reference, and build the site into site/
	@$(PY) .ci/configuration_tables.py
	@$(PY) .ci/reference_pages.py
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict

.venv-docs/.ready: requirements-docs.lock | .venv/.ready
	@.venv/bin/python -m venv --clear .venv-docs
	@VIRTUAL_ENV="$(CURDIR)/.venv-docs" .venv/bin/uv -q pip install --require-hashes -r requirements-docs.lock
	@touch .venv-docs/.ready

.PHONY: lint
lint: setup ## run ruff: rules and format
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

.PHONY: types
types: setup ## run mypy in strict mode
	@.venv/bin/mypy

.PHONY: imports
imports: setup ## check the import contract: downward only, each library in its packages
	@.venv/bin/lint-imports --no-cache

.PHONY: check
check: lint types imports test ## run lint, types, imports and test

.PHONY: format
format: setup ## fix and format the code with ruff
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

.PHONY: lock
lock: setup ## compile the lock files from pyproject.toml
	@.venv/bin/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.12 pyproject.toml -o requirements.lock
	@echo nautilus_trader | .venv/bin/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.12 --excludes /dev/stdin -c requirements.lock pyproject.toml -o requirements-job.lock
	@.venv/bin/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.12 pyproject.toml --group dev -o requirements-dev.lock
	@.venv/bin/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.12 --group image -o requirements-image.lock
	@.venv/bin/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.12 --group docs -o requirements-docs.lock
	@echo uv | .venv/bin/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.12 -c requirements-dev.lock - -o requirements-uv.lock

.PHONY: version
version: setup ## set the version: make version VERSION=1.2.3
	@$(PY) .ci/release.py set "$(VERSION)"

.PHONY: release
release: setup ## make wheel, image, SBOM and checksums of the version (needs a container engine)
	@sh .ci/with-engine sh .ci/release

.PHONY: clean
clean: ## remove what make created, except images
	rm -rf .venv .venv-docs .demo dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
