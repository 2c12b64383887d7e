# Building, checking and installing Tandem. `make help` lists what there is.
#
#   make demo                                shows the main job on files of its own
#   make demo MUSIC=~/Music PLAYER=/media/me/STICK
#   make test                                everything that continuous integration says
#   make build && sudo make install          into /usr, as a distribution's package would
#   make install DESTDIR=/tmp/root           into a directory, for packaging
#
# With another PREFIX, systemd, udev and D-Bus find their files in /usr/local as well; polkit reads /usr/share alone.

PREFIX ?= /usr
DESTDIR ?=
# release, or debug for trying the installation out
PROFILE ?= release
CARGO ?= cargo
CARGO_TARGET_DIR ?= target
INSTALL ?= install

bindir = $(PREFIX)/bin
libexecdir = $(PREFIX)/libexec
libdir = $(PREFIX)/lib
datadir = $(PREFIX)/share
mandir = $(datadir)/man
docdir = $(datadir)/doc/tandem

programs = $(CARGO_TARGET_DIR)/$(PROFILE)
# What the programs write about themselves at installation: man pages and completions.
generated = $(CARGO_TARGET_DIR)/generated
documents = README.md ARCHITECTURE.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE
examples = tandem-players.rules tandem-players.hwdb
interfaces = Sync1.Services Sync1.Device Sync1.Library Sync1.Playlist \
	Provider1 Provider1.Device Provider1.Storage Provider1.Object

root = $(DESTDIR)
substitute = sed -e 's|@bindir@|$(bindir)|g' -e 's|@libexecdir@|$(libexecdir)|g'

# Debian packages: to build, to show the main job, and for the suites.
packages_build = gcc libc6-dev pkg-config libudev-dev
packages_demo = $(packages_build) dbus ffmpeg
packages_providers = $(packages_build) dbus python3-dbus-next
packages_test = $(packages_providers) systemd udev e2fsprogs exfatprogs exfat-fuse dosfstools ffmpeg groff-base \
	libxml2-utils rsync strace
packages_vm = $(packages_build) mmdebstrap mtools busybox-static cpio binutils fdisk python3 \
	dosfstools exfatprogs e2fsprogs ntfs-3g

# Installs those of the named packages that are missing; anywhere but on Debian it says which programs are wanted.
install_packages = missing=$$(for package in $(1); do \
	  dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || printf '%s ' $$package; done); \
	if [ -n "$$missing" ]; then \
	  command -v apt-get >/dev/null || { echo "install what these packages of Debian hold: $$missing" >&2; exit 1; }; \
	  as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	  $$as_root apt-get update -qq && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 - /p' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## the main job on real files: partner, synchronise, change, synchronise again (MUSIC=, PLAYER= for your own)
	@$(call install_packages,$(packages_demo))
	@$(MAKE) --no-print-directory build PROFILE=$(PROFILE)
	@PROGRAMS="$(programs)" MUSIC="$(MUSIC)" PLAYER="$(PLAYER)" demo/demo.sh

.PHONY: test
test: ## all suites, formatting and lints, as continuous integration runs them
	@$(call install_packages,$(packages_test))
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory build PROFILE=debug
	$(CARGO) test --locked --workspace
	@PROGRAMS="$(CARGO_TARGET_DIR)/debug" demo/demo.sh >"$(CARGO_TARGET_DIR)/demo.log" 2>&1 || { cat "$(CARGO_TARGET_DIR)/demo.log"; exit 1; }
	@echo "the demonstration works"

# What is synced over and over waits for no disk, where there is memory for it.
in_memory = TMPDIR="$${TMPDIR:-$$(test -w /dev/shm && echo /dev/shm || echo /tmp)}"

# How the daemon has the C library allocate: with an arena for each thread, memory tells of threads and not of leaks.
allocator = MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=262144

# Profiles of real players that `make test-players` takes besides the project's own; nothing where there is no such directory.
TANDEM_PROFILES ?= ../shared/data/players

.PHONY: test-players
test-players: ## a synchronisation with a player of every profile, with unseen ones, then with each fault at each transaction
	@$(call install_packages,$(packages_build))
	$(CARGO) build --locked -p players
	$(in_memory) "$(CARGO_TARGET_DIR)/debug/players" --mutants 500 --faults $(wildcard $(TANDEM_PROFILES))

# Each harm is done to a provider at every so many calls.
every ?= 3

.PHONY: test-providers
test-providers: ## service providers: the conformance suite, both examples, synchronisations through them, faults (every=)
	@$(call install_packages,$(packages_providers))
	@$(MAKE) --no-print-directory build PROFILE=debug
	$(CARGO) build --locked -p dbus-interfaces --examples
	TANDEM_EVERY=$(every) $(CARGO) test --locked -p tandem-provider -p providers
	$(CARGO) test --locked -p conformance -p scenario --test provider --test providers

histories ?= 1000000
cycles ?= 10000

.PHONY: soak
soak: ## the simulation at length: a million random histories, all failing calls, 10,000 connections (histories=, cycles=)
	@$(call install_packages,$(packages_build) strace)
	TANDEM_HISTORIES=$(histories) TANDEM_CYCLES=$(cycles) TANDEM_EVERY=1 TANDEM_STORES=real $(in_memory) $(allocator) \
	  $(CARGO) test --locked --profile soak -p simulation -- --nocapture --test-threads=1

.PHONY: build
build: ## the programs, with PROFILE=release or debug
	$(CARGO) build --locked $(if $(filter release,$(PROFILE)),--release) -p tandemd -p tandem-library-agent -p tandemctl

.PHONY: fmt
fmt: ## formats every crate
	$(CARGO) fmt --all

.PHONY: lint
lint: ## formatting, clippy, licences and sources of dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --offline check licenses bans sources; \
	else echo "skipped: cargo-deny isn't installed; deny.toml was not checked"; fi

.PHONY: generate
generate:
	@for program in tandemd tandemctl tandem-library-agent; do \
	  test -x "$(programs)/$$program" || { echo "$(programs)/$$program isn't there: run \`make build PROFILE=$(PROFILE)\` first" >&2; exit 1; }; \
	done
	rm -rf "$(generated)"
	mkdir -p "$(generated)/man" "$(generated)/completions"
	"$(programs)/tandemd" --generate-man "$(generated)/man"
	"$(programs)/tandemctl" man "$(generated)/man"
	for shell in bash zsh fish; do "$(programs)/tandemctl" completions $$shell > "$(generated)/completions/$$shell" || exit 1; done

.PHONY: install
install: generate ## into DESTDIR and PREFIX, from what `make build` built
	$(INSTALL) -D -m 755 "$(programs)/tandemd" "$(root)$(bindir)/tandemd"
	$(INSTALL) -D -m 755 "$(programs)/tandemctl" "$(root)$(bindir)/tandemctl"
	$(INSTALL) -D -m 755 "$(programs)/tandem-library-agent" "$(root)$(libexecdir)/tandem-library-agent"
	$(INSTALL) -d "$(root)$(libdir)/systemd/system"
	for unit in tandemd.service tandem-library@.service; do \
	  $(substitute) "systemd/$$unit" > "$(generated)/$$unit" && \
	  $(INSTALL) -m 644 "$(generated)/$$unit" "$(root)$(libdir)/systemd/system/$$unit" || exit 1; \
	done
	$(INSTALL) -D -m 644 systemd/tandem.sysusers "$(root)$(libdir)/sysusers.d/tandem.conf"
	$(INSTALL) -D -m 644 systemd/tandem.tmpfiles "$(root)$(libdir)/tmpfiles.d/tandem.conf"
	$(INSTALL) -D -m 644 config/tandemd.toml "$(root)$(libdir)/tandem/tandemd.toml"
	$(INSTALL) -D -m 644 config/udev/90-tandem.rules "$(root)$(libdir)/udev/rules.d/90-tandem.rules"
	$(INSTALL) -D -m 644 config/dbus-1/org.tandemd.Sync1.conf "$(root)$(datadir)/dbus-1/system.d/org.tandemd.Sync1.conf"
	$(INSTALL) -D -m 644 config/dbus-1/org.tandemd.Sync1.service "$(root)$(datadir)/dbus-1/system-services/org.tandemd.Sync1.service"
	$(INSTALL) -D -m 644 config/polkit-1/org.tandemd.Sync1.policy "$(root)$(datadir)/polkit-1/actions/org.tandemd.Sync1.policy"
	$(INSTALL) -D -m 644 config/polkit-1/org.tandemd.Sync1.rules "$(root)$(datadir)/polkit-1/rules.d/org.tandemd.Sync1.rules"
	$(INSTALL) -d "$(root)$(datadir)/dbus-1/interfaces" "$(root)$(mandir)/man1" "$(root)$(docdir)"
	for interface in $(interfaces); do \
	  $(INSTALL) -m 644 "dbus-interfaces/org.tandemd.$$interface.xml" "$(root)$(datadir)/dbus-1/interfaces/" || exit 1; \
	done
	$(INSTALL) -m 644 "$(generated)"/man/tandemctl*.1 "$(root)$(mandir)/man1/"
	$(INSTALL) -D -m 644 config/man/tandemd.toml.5 "$(root)$(mandir)/man5/tandemd.toml.5"
	$(INSTALL) -D -m 644 "$(generated)/man/tandem-rules.7" "$(root)$(mandir)/man7/tandem-rules.7"
	$(INSTALL) -D -m 644 "$(generated)/man/tandemd.8" "$(root)$(mandir)/man8/tandemd.8"
	$(INSTALL) -D -m 644 "$(generated)/completions/bash" "$(root)$(datadir)/bash-completion/completions/tandemctl"
	$(INSTALL) -D -m 644 "$(generated)/completions/zsh" "$(root)$(datadir)/zsh/site-functions/_tandemctl"
	$(INSTALL) -D -m 644 "$(generated)/completions/fish" "$(root)$(datadir)/fish/vendor_completions.d/tandemctl.fish"
	$(INSTALL) -m 644 $(documents) $(addprefix config/udev/,$(examples)) "$(root)$(docdir)/"

.PHONY: uninstall
uninstall: ## what `make install` with the same DESTDIR and PREFIX put there; state stays
	rm -f "$(root)$(bindir)/tandemd" "$(root)$(bindir)/tandemctl" "$(root)$(libexecdir)/tandem-library-agent"
	rm -f "$(root)$(libdir)/systemd/system/tandemd.service" "$(root)$(libdir)/systemd/system/tandem-library@.service"
	rm -f "$(root)$(libdir)/sysusers.d/tandem.conf" "$(root)$(libdir)/tmpfiles.d/tandem.conf"
	rm -f "$(root)$(libdir)/tandem/tandemd.toml" "$(root)$(libdir)/udev/rules.d/90-tandem.rules"
	rm -f "$(root)$(datadir)/dbus-1/system.d/org.tandemd.Sync1.conf"
	rm -f "$(root)$(datadir)/dbus-1/system-services/org.tandemd.Sync1.service"
	rm -f "$(root)$(datadir)/polkit-1/actions/org.tandemd.Sync1.policy"
	rm -f "$(root)$(datadir)/polkit-1/rules.d/org.tandemd.Sync1.rules"
	for interface in $(interfaces); do rm -f "$(root)$(datadir)/dbus-1/interfaces/org.tandemd.$$interface.xml"; done
	rm -f "$(root)$(mandir)"/man1/tandemctl.1 "$(root)$(mandir)"/man1/tandemctl-*.1
	rm -f "$(root)$(mandir)/man5/tandemd.toml.5" "$(root)$(mandir)/man7/tandem-rules.7" "$(root)$(mandir)/man8/tandemd.8"
	rm -f "$(root)$(datadir)/bash-completion/completions/tandemctl" "$(root)$(datadir)/zsh/site-functions/_tandemctl"
	rm -f "$(root)$(datadir)/fish/vendor_completions.d/tandemctl.fish"
	for document in $(documents) $(examples); do rm -f "$(root)$(docdir)/$$document"; done
	rmdir "$(root)$(libdir)/tandem" "$(root)$(docdir)" 2>/dev/null || true

# QEMU and its tools have to be of one version; another source of packages may have brought newer tools.
install_qemu = command -v qemu-system-x86_64 >/dev/null && command -v qemu-img >/dev/null || { \
	  command -v apt-get >/dev/null || { echo "install QEMU for x86-64 and qemu-img" >&2; exit 1; }; \
	  as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	  $$as_root apt-get update -qq && version=$$(apt-cache madison qemu-utils | awk 'NR == 1 { print $$3 }') && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --allow-downgrades \
	    qemu-system-x86 "qemu-utils=$$version" >/dev/null; \
	}
# Runs a program of tests/vm as root: the guest's file system has real owners.
in_vm = as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	$$as_root env PATH="$$PATH" CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)" tests/vm/$(1) --profile $(PROFILE)

packages_bench = $(packages_build) dbus rsync

.PHONY: bench
bench: ## speed and memory against other tools, as a table (BENCH= names some of: start scan step copy provider engine answers mtp; TMPDIR= where)
	@$(call install_packages,$(packages_bench))
	@$(MAKE) --no-print-directory build PROFILE=release
	$(CARGO) build --locked --release -p benches
	$(CARGO) build --locked --release -p dbus-interfaces --example directory_player
	"$(CARGO_TARGET_DIR)/release/benches" $(BENCH)

.PHONY: test-vm
test-vm: vm-programs ## the installed system in a virtual machine with USB sticks, as root (CASES=pattern for some, PROFILE=debug)
	@$(call in_vm,run.py) $(CASES)

.PHONY: test-vm-all
test-vm-all: vm-programs ## the same, with the cases that take longer
	@$(call in_vm,run.py) --all

.PHONY: bench-vm
bench-vm: vm-programs ## speed and memory of the installed system in the virtual machine against other tools, as a table
	@$(call in_vm,bench.py)

.PHONY: vm-programs
vm-programs:
	@$(call install_packages,$(packages_vm))
	@$(install_qemu)
	@$(MAKE) --no-print-directory build PROFILE=$(PROFILE)
	$(CARGO) build --locked --release -p mtp_device -p usb_provider
