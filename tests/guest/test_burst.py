#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest writes between snapshots is watched, too."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import Disk, equal, main, timeout


@timeout(240)
def test_a_burst_of_writes_is_captured_at_once(bed):
    guest = bed.linux_guest("mail01", [Disk("256M", "raw")])
    bed.guardd(interval="7d", daemon="sample_every = 2s\n")
    bed.wait(lambda: bed.sh("dominfo", "mail01")["snapshots"] == 1, 30, "the first snapshot")
    time.sleep(16)  # what is usual is known after seven samples, and there is no other sign of them
    newest = lambda: bed.sh("snapshot-info", "mail01", "latest")["number"]
    for _ in range(5):  # a slow disk takes a while to be busy
        if newest() == 1:
            guest.sh("dd if=/dev/zero of=/dev/vda bs=1048576 count=200 conv=fsync", timeout=120)
    bed.wait(lambda: newest() >= 2, 30, "a snapshot because of it")
    equal(guest.state(), "running")


main()
