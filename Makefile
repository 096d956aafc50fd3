# Each target first sets up what it needs; `make` without a target lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SAM    := build/sam/bin/sam
UV     := $(BIN)/uv
# The twin patches moto for a whole process, so tests on plain moto (unit, infra) run in processes of their own.
PYTEST  = $(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)
export SAM_CLI_TELEMETRY := 0
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup pins permissions docs demo test test-all test-patches image test-image check build lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## create the virtual environment with pinned and hashed packages

# uv is installed from PyPI into the environment.
$(VENV)/.ready: requirements/uv.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Usher needs Python 3.11, 3.12 or 3.13 and found {v[0]}.{v[1]}: run make PYTHON=python3.13 (or another of them)")'
	@test -x $(BIN)/python || { echo "Creating $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@echo "Installing the pinned packages into $(VENV)"
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes requirements/uv.txt requirements/dev.txt
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# aws-sam-cli pins its own boto3, so it has an environment of its own.
$(SAM): requirements/sam.txt $(VENV)/.ready
	@echo "Installing aws-sam-cli into build/sam"
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python build/sam
	@VIRTUAL_ENV=build/sam $(UV) pip sync --quiet --require-hashes requirements/sam.txt
	@touch $@

pins: setup # the layers' packages for this interpreter: the twin's functions see these and nothing else
	@$(BIN)/python -m twin.awslambda.pins

demo: setup pins ## run the demo on the twin; SCENARIO=bad-model or broken makes the challenger faulty, BACKEND=function needs no endpoint
	@$(BIN)/usher demo $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(BACKEND),--backend $(BACKEND))

test: setup build pins ## run the tests, under ten minutes
	@$(PYTEST) -m "not slow and not exhaustive" tests/unit tests/infra
	@$(PYTEST) -m "not slow and not exhaustive" tests/contract tests/workflow tests/e2e

test-all: setup build pins build/awscli/bin/aws build/sagemaker/.ready build/ministack/.ready ## run the slow end-to-end tests, which `make test` leaves out
	@$(PYTEST) -m slow tests/unit
	@$(PYTEST) -m slow tests/contract tests/workflow tests/e2e

test-patches: setup pins ## after a change of moto or the twin: check that each patch is still needed
	@$(PYTEST) -m exhaustive tests/contract/test_patches.py

image: setup ## build the container image on this machine, with docker, podman or buildah
	@scripts/image build

test-image: setup ## run the image's programs as SageMaker does: root-owned mounts, read-only inputs, no network
	@scripts/image test

# A stamp file, because bin/python is a link to the real interpreter.
build/sagemaker/.ready: requirements/sagemaker.txt $(VENV)/.ready
	@echo "Installing the SageMaker SDK into build/sagemaker"
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python build/sagemaker
	@VIRTUAL_ENV=build/sagemaker $(UV) pip sync --quiet --require-hashes requirements/sagemaker.txt
	@touch $@

# MiniStack runs the functions on its own interpreter, which has to be the layers' Python. Without one its test is skipped.
build/ministack/.ready: requirements/ministack.txt $(VENV)/.ready
	@for each in $(PYTHON313) $(BIN)/python python3.13 $$HOME/.pyenv/versions/3.13.*/bin/python3.13; do \
	  if $$each -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then python=$$each; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.13 found (make PYTHON313=PATH names one): the test with MiniStack is skipped"; \
	else \
	  echo "Installing MiniStack into build/ministack" && \
	  $(UV) venv --quiet --allow-existing --python "$$python" build/ministack && \
	  VIRTUAL_ENV=build/ministack $(UV) pip sync --quiet --require-hashes requirements/ministack.txt && \
	  touch $@; \
	fi

build/awscli/bin/aws: requirements/awscli.txt $(VENV)/.ready
	@echo "Installing awscli into build/awscli"
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python build/awscli
	@VIRTUAL_ENV=build/awscli $(UV) pip sync --quiet --require-hashes requirements/awscli.txt
	@touch $@

check: setup $(SAM) ## check style, types, template and workflows
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(SAM) validate --lint --region eu-west-1

build: setup $(SAM) ## build the application for AWS into .aws-sam/build, without Docker
	@PATH="$(abspath $(BIN)):$$PATH" $(SAM) build

permissions: setup build pins build/awscli/bin/aws build/sagemaker/.ready ## record which permissions the end-to-end tests and the demo use
	@rm -rf build/permissions
	@USHER_PERMISSIONS_RECORD=$(abspath build/permissions) $(PYTEST) -m "not exhaustive" tests/workflow tests/e2e
	@USHER_PERMISSIONS_RECORD=$(abspath build/permissions) $(BIN)/usher demo
	@$(BIN)/python -m twin.iam.permissions build/permissions

docs: setup $(SAM) ## generate the documents that come from the code
	@$(BIN)/python -c 'from pathlib import Path; from usher.schema.datasets import markdown; Path("docs/datasets.md").write_text(markdown())'
	@$(BIN)/python -c 'from pathlib import Path; from usher.api.docs import markdown; Path("docs/api.md").write_text(markdown())'
	@$(BIN)/python -c 'from pathlib import Path; from usher.algorithms.documentation import with_algorithms; page = Path("docs/models.md"); page.write_text(with_algorithms(page.read_text()))'
	@$(BIN)/python -m cli.deployments.documentation
	@$(BIN)/python -m twin.iam.permissions

lock: setup ## resolve the requirement lists, after a change of an *.in file
	@scripts/lock

clean: ## remove the environments and the build
	rm -rf $(VENV) build .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
