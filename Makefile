# The one door to this project: `make help` lists what it does.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The settings file, environments/$(ENV).toml.
ENV ?= demo

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: help synth test test-image lint scan snapshots docs lock proto bench-synth bench-apply image bench-image screenshots clean setup-synth setup-test

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

setup-synth:
	@tools/setup.sh synth

setup-test:
	@tools/setup.sh test

synth: setup-synth ## Write the Terraform of environments/$ENV.toml (default: demo) to cdktf.out/stacks/
	@MLFLOW_GCP_ENV=$(ENV) python main.py

test: setup-test lint ## Run every check and test but those of the image
	@pytest --cov --ignore=tests/image

test-image: setup-test ## Build the image and test it in containers
	@pytest tests/image

lint: setup-test ## Run the static checks alone
	@tools/lint.sh

scan: setup-test synth ## Scan the synthesized Terraform with checkov and the policies
	@python -m tools.scan cdktf.out

snapshots: setup-test ## Accept the synthesized documents and their plans as the new snapshots
	@pytest --snapshot-update tests/stacks/test_snapshots.py tests/localcloud/test_plans.py

docs: setup-test ## Rewrite the generated parts of the README and environments/example.toml
	@python -m tools.docs

lock: setup-test ## Resolve Pipfile and package.json anew into their lock files
	@PIPENV_VENV_IN_PROJECT=1 .pipenv/bin/pipenv lock
	@python -m tools.lock
	@cd image && uv pip compile --quiet --python-version 3.13 --python-platform x86_64-manylinux_2_28 --generate-hashes \
	  --no-header --annotation-style line --excludes requirements.excluded --output-file requirements.txt requirements.in
	@npm install --package-lock-only

proto: setup-test ## Rewrite the Python of the Terraform protocol from localcloud/tfplugin6.proto
	@python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. localcloud/tfplugin6.proto

bench-synth: setup-test ## Measure synthesis against the plain bindings (median ratio of CPU time)
	@python -m bench.synth

bench-apply: setup-test ## Measure init, plan, apply and destroy on the local cloud (median ratio to validate)
	@python -m bench.apply

image: setup-test ## Build the container image on this machine
	@python -m localcloud.images

bench-image: setup-test ## Measure the image against plain MLflow; rewrites docs/bench/image.md
	@python -m bench.image

screenshots: setup-test ## Take the README's pictures anew, in a browser at a local cloud
	@pytest -n 0 --pictures=docs/images tests/e2e/test_browser.py

clean: ## Remove what was generated or installed in this checkout
	@rm -rf cdktf.out .venv .pipenv node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
