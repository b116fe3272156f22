# Every command of the project. Each is a script of its own; this file only gives them names.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# make demo KUBECONFIG_FILE=/path DEMO_REGISTRY=https://… : on a cluster of yours
export DEMO_KUBECONFIG ?= $(KUBECONFIG_FILE)
export DEMO_REGISTRY DEMO_REGISTRY_NAME DEMO_REGISTRY_MIRROR

.PHONY: help demo demo-down test lint unit python api e2e heavy fuzz bench bench-exporter bench-monitoring build fmt generate cluster-up cluster-down clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a real model on a real Kubernetes, and its next version rolled out
	@tests/demo/up

demo-down: ## remove all that the demo made
	@tests/demo/down

test: ## all the tests but heavy; sets up what they need and tears it down
	@tests/run

lint: ## formatting, clippy, shellcheck, actionlint, chart, generated files
	@tests/run lint

unit: ## only the tests that need no cluster
	@tests/run unit

python: ## only the tests of src/python and of the scripts that teams' workflows run
	@tests/run python

api: ## only the tests against a real API server (no root)
	@tests/run api

e2e: ## only the tests with real pods (root on Debian)
	@tests/run e2e

heavy: ## only the tests with real TensorFlow and with an old Alertmanager, which make test leaves out (root on Debian)
	@tests/run heavy

fuzz: ## look for inputs that crash the readers of predictions; FUZZ_SECONDS=60
	@tests/fuzz/run $(or $(FUZZ_SECONDS),60)

bench: ## figures of the controller against a real API server
	@tests/bench/run

bench-exporter: ## CPU, latency and memory of the exporter beside nginx and Flask; AGAINST=COMMIT: beside a build of that commit
	@tests/bench/exporter $(if $(AGAINST),--against $(AGAINST))

bench-monitoring: ## series, rule evaluation and bytes that watching models costs
	@tests/bench/monitoring

build: ## compile both programs, target/debug/modelship and modelship-exporter
	cargo build --locked

fmt: ## format the sources
	cargo fmt --all

generate: ## rewrite the CRD, the chart's copy of it, and manifests/operator
	@tests/cluster/run build-tool helm
	@manifests/generate

cluster-up: ## a cluster to play with; LEVEL=api (no root, no pods) or LEVEL=full
	@tests/cluster/run build --level $(or $(LEVEL),api)
	@tests/cluster/run up --level $(or $(LEVEL),api)

cluster-down: ## stop every cluster of this checkout, the demo's too
	@tests/cluster/run down --all

clean: cluster-down ## remove what was built
	rm -rf build target
