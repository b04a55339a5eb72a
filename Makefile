# Thin wrappers: each target does its own set-up on a fresh Debian machine with Swift.

SWIFT_BUILD = swift build -c release
PREFIX ?= /usr
.PHONY: demo test build bench install lint format clean

demo: build            ## cache a document, ask, restart, ask again
	demo/demo.sh

build:                 ## the three programs, in .build/release
	scripts/setup.sh
	$(SWIFT_BUILD)

test: lint             ## every test, the real programs included
	scripts/setup.sh python3-venv
	$(SWIFT_BUILD) --build-tests
	CAKED_TEST_PYTHON="$$(scripts/python.sh openai==3.54.0)" swift test -c release --skip-build

bench: build           ## the figures of the README
	demo/figures.sh

lint:                  ## formatting, as continuous integration checks it
	swift format lint --strict -r -p Sources Tests Package.swift

format:
	swift format -i -r -p Sources Tests Package.swift

install: build         ## programs, configuration and units below $(DESTDIR)
	install -D -m 755 .build/release/caked $(DESTDIR)$(PREFIX)/sbin/caked
	install -D -m 755 .build/release/cakectl $(DESTDIR)$(PREFIX)/bin/cakectl
	install -D -m 755 .build/release/cakebench $(DESTDIR)$(PREFIX)/bin/cakebench
	install -D -m 644 config/caked.yaml $(DESTDIR)/etc/caked/caked.yaml
	install -D -m 644 models/needle-4m/needle-4m-q8_0.gguf $(DESTDIR)$(PREFIX)/share/caked/needle-4m-q8_0.gguf
	install -D -m 644 systemd/caked.service $(DESTDIR)$(PREFIX)/lib/systemd/system/caked.service
	install -D -m 644 systemd/caked.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/caked.socket
	install -D -m 644 systemd/caked.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/caked.conf

clean:
	rm -rf .build
