# `make test` installs what the tests need and runs them all; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO_DENY := 0.20.2
CARGO_DEB := 3.8.0
CARGO_FUZZ := 0.13.1
TOOLS := target/tools
# How long each fuzz target runs, and which.
FUZZ_SECONDS := 300
FUZZ_TARGETS := screen prompt chatter manners known_hosts ssh_config parse config
# Real servers that the tests talk to, what the boot test boots in, the browser that looks at the pages, and a clock to set.
PACKAGES := ca-certificates dropbear-bin gcc libc6-dev frr openssh-client openssh-server openssl prometheus \
  prometheus-alertmanager python3-venv systemd systemd-container fish groff lintian man-db zsh chromium chromium-driver \
  fonts-dejavu-core nats-server faketime

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
real: packages target/venv/.made target/pages/node_modules/.package-lock.json $(TOOLS)/bin/cargo-deb ## all tests against real servers
	cargo test --locked --test real -- --ignored --test-threads=2

# The rules of accessibility that the pages are held against; the pictures of them lie beside it.
target/pages/node_modules/.package-lock.json: tests/pages/package-lock.json
	@command -v npm >/dev/null || bash tests/support/packages.sh nodejs npm
	mkdir -p target/pages && cp tests/pages/package*.json target/pages/
	cd target/pages && npm ci --silent --ignore-scripts --no-audit --no-fund
	touch $@

# Python programs that the tests talk to, by others; they touch nothing outside this folder.
target/venv/.made: tests/support/requirements.txt
	python3 -m venv target/venv
	target/venv/bin/python -m pip install --quiet --requirement $<
	touch $@

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

# The sanitizers look for mistakes of unsafe code, of which there is none here; RUSTC_BOOTSTRAP lets the stable compiler
# count coverage. New findings go to fuzz/artifacts; each becomes a seed.
.PHONY: fuzz
fuzz: $(TOOLS)/bin/cargo-fuzz ## runs each fuzz target for FUZZ_SECONDS, from the seeds in fuzz/seeds
	for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/corpus/$$target; \
	  RUSTC_BOOTSTRAP=1 $(TOOLS)/bin/cargo-fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -print_final_stats=1; \
	done

$(TOOLS)/bin/cargo-fuzz:
	CARGO_TARGET_DIR=target/tools/build cargo install --quiet --debug --locked --root $(TOOLS) cargo-fuzz@$(CARGO_FUZZ)
	rm -rf target/tools/build

.PHONY: deb
deb: release $(TOOLS)/bin/cargo-deb ## builds the Debian package, into target/debian
	bash packaging/deb.sh release target/release/versweep

# No path of this machine in the program, so that another one builds the same: `make reproduce` tries it.
.PHONY: release
release: ## builds the program as it is shipped
	RUSTFLAGS="--remap-path-prefix=$(CURDIR)=/versweep --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=/cargo" \
	  cargo build --locked --release

.PHONY: dist
dist: deb ## what a release consists of, into target/dist: package, bill of material, licences, checksums
	rm -rf target/dist && mkdir -p target/dist
	cp target/debian/versweep-release.deb target/share/versweep.cdx.json target/share/licences.txt target/dist/
	git archive --format=tar.gz --prefix=versweep/ --output=target/dist/versweep-source.tar.gz HEAD
	cd target/dist && sha256sum -- * >SHA256SUMS

.PHONY: reproduce
reproduce: ## builds the program twice, in two folders, and compares
	bash packaging/reproduce.sh

$(TOOLS)/bin/cargo-deb:
	CARGO_TARGET_DIR=target/tools/build cargo install --quiet --debug --locked --no-default-features \
	  --root $(TOOLS) cargo-deb@$(CARGO_DEB)
	rm -rf target/tools/build

.PHONY: peers
peers: target/peers/bin/python ## sweeps one simulated fleet by versweep and by what else people do it with
	cargo build --release --locked
	target/peers/bin/python benches/peers/peers.py

target/peers/bin/python: benches/peers/requirements.txt
	python3 -m venv target/peers
	target/peers/bin/python -m pip install --quiet -r benches/peers/requirements.txt
	touch $@

.PHONY: bench
bench: ## the benches of the pure floors, and a simulated fleet
	cargo bench --locked
	cargo run --release --locked -- bench
