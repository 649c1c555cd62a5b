# The one door to this project: `make help` lists what it does.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The settings file, environments/$(ENV).toml.
ENV ?= demo

# Through the environment and unexpanded: neither a shell nor make reads what is in it.
unexport ENV
synth image-push: export MLFLOW_GCP_ENV = $(value ENV)

# What runs terraform, save the parts that are containers.
TOFU_TESTS ?= tests/localcloud tests/module tests/stacks tests/policies --ignore=tests/localcloud/machine

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: help synth size check test coverage test-rehearsals test-real-provider lint synth-cdktn test-tofu scan snapshots module docs lock proto demo demo-status demo-logs demo-down restore-drill bench-synth bench-apply bench-rows bench-search image image-push image-scan release publish bench-image bench-service bench-client client-matrix screenshots clean setup-synth setup-test

# `##` marks what users need and `make help` lists, `#-` what only changes of this project need (docs/changing.md).
help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'
	@printf '  Those for changes to this project: docs/changing.md\n'

setup-synth:
	@tools/setup.sh synth

setup-test:
	@tools/setup.sh test

synth: setup-synth ## Write the Terraform of environments/$ENV.toml (default: demo) to cdktf.out/stacks/
	@python main.py

size: setup-synth ## Say how large a deployment is for PEOPLE, RUNS a day and METRICS a run, and print settings for it
	@python -m tools.size --people="$(PEOPLE)" --runs="$(RUNS)" --metrics="$(METRICS)" $(OPTIONS)

check: setup-test lint ## Run the checks that need no container: static checks, settings, stacks, policies
	@pytest tests/settings tests/stacks tests/policies

test: setup-test lint ## Run every check and test, except rehearsals
	@pytest --durations=40 --durations-min=20

coverage: setup-test #- Run the tests of what runs outside the image, and hold each room to its share of lines and branches
	@pytest --cov --cov-report= $(foreach room,client e2e image policies,--ignore=tests/$(room))
	@python -m tools.coverage

test-rehearsals: setup-test #- Run the tests that take too long for each `make test`
	@pytest -n 0 -m rehearsal

test-real-provider: setup-test #- Compare schema, documents and plans with the real provider, which terraform init must find
	@pytest -n 0 -m real_provider tests/localcloud/test_real_provider.py

test-tofu: setup-test #- Run the tests that run terraform with OpenTofu, compiled from its Go module (needs Go)
	@go build -C tools/tofu -trimpath -ldflags='-s -w -X github.com/opentofu/opentofu/version.dev=no' -o "$(CURDIR)/.tofu/tofu" github.com/opentofu/opentofu/cmd/tofu
	@PATH="$(CURDIR)/.tofu:$$PATH" TERRAFORM_BINARY_NAME=tofu TF_CLI_CONFIG_FILE=/dev/null pytest $(TOFU_TESTS)

synth-cdktn: setup-test #- Show that CDK Terrain writes the same Terraform, valid and applied without a diff with its newer provider
	@python -m tools.cdktn
	@LOCALCLOUD_BINDINGS=$$(echo .cdktn/lib/python3*/site-packages/cdktn_provider_google) pytest tests/localcloud/test_lifecycle.py tests/localcloud/test_day_two.py tests/localcloud/test_waiting.py

lint: setup-test #- Run only the static checks
	@tools/lint.sh

scan: setup-test synth ## Scan the synthesized Terraform with checkov and the policies
	@python -m tools.scan cdktf.out

snapshots: setup-test #- Accept the synthesized documents and their plans as the new snapshots
	@pytest --snapshot-update tests/stacks/test_snapshots.py tests/localcloud/test_plans.py

module: setup-test #- Rewrite the Terraform modules in module/ and the generated parts of their pages
	@python -m tools.module
	@pytest -n 0 --snapshot-update tests/module/test_verdicts.py

docs: setup-test #- Rewrite what is generated in the READMEs, docs/ and environments/example.toml
	@python -m tools.docs

lock: setup-test #- Resolve Pipfile and package.json again into their lock files
	@PIPENV_VENV_IN_PROJECT=1 .pipenv/bin/pipenv lock
	@python -m tools.lock
	@cd image && uv pip compile --quiet --python-version 3.13 --python-platform x86_64-manylinux_2_28 --generate-hashes \
	  --no-header --annotation-style line --excludes requirements.excluded --output-file requirements.txt requirements.in
	@npm install --package-lock-only

proto: setup-test #- Rewrite the Python of the Terraform protocol from localcloud/terraform/tfplugin6.proto
	@python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. localcloud/terraform/tfplugin6.proto

demo: setup-test ## Bring up the demo on this machine: MLflow behind a sign-in page, no Google account needed
	@python -m tools.demo

demo-status: setup-test ## List the demo's resources, addresses and containers
	@python -m localcloud status

demo-logs: setup-test ## Print what the demo's containers have logged
	@python -m localcloud logs

demo-down: setup-test ## Stop the demo and remove everything that it created
	@python -m localcloud reset

restore-drill: setup-test ## Lose runs of a deployment on this machine and bring them back by the runbook's commands (ENGINE=mysql)
	@python -m tools.restore_drill --engine "$(or $(ENGINE),postgresql)"

bench-synth: setup-test #- Measure synthesis against the plain bindings (median ratio of CPU time)
	@python -m bench.synth

bench-apply: setup-test #- Measure init, plan, apply and destroy on the local cloud (median ratio to validate)
	@python -m bench.apply

image: setup-test #- Build the container image on this machine
	@python -m containers.images

image-push: setup-test ## Build the image from its pinned bases, push it to the repository of $ENV, print the line for the settings
	@python -m tools.push "$$MLFLOW_GCP_ENV"

image-scan: setup-test #- Scan the image for known vulnerabilities that have a fix (needs Go and the network)
	@python -m tools.image_scan

release: setup-test #- Make dist/ of VERSION: its changelog section, module archive, client package, SBOM and digests
	@python -m tools.release "$(VERSION)"

publish: setup-test #- The same, then push the image to IMAGE_REPOSITORY, sign it, and release it on GitHub
	@python -m tools.release "$(VERSION)" --publish "$(IMAGE_REPOSITORY)"

bench-image: setup-test #- Measure the image against plain MLflow; rewrites docs/bench/image.md (BASELINE=IMAGE compares with that image and prints)
	@python -m bench.$(if $(BASELINE),compare $(BASELINE),image)

bench-service: setup-test #- Measure the applied demo against MLflow asked directly; rewrites docs/bench/service.md
	@python -m bench.service

bench-rows: setup-test #- Measure what MLflow's rows cost on disk, on both engines; rewrites docs/bench/rows.md
	@python -m bench.rows

bench-search: setup-test #- Measure searches for runs against MLflow's own, on both engines; rewrites docs/bench/search.md
	@python -m bench.search

bench-client: setup-test #- Measure the client package against a static token; rewrites docs/bench/client.md
	@python -m bench.client

client-matrix: setup-test #- Try every credential with every MLflow, by the client package and the image; prints the table
	@python -m harness.client_matrix

screenshots: setup-test #- Take the README's pictures again, in a browser at a local cloud
	@pytest -n 0 --pictures=docs/images tests/e2e/test_browser.py

clean: ## Remove what was generated or installed in this checkout
	@rm -rf cdktf.out dist .venv .pipenv .cdktn .tofu node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
