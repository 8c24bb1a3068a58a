# Needs make and Python 3.11. Everything else is installed into .venv from the lock files.
SHELL := /bin/bash
.DEFAULT_GOAL := run
.PHONY: help run rotate dev demo example-chat screens quick test test-postgresql clients hosts vendors mutations calendars conformance bench bench-growth bench-paper \
	bench-bulkhead bench-alerts bench-order bench-resting bench-fast-path bench-console bench-profit races chaos plan-kills soak load docs lint lock clean

BIN := .venv/bin
PYTHON := $(BIN)/python
# The checks load the settings, which want a home: never the one with somebody's data in it.
CHECK_HOME := $(CURDIR)/.cache/home

DEMO_HOME := $(CURDIR)/.cache/demo

help: ## this list
	@echo "make TARGET. Without a target: make run."
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r target words; do \
		printf '  %-15s %s\n' "$$target" "$$words"; done

run: .venv/.runs $(BIN)/tradelatch ## an instance on this computer; the first thing to try
	@exec $(PYTHON) manage.py run

rotate: .venv/.runs $(BIN)/tradelatch ## a new password and new keys, when the first ones are lost
	@exec $(PYTHON) manage.py quickstart --rotate

# Web, worker and scheduler start again when Python changes; templates and static files are read again for each page.
dev: .venv/.runs $(BIN)/tradelatch ## while changing code: an instance that reloads
	@TRADELATCH_DEVELOPMENT=1 exec $(PYTHON) manage.py dev

# On a home and a port of its own, made anew each time: DEMO_HOME, PORT.
demo: .venv/.tests ## to look at pages: orders in every status, a month of journal, errors
	@PORT=$${PORT:-8010} TRADELATCH_HOME="$(DEMO_HOME)" exec $(PYTHON) -m tests.demo

# Its own README says what it needs: deploy/examples/chat.
example-chat: .venv/.runs ## a chat page on the platform API; to start a product from
	@cd deploy/examples/chat && exec "$(CURDIR)/$(PYTHON)" -m chat

# Into a folder that git does not see: SCREENS. With ARGS="--only /orders/" pictures of those pages alone.
SCREENS := $(CURDIR)/.cache/screens
screens: export TRADELATCH_HOME := $(CHECK_HOME)
screens: .venv/.tests ## pictures of every page at four widths, light and dark; after changing a page
	@tests/tools/chromium.sh
	@$(PYTHON) -m tests.screens "$(SCREENS)" $(ARGS)

# Without compiled Python, which some computers are told not to keep, each of the processes of a run compiles it anew.
quick test: export PYTHONDONTWRITEBYTECODE :=

quick: lint ## every few minutes: lint, and the tests without browsers and servers
	$(PYTHON) -m pytest -n 2 --dist loadscope -m "not server" tests/brokers tests/console tests/mcpserver

# Four at a time on two cores, because tests wait for half of their time; files marked as long first, see
# pyproject.toml, so that none of them comes last.
ifdef T
test: .venv/.tests
	@case "$(T)" in tests/browser*) tests/tools/chromium.sh;; esac
	$(PYTHON) -m pytest $(T)
else
test: lint ## before handing over a change: everything; with T=PATH one file, folder or test
	@tests/tools/chromium.sh
	$(PYTHON) -m pytest -n 4 --dist loadscope --no-loadscope-reorder --ignore tests/hosts --cache-clear || { \
		[ $$? = 1 ] && $(PYTHON) -m tests.again; }
endif

# One PostgreSQL and one Redis for the run, a database of its own for each process; what a test starts as a server of
# its own keeps the database that its file asks for. With T=PATH one file, folder or test.
test-postgresql: export PYTHONDONTWRITEBYTECODE :=
test-postgresql: .venv/.tests ## the tests on PostgreSQL and Redis; after touching models, queries or locks
	T_DATABASE=postgresql $(PYTHON) -m pytest -n 4 --dist loadscope --no-loadscope-reorder \
		$(or $(T),tests/brokers/paper tests/console tests/mcpserver tests/end_to_end)

docs: .venv/.tests ## after changing a tool, code, status, broker, limit, setting or act: writes docs/reference
	@mkdir -p .cache
	@TRADELATCH_HOME="$(CHECK_HOME)" $(PYTHON) -m tests.reference

# Real MCP hosts against a running instance. Apart from test: npm brings 1 GB, and pip 135 MB for fastmcp.
clients: .venv/.tests ## real MCP hosts; before a release, and after touching /mcp, OAuth or a guide
	@tests/tools/hosts.sh
	$(PYTHON) -m pytest $(filter-out $(wildcard tests/hosts/conformance_*.py),$(wildcard tests/hosts/[a-z]*_*.py))

# The brokers' own client libraries against the fakes that the tests of our adapters run on, apart from test: 450 MB.
# Writes docs/build/vendors.md. With CLIENT="alpaca okx" those alone.
vendors: .venv/.tests ## the brokers' own clients against our fakes; after changing an adapter or fake
	@tests/tools/vendors.sh
	@mkdir -p .cache
	@CLIENT="$(CLIENT)" TRADELATCH_HOME="$(CHECK_HOME)" $(PYTHON) -m tests.vendors

# Every field of every order that an adapter sends, spoiled one at a time; some minutes a broker. With BROKER=okx that
# one alone.
mutations: .venv/.tests ## whether the tests notice each field of an order; after adding a field or a kind of order
	@BROKER="$(BROKER)" $(PYTHON) -m tests.mutations

# Real hosts with a scripted model on loopback, by the tab Unattended of their guides: says first what it gets from npm
# and pip. Some five minutes on idle cores; writes docs/build/hosts.md. With RECORD=1 what the hosts send, too, for the
# tests that replay it.
hosts: .venv/.tests ## hosts with a scripted model; after touching /mcp, a tool's answer or a guide
	@tests/tools/scripted.sh
	RECORD=$(RECORD) $(PYTHON) -m pytest tests/hosts/scripted/hosts_*.py

# The conformance suite of the Model Context Protocol, for servers and authorization servers, the same way.
conformance: .venv/.tests ## the protocol's own suite; when clients is run
	@tests/tools/hosts.sh
	$(PYTHON) -m pytest tests/hosts/conformance_authorization.py tests/hosts/conformance_server.py

# What a guarded call costs, against the SDK's own server without a guard; some four minutes on two idle cores. With
# AGAINST=REV beside that revision, too.
bench: .venv/.tests ## cost of a guarded call; after touching the path of every request
	@tests/tools/wrk.sh
	@$(PYTHON) -m tests.bench $(if $(AGAINST),--against $(AGAINST)) $(if $(ONLY),--only $(ONLY))

# Memory, idle CPU and the time to the first page of the default instance; with AGAINST=REV beside that revision.
bench-home: .venv/.tests ## what make run takes; after touching the start, the worker or the schedule
	@$(PYTHON) -m tests.bench.home $(if $(AGAINST),--against $(AGAINST))

# The same call with 10,000 connected apps, and with 1,000,000 rows in the journal.
bench-growth: .venv/.tests ## the same with much data; after touching queries of that path
	@tests/tools/wrk.sh
	@$(PYTHON) -m tests.bench --growth

# What an order costs from the quote to its confirmation: statements, CPU and time, on both databases. With AGAINST=REV
# beside that revision, each in turn; some four minutes.
bench-order: .venv/.tests ## an order, from quote to confirmation; after touching orders, checks or paper
	@$(PYTHON) -m tests.bench.order $(if $(AGAINST),--against $(AGAINST))

# What orders cost that rest: get_orders, a sweep, a quiet minute. With AGAINST=REV beside that revision. Five minutes.
bench-resting: .venv/.tests ## orders that rest; after touching the sweep, lists of open orders or paper's matching
	@$(PYTHON) -m tests.bench.resting $(if $(AGAINST),--against $(AGAINST))

# One pass over 1,000 and over 10,000 alerts on 1,000 symbols: CPU, and how often a broker is asked. A minute.
bench-alerts: .venv/.tests ## a pass over alerts; after touching what they watch or how they fire
	@$(PYTHON) -m tests.bench.alerts

# What each piece of the fast path of /mcp gains: reads with it and without it. About two minutes.
bench-fast-path: .venv/.tests ## what each piece of the fast path gains; before changing one
	@tests/tools/wrk.sh
	@$(PYTHON) -m tests.bench.fast_path

# Every page of the console on PostgreSQL with 10,000 calls and with 10,000,000, 1,000,000 orders and changes: half an
# hour and 15 GB. With CONSOLE="--calls 200000 --orders 60000" five minutes.
bench-console: .venv/.tests ## pages with few rows and with very many; after touching their queries
	@$(PYTHON) -m tests.bench.console $(CONSOLE)

# Tools, lists, pages and exports of an account with 10,000 fills and with 1,000,000, on both databases: an hour and
# 8 GB. With PROFIT="--fills 100000 --database sqlite" five minutes.
bench-profit: .venv/.tests ## profit, journal and exports of few fills and of very many; after touching their queries
	@$(PYTHON) -m tests.bench.profit $(PROFIT)

# 50 rounds of parallel redemptions and refreshes on each database; test runs two.
races: .venv/.tests ## parallel redemptions and limits; after touching locks or transactions
	$(PYTHON) -m tests.races --on sqlite --rounds 50
	$(PYTHON) -m tests.races --on postgresql --rounds 50
	$(PYTHON) -m tests.limit_race --on sqlite
	$(PYTHON) -m tests.limit_race --on postgresql
	$(PYTHON) -m tests.limit_race --on sqlite --by rule
	$(PYTHON) -m tests.limit_race --on postgresql --by rule

# Ticks a second through the paper exchange, by orders resting and by orders touched. About two minutes.
bench-paper: .venv/.tests ## speed of the paper exchange; after touching it
	$(PYTHON) -m tests.bench.paper

# How much a broker that takes 10 s per call slows another one. About a minute.
bench-bulkhead: .venv/.tests ## how a slow broker slows others; after touching threads or slots
	$(PYTHON) -m tests.bench.bulkhead

# 1,000 trials of faults at a broker and kills of the desk, then 20,000 random steps, then calls at once from four
# processes; test runs a few. With CHAOS="--seed 7" the same trials and steps again.
chaos: .venv/.tests ## faults and kills; after touching sending, looking up or an adapter
	$(PYTHON) -m tests.chaos $(CHAOS)
	$(PYTHON) -m tests.chaos.at_once --on sqlite --rounds 3
	$(PYTHON) -m tests.chaos.at_once --on postgresql --rounds 3

# 500 plans of every kind, carried on by processes that are killed wherever they write something; test runs a few.
# With ARGS="--seed 7" the same plans again.
plan-kills: .venv/.tests ## kills of plans; after touching console/plans
	$(PYTHON) -m tests.plan_kills $(ARGS)

# The default instance for 30 minutes with every core busy and bursts of messages; test runs ten seconds of it.
soak: .venv/.tests ## the default instance under noise for 30 minutes; before a release
	$(PYTHON) -m tests.soak --minutes 30

# Four of each process of deploy/ on PostgreSQL and Redis, 200 apps, kills and restarts: ten minutes and more. The last
# lines count what was lost. With LOAD="--minutes 2 --each 2" less.
load: .venv/.tests ## several processes under load, kills and restarts; before a release
	$(PYTHON) -m tests.load $(LOAD)

lint: export TRADELATCH_HOME := $(CHECK_HOME)
lint: .venv/.tests ## before each commit; seconds
	@mkdir -p .cache
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-logo > .cache/lint-imports || { cat .cache/lint-imports; exit 1; }
	$(PYTHON) manage.py makemigrations --check --dry-run
	$(BIN)/mypy .

# The newest versions that pyproject.toml allows, each with its hashes, for every platform: make lock UPGRADE=1
calendars: .venv/.tests ## each autumn, when exchanges publish their holidays: from two packages, compared
	@echo "Gets two packages of exchange calendars with pip, into .cache/calendars"
	$(PYTHON) -m venv .cache/calendars
	.cache/calendars/bin/pip install --quiet --require-hashes -r tests/calendars/requirements.lock
	.cache/calendars/bin/python -m tests.calendars

lock: UV = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)
lock: .venv/.tests ## after changing dependencies; UPGRADE=1 for newer versions
	$(UV) --group build --output-file requirements.lock
	$(UV) --group build --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(subst pyproject.toml,tests/calendars/requirements.in,$(UV)) --output-file tests/calendars/requirements.lock

clean: ## removes what make has made, not var/
	rm -rf .venv build tradelatch.egg-info .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .test-tools
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +

$(PYTHON):
	@found=; for python in python3.11 python3; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
			found=$$python; break; \
		fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Tradelatch needs Python 3.11 or newer: install it so that python3.11 or python3 starts it." >&2; \
		exit 1; \
	fi; \
	if ! "$$found" -m venv .venv; then \
		rm -rf .venv; \
		echo "$$found cannot make a virtual environment: on Debian and Ubuntu, install python3-venv." >&2; \
		exit 1; \
	fi

PIP := $(PYTHON) -m pip --disable-pip-version-check install --quiet
INSTALL := $(PIP) --require-hashes

.venv/.runs: requirements.lock | $(PYTHON)
	@echo "Installing what Tradelatch needs into .venv ..."
	$(INSTALL) -r requirements.lock
	touch $@

# The command, for this checkout: built by the setuptools of the lock, without asking any index.
$(BIN)/tradelatch: pyproject.toml | .venv/.runs
	$(PIP) --quiet --no-index --no-deps --no-build-isolation --editable .
	touch $@

# The second lock contains the first.
.venv/.tests: requirements.lock requirements-dev.lock | $(PYTHON)
	@echo "Installing what the tests need into .venv ..."
	$(INSTALL) -r requirements-dev.lock
	touch .venv/.runs $@
