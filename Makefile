# `make demo` and `make test` are all a newcomer types; each makes .venv first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHECKOV := .venv-checkov
TOOLS := .tools
# Processes that run tests side by side: much of their time is waiting for servers.
WORKERS ?= 2
# Of `make image`: its name, the platforms it is for (where left out, the engine's own), and whether it is pushed.
IMAGE ?= logsluice:0.1.0
PLATFORMS ?=
PUSH ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo image test test-k8s test-alone charts test-cluster test-compose test-long test-unit test-packages releases lint format bench views pictures lock clean

help: ## what can be typed here
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.installed ## make .venv with everything pinned in requirements-dev.lock

# Synchronised, the environment has only what its lock file has; uv itself is not in it.
install-uv = sed -n '/^uv==/,/\# via/p' requirements-build.lock >$(VENV)/uv.lock \
  && $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock

$(VENV)/.installed: requirements-dev.lock requirements-build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "logsluice needs Python 3.11 or newer; $(PYTHON) is older. Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "Python cannot make a virtual environment here; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(install-uv)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode --require-hashes \
	  --build-constraints requirements-build.lock requirements-dev.lock
	@$(install-uv)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --build-constraints requirements-build.lock --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

demo: setup ## the whole pipeline on this machine: traffic, Kafka, Spark, Elasticsearch
	@$(BIN)/logsluice demo $(DEMO_ARGUMENTS)

image: ## the image of every Python workload, with all that it needs on AWS: IMAGE=, PLATFORMS=, PUSH=1
	docker buildx build --file spark/Dockerfile --tag $(IMAGE) $(if $(PLATFORMS),--platform $(PLATFORMS)) \
	  $(if $(PUSH),--push,--load) .

test: setup test-packages $(CHECKOV)/.installed ## the tests, on real Kafka, Elasticsearch and Spark
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet . && $(BIN)/mypy && $(BIN)/lint-imports >/dev/null
	@PATH="$$PATH:$(CURDIR)/$(CHECKOV)/bin" $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  -m "not long and not tools and not whole_cluster" tests/local tests/k8s tests/infra tests/unit

# What it lacks is said in a line each; with Go it builds what Go can build. The charts' tests want the charts.
test-k8s: export PATH := $(PATH):$(CURDIR)/$(CHECKOV)/bin:$(CURDIR)/$(TOOLS)/bin
test-k8s: export LOGSLUICE_CHARTS ?= $(wildcard $(CURDIR)/$(TOOLS)/charts)
test-k8s: setup $(CHECKOV)/.installed ## what needs Kubernetes' tools: overlays, charts, Compose's file, a control plane
	@$(BIN)/python -m tests.shared.prerequisites $(TOOLS)/bin
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  -m "tools and not long$(if $(LOGSLUICE_CHARTS),, and not charts)" tests/k8s tests/infra

charts: setup ## fetch the pinned Helm charts, which make test-k8s then holds our values against
	@PATH="$$PATH:$(CURDIR)/$(TOOLS)/bin" $(BIN)/python -m tests.k8s.pull_charts $(TOOLS)/charts

# All users of the shared folder's data, as on a machine without it.
test-alone: setup test-packages ## the tests that read the shared folder, without it
	@LOGSLUICE_SHARED=$(CURDIR)/$(TOOLS)/nothing $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile \
	  --no-loadscope-reorder -m "not long and not tools and not whole_cluster" \
	  $$(grep -lE 'log_sets|shared_folder' -r tests/unit tests/local tests/infra tests/k8s --include='test_*.py')

test-long: setup test-packages ## windows through a kill, every PromQL on a real Prometheus, the dashboard in a browser
	@$(BIN)/python -m pytest -m long tests/local tests/k8s

# What only tests need of the system. Elsewhere than as root on Debian their tests are skipped, saying so.
test-packages:
	@command -v promtool >/dev/null && command -v prometheus-elasticsearch-exporter >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing Debian's prometheus and its Elasticsearch exporter; their services are not started"; \
	  (apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    prometheus prometheus-elasticsearch-exporter) \
	    >/dev/null || echo "they could not be installed: the tests of alert rules and dashboards are skipped"; \
	else echo "promtool and prometheus-elasticsearch-exporter are not here (Debian's packages prometheus and" \
	  "prometheus-elasticsearch-exporter): the tests of alert rules and dashboards on a real Prometheus are skipped"; fi
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing Debian's chromium, for the tests of the dashboard"; \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium) \
	    >/dev/null || echo "it could not be installed: the tests of the dashboard in a browser are skipped"; \
	else echo "there is no Chromium here (Debian's package chromium): the tests of the dashboard in a browser are skipped"; fi
	@command -v redis-server >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing Debian's redis-server, for the tests of the API; its service is not started"; \
	  (apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    redis-server) \
	    >/dev/null || echo "it could not be installed: the tests of the API on a real Redis are skipped"; \
	else echo "there is no redis-server here (Debian's package redis-server): the tests of the API on a real Redis are" \
	  "skipped"; fi

# checkov wants other versions of what Pulumi wants, so it has an environment of its own.
$(CHECKOV)/.installed: requirements-checkov.lock | setup
	@test -x $(CHECKOV)/bin/python || $(PYTHON) -m venv --without-pip $(CHECKOV)
	@$(BIN)/uv pip sync --quiet --python $(CHECKOV)/bin/python --compile-bytecode --require-hashes \
	  --build-constraints requirements-build.lock requirements-checkov.lock
	@touch $@

test-cluster: setup ## the releases and dev on the cluster of LOGSLUICE_TEST_CLUSTER, a kubeconfig; it is emptied
	@$(BIN)/python -m pytest -m whole_cluster tests/k8s

test-compose: setup ## docker-compose.yml on a real engine: DOCKER_HOST's, or a private one; takes half an hour
	@$(BIN)/python -m pytest tests/compose

test-unit: setup ## what needs no server, in less than a minute
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow" --hypothesis-profile brief tests/unit

lint: setup ## ruff, mypy and the order of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

format: setup ## put the code in its form
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

releases: setup ## operators, Elasticsearch, Kibana, Logstash on the cluster of kubectl, by Helm; then: kubectl apply -k k8s/overlays/dev
	@cd infra && ../$(BIN)/python -m logsluice_infra.install $(RELEASES_ARGUMENTS)

bench: setup ## speed, side by side; nothing else should run meanwhile
	@$(BIN)/python -m bench

views: setup ## write Grafana's dashboards and compose's alert rules anew from their code
	@$(BIN)/python -m grafana

pictures: setup ## take the dashboard's pictures in docs/images anew, with Chromium
	@$(BIN)/python -m tests.local.dashboard_pictures

lock: setup ## pin anew what pyproject.toml asks for
	@$(BIN)/uv pip compile --group build --universal --python-version 3.11 --generate-hashes --no-header --quiet \
	  -o requirements-build.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --quiet -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --quiet -o requirements-dev.lock
	@grep -o '^checkov==[0-9.]*' requirements-checkov.lock | $(BIN)/uv pip compile - --universal --python-version 3.11 \
	  --generate-hashes --no-header --quiet -o requirements-checkov.lock

clean: ## stop the local stack and remove what it stored
	@test ! -x $(BIN)/logsluice || $(BIN)/logsluice down --data
