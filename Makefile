.DEFAULT_GOAL := help
PYTHON ?= python3
ARGS ?=

# The image of the dev container has all tools already; elsewhere they are put into .venv first.
ifndef IN_DEV_IMAGE
BIN := .venv/bin/
RUNTIME := .venv/runtime.stamp
DEV := .venv/dev.stamp
ORACLE := .venv/oracle.stamp
NOTEBOOK := .venv/notebook.stamp
endif

.PHONY: help run notebook up down put reset debug exam test unit lint bench lock

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# As with compose, what the shell already has set wins over .env; honcho alone would do it the other way round.
WITH_ENV = shell=$$(export -p); set -a; . ./.env; eval "$$shell"

# Ctrl-C is how it is ended, and no error. It takes the shell's place, so that a signal to make reaches it. It kills
# nothing before the 20 s are over in which the pipeline finishes what is in flight.
define UNTIL_CTRL_C
import sys
from honcho import manager
from honcho.command import main
manager.KILL_WAIT = 25
try:
    main()
except SystemExit as end:
    sys.exit(0 if end.code == 130 else end.code)
endef
export UNTIL_CTRL_C

run: $(RUNTIME)  ## run simulator, pipeline and dashboard on a folder (./data/lake), without containers; WORKERS=3, on a bucket
	@$(WITH_ENV); PATH="$(BIN:%=$(CURDIR)/%:)$$PATH"; workers=$${WORKERS:-0}; \
	case $$workers in *[!0-9]*) echo "usage: make run WORKERS=3" >&2; exit 2;; esac; \
	if [ "$$workers" -gt 0 ]; then \
		[ "$$PIPELINE_WORKERS" != 0 ] || { echo "PIPELINE_WORKERS=0 loads in the pipeline itself: for WORKERS=$$workers give it 1 or more" >&2; exit 2; }; \
		export CLUSTER_TLS=$${CLUSTER_TLS:-data/tls} PIPELINE_SCHEDULER=$${PIPELINE_SCHEDULER:-tls://127.0.0.1:8786}; \
		$(BIN)python -m lake certificates "$$CLUSTER_TLS" || exit; \
		printf 'scheduler  http://localhost:%s\n' "$$SCHEDULER_PORT"; \
	fi; \
	printf 'simulator  http://localhost:%s\ndashboard  http://localhost:%s\nCtrl-C ends all.\n' \
		"$$SIMULATOR_PORT" "$$DASHBOARD_PORT"; \
	exec $(BIN)python -c "$$UNTIL_CTRL_C" --env /dev/null --procfile $(if $(IN_DEV_IMAGE),.devcontainer/)Procfile --no-prefix \
		start --concurrency "scheduler=$$((workers > 0)),worker=$$workers"

# The variables that the stack gives its notebooks; in the dev container the kernel has the reader's key.
notebook: $(NOTEBOOK)  ## open the notebooks in JupyterLab, on ./data/lake, without containers
	@$(WITH_ENV); LAKE_URL=$${LAKE_URL:-data/lake}; \
	case $$LAKE_URL in *://*|/*) ;; *) LAKE_URL=$(CURDIR)/$$LAKE_URL;; esac; \
	export LAKE_URL AWS_ALLOW_HTTP=true AWS_REGION=$${AWS_REGION:-us-east-1}; \
	printf 'notebooks  http://localhost:%s/lab?token=%s\nCtrl-C ends it.\n' "$$NOTEBOOK_PORT" "$$NOTEBOOK_TOKEN"; \
	cd notebooks && exec $(BIN:%=$(CURDIR)/%)jupyter-lab --config=.jupyter/jupyter_server_config.py --log-level=WARN

up:  ## start the stack in containers and wait until all of it is healthy
	docker compose up --detach --wait
	@docker compose ps

down:  ## stop the stack; its data stays
	docker compose --profile '*' down

# Into the stack it goes with the simulator's key: the source system's, which may put raw files and nothing else.
put: $(RUNTIME)  ## put a file into the lake, the stack's while that runs, else ./data/lake: FILE=my.csv DATASET=companydata
	@[ -n "$$FILE" ] && [ -n "$$DATASET" ] || { echo "usage: make put FILE=my.csv DATASET=companydata" >&2; exit 2; }
	@$(WITH_ENV); stack=$(IN_DEV_IMAGE); \
	if [ -z "$$LAKE_URL" ] && address=$$(docker compose port minio 9000 2>/dev/null); then \
		stack=1 LAKE_URL=s3://lake AWS_ENDPOINT_URL=http://$$address; \
	fi; \
	if [ -n "$$stack" ]; then AWS_ACCESS_KEY_ID=$$SIMULATOR_USER AWS_SECRET_ACCESS_KEY=$$SIMULATOR_PASSWORD; fi; \
	echo "lake: $${LAKE_URL:-./data/lake}"; \
	$(BIN)python -m lake put "$$FILE" --dataset "$$DATASET"

debug: $(DEV)  ## wait on port 5678 for a debugger of any editor, then read one file in it: KEY=raw/companydata/a.csv
	@[ -n "$$KEY" ] || { echo "usage: make debug KEY=raw/companydata/companydata.csv" >&2; exit 2; }
	@$(WITH_ENV); port=$${DEBUG_PORT:-5678}; echo "attach a debugger to port $$port of this machine"; \
	exec $(BIN)python -Xfrozen_modules=off -m debugpy --listen $$port --wait-for-client -m pipeline dry-run "$$KEY"

TRY_LOCK = import fcntl; fcntl.flock(open("data/state/lock"), fcntl.LOCK_EX | fcntl.LOCK_NB)

reset:  ## forget all data: ./data and the volumes of the stack; says which there are, and asks first
	@folders=$$(ls -d data 2>/dev/null); \
	project=$$(docker compose config 2>/dev/null | sed -n 's/^name: //p'); \
	ours="--quiet --filter label=com.docker.compose.project=$$project"; \
	volumes=$$(docker volume ls $$ours 2>/dev/null); \
	if [ -n "$$(docker ps $$ours 2>/dev/null)" ]; then \
		echo "the stack runs: close the dev container, then make down" >&2; exit 2; \
	fi; \
	if [ -e data/state/lock ] && ! $(PYTHON) -c '$(TRY_LOCK)' 2>/dev/null; then \
		echo "a pipeline works with ./data/state: end it first (Ctrl-C)" >&2; exit 2; \
	fi; \
	[ -n "$$folders$$volumes" ] || { echo "there is nothing to forget"; exit 0; }; \
	echo "this goes for good:"; \
	for name in $$folders; do echo "  folder $(CURDIR)/$$name"; done; \
	for name in $$volumes; do echo "  volume $$name"; done; \
	printf 'go on? [y/N] '; read -r answer; \
	case $$answer in [yY]*) ;; *) echo "nothing was changed"; exit 0;; esac; \
	rm -rf $$folders; \
	[ -z "$$volumes" ] || { docker compose --profile '*' down --remove-orphans && docker volume rm $$volumes; } >/dev/null

exam: $(RUNTIME)  ## grade the pipeline in an exam of odd files, in a lake of its own; SEED=7 FILES=200
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && trap 'exit 130' INT TERM; \
	export LAKE_URL="$$folder/lake" PIPELINE_STATE="$$folder/state" PIPELINE_DATASETS=simulator/exam/datasets; \
	$(BIN)python -m simulator exam --seed "$${SEED:-7}" --files "$${FILES:-200}" --key "$$folder/key.json" && \
	echo "the pipeline loads them by the contracts in $$PIPELINE_DATASETS; lake and key are removed in the end" && \
	{ $(BIN)python -m pipeline once >"$$folder/log" 2>&1 || { cat "$$folder/log" >&2; exit 1; }; } && \
	$(BIN)python -m simulator grade --key "$$folder/key.json"

test: $(DEV) $(ORACLE)  ## run the tests, all that this machine can; ARGS="-k name" narrows them
	$(BIN)python -m pytest --numprocesses 3 --no-loadscope-reorder $(ARGS)

unit: $(DEV)  ## run the unit tests that need no container and no browser, and print the branch coverage
	$(BIN)python -m pytest tests/unit tests/test_names.py --numprocesses 3 --quiet \
		-m "not needs_engine and not needs_browser" --cov --cov-report=term:skip-covered $(ARGS)

lint: $(DEV)  ## check style and types
	$(BIN)python -m ruff check
	$(BIN)python -m ruff format --check
	$(BIN)python -m mypy
	$(BIN)lint-imports --no-logo

# The peers live in an environment of their own, so that Lakelet never comes to need one of them.
bench: $(DEV) .venv/peers.stamp  ## measure Lakelet beside its peers, about 4 minutes; FULL=1 for everything, far longer
	$(BIN)python -m benchmarks.bulk $(if $(FULL),--rows 5000000 --rounds 5 --memory-rows 50000000)
	$(BIN)python -m benchmarks.growth $(if $(FULL),--full)
	$(BIN)python -m benchmarks.small_files $(if $(FULL),--files 2000 --rounds 5)
	$(if $(FULL),$(BIN)python -m benchmarks.small_files --files 2000 --rounds 5 --dataset orders)
	$(BIN)python -m benchmarks.latency $(if $(FULL),--files 300 --rounds 3 --silence 60)

.venv/peers.stamp: benchmarks/peers.txt | .venv/bin/python
	@echo "installing benchmarks/peers.txt into .venv/peers, once: this takes a minute or two"
	$(PYTHON) -m venv --clear .venv/peers
	.venv/peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/peers.txt
	@touch $@

# The oracle is another release of a library that Lakelet has.
.venv/oracle.stamp: requirements/oracle.txt $(if $(BIN),| .venv/bin/python)
	@echo "installing requirements/oracle.txt into .venv/oracle, once: this takes half a minute"
	@$(PYTHON) -m venv --clear .venv/oracle
	@.venv/oracle/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/oracle.txt
	@touch $@

UV := .venv/lock/bin/uv
COMPILE = $(UV) pip compile pyproject.toml --group build --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --quiet $(ARGS)
ALONE = $(subst pyproject.toml --group build,$(1),$(COMPILE))

lock: | .venv/bin/python  ## pin what pyproject.toml asks for; ARGS=--upgrade takes the newest versions
	.venv/bin/python -m venv --clear .venv/lock
	.venv/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) -o requirements/runtime.txt
	$(COMPILE) --group dev -o requirements/dev.txt
	$(call ALONE,--group pyproject.toml:notebook --constraint requirements/dev.txt) -o requirements/notebook.txt
	$(call ALONE,requirements/oracle.in) -o requirements/oracle.txt
	$(call ALONE,--group pyproject.toml:spark) -o requirements/spark.txt
	$(call ALONE,--group pyproject.toml:spark-build) -o requirements/spark-build.txt
	$(call ALONE,benchmarks/peers.in) -o benchmarks/peers.txt
	rm -rf .venv/lock

PIP := .venv/bin/python -m pip --disable-pip-version-check

define PROGRESS
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # pip ends by that, and this with pip
packages, done = int(sys.argv[1]), 0
for line in sys.stdin:
    if line.startswith(("Collecting ", "Requirement already ")):
        done += 1
        if done % 10 == 0 and done < packages:
            print(f"  {done} of {packages} packages are here", flush=True)
    elif line.startswith("Installing collected"):
        print(f"  all {packages} packages are here; now they are unpacked, which takes as long again", flush=True)
endef
export PROGRESS

.venv/%.stamp: requirements/%.txt pyproject.toml | .venv/bin/python
	@echo "installing requirements/$*.txt into .venv, once: this takes a minute or two"
	@rm -f .venv/$*.there
	@{ $(PIP) install --require-hashes -r requirements/$*.txt && touch .venv/$*.there; } \
		| $(PYTHON) -c "$$PROGRESS" "$$(grep -c == requirements/$*.txt)"
	@[ -e .venv/$*.there ]
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/notebook.stamp: | .venv/runtime.stamp

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "error: Lakelet needs Python 3.11 or newer and $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing);" \
			"name another one: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		echo "error: $(PYTHON) cannot make a virtual environment: install its venv package (python3-venv)" >&2; exit 2; }
	@echo "making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .venv
