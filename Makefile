# `make run` starts the whole service on this machine, `make test` runs all tests. Needs only make, git and any Python 3.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PORT ?= 4566
STRIPE_PORT ?= 12111
STACK ?= stack
# A third of the tests' time is waiting for other programs, so three workers keep two cores busy.
PYTEST_WORKERS ?= 3
PYTEST_ARGS ?=
ENV ?= staging
ARCHITECTURE ?= arm64
DEPLOY_ARGS ?=
ONLY ?=
AREA ?=
SAMPLE ?= 0
N ?= 1000000
SEED ?= 1
FUNCTION ?= ConsumeFunction
EVENT ?= events/consume.json
SECONDS ?= 60
TARGETS ?=
OPERATIONS ?= 100000
DATABASE ?= dynamodb-local
QUICK ?=
WRITE ?=
PROCESSES ?= 4
THREADS ?= 64

# Without a working uv on the PATH, install one into .local: a version manager's shim may be on the PATH and fail.
# A virtual environment works on every system.
UV_VERSION := 0.13.9
OWN_UV := .local/uv/bin/uv
UV := $(or $(shell uv --version >/dev/null 2>&1 && echo uv),$(OWN_UV))
NEEDS_UV := $(filter $(OWN_UV),$(UV))
RUN := $(UV) run --locked
export PATH := $(if $(NEEDS_UV),$(CURDIR)/.local/uv/bin:)$(PATH)
export PYTHONPATH := layers/prepaid:.
# Containers often forbid Python to keep bytecode. Without it, each of the hundreds of processes of a run compiles all it
# imports. The bytecode of a module that has changed is not used.
export PYTHONDONTWRITEBYTECODE :=

REQUIREMENTS := layers/prepaid/requirements.txt
EXPORT := $(UV) export --quiet --locked --no-dev --no-emit-project --no-annotate --no-header --format requirements-txt
# Tests that start no other program.
UNIT = tests/unit tests/property tests/oracle tests/functions
# Fast suites first, so that failures show early. The workers begin with what is marked as a group: the stack, the bank
# and the histories.
TESTS = $(wildcard tests/unit fake_stripe/tests tests/property tests/oracle tests/infra tests/crowds tests/store tests/functions tests/client tests/planted_bugs tests/security tests/bank tests/bench tests/simulation tests/stack)
TYPED = $(wildcard layers/prepaid/prepaid layers/prepaid/trim_botocore.py functions clients/python/prepaid_client clients/python/prepaid_command clients/python/examples fake_stripe local deployment tests bench)

.PHONY: help run page screenshots invoke test unit proof simulate bank fault-matrix model planted-bugs fuzz audit verify bench costs check lint types contracts template fresh generate secrets format lock ready build deploy release check-deployed clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(NEEDS_UV) ## Start everything on this machine (PORT=4566 STRIPE_PORT=12111 STACK=stack)
	@exec $(RUN) --quiet python -m local --while-alive $$PPID --port $(PORT) --stripe-port $(STRIPE_PORT) --stack $(STACK)

page: $(NEEDS_UV) ## Print a new link to the demo account's subscription page, beside `make run` (STACK=stack)
	@$(RUN) --quiet python -m local.page --stack $(STACK)

screenshots: $(NEEDS_UV) ## Renew the pictures in docs/pictures from a fresh local stack; needs Chromium
	$(RUN) python -m tests.screenshots

invoke: $(NEEDS_UV) ## Run one function in Docker beside `make run` (FUNCTION=ConsumeFunction EVENT=events/consume.json)
	@$(RUN) --quiet python -m local.in_docker invoke $(FUNCTION) --event $(EVENT)

test: $(NEEDS_UV) ## Run all tests, fast ones first, the deployed local stack last
	@echo 'All tests take about 17 minutes on two cores. A line shows when a suite begins and ends. "make unit" takes 85 seconds.'
	$(RUN) pytest -n $(PYTEST_WORKERS) --dist loadgroup -p tests.support.suites $(PYTEST_ARGS) $(TESTS)

unit: $(NEEDS_UV) ## Run the tests that start no program: unit tests, properties, handlers on moto; about 85 seconds
# Each worker begins with half of the tests, in their order, so that most files' fixtures are made once; one that has
# finished takes tests from the other.
	$(RUN) pytest -n auto --dist worksteal $(PYTEST_ARGS) $(UNIT)

fault-matrix: $(NEEDS_UV) ## Test every route and schedule with every fault at every call, and some with every pair of faults; prints counts
	$(RUN) python -m tests.simulation.matrix

model: $(NEEDS_UV) ## Compare the tests' in-memory database with DynamoDB Local and MiniStack (OPERATIONS=100000)
	MODEL_OPERATIONS=$(OPERATIONS) $(RUN) pytest -q tests/simulation/test_database.py

bank: $(NEEDS_UV) ## Test many concurrent processes that are killed midway (OPERATIONS=100000 SEED=1 DATABASE=dynamodb-local|ministack)
	$(RUN) python -m tests.bank --operations $(OPERATIONS) --database $(DATABASE) --processes $(PROCESSES) --threads $(THREADS) --seed $(SEED)

planted-bugs: $(NEEDS_UV) ## Plant small bugs, one at a time, and check that a test finds each (AREA=store ONLY=text SAMPLE=10 SEED=1)
	$(RUN) python -m tests.planted_bugs --workers $(PYTEST_WORKERS) --area "$(AREA)" --only "$(ONLY)" --sample $(SAMPLE) --seed $(SEED)

fuzz: $(NEEDS_UV) ## Fuzz each target with malformed input for SECONDS=60 (TARGETS="webhook delivery cursor body csv contract")
	$(RUN) python -m tests.fuzzing --seconds $(SECONDS) $(TARGETS)

audit: $(NEEDS_UV) ## Check all pinned dependencies for known vulnerabilities (needs the internet)
	$(RUN) python -m local.audit

proof: $(NEEDS_UV) ## Run in full what .ci/run samples, but for fault-matrix: a million simulated steps, every corruption, more examples and lost responses (SEED=1); half an hour
	$(RUN) python -m tests.simulation --operations 1000000 --seed $(SEED)
	CORRUPTIONS_ONE_IN=1 $(RUN) pytest -n $(PYTEST_WORKERS) $(PYTEST_ARGS) tests/store/test_verifier.py tests/store/test_recent_pass.py
	HYPOTHESIS_PROFILE=proof $(RUN) pytest -n $(PYTEST_WORKERS) $(PYTEST_ARGS) --hypothesis-seed=$(SEED) tests/property tests/security/test_targets.py
	CROWDS_DEEPER=1 $(RUN) pytest -n $(PYTEST_WORKERS) $(PYTEST_ARGS) tests/crowds/test_crowds.py

simulate: $(NEEDS_UV) ## Simulate the whole system on every core, until a run fails (N=1000000 SEED=1)
	@$(RUN) python -m tests.simulation --operations $(N) --seed $(SEED)

verify: $(NEEDS_UV) ## Check every row of a table against the rules (STACK=stack or TABLE=name, RESUME=1, RESTORED=1)
	@$(RUN) --quiet python -m local.verify $(if $(TABLE),--table $(TABLE),--stack $(STACK)) $(if $(RESUME),--resume) $(if $(RESTORED),--restored)

bench: $(NEEDS_UV) ## Compare Prepaid with six alternatives; ten minutes (QUICK=1: one; WRITE=1 renews docs/performance.md)
	@$(RUN) --quiet python -m bench.race $(if $(QUICK),--quick) $(if $(WRITE),--write)

costs: $(NEEDS_UV) ## Print what a stack costs, as in docs/costs.md
	@$(RUN) --quiet python -m bench.costs

check: lint types contracts template fresh secrets ## Check format, lint, types, import contracts, template, generated files and secrets

lint: $(NEEDS_UV)
	$(RUN) ruff format --check .
	$(RUN) ruff check .

types: $(NEEDS_UV)
	$(RUN) mypy $(TYPED)

contracts: $(NEEDS_UV)
	$(RUN) lint-imports

template: $(NEEDS_UV)
# `sam validate --lint` runs the same cfn-lint. tests/infra finds the errors that only SAM's transform reports.
	$(RUN) cfn-lint template.yaml deployment/github-role.yaml
	$(RUN) python -m local.checkov

fresh: $(NEEDS_UV)
	$(UV) lock --check
	@$(EXPORT) | diff - $(REQUIREMENTS) || { echo "$(REQUIREMENTS) is stale: run 'make lock'"; exit 1; }
	$(RUN) python -m prepaid.api.openapi --check
	$(RUN) python -m prepaid.api.event_schema --check
	$(RUN) python -m bench.costs --check

generate: $(NEEDS_UV) ## Regenerate openapi.json, docs/events.schema.json and the tables of docs/costs.md
	$(RUN) python -m prepaid.api.openapi
	$(RUN) python -m prepaid.api.event_schema
	$(RUN) python -m bench.costs --write

secrets: $(NEEDS_UV)
	$(RUN) python -m local.secret_scan

format: $(NEEDS_UV) ## Format the Python files
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

lock: $(NEEDS_UV) ## Update uv.lock, the layer's requirements and the tools' requirements
	$(UV) lock
	$(EXPORT) > $(REQUIREMENTS)
	$(foreach list,$(wildcard local/requirements/*.in),$(UV) pip compile --quiet --universal --python-version 3.13 \
		--generate-hashes --no-header --no-annotate $(list) --output-file $(list:.in=.txt);)

# A build takes a minute, so report first what would stop the deployment.
ready: $(NEEDS_UV)
	@$(RUN) --quiet python -m deployment.ready --environment $(ENV)

build: $(NEEDS_UV) ## Build the layer and the functions for AWS (ARCHITECTURE=arm64|x86_64)
	$(RUN) python -m deployment.build --architecture $(ARCHITECTURE)

deploy: ready build ## Build, and deploy to your AWS account with the settings of samconfig.toml (ENV=staging|prod)
	$(RUN) python -m deployment.deploy --environment $(ENV) $(DEPLOY_ARGS)

release: $(NEEDS_UV) ## Deploy what `make build` built (ENV=staging|prod)
	$(RUN) python -m deployment.deploy --environment $(ENV) $(DEPLOY_ARGS)

check-deployed: $(NEEDS_UV) ## List in words what a deployed stack lacks (ENV=staging|prod, or STACK=stack beside `make run`)
	@$(RUN) --quiet python -m deployment.check $(if $(filter command line environment,$(origin ENV)),--environment $(ENV),--local $(STACK))

clean: ## Delete everything that was built or downloaded in this folder
	rm -rf .aws-sam .local .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(OWN_UV):
	@echo "Installing uv $(UV_VERSION) into .local/uv"
	@"$$(command -v python3 || command -v python)" -m venv .local/uv \
		|| { echo "Python can't make virtual environments here (Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	@.local/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
		|| { echo "uv could not be installed: is PyPI reachable from here?"; exit 1; }
