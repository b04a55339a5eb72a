# Thin wrappers: each target does its own set-up on a fresh Debian machine with Swift.

SWIFT_BUILD = swift build -c release
# The programs with Swift's runtime in them: nothing is compiled for it, they are linked once more.
LINK_PROGRAMS = CAKED_STATIC=1 $(SWIFT_BUILD)
PREFIX ?= /usr
# The unit and the configuration name paths below /usr.
IN_PREFIX = sed 's|/usr/|$(PREFIX)/|g'
.PHONY: demo test test-systemd test-threads build bench bench-models bench-peers answers fuzz install uninstall lint format \
	clean

demo: build            ## cache a document, ask, restart, ask again
	demo/demo.sh

build:                 ## the three programs, in .build/release
	scripts/setup.sh
	$(LINK_PROGRAMS)

test: lint             ## every test, the real programs included
	scripts/setup.sh python3-venv
	$(SWIFT_BUILD) --build-tests
	$(LINK_PROGRAMS)
	scripts/test-linkage.sh
	export CAKED_TEST_PYTHON="$$(scripts/python.sh openai==3.54.0)" \
		&& swift test -c release --skip-build && scripts/test-kernels.sh

test-systemd:          ## the units under a systemd of their own, in a container, with the programs that are built
	scripts/setup.sh mmdebstrap systemd-container || true  # what is missing is named below
	scripts/test-systemd.py

bench: build           ## the figures of the README
	demo/figures.sh

bench-models:          ## models of random weights to measure speed with: make bench-models MODELS=folder
	mkdir -p $(MODELS)
	"$$(scripts/python.sh numpy gguf==0.19.0)" scripts/bench-models.py $(MODELS)

bench-peers: build     ## speed beside other engines: make bench-peers IK=llama-bench LLAMA=llama-bench MODELS=folder
	IK=$(IK) LLAMA=$(LLAMA) MODELS=$(MODELS) demo/speed.sh $(PARTS)

# The engine on a small model takes some minutes so; what only computes is left out.
test-threads:          ## the threads of store and engine, under the thread sanitizer
	scripts/setup.sh
	CAKED_THREADS=1 swift test --sanitize=thread --scratch-path .build/threads \
		--filter 'LMDBTests|CacheStoreTests|InferenceTests.(Engine|Scheduler|JobDirectory|EventStream|Admission|Transfer)'

fuzz:                  ## each fuzzer for FUZZ_SECONDS (600) on its corpus
	scripts/setup.sh
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),600)

answers: build         ## the table and the picture of answers by method and budget
	scripts/setup.sh python3-venv
	demo/answers.sh

lint:                  ## formatting and columns, as continuous integration checks them
	scripts/lint.sh

format:
	swift format -i -r -p Sources Tests Package.swift

# Installs what is built, so that `sudo make install` needs no compiler. An administrator's configuration stays. Symbols
# are left out where there is a `strip`: they are half of a program; STRIP= keeps them.
STRIP ?= $(if $(shell command -v strip),-s)
install: .build/release/caked  ## programs, configuration, units and the small model below $(DESTDIR)
	install -D -m 755 $(STRIP) .build/release/caked $(DESTDIR)$(PREFIX)/sbin/caked
	install -D -m 755 $(STRIP) .build/release/cakectl $(DESTDIR)$(PREFIX)/bin/cakectl
	install -D -m 755 $(STRIP) .build/release/cakebench $(DESTDIR)$(PREFIX)/bin/cakebench
	install -D -m 644 models/needle-4m/needle-4m-q8_0.gguf $(DESTDIR)$(PREFIX)/share/caked/needle-4m-q8_0.gguf
	test -e $(DESTDIR)/etc/caked/caked.yaml || $(IN_PREFIX) config/caked.yaml \
		| install -D -m 644 /dev/stdin $(DESTDIR)/etc/caked/caked.yaml
	$(IN_PREFIX) systemd/caked.service \
		| install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/caked.service
	install -D -m 644 systemd/caked.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/caked.socket
	install -D -m 644 systemd/caked.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/caked.conf

# What the daemon made and what the administrator wrote stays: documents, configuration, user and group.
uninstall:             ## what `make install` installed, but for the configuration
	test -n "$(DESTDIR)" || test ! -d /run/systemd/system || systemctl disable --now caked.socket caked.service
	rm -f $(DESTDIR)$(PREFIX)/sbin/caked $(DESTDIR)$(PREFIX)/bin/cakectl $(DESTDIR)$(PREFIX)/bin/cakebench
	rm -f $(DESTDIR)$(PREFIX)/share/caked/needle-4m-q8_0.gguf
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/caked.service $(DESTDIR)$(PREFIX)/lib/systemd/system/caked.socket
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/caked.conf
	rmdir $(DESTDIR)$(PREFIX)/share/caked 2>/dev/null || true
	@echo "left: $(DESTDIR)/etc/caked, $(DESTDIR)/var/lib/caked, the user and group caked"

.build/release/caked:
	$(MAKE) build

clean:
	rm -rf .build
