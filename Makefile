# SPDX-License-Identifier: BSD-2-Clause
#
#   make                    build the shared library and the archive
#   make install            install them (PREFIX, LIBDIR, INCLUDEDIR, MANDIR, DESTDIR)
#   make uninstall          remove what install placed, given the same variables
#   make demo               show kqueue at work, in a few seconds
#   make check              the tests: Rust, C, every way to be loaded; the last line counts them
#   make check-full         the same with more rounds, tools, shapes and faults, in half an hour
#   make check-model        the model-based tests find the errors seeded for them
#   make mutants            break the library in 5,000 small ways: do the tests notice? Some hours; goes on where it
#                           was stopped (FILES=src/filter/timer.rs; MINUTES, SAMPLE: no more than that; JOBS)
#   make fuzz               anything at all for kevent(), chosen by what it reaches (Rust nightly, cargo-fuzz; SECONDS=600)
#   make check-sanitizers   the library under ThreadSanitizer, AddressSanitizer (Rust nightly) and valgrind
#   make check-posix        the C suite on the backend for any Unix (BACKEND=posix), and that it calls nothing of Linux
#   make check-solaris      event ports: the emulation by their contract, and the C suite on the backend over it
#   make check-cross        type-check the backends for FreeBSD, Android, illumos and Solaris, with a std built from source
#   make check-old-kernel   the C suite in qemu, on the oldest kernel that Debian has; a quarter of an hour or more (ARGS)
#   make windows            the DLLs, import libraries and archive for Windows, in build/windows, and a zip of them
#   make check-windows      the C suite on them under Wine, and a server with 200 clients
#   make check-libevent     libevent's own regression suite on our kqueue
#   make check-programs     real programs on our kqueue beside themselves on epoll (PROGRAM='redis nginx' some of them)
#   make check-consumers    small projects that find, build and run us with each build system and compiler
#   make deb                Debian packages, in build/deb
#   make dist               a release archive with the crates in it, in build/dist; beside it what packagers take
#   make check-packages     builds, installs, uses and removes those packages (PACKAGES='rpm arch' some of them; QUICK=1
#                           with the library that is built already, in a minute)
#   make bench              as fast as hand-written epoll? All scenarios, in some minutes, on an idle machine
#                           (SCENARIO='user-*' some of them; LIBKQUEUE=/path/to/libkqueue.so another library)
#   make clean
#
# CARGOFLAGS is passed to cargo, as in CARGOFLAGS="--locked --offline". BACKEND names the cargo feature of a
# backend other than the platform's own: BACKEND=posix is the one for any Unix.

PREFIX = /usr/local
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
MANDIR = $(PREFIX)/share/man
DESTDIR =

BACKEND =
CARGO ?= cargo
CARGOFLAGS =
INSTALL = install
LD = ld
OBJCOPY = objcopy

# 3.x.y of the crate is 0.3.x of the shared library, whose major number is the C library's.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
SONAME = libkqueue.so.0
SHARED = $(SONAME).$(basename $(VERSION))

empty =
space = $(empty) $(empty)

# What the archive needs that the compiler driver does not name by itself, as it does -lgcc_s and -lc.
LIBS_PRIVATE = -lpthread -ldl

RELEASE = $(or $(CARGO_TARGET_DIR),target)/release
FEATURES = $(if $(BACKEND),--no-default-features --features $(BACKEND))
SOURCES := Cargo.toml $(wildcard Cargo.lock) build.rs $(shell find src -type f)
STAGE = $(CURDIR)/build/prefix
CMAKEDIR = $(LIBDIR)/cmake/libkqueue

all: build/libkqueue.so build/libkqueue.a

# cargo is asked only when a source or an option changed, so that "sudo make install" needs no cargo.
build/libkqueue.so: $(SOURCES) build/options
	$(CARGO) build --release --lib $(FEATURES) $(CARGOFLAGS)
	cp $(RELEASE)/libkqueue.so $@

# One object with our symbols only: Rust's own are local, so that a second Rust archive links beside it.
# (--gc-sections leaves weak references of what it removed behind as local ones: --strip-unneeded takes them.)
# Portable programs have a closefrom() of their own, which is to be linked instead of ours.
build/libkqueue.a: build/libkqueue.so exports.txt
	$(LD) -r --gc-sections --force-group-allocation $$(sed -n 's/^[a-z_]/-u &/p' exports.txt) \
	    -o build/kqueue.o $(RELEASE)/libkqueue.a
	$(OBJCOPY) --strip-unneeded -R .llvmbc -R .llvmcmd --keep-global-symbols=exports.txt \
	    --weaken-symbol=closefrom build/kqueue.o
	rm -f $@
	$(AR) rcs $@ build/kqueue.o

build/options: force
	@mkdir -p build
	@echo '$(BACKEND) $(CARGOFLAGS)' | cmp -s - $@ || echo '$(BACKEND) $(CARGOFLAGS)' > $@

# What the header does not define, as the backend does not serve it.
FOLDER = $(BACKEND:event-port-emulation=solaris)
ABSENT = $(or $(if $(BACKEND),$(wildcard src/platform/$(FOLDER)/absent)),/dev/null)

# What is below the prefix is found from where the other is, wherever the prefix has been moved to.
below = $(and $(filter $(PREFIX)/%,$(1)),$(filter $(PREFIX)/%,$(2)))
upwards = $(subst $(space),,$(patsubst %,../,$(subst /, ,$(patsubst $(PREFIX)/%,%,$(1)))))
from = $(if $(call below,$(1),$(2)),$(call upwards,$(1))$(patsubst $(PREFIX)/%,%,$(2)),$(2))

# Files and links that install places and uninstall removes.
PLACED = $(LIBDIR)/$(SHARED) $(LIBDIR)/$(SONAME) $(LIBDIR)/libkqueue.so $(LIBDIR)/libkqueue.a \
    $(LIBDIR)/pkgconfig/libkqueue.pc $(CMAKEDIR)/libkqueue-config.cmake $(CMAKEDIR)/libkqueue-config-version.cmake \
    $(INCLUDEDIR)/kqueue/sys/event.h \
    $(MANDIR)/man2/kqueue.2 $(MANDIR)/man2/kevent.2

install: all
	$(INSTALL) -d $(sort $(dir $(PLACED:%=$(DESTDIR)%)))
	$(INSTALL) -m 755 build/libkqueue.so $(DESTDIR)$(LIBDIR)/$(SHARED)
	ln -sf $(SHARED) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libkqueue.so
	$(INSTALL) -m 644 build/libkqueue.a $(DESTDIR)$(LIBDIR)/libkqueue.a
	awk -f include/without.awk $(ABSENT) include/kqueue/sys/event.h \
	    > $(DESTDIR)$(INCLUDEDIR)/kqueue/sys/event.h
	$(INSTALL) -m 644 man/kqueue.2 $(DESTDIR)$(MANDIR)/man2/kqueue.2
	ln -sf kqueue.2 $(DESTDIR)$(MANDIR)/man2/kevent.2
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS_PRIVATE@|$(LIBS_PRIVATE)|' \
	    -e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
	    -e 's|@INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' \
	    libkqueue.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/libkqueue.pc
	sed -e 's|@INCLUDEDIR@|$(call from,$(CMAKEDIR),$(INCLUDEDIR))|' -e 's|@LIBS_PRIVATE@|$(subst $(space),;,$(strip $(LIBS_PRIVATE)))|' \
	    libkqueue-config.cmake.in > $(DESTDIR)$(CMAKEDIR)/libkqueue-config.cmake
	sed -e 's|@VERSION@|$(VERSION)|' -e 's|@MAJOR@|$(firstword $(subst ., ,$(VERSION)))|' \
	    libkqueue-config-version.cmake.in > $(DESTDIR)$(CMAKEDIR)/libkqueue-config-version.cmake
	chmod 644 $(PLACED:%=$(DESTDIR)%)
	chmod 755 $(DESTDIR)$(LIBDIR)/$(SHARED)

uninstall:
	rm -f $(PLACED:%=$(DESTDIR)%)
	rmdir $(DESTDIR)$(INCLUDEDIR)/kqueue/sys $(DESTDIR)$(INCLUDEDIR)/kqueue $(DESTDIR)$(CMAKEDIR) 2>/dev/null || :

# An installation under build/, for everything that wants to be a user of one.
stage:
	@rm -rf $(STAGE)
	@$(MAKE) --no-print-directory install DESTDIR= PREFIX=$(STAGE) \
	    LIBDIR=$(STAGE)/lib INCLUDEDIR=$(STAGE)/include MANDIR=$(STAGE)/share/man

STAGED = PKG_CONFIG_PATH=$(STAGE)/lib/pkgconfig pkg-config

demo: stage
	$(CC) -std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -O2 $$($(STAGED) --cflags libkqueue) -o build/demo \
	    demo/demo.c $$($(STAGED) --libs libkqueue) -Wl,-rpath,$(STAGE)/lib -pthread
	build/demo

check: stage
	@CARGO='$(CARGO)' CARGOFLAGS='$(FEATURES) $(CARGOFLAGS)' MAKE='$(MAKE)' STAGE='$(STAGE)' tests/check.sh

check-full: stage
	@FULL=full CARGO='$(CARGO)' CARGOFLAGS='$(FEATURES) $(CARGOFLAGS)' MAKE='$(MAKE)' STAGE='$(STAGE)' tests/check.sh
	tests/faults/full.sh $(STAGE)

check-sanitizers: stage
	@CARGOFLAGS='$(CARGOFLAGS)' tests/sanitizers.sh $(STAGE)

# What it finds that is new is kept in build/fuzz/corpus, what fails in build/fuzz.
SECONDS = 600
fuzz:
	mkdir -p build/fuzz/corpus
	perl -ne 'open F, ">build/fuzz/corpus/line-$$."; print F pack "H*", /^(\w+)$$/' tests/fuzz/corpus.hex
	$(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz --target-dir build/fuzz/target kevent build/fuzz/corpus \
	    -- -max_total_time=$(SECONDS) -max_len=2000 -timeout=20 -artifact_prefix=build/fuzz/ -print_final_stats=1 -verbosity=1

check-posix:
	@$(MAKE) --no-print-directory stage BACKEND=posix STAGE=$(CURDIR)/build/posix
	tests/posix.sh $(CURDIR)/build/posix

check-solaris:
	$(MAKE) --no-print-directory -C tests/event-ports check BUILD=$(CURDIR)/build/event-ports
	@$(MAKE) --no-print-directory stage BACKEND=event-port-emulation STAGE=$(CURDIR)/build/solaris
	tests/solaris.sh $(CURDIR)/build/solaris $(CURDIR)/build/event-ports

check-cross:
	CARGOFLAGS='$(CARGOFLAGS)' tests/cross.sh

check-old-kernel: stage
	tests/old-kernel/run.sh $(STAGE)

WINDOWS = $(CURDIR)/build/windows/libkqueue-$(VERSION)-windows-x86_64

windows:
	CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' windows/build.sh $(WINDOWS) $(VERSION)
	cd build/windows && rm -f $(notdir $(WINDOWS)).zip && zip -q -r $(notdir $(WINDOWS)).zip $(notdir $(WINDOWS))
	ls -l build/windows/*.zip

check-windows:
	CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' windows/build.sh $(WINDOWS) $(VERSION)
	windows/check.sh $(WINDOWS) $(ARGS)

check-consumers: stage
	tests/consumers/run.sh $(STAGE)

check-libevent: stage
	tests/libevent/run.sh $(STAGE)

check-programs: stage
	tests/programs/run.sh $(STAGE) $(PROGRAM)

# Of what git has: a file that was forgotten is missing here, too. A cargo that dpkg does not know (rustup's) is
# what the profile is for.
deb:
	rm -rf build/deb && mkdir -p build/deb/libkqueue-$(VERSION)
	git archive HEAD | tar -x -C build/deb/libkqueue-$(VERSION)
	cd build/deb/libkqueue-$(VERSION) && dpkg-buildpackage -b -us -uc \
	    $$(dpkg-query -W cargo >/dev/null 2>&1 || echo --build-profiles=pkg.libkqueue.rustup)
	rm -rf build/deb/libkqueue-$(VERSION)
	ls build/deb

dist:
	rm -rf build/dist && mkdir -p build/dist/libkqueue-$(VERSION)
	git archive HEAD | tar -x -C build/dist/libkqueue-$(VERSION)
	cd build/dist/libkqueue-$(VERSION) && mkdir -p .cargo && $(CARGO) vendor --locked vendor > .cargo/config.toml
	cd build/dist && tar --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
	    --mtime=@$$(git log -1 --format=%ct) -cf - libkqueue-$(VERSION) | xz -T2 > libkqueue-$(VERSION).tar.xz
	rm -rf build/dist/libkqueue-$(VERSION)
	packaging/fill.sh build/dist/libkqueue-$(VERSION).tar.xz build/dist/packaging
	ls -l build/dist

check-packages: dist $(if $(QUICK),all)
	$(if $(QUICK),PREBUILT=$(RELEASE)) packaging/check/run.sh build/dist/libkqueue-$(VERSION).tar.xz $(PACKAGES)

# The committed figures and the README's picture are those of a whole run on this library.
BENCH_CHOICE = $(SCENARIO)$(LIBKQUEUE)$(REPETITIONS)
bench: stage
	@$(MAKE) --no-print-directory -C benches run PREFIX_DIR=$(STAGE) \
	    $(if $(LIBKQUEUE),LIBKQUEUE=$(abspath $(LIBKQUEUE))) $(if $(BENCH_CHOICE),,RESULTS=results.tsv)
	@$(if $(BENCH_CHOICE),,$(MAKE) --no-print-directory -C benches picture)

# In a folder of its own: the library with seeded errors must not be taken for the real one.
check-model:
	$(CARGO) test --release --features seeded-bugs --test model --target-dir $(or $(CARGO_TARGET_DIR),target)/seeded \
	    --config profile.release.lto=false $(CARGOFLAGS)

# The mutants, what came out and the library that holds them are in build/mutants.
mutants:
	$(CARGO) run --release --manifest-path tests/mutants/Cargo.toml --target-dir build/mutants/tool $(CARGOFLAGS) -- \
	    $(if $(JOBS),-j $(JOBS)) $(if $(SAMPLE),-n $(SAMPLE)) $(if $(MINUTES),-t $(MINUTES)) $(if $(LIST),--list) $(FILES)

clean:
	$(CARGO) clean
	rm -rf build

force:

.PHONY: all install uninstall stage demo check check-full check-posix check-solaris check-cross check-old-kernel check-windows \
    windows check-model check-sanitizers fuzz check-libevent check-programs check-consumers check-packages deb dist \
    bench mutants clean force
