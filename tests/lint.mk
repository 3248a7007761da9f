# SPDX-License-Identifier: GPL-2.0-or-later
# make lint: format, static analysis, and house rules that a grep can check; each prints its reason.

C      := $(shell git ls-files '*.c' '*.h')
SHELLS := .ci/run tests/lint-rules tests/fuzz/run packaging/deps packaging/install packaging/libvirt-hook tests/lib/enter
PYTHON := $(shell git ls-files '*.py') tests/run tests/demo/demo
MANS   := $(wildcard docs/man/* plugins/*/*/*.7)

.PHONY: lint format shell python man spdx rules size cppcheck
lint: format shell python man spdx rules size cppcheck
	@echo 'lint: clean'

format:
	@clang-format --dry-run --Werror $(C)

cppcheck:
	@cppcheck -q -j2 --error-exitcode=1 --std=c11 --enable=warning,portability --inline-suppr \
	  --library=gtk --suppress=missingInclude --suppress=varFuncNullUB --suppress=memleak --suppress=unknownMacro --suppress=nullPointerRedundantCheck \
	  --suppress=uninitvar --suppress=ctuuninitvar --suppress=legacyUninitvar --suppress=syntaxError \
	  -Iinclude -I. base qmp guardd guardsh plugins workers

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
LONG :=
size:
	@for file in $(filter-out $(LONG) tests/% examples/%,$(C)); do \
	  lines=$$(wc -l <$$file); [ $$lines -le 420 ] || { echo "$$file: $$lines lines: lint: split it"; exit 1; }; done

rules:
	@tests/lint-rules
