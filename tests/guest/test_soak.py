#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The two-minute form of make soak."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from soak import Soak, flat
from suite import equal, main, timeout

# AddressSanitizer puts a zone around every block and keeps what was freed; and so many guests are more than it keeps up
# with, so that there are ever more captures at a time, each with descriptors of its own
ASAN = "asan" in os.environ.get("BUILD", "")
MEMORY_MIB = 32 if ASAN else 8
GUESTS = {"booted": 1, "paused": 9} if ASAN else {}
SECONDS = int(os.environ.get("GUARDD_SOAK_SECONDS", "100"))


@timeout(SECONDS + 300)
def test_thirty_guests_are_captured_every_two_seconds(bed):
    soak = Soak(bed, **GUESTS)
    rows = soak.run(SECONDS, 6, lambda line: print("#", line, flush=True))
    unaccounted = soak.unaccounted()
    verified = soak.end()
    for column, allowance in (("rss_mib", MEMORY_MIB), ("descriptors", 16), ("threads", 16)):
        good, text = flat(rows, column, allowance)
        assert good, text
    equal(rows[-1]["failures"], 0)
    assert unaccounted <= 5, f"{unaccounted:.1f} intervals of a guest were neither taken nor counted as missed"
    assert verified >= rows[-1]["snapshots"] // 2, verified


main()
