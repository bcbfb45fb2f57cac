# make run: everything on embedded defaults.  make test: every test.  make check: the fast part, before each push.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
SOURCES := registrar config tests deploy/built_page.py

PAGE := config/board/built/page.js config/phone/built/page.js
BROWSER := $(VENV)/node/browser/node_modules/.package-lock.json
CLIENT := $(VENV)/client/done

# Some shells forbid Python to keep what it has compiled. The tests start some hundred processes: each would compile all.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test real check peers fmt lint unit wire soak busy fuzz bench page browser client lock clean python

run: $(VENV)/run.done $(PAGE)
	$(BIN)/registrar serve --demo

# First what waits for nothing, then what starts servers and phones: not beside each other. The second part waits for
# timers of SIP and for programs that start: hence four processes on two cores. Six were slower, and tests that measure failed.
test: unit
	$(MAKE) real

# A busy machine may make a test of real servers fail that is right. It gets one more try, and the summary names it.
real: $(VENV)/dev.done $(PAGE) $(BROWSER) $(CLIENT) peers
	$(BIN)/python -m pytest -n 4 --dist loadgroup --no-loadscope-reorder -m "wire or api" --reruns 1 -r fER

peers:
	bash deploy/peers.sh test

# The linters beside the tests: each has a core.
check: $(VENV)/dev.done $(PAGE)
	$(MAKE) --jobs=2 --output-sync=target lint unit

lint: $(VENV)/dev.done
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/mypy --strict -p registrar -p config -p tests
	$(BIN)/lint-imports --no-cache | tail -n 8
	$(BIN)/codespell registrar config tests docs deploy README.md Makefile

unit: $(VENV)/dev.done $(PAGE)
	$(BIN)/python -m pytest -q -p no:schemathesis -m "not wire and not api" -n 3 --dist worksteal --ignore=tests/wire --reruns 1 -r fER

wire: $(VENV)/dev.done $(PAGE) $(BROWSER) $(CLIENT) peers
	$(BIN)/python -m pytest -q -m wire

# The tests that wait for time, ten times in a row beside four busy loops.
busy: $(VENV)/dev.done $(PAGE) $(BROWSER) peers
	$(BIN)/python -m tests.busy --loops 4 --times 10 -- -m timed -n 2 --dist loadgroup --no-loadscope-reorder

# The large rounds that make test runs in small.
soak: $(VENV)/dev.done $(PAGE) $(BROWSER) $(CLIENT) peers
	SOAK=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder tests/wire \
		tests/contract/test_states.py tests/config/provisioning/test_round_trip.py \
		tests/config/test_provisioning_checks.py
	SOAK=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "hypothesis and not wire and not api" \
		--ignore=tests/config/provisioning/test_round_trip.py tests/config tests/contract tests/fuzz tests/registrar

# The pages at / and /phone, and what drives the browser of their tests. They come from npm, once; where they cannot be
# made that is told in one line, and everything else works.
page: $(PAGE)

browser: $(BROWSER)

$(PAGE): config/%/built/page.js: config/%/package-lock.json deploy/page.sh $(wildcard config/*/page/*.js) | $(BIN)/python
	@bash deploy/page.sh page $*

$(BROWSER): tests/peers/chromium/package-lock.json | $(BIN)/python
	@bash deploy/page.sh browser

# What generates a client from /openapi.json: it wants an older typer than ours, hence an environment of its own.
client: $(CLIENT)

$(CLIENT): requirements-client.lock | $(BIN)/python
	$(PYTHON) -m venv $(VENV)/client
	$(VENV)/client/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r requirements-client.lock
	touch $@

# 200,000 runs of each target; `.venv/bin/python -m tests.fuzz TARGET --runs N` runs one for longer.
fuzz: $(VENV)/dev.done
	SOAK=1 $(BIN)/python -m pytest -q tests/wire/test_fuzz.py

bench: $(VENV)/dev.done
	bash deploy/peers.sh bench
	$(BIN)/python -m tests.bench $(BENCH)

fmt: $(VENV)/dev.done
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# For maintainers: needs uv. The lock files hold versions and hashes, no addresses.
lock:
	uv lock --upgrade
	uv export --frozen --no-emit-project --all-extras --no-default-groups --group build --format requirements-txt -o requirements.lock
	uv export --frozen --no-emit-project --all-extras --all-groups --no-group node --no-group client --format requirements-txt -o requirements-dev.lock
	uv export --frozen --no-emit-project --only-group node --format requirements-txt -o requirements-node.lock
	uv export --frozen --no-emit-project --only-group client --format requirements-txt -o requirements-client.lock
	! grep -nE 'https?://|file:|--(extra-)?index-url|--find-links' requirements.lock requirements-dev.lock requirements-node.lock requirements-client.lock

clean:
	rm -rf $(VENV) config/board/built config/phone/built .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; }

$(BIN)/python: | python
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.done: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev.done: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@ $(VENV)/run.done
