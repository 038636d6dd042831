# `make` alone lists the targets. Variables: PYTHON (interpreter for set-up); for `demo`: DATA, FROM, TO, ORDERS, SEED.
# It uses no Java, Docker or PostgreSQL of the machine, and needs no root.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
# Three processes share Kafka and PostgreSQL: tests wait so much that two leave a sixth of two cores idle. A test file stays
# in one of them, the longest start first (tests/durations.csv).
LANES := -n 3 --dist loadfile --no-loadscope-reorder
.PHONY: help setup demo test test-all branches simulate faults soak bench bench-short surge scaling routing fold recovery year check format pins clean

# Tools of the environment come first, and settings of the caller's Python do not reach it.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONPATH PYTHONHOME
# If an interpreter crashes, it prints where every thread was.
export PYTHONFAULTHANDLER := 1

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv/ (at once when it is up to date)
	@PYTHON="$(PYTHON)" sh scripts/setup

demo: setup ## start services, run orders through them, show a story and the KPIs (DATA=file FROM=date TO=date, or ORDERS=n SEED=s)
	@exec .venv/bin/order-ledger demo $(if $(DATA),--data "$(DATA)") $(if $(FROM),--from "$(FROM)") \
		$(if $(TO),--to "$(TO)") $(if $(ORDERS),--orders "$(ORDERS)") $(if $(SEED),--seed "$(SEED)")

test: setup ## run the tests, on a real Kafka and a real PostgreSQL (minutes; ARGS="-k name" for pytest)
	@.venv/bin/python -m runtime.embedded.jars
	@exec .venv/bin/python -m pytest $(LANES) $(ARGS)

test-all: setup ## every test, the simulation with RUNS=10000 seeds, every fault with SEEDS=20, the demo twice, bench-short (hours)
	@.venv/bin/python -m runtime.embedded.jars
	@.venv/bin/python -m pytest $(LANES) -m "not branches" --ignore=tests/faults $(ARGS)
	@.venv/bin/python -m tests.simulation --seed 1 --runs $(or $(RUNS),10000)
	@$(MAKE) demo ORDERS=2000 SEED=1
	@$(MAKE) demo ORDERS=2000 SEED=2
	@$(MAKE) faults SEEDS=$(or $(SEEDS),20)
	@$(MAKE) bench-short

branches: setup ## test set-up and services as root and as a user, in unusual folders, without IPv4, … (half an hour; best as root)
	@.venv/bin/python -m runtime.embedded.jars
	@exec .venv/bin/python -m pytest -m branches -o faulthandler_timeout=0 $(ARGS)

simulate: setup ## run the whole system in memory, with faults, seed after seed, until a rule is broken (SEED=1 RUNS=1000)
	@exec .venv/bin/python -m tests.simulation $(if $(SEED),--seed "$(SEED)") $(if $(RUNS),--runs "$(RUNS)") $(ARGS)

faults: setup ## every fault on three Kafka nodes, SEEDS=20 each from SEED=1 (hours; ARGS="-k zombie"; REPORT=file)
	@.venv/bin/python -m runtime.embedded.jars
	@ORDER_LEDGER_TEST_NODES=3 ORDER_LEDGER_TEST_SEEDS=$(or $(SEEDS),20) ORDER_LEDGER_TEST_SEED=$(or $(SEED),1) \
		ORDER_LEDGER_TEST_REPORT="$(REPORT)" .venv/bin/python -m pytest tests/faults -m "not branches" --timeout=7200 -s $(ARGS)

soak: setup ## load and random faults for MINUTES=30, checked every few minutes (SEED=1 REPORT=file.md)
	@.venv/bin/python -m tests.faults.soak --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1) \
		$(if $(REPORT),--report "$(REPORT)") $(ARGS)

bench: setup ## what an order costs, beside Kafka Streams and Faust, in one run (quarter of an hour; ARGS="--subjects ours")
	@.venv/bin/python -m runtime.embedded.jars
	@exec .venv/bin/python -m benchmarks.run $(ARGS)

bench-short: setup ## what an order costs, compared with the last landed figure (4 minutes; ARGS=--land keeps the new one)
	@.venv/bin/python -m runtime.embedded.jars
	@exec .venv/bin/python -m benchmarks.short $(ARGS)

surge: setup ## ten times the load for minutes, and more workers meanwhile (REPORT=file.md; ARGS="--short" takes a minute)
	@.venv/bin/python -m runtime.embedded.jars
	@exec .venv/bin/python -m benchmarks.surge $(if $(REPORT),--report "$(REPORT)") $(ARGS)

scaling: setup ## write the tables of docs/scaling.md again from benchmarks/results/
	@.venv/bin/python -m benchmarks.scaling

routing: setup ## orders routed per second, compared with HiGHS and a greedy algorithm (ARGS="--orders 5000")
	@.venv/bin/python -m benchmarks.routing $(ARGS)

fold: setup ## CPU time of a fact from the log's bytes to the tables, by stage (ARGS="--shipped 0.5 --batches 1000,8")
	@.venv/bin/python -m benchmarks.fold $(ARGS)

recovery: setup ## how long a killed worker with a backlog takes to recover (ROUNDS=3)
	@.venv/bin/python -m benchmarks.recovery --rounds $(or $(ROUNDS),3) $(ARGS)

year: setup ## the whole year of UCI Online Retail II through the ledger, against an oracle (minutes; DATA=file)
	@ORDER_LEDGER_TEST_WHOLE_YEAR=1 $(if $(DATA),ORDER_LEDGER_TEST_DATA="$(DATA)") \
		.venv/bin/python -m pytest tests/journeys/test_real_orders.py -s

check: setup ## format, lint, types, layers: changes nothing
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: setup ## format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

pins: setup ## write constraints.txt again after a change of dependencies (ARGS=--upgrade takes the newest versions)
	.venv/bin/python scripts/pin_python.py $(ARGS)

clean: ## stop the embedded services; remove .venv/ and caches (data stays: `order-ledger status` shows where)
	@if [ -x .venv/bin/order-ledger ]; then .venv/bin/order-ledger down || true; fi
	rm -rf .venv .venv.lock .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
