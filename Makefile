# The commands that people type. Everything else is `cargo xtask`.
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: run test check fix build install uninstall clean help

help: ## Show these lines
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## Build the release binary, start an agent and run an example service on it
	@scripts/run

test: ## Everything that CI runs: lints, unit, golden, simulation and end-to-end tests, the ledger
	@scripts/test

check: ## Lints only; writes nothing
	@cargo xtask check

fix: ## Mend what can be mended by itself
	@cargo xtask fix

build: ## Build the release binary
	@cargo build --release -p drover

install: build ## Install the binary, a sample configuration and the systemd unit under PREFIX
	install -D -m 0755 target/release/drover $(DESTDIR)$(PREFIX)/bin/drover
	install -d -m 0755 $(DESTDIR)/etc/drover.d $(DESTDIR)/usr/lib/systemd/system
	test -e $(DESTDIR)/etc/drover.d/drover.hcl || install -m 0640 dist/drover.hcl $(DESTDIR)/etc/drover.d/drover.hcl
	sed 's|@PREFIX@|$(PREFIX)|g' dist/drover.service > $(DESTDIR)/usr/lib/systemd/system/drover.service
	@echo "Installed. Look at /etc/drover.d/drover.hcl, then: systemctl daemon-reload && systemctl enable --now drover"

uninstall: ## Remove what install put there, but for the configuration and data
	rm -f $(DESTDIR)$(PREFIX)/bin/drover $(DESTDIR)/usr/lib/systemd/system/drover.service

clean: ## Remove build products
	cargo clean
