#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench's part lvm, run in the appliance (tests/lib/appliance.py); the last line is {virtual size: [milliseconds, …]}.

Thin volumes of 10 GiB and of 1 TiB in one thin pool, with the same bytes written before each snapshot.
"""
import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
from bed import Bed
from table import timed
from thin import Thin

RUNS = 9
SIZES = {"10G": "small", "1T": "large"}


def at_rest(bed, thin, guest):
    """Nothing of the snapshot before is left to be done, which would be measured as well."""
    bed.wait(lambda: bed.sh("snapshot-info", guest.name, "latest")["verdict"], 60, "a verdict")
    bed.wait(lambda: not thin.active(), 60, "the volumes that guardd read to be inactive")


def measure(bed, thin, guest, run):
    at_rest(bed, thin, guest)
    guest.write("vda", "1G", "16M", run + 1)
    elapsed, taken = timed(lambda: bed.sh("snapshot-create", guest.name))
    changed, = (disk["changed_bytes"] for disk in taken["disks"])
    if (taken["engine"], changed) != ("native", 16 << 20):
        sys.exit(f"a snapshot by engine {taken['engine']} with {changed} bytes changed was not what is to be measured")
    return elapsed


def main():
    if "BED_INSIDE" not in os.environ:
        enter = HERE.parent / "lib" / "enter"
        os.execv(enter, [str(enter), sys.executable, *sys.argv])
    with Bed() as bed:
        thin = Thin(bed, name="vg0", pool="thin", size="8G")
        guests = {size: bed.paused_guest(name, [thin.disk("vda", f"{name}-disk", size)]) for size, name in SIZES.items()}
        thin.guardd()
        bed.wait(lambda: all(domain["snapshots"] for domain in bed.sh("list")["domains"]), 120, "the first snapshots")
        times = {size: [] for size in SIZES}
        for run in range(RUNS):
            # taken in turns, so that a noisy moment meets both
            for size, guest in guests.items():
                times[size].append(round(measure(bed, thin, guest, run), 2))
    print(json.dumps(times))


main()
