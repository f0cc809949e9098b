# `make test` installs what the tests need and runs them all; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO_DENY := 0.20.2
CARGO_DEB := 3.8.0
TOOLS := target/tools
# Real servers that the tests talk to, and what the boot test boots in. The browser comes with the tests that look.
PACKAGES := ca-certificates dropbear-bin gcc libc6-dev frr openssh-client openssh-server prometheus \
  prometheus-alertmanager python3-venv systemd systemd-container

.PHONY: help
help: ## lists the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: test
test: packages fmt clippy unit real dashboards docs deny ## installs what the tests need and runs them all

.PHONY: packages
packages: ## installs the Debian packages that the tests need
	@bash tests/support/packages.sh $(PACKAGES)

.PHONY: fmt
fmt: ## checks the formatting
	cargo fmt --check

.PHONY: clippy
clippy: ## lints, warnings are errors
	cargo clippy --locked --all-targets -- -D warnings

.PHONY: unit
unit: ## all tests that need nothing but a compiler
	cargo test --locked

.PHONY: real
real: packages target/venv/bin/fakenos ## all tests against real servers
	cargo test --locked --test real -- --ignored --test-threads=2

# An emulator of network devices, by others, in Python; it touches nothing outside its folder.
target/venv/bin/fakenos:
	python3 -m venv target/venv
	target/venv/bin/pip install --quiet fakenos==1.2.1

.PHONY: dashboards
dashboards: target/grafana/node_modules/.package-lock.json ## checks the dashboards against Grafana's own types
	cp tests/grafana/*.* target/grafana/
	cd target/grafana && node check.mjs $(CURDIR)/grafana/dashboards

target/grafana/node_modules/.package-lock.json: tests/grafana/package-lock.json
	@command -v npm >/dev/null || bash tests/support/packages.sh nodejs npm
	mkdir -p target/grafana && cp tests/grafana/package*.json target/grafana/
	cd target/grafana && npm ci --silent --ignore-scripts --legacy-peer-deps --no-audit --no-fund
	touch $@

# PROMETHEUS is one that scrapes a daemon, DEVICE one of its devices. Chromium comes from Debian.
.PHONY: look
look: ## draws the dashboards with Grafana's libraries into target/grafana: PROMETHEUS=http://127.0.0.1:9090 DEVICE=NAME
	@bash tests/support/packages.sh chromium
	mkdir -p target/grafana/look && cp tests/grafana/look/* target/grafana/look/
	cd target/grafana/look && npm ci --silent --legacy-peer-deps --no-audit --no-fund && \
	  node look.mjs $(CURDIR)/grafana/dashboards $(PROMETHEUS) .. $(DEVICE)

.PHONY: docs
docs: ## builds the API documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

.PHONY: deny
deny: $(TOOLS)/bin/cargo-deny ## checks bans, licences and sources of all dependencies
	$(TOOLS)/bin/cargo-deny --log-level error check bans licenses sources

# A debug build: it runs for a second and compiles in half the time.
$(TOOLS)/bin/cargo-deny:
	CARGO_TARGET_DIR=target/tools/build cargo install --quiet --debug --locked --no-default-features \
	  --root $(TOOLS) cargo-deny@$(CARGO_DENY)
	rm -rf target/tools/build

.PHONY: deb
deb: $(TOOLS)/bin/cargo-deb ## builds the Debian package, into target/debian
	cargo build --locked --release
	bash packaging/deb.sh release target/release/versweep

$(TOOLS)/bin/cargo-deb:
	CARGO_TARGET_DIR=target/tools/build cargo install --quiet --debug --locked --no-default-features \
	  --root $(TOOLS) cargo-deb@$(CARGO_DEB)
	rm -rf target/tools/build

.PHONY: bench
bench: ## the benches of the pure floors, and a simulated fleet
	cargo bench --locked
	cargo run --release --locked -- bench
