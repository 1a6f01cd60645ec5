# Short names for the project's commands; `make` alone lists them.
SHELL := bash
export ANSIBLE_HOME ?= $(CURDIR)/.cache/ansible
export DEMO_SUITE ?= trixie
# Ansible takes twice as long to start where its modules are compiled each time.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-fast lint unit bench bench-converge bench-deploys bench-workers bench-servers bench-reloads bench-serving bench-settings golden update clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## bring the tools that the other commands need
	@tools/setup

demo: setup ## boot a Debian host, provision it with four apps, and ask each of them
	@tools/hosts.py up demo --suite $(DEMO_SUITE)
	@$(BIN)/ansible-playbook site.yml -i inventories/demo
	@$(BIN)/python tools/demo.py

test: setup ## lint, unit tests and every Molecule scenario
	@$(BIN)/python tools/test.py

test-all: setup ## everything on both Debians and the next one, with every controller, in hours; PARTS="door acme" runs these alone
	@tools/setup machines
	@$(BIN)/python tools/test.py --all $(PARTS)

test-fast: setup ## lint and unit tests
	@$(BIN)/python tools/test.py lint unit

lint: setup ## ansible-lint, yamllint, ruff, mypy and the ecosystem's own checks
	@$(BIN)/python tools/test.py lint

unit: setup ## unit tests
	@$(BIN)/python tools/test.py unit

bench: bench-converge bench-serving bench-settings bench-deploys bench-workers bench-servers bench-reloads ## measure everything, in some hours

bench-converge: setup ## measure converges and redeploys against pyinfra, a script and a playbook, and fill docs/bench.md
	@tools/setup bench
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=bench:bench/converge:tools:molecule/shared/tests $(BIN)/python bench/converge/converge_measure.py .cache/converge.json --rounds $(or $(ROUNDS),5) $(if $(PARTS),--parts $(PARTS))
	@PYTHONPATH=bench .cache/bench/bin/python bench/converge/converge_picture.py .cache/converge.json docs

bench-deploys: setup ## measure a deploy against a HUP and a restart, and draw docs/images/deploys
	@tools/setup bench
	@tools/hosts.py up bench --suite trixie
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=molecule/shared/tests $(BIN)/python bench/deploys/measure.py .cache/deploys.json
	@PYTHONPATH=bench .cache/bench/bin/python bench/deploys/picture.py .cache/deploys.json docs
	@tools/hosts.py down bench

bench-workers: setup ## measure each number of workers, and draw docs/images/workers
	@tools/setup bench
	@tools/hosts.py up bench --suite trixie
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=bench:tools:molecule/shared/tests $(BIN)/python bench/workers/workers_measure.py .cache/workers.json
	@PYTHONPATH=bench .cache/bench/bin/python bench/workers/workers_picture.py .cache/workers.json docs
	@tools/hosts.py down bench

bench-servers: setup ## measure the same app by each server, and write docs/servers.md
	@tools/hosts.py up bench --suite trixie
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=bench:tools:molecule/shared/tests $(BIN)/python bench/servers/servers_measure.py .cache/servers.json
	@PYTHONPATH=bench $(BIN)/python bench/servers/servers_table.py .cache/servers.json docs
	@tools/hosts.py down bench

bench-reloads: setup ## measure what a reload, an upgrade and a restart of nginx cost clients, by setting
	@tools/hosts.py up bench --suite trixie
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=bench:bench/reloads:tools:molecule/shared/tests $(BIN)/python bench/reloads/reloads_measure.py .cache/reloads.json --rounds $(or $(ROUNDS),5)
	@tools/hosts.py down bench

bench-serving: setup ## measure the same app by this collection and by others, and fill docs/bench.md
	@tools/setup bench
	@tools/hosts.py up bench --suite trixie
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=bench:tools:molecule/shared/tests $(BIN)/python bench/serving/serving_measure.py .cache/serving.json
	@PYTHONPATH=bench .cache/bench/bin/python bench/serving/serving_picture.py .cache/serving.json docs
	@tools/hosts.py down bench

bench-settings: setup ## measure what each setting costs or brings, and fill docs/bench.md
	@tools/hosts.py up bench --suite trixie
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=bench:tools:molecule/shared/tests $(BIN)/python bench/settings/settings_measure.py .cache/settings.json
	@PYTHONPATH=bench $(BIN)/python bench/settings/settings_table.py .cache/settings.json docs
	@tools/hosts.py down bench

golden: setup ## write the hashes of every plan anew, and say what differs
	@PYTHONPATH=collections:tests/unit $(BIN)/python tests/unit/golden_plans.py

update: ## write the locks of the Python tools anew
	@tools/setup lock

clean: ## remove every host and file that the commands above made
	@tools/machines.py clean
	@tools/hosts.py clean
	@rm -rf .cache .venv .ansible .ruff_cache .mypy_cache .pytest_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
