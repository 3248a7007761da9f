# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills, failures and lies at the n-th call of some kinds that guardd makes; see tests/preload/killpoint.h."""
import mmap
import os
import struct

DATA, SYNC, NAME, LIBVIRT, REFUSED = 1, 2, 4, 8, 16
LAYOUT = struct.Struct("=qqqqqqqqq32s64s")


class Killpoint:
    """Made before guardd is started; the memory outlives every guardd."""

    def __init__(self, bed):
        self.path = bed.run / "killpoint"
        self.path.write_bytes(bytes(mmap.PAGESIZE))
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.environment = {
            "LD_PRELOAD": str(bed.build / "tests" / "killpoint.so"), "KILLPOINT_FILE": str(self.path),
            "KILLPOINT_ROOT": os.path.realpath(bed.state),
            # AddressSanitizer (ASAN=1) wants to be the first library
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
        }

    def arm(self, kinds=0, countdown=0, target=0, power=False, failure=0, lie=0, delay_us=0, clock_us=0, only=""):
        """countdown 0: only counts.  only: calls that have this in their name, or in their QMP command."""
        LAYOUT.pack_into(self.memory, 0, countdown, 0, kinds, target, power, failure, lie, delay_us, clock_us, only.encode(), b"")

    def count(self):
        """Calls of those kinds since arm()."""
        return LAYOUT.unpack_from(self.memory)[1]

    def disarm(self):
        """(calls of those kinds since arm(), the call that it came to or "")"""
        state = LAYOUT.unpack_from(self.memory)
        LAYOUT.pack_into(self.memory, 0, *[0] * 9, b"", b"")
        return state[1], state[-1].rstrip(b"\0").decode(errors="replace")
