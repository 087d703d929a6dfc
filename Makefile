# SPDX-License-Identifier: BSD-2-Clause
#
#   make                    build the shared library and the archive
#   make install            install them (PREFIX, LIBDIR, INCLUDEDIR, MANDIR, DESTDIR)
#   make uninstall          remove what install placed, given the same variables
#   make demo               show kqueue at work, in a few seconds
#   make check              the tests: Rust and C; the last line counts them
#   make check-model        the model-based tests find the errors seeded for them
#   make check-libevent     libevent's own regression suite on our kqueue
#   make clean
#
# CARGOFLAGS is passed to cargo, as in CARGOFLAGS="--locked --offline". BACKEND names the cargo feature of a
# backend other than the platform's own (there is none yet).

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

# What the archive needs that the compiler driver does not name by itself, as it does -lgcc_s and -lc.
LIBS_PRIVATE = -lpthread -ldl

RELEASE = $(or $(CARGO_TARGET_DIR),target)/release
FEATURES = $(if $(BACKEND),--no-default-features --features $(BACKEND))
SOURCES := Cargo.toml $(wildcard Cargo.lock) build.rs $(shell find src -type f)
STAGE = $(CURDIR)/build/prefix

all: build/libkqueue.so build/libkqueue.a

# cargo is asked only when a source or an option changed, so that "sudo make install" needs no cargo.
build/libkqueue.so: $(SOURCES) build/options
	$(CARGO) build --release --lib $(FEATURES) $(CARGOFLAGS)
	cp $(RELEASE)/libkqueue.so $@

# One object with our symbols only: Rust's own are local, so that a second Rust archive links beside it.
# (--gc-sections leaves weak references of what it removed behind as local ones: --strip-unneeded takes them.)
build/libkqueue.a: build/libkqueue.so exports.txt
	$(LD) -r --gc-sections --force-group-allocation $$(sed -n 's/^[a-z_]/-u &/p' exports.txt) \
	    -o build/kqueue.o $(RELEASE)/libkqueue.a
	$(OBJCOPY) --strip-unneeded -R .llvmbc -R .llvmcmd --keep-global-symbols=exports.txt build/kqueue.o
	rm -f $@
	$(AR) rcs $@ build/kqueue.o

build/options: force
	@mkdir -p build
	@echo '$(BACKEND) $(CARGOFLAGS)' | cmp -s - $@ || echo '$(BACKEND) $(CARGOFLAGS)' > $@

# Files and links that install places and uninstall removes.
PLACED = $(LIBDIR)/$(SHARED) $(LIBDIR)/$(SONAME) $(LIBDIR)/libkqueue.so $(LIBDIR)/libkqueue.a \
    $(LIBDIR)/pkgconfig/libkqueue.pc $(INCLUDEDIR)/kqueue/sys/event.h \
    $(MANDIR)/man2/kqueue.2 $(MANDIR)/man2/kevent.2

install: all
	$(INSTALL) -d $(sort $(dir $(PLACED:%=$(DESTDIR)%)))
	$(INSTALL) -m 755 build/libkqueue.so $(DESTDIR)$(LIBDIR)/$(SHARED)
	ln -sf $(SHARED) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libkqueue.so
	$(INSTALL) -m 644 build/libkqueue.a $(DESTDIR)$(LIBDIR)/libkqueue.a
	$(INSTALL) -m 644 include/kqueue/sys/event.h $(DESTDIR)$(INCLUDEDIR)/kqueue/sys/event.h
	$(INSTALL) -m 644 man/kqueue.2 $(DESTDIR)$(MANDIR)/man2/kqueue.2
	ln -sf kqueue.2 $(DESTDIR)$(MANDIR)/man2/kevent.2
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS_PRIVATE@|$(LIBS_PRIVATE)|' \
	    -e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
	    -e 's|@INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' \
	    libkqueue.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/libkqueue.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/libkqueue.pc

uninstall:
	rm -f $(PLACED:%=$(DESTDIR)%)
	rmdir $(DESTDIR)$(INCLUDEDIR)/kqueue/sys $(DESTDIR)$(INCLUDEDIR)/kqueue 2>/dev/null || :

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

check-libevent: stage
	tests/libevent/run.sh $(STAGE)

# In a folder of its own: the library with seeded errors must not be taken for the real one.
check-model:
	$(CARGO) test --release --features seeded-bugs --test model --target-dir $(or $(CARGO_TARGET_DIR),target)/seeded \
	    --config profile.release.lto=false $(CARGOFLAGS)

clean:
	$(CARGO) clean
	rm -rf build

force:

.PHONY: all install uninstall stage demo check check-libevent check-model clean force
