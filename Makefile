# Two commands do everything on a fresh machine: `make run` and `make test`.
# Assumed: python3 (3.11 or later), make and node 20. All else comes from PyPI, npm or Debian packages by name.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCK   := .ci/requirements.txt
SITES  := .cache/sites
SHELLS := .cache/shells
POSTGRES := .cache/postgresql
REDIS := .cache/redis
INSTALL_BROWSER := DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core fonts-liberation >/dev/null 2>&1
POSTGRES_PACKAGES := postgresql-15 postgresql-client-15 libpq5 libllvm14
REDIS_PACKAGES := redis-server redis-tools libjemalloc2 liblzf1
# Half again as many as there are cores: tests wait for processes much of their time.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(-(-3 * (os.cpu_count() or 1) // 2))')
SHELL_PACKAGES := zsh zsh-common fish fish-common libpcre2-32-0
# Real sites to extract in tests and benchmarks: HTML as generators wrote it.
SITE_PACKAGES := python3.11-doc apache2-doc sqlite3-doc libgtk-3-doc debian-handbook

export PATH := $(CURDIR)/$(BIN):$(PATH)
# Else each of the programs that tests start would compile all of it anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check audit docs screenshots soak bench load lock sbom quality sites servers browser shells generators peers format clean

help:  ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

run: $(VENV)/installed  ## Publish the example site into the embedded store, and show the result
	@doit
	@echo
	@echo "Look at what is stored:   sqlite3 .nimbus/kv.db 'select key, metadata from kv'   (or any SQLite browser)"
	@echo "Change a page:            edit examples/site/about.html, then run: .venv/bin/doit"
	@echo "All commands:             .venv/bin/doit list"

test: $(VENV)/tested sites servers shells docsite/node_modules examples/eleventy/node_modules  ## All tests but the long ones; the branches of pure rooms must be covered
	pytest -n $(WORKERS) --dist worksteal -m "not soak" --cov --cov-report=
	coverage report --fail-under=100

check: $(VENV)/checked docs audit tests/node/node_modules  ## Style, types, the directions between the rooms, and the documentation
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	npm --prefix tests/node run --silent check

audit: $(VENV)/checked  ## Known vulnerabilities of all that the lock files name; a line says where they cannot be asked for
	@python .ci/audit.py

docs: $(VENV)/checked docsite/node_modules  ## The documentation as a site, in .cache/docs/site; every link is checked
	python -m docsite

screenshots: $(VENV)/tested servers  ## Pictures of the service's pages, for the documents (docs/images)
	python -m docsite.screenshots

# On the disk: its largest files have 2 GB, and `make test` has its files in memory.
soak: export TMPDIR ?= /tmp
soak: $(VENV)/tested sites servers generators  ## The long tests: kills, full disks, clocks, faults, real sites; SEED=123 ONLY=kill repeats a part
	@echo "Seed $(SEED). The same again: make soak SEED=$(SEED); a part of it: ONLY=words of its tests' names"
	NIMBUS_SOAK_SEED=$(SEED) pytest -n $(WORKERS) --dist worksteal -m soak -k "$(ONLY)" --timeout 3600 -rP
ifndef ONLY
	NIMBUS_TESTS_COLD=1 NIMBUS_KILL_EVERY=1 pytest -n $(WORKERS) --dist worksteal -m "not soak" tests/stories  # a new interpreter for each run
	pytest -n $(WORKERS) --dist worksteal -m "hypothesis and not soak" --hypothesis-profile explore --hypothesis-seed $(SEED) --timeout 3600
endif

ifndef SEED
SEED := $(shell $(PYTHON) -c 'import random; print(random.randrange(10**6))')
endif

bench: $(VENV)/tested .cache/user/installed sites servers peers  ## Measure, side by side with peers, in one run
	pip install --quiet --group bench
	python -m benchmarks $(ARGS)

load: $(VENV)/tested servers  ## Load test of the service: up to 2,000 pictures through the page and the client, with failures; takes hours
	pip install --quiet --group bench
	python -m benchmarks.load $(ARGS)

quality: $(VENV)/tested peers  ## Judge the extraction of real sites in a browser, beside other tools
	pip install --quiet --group quality
	python -m benchmarks.quality $(ARGS)

lock: $(VENV)/supply  ## Lock all Python packages at their newest versions, with hashes, for CI (.ci/requirements.txt)
	uv export --quiet --upgrade --no-default-groups $(addprefix --group ,test check docs generators supply) --no-emit-project --no-header --output-file $(LOCK)
	@rm -f uv.lock

sbom: $(VENV)/supply  ## The parts list of the wheel, as CycloneDX (.cache/sbom/nimbus-tasks.cdx.json)
	@python .ci/sbom.py .cache/sbom/nimbus-tasks.cdx.json

format: $(VENV)/checked tests/node/node_modules  ## Put the code in its usual form
	ruff format .
	ruff check --fix .
	npm --prefix tests/node run --silent format

clean:  ## Remove all that was made here
	rm -rf $(VENV) .cache .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis benchmarks/peers/node_modules docsite/node_modules examples/*/node_modules tests/node/node_modules tests/gulp/node_modules

# --- what the above need ---------------------------------------------------------------------------------

ifdef LOCKED  # in CI: exactly what the lock names, by hash
$(VENV)/installed: pyproject.toml $(LOCK)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/tested $(VENV)/checked $(VENV)/supply: $(VENV)/installed
	@touch $@
else
$(VENV)/installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group test --group docs --group generators
	@touch $@

$(VENV)/checked: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group check --group docs --group test
	@touch $@

$(VENV)/supply: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group supply
	@touch $@
endif

# What a user has, to be measured: the package and what it needs, and none of what tests and documents need.
.cache/user/installed: pyproject.toml
	@$(BIN)/python -m venv .cache/user
	.cache/user/bin/python -m pip install --quiet --editable .
	@touch $@

# $(call unpack,PACKAGES,WHAT,FOLDER): Debian's packages, unpacked beside the target and not installed. Without Debian's
# package tools or its mirrors, the tests on WHAT are skipped, and say so.
define unpack
	@mkdir -p $(@D)
	@test ! -e $@ || exit 0; \
	if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then \
	  echo "No apt-get and dpkg here: the tests on $(2) will be skipped"; exit 0; fi; \
	ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt-get update -qq; \
	cd $(@D) && for package in $(1); do \
	  apt-get -qq -o APT::Sandbox::User=root download $$package && dpkg -x $${package}_*.deb $(3) \
	    || { echo "$$package cannot be had: the tests on $(2) may be skipped"; exit 0; }; \
	  rm -f $${package}_*.deb; \
	done && touch .unpacked
endef

sites: $(SITES)/.unpacked

$(SITES)/.unpacked:
	$(call unpack,$(SITE_PACKAGES),real sites,$$package)

shells: $(SHELLS)/.unpacked

# For the tests of completion; bash is everywhere.
$(SHELLS)/.unpacked:
	$(call unpack,$(SHELL_PACKAGES),zsh and fish,.)

# Cloudflare's runtime for the tests of the gateway, wrangler for the REST API's fake; and the checks of JavaScript.
servers: tests/node/node_modules tests/gulp/node_modules $(POSTGRES)/.unpacked $(REDIS)/.unpacked browser

# A browser needs a hundred libraries, so it is installed and not unpacked.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { \
	  $(INSTALL_BROWSER) || { apt-get update -qq && $(INSTALL_BROWSER); }; }; } \
	  || echo "Chromium is not here and cannot be installed: the tests in a browser will be skipped"

# Started by the tests, as an unprivileged user.
$(POSTGRES)/.unpacked:
	@mkdir -p $(@D)
	@if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then touch $@; fi
	$(call unpack,$(POSTGRES_PACKAGES),PostgreSQL,.)

$(REDIS)/.unpacked:
	$(call unpack,$(REDIS_PACKAGES),Redis,.)

tests/node/node_modules: tests/node/package.json
	npm --prefix tests/node ci --no-audit --no-fund --loglevel=error
	@touch $@

# Gulp 4 and 5, and TypeScript's compiler: for the Gulp plugin.
tests/gulp/node_modules: tests/gulp/package.json
	npm --prefix tests/gulp ci --no-audit --no-fund --loglevel=error
	@touch $@

# What draws the documentation's diagrams.
docsite/node_modules: docsite/package.json
	npm --prefix docsite ci --no-audit --no-fund --loglevel=error
	@touch $@

# What builds examples/mkdocs and examples/sphinx comes from PyPI (group generators).
generators: examples/eleventy/node_modules examples/vitepress/node_modules

examples/%/node_modules: examples/%/package.json
	npm --prefix examples/$* ci --no-audit --no-fund --loglevel=error
	@touch $@

peers: benchmarks/peers/node_modules

benchmarks/peers/node_modules: benchmarks/peers/package.json
	npm --prefix benchmarks/peers ci --no-audit --no-fund --loglevel=error
	@touch $@
