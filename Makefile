# SPDX-License-Identifier: GPL-2.0-or-later
# guardd: `make help` lists the targets.  Rooms are built by wildcard: a new .c needs no line here.

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif
ifdef ASAN
BUILD := build-asan
SANITIZE := -fsanitize=address,undefined -fno-omit-frame-pointer
export GUARDD_PATIENCE ?= 2
endif

PKGS      := glib-2.0 gio-2.0 gio-unix-2.0 json-c libvirt libvirt-qemu libnbd sqlite3 libcrypto libxml-2.0
PKGCFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKGLIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
        -Wno-unused-parameter -Wno-missing-field-initializers
HARD := -fstack-protector-strong -fPIC -D_FORTIFY_SOURCE=2 -fvisibility=hidden
CPPFLAGS += -D_GNU_SOURCE -DGUARDD_VERSION='"$(VERSION)"' -DGUARDD_PLUGIN_DIR='"$(PREFIX)/lib/guardd/plugins"' \
            -DGUARDD_LIBEXEC_DIR='"$(PREFIX)/lib/guardd"' \
            -DG_LOG_USE_STRUCTURED -Iinclude -I. -isystem /usr/include $(PKGCFLAGS)
CFLAGS  ?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(WARN) $(HARD) $(SANITIZE)
ALL_LDFLAGS = $(LDFLAGS) $(SANITIZE) -Wl,-z,relro,-z,now -Wl,--as-needed

# V=1 shows the commands
Q   := $(if $(V),,@)
say := @printf '  %s %s\n'

objects    = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)/*.c))
BASE_O    := $(call objects,base)
QMP_O     := $(call objects,qmp)
GUARDD_O  := $(filter-out $(BUILD)/obj/guardd/main.o,$(call objects,guardd))
GUARDSH_O := $(call objects,guardsh)
SENTINEL_O := $(filter-out $(BUILD)/obj/sentinel/main.o $(BUILD)/obj/sentinel/sandbox.o,$(call objects,sentinel))
STORAGE   := $(notdir $(patsubst %/,%,$(dir $(wildcard plugins/storage/*/plugin.c))))
DETECTORS := $(notdir $(patsubst %/,%,$(dir $(wildcard plugins/detector/*/plugin.c))))
ALERTS    := $(notdir $(patsubst %/,%,$(dir $(wildcard plugins/alert/*/plugin.c))))
PLUGINS   := $(patsubst %,$(BUILD)/plugins/storage-%.so,$(STORAGE)) \
             $(patsubst %,$(BUILD)/plugins/detector-%.so,$(DETECTORS)) \
             $(patsubst %,$(BUILD)/plugins/alert-%.so,$(ALERTS))
UNIT      := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test-*.c))
HELPERS   := $(patsubst tests/lib/%.c,$(BUILD)/tests/lib/%,$(wildcard tests/lib/*.c))
FUZZERS   := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz-*.c))
BENCHES   := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))

.PHONY: all help deps check unit attacks bench demo lint fuzz soak valgrind install clean format
.DELETE_ON_ERROR:

all: $(BUILD)/guardd $(BUILD)/guardsh $(BUILD)/guardd-sentinel $(BUILD)/guardd-inspector $(BUILD)/guardd-lvm $(BUILD)/guardd-workers $(BUILD)/guardd-plugin-check $(PLUGINS)

help:
	@echo 'make             build into build/'
	@echo 'make deps        install the Debian packages that building and testing need (as root)'
	@echo 'make demo        three real guests wiped and restored before your eyes'
	@echo 'make check       every test; ends with "N passed, N failed"'
	@echo 'make unit        the tests that need no QEMU'
	@echo 'make bench       figures beside the peers, in the same run'
	@echo 'make attacks     real guests attacked and administered; what is seen of it'
	@echo 'make valgrind    the fast tests under valgrind'
	@echo 'make soak        an hour with 30 guests, as a table (SECONDS_SOAK=3600)'
	@echo 'make fuzz        fuzz the parsers (SECONDS_EACH=600)'
	@echo 'make lint        format, static analysis, house rules'
	@echo 'make install     into $$(DESTDIR)$$(PREFIX)'

deps:
	@packaging/deps

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libbase.a: $(BASE_O)
$(BUILD)/libqmp.a: $(QMP_O)
$(BUILD)/libguardd.a: $(GUARDD_O)
$(BUILD)/%.a:
	@rm -f $@
	$(Q)ar rcs $@ $^

LIBS := $(BUILD)/libguardd.a $(BUILD)/libqmp.a $(BUILD)/libbase.a

$(BUILD)/guardd: $(BUILD)/obj/guardd/main.o $(LIBS)
	$(say) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(PKGLIBS)

# It starts for each command: GIO, and all that it needs, takes as long to load as most of them take.
GUARDSH_LIBS = $(shell pkg-config --libs glib-2.0 json-c 2>/dev/null)
$(BUILD)/guardsh: $(GUARDSH_O) $(LIBS)
	$(say) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(GUARDSH_LIBS)

# Plain C, few libraries: it starts with every snapshot, and a guest's disk may take it over.
SENTINEL_LIBS := -lz
$(BUILD)/libsentinel.a: $(SENTINEL_O)
$(BUILD)/guardd-sentinel: $(BUILD)/obj/sentinel/main.o $(BUILD)/obj/sentinel/sandbox.o $(BUILD)/libsentinel.a
	$(say) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(SENTINEL_LIBS) -lseccomp

INSPECTOR_LIBS = $(shell pkg-config --libs glib-2.0 libguestfs json-c zlib 2>/dev/null) -lseccomp
INSPECTOR_O := $(filter-out $(BUILD)/obj/inspector/main.o,$(call objects,inspector))
$(BUILD)/guardd-inspector: $(BUILD)/obj/inspector/main.o $(INSPECTOR_O) $(BUILD)/obj/sentinel/sandbox.o
	$(say) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(INSPECTOR_LIBS)

# The only program that links liblvm2cmd.  client.c is for who asks it.
LVM_LIBS = $(shell pkg-config --libs glib-2.0 gio-2.0 json-c devmapper 2>/dev/null) -llvm2cmd
LVM_CLIENT_O := $(BUILD)/obj/lvm/client.o $(BUILD)/obj/lvm/names.o
$(BUILD)/guardd-lvm: $(filter-out $(BUILD)/obj/lvm/client.o,$(call objects,lvm)) $(BUILD)/libbase.a
	$(say) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(LVM_LIBS)

# A process that has called libvirt.so cannot call libvirt-admin.so.
$(BUILD)/guardd-workers: $(call objects,workers)
	$(say) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(shell pkg-config --libs libvirt-admin libvirt 2>/dev/null)

# Of guardd's it includes include/ alone.
$(BUILD)/guardd-plugin-check: $(call objects,conformance)
	$(say) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(PKGLIBS) -ldl

STORAGE_lvmthin = $(LVM_CLIENT_O)
define storage_plugin
$(BUILD)/plugins/storage-$(1).so: $(call objects,plugins/storage/$(1)) $(call objects,plugins/storage/common) \
    $$(STORAGE_$(1)) plugins/plugin.map
	@mkdir -p $$(@D)
	$(say) LD $$@
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -shared -Wl,--version-script=plugins/plugin.map -o $$@ $$(filter %.o,$$^) $$(PKGLIBS)
endef
$(foreach p,$(STORAGE),$(eval $(call storage_plugin,$(p))))

define detector_plugin
$(BUILD)/plugins/detector-$(1).so: $(call objects,plugins/detector/$(1)) $(call objects,plugins/detector) plugins/plugin.map
	@mkdir -p $$(@D)
	$(say) LD $$@
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -shared -Wl,--version-script=plugins/plugin.map -o $$@ $$(filter %.o,$$^) -lm
endef
$(foreach p,$(DETECTORS),$(eval $(call detector_plugin,$(p))))

ALERT_LIBS := $(shell pkg-config --libs libcurl libcrypto json-c 2>/dev/null)
define alert_plugin
$(BUILD)/plugins/alert-$(1).so: $(call objects,plugins/alert/$(1)) plugins/plugin.map
	@mkdir -p $$(@D)
	$(say) LD $$@
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -shared -Wl,--version-script=plugins/plugin.map -o $$@ $$(filter %.o,$$^) $$(ALERT_LIBS)
endef
$(foreach p,$(ALERTS),$(eval $(call alert_plugin,$(p))))

$(BUILD)/tests/%: tests/%.c $(LIBS) $(BUILD)/libsentinel.a
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(ALL_LDFLAGS) $(LIBS) $(BUILD)/libsentinel.a $(PKGLIBS) $(SENTINEL_LIBS)

$(BUILD)/tests/bench/find0: PKGLIBS += -lguestfs
$(BUILD)/tests/unit/test-lvm-client $(BUILD)/tests/lib/lvm-ask: $(LVM_CLIENT_O)
$(BUILD)/tests/unit/test-lvm-client $(BUILD)/tests/lib/lvm-ask: PKGLIBS += $(LVM_CLIENT_O)
$(BUILD)/tests/unit/test-sandbox: $(BUILD)/obj/sentinel/sandbox.o
$(BUILD)/tests/unit/test-sandbox: PKGLIBS += $(BUILD)/obj/sentinel/sandbox.o -lseccomp
MODIFIED_O := $(patsubst %,$(BUILD)/obj/inspector/%.o,kind modified signs inventory-read inventory-write)
$(BUILD)/tests/unit/test-modified: $(MODIFIED_O)
$(BUILD)/tests/unit/test-modified: PKGLIBS += $(MODIFIED_O) -lz
$(BUILD)/tests/unit/test-text: $(BUILD)/obj/inspector/text.o
$(BUILD)/tests/unit/test-text: PKGLIBS += $(BUILD)/obj/inspector/text.o
$(BUILD)/tests/unit/test-volume: $(BUILD)/obj/inspector/volume.o
$(BUILD)/tests/unit/test-volume: PKGLIBS += $(BUILD)/obj/inspector/volume.o

# Preloaded into guardd by tests that kill it.
KILLPOINT := $(BUILD)/tests/killpoint.so
$(KILLPOINT): $(wildcard tests/preload/*.[ch])
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -D_FORTIFY_SOURCE=2,$(ALL_CFLAGS)) -shared -o $@ $(filter %.c,$^) -ldl

# libFuzzer needs clang and objects of its own
$(BUILD)/fuzz/fuzz-sentinel: $(filter-out sentinel/main.c sentinel/sandbox.c,$(wildcard sentinel/*.c))
$(BUILD)/fuzz/fuzz-inventory: $(filter-out $(addprefix inspector/,main.c jail.c appliance.c) $(wildcard inspector/walk*.c),$(wildcard inspector/*.c))
$(BUILD)/fuzz/%: tests/fuzz/%.c $(wildcard base/*.c qmp/*.c)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)clang $(CPPFLAGS) -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined -o $@ $^ $(PKGLIBS) $(SENTINEL_LIBS)

tests-built: all $(UNIT) $(HELPERS) $(FUZZERS) $(KILLPOINT)
.PHONY: tests-built

unit: tests-built
	@BUILD=$(BUILD) tests/run unit

check: deps
	@$(MAKE) --no-print-directory -j2 tests-built
	@BUILD=$(BUILD) tests/run

demo: deps
	@$(MAKE) --no-print-directory -j2 all
	@BUILD=$(BUILD) tests/demo/demo

bench: deps
	@$(MAKE) --no-print-directory -j2 all $(HELPERS) $(BENCHES)
	@BUILD=$(BUILD) tests/bench/bench

attacks: deps
	@$(MAKE) --no-print-directory -j2 all $(HELPERS)
	@BUILD=$(BUILD) tests/attacks/attacks

SECONDS_EACH ?= 600
fuzz: deps
	@$(MAKE) --no-print-directory -j2 $(FUZZERS)
	@BUILD=$(BUILD) tests/fuzz/run $(SECONDS_EACH)

valgrind: deps
	@$(MAKE) --no-print-directory -j2 tests-built
	@BUILD=$(BUILD) tests/valgrind

SECONDS_SOAK ?= 3600
soak: deps
	@$(MAKE) --no-print-directory -j2 all $(HELPERS)
	@BUILD=$(BUILD) tests/soak/soak $(SECONDS_SOAK)

lint: deps
	@$(MAKE) --no-print-directory -f tests/lint.mk

format:
	$(Q)clang-format -i $(wildcard */*.[ch] */*/*.[ch] */*/*/*.[ch])

install: all
	@BUILD=$(BUILD) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) VERSION=$(VERSION) packaging/install

clean:
	rm -rf build build-asan

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
