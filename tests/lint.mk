# SPDX-License-Identifier: GPL-2.0-or-later
# make lint: format, static analysis, and house rules that a grep can check; each prints its reason.

C      := $(shell git ls-files '*.c' '*.h')
SHELLS := .ci/run packaging/deps packaging/install packaging/libvirt-hook tests/lib/enter
PYTHON := $(shell git ls-files '*.py') tests/run tests/demo/demo
MANS   := $(wildcard docs/man/*)

# $(call forbid,PATTERN,FILES,REASON)
forbid = @if grep -nE -- '$(1)' $(2); then echo 'lint: $(3)'; exit 1; fi

.PHONY: lint format shell python man spdx rules size cppcheck
lint: format shell python man spdx rules size cppcheck
	@echo 'lint: clean'

format:
	@clang-format --dry-run --Werror $(C)

cppcheck:
	@cppcheck -q -j2 --error-exitcode=1 --std=c11 --enable=warning,portability --inline-suppr \
	  --library=gtk --suppress=missingInclude --suppress=unknownMacro --suppress=nullPointerRedundantCheck \
	  --suppress=uninitvar --suppress=ctuuninitvar --suppress=legacyUninitvar --suppress=syntaxError \
	  -Iinclude -I. base qmp guardd guardsh plugins

shell:
	@shellcheck $(SHELLS)

python:
	@python3 -m py_compile $(PYTHON)

man:
	@for page in $(MANS); do \
	  said=$$(man --warnings -l $$page 2>&1 >/dev/null); [ -z "$$said" ] || { echo "$$page: $$said"; exit 1; }; done

spdx:
	@for file in $(C) $(SHELLS) $(PYTHON) Makefile tests/lint.mk; do \
	  head -n 2 $$file | grep -q SPDX-License-Identifier || { echo "$$file: lint: every file says its licence in its first lines"; exit 1; }; done

# A .c or .h of more lines wants to be two files; parsers and the pull may be longer.
LONG := guardd/pull.c
size:
	@for file in $(filter-out $(LONG) tests/%,$(C)); do \
	  lines=$$(wc -l <$$file); [ $$lines -le 400 ] || { echo "$$file: $$lines lines: lint: split it"; exit 1; }; done

rules:
	$(call forbid,\b(system|popen) *\(,$(C),no shell: run argv)
	$(call forbid,\b(strcpy|strcat|sprintf|gets|alloca) *\(,$(C),unbounded: use GLib)
	$(call forbid,	,$(C),no tabs)
	$(call forbid,include "(guardd|guardsh|plugins|tests)/,$(filter qmp/% base/%,$(C)),base/ and qmp/ know nothing of guardd)
	$(call forbid,include "(guardd|guardsh|base|qmp)/,$(filter plugins/%,$(C)),a plugin includes only include/ and its own)
	$(call forbid,include ".*tests/,$(filter-out tests/%,$(C)),nothing includes from tests/)
	$(call forbid,include <g(lib|io),$(filter include/%,$(C)),no GLib type crosses the plugin contract)
	$(call forbid,error->message *[!=]=|strstr \(.*error->message,$(filter-out tests/%,$(C)),never decide by error text)
	$(call forbid,\bsleep *\(,$(filter tests/%.c,$(C)),tests wait for conditions)
