#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""guardd itself where guests' disks are thin volumes of its own thin pool: a real device-mapper, libvirtd and QEMU."""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import equal, main, timeout
from thin import Thin

SEED = int(os.environ.get("GUARDD_SEED", "1"))
TARGETS = ("vda", "vdb")


def prepared(bed):
    """A guest with two thin volumes, written to, and its first snapshot."""
    thin = Thin(bed)
    guest = bed.paused_guest("web01", [thin.disk("vda", "web-01", "16M"), thin.disk("vdb", "web01.data", "12M")])
    for disk in guest.disks:
        guest.write(disk.target, "1M", "4M", 0xA5)
    thin.guardd()
    return thin, guest, thin.first(guest)


def scribble(guest, dice):
    """Writes, zeros and discards of some places of both disks."""
    for target in TARGETS:
        for _ in range(3):
            guest.write(target, dice.randrange(0, 11 << 20, 4096), dice.randrange(4096, 1 << 20, 4096), dice.randrange(1, 256))
        guest.zero(target, dice.randrange(0, 11 << 20, 65536), 65536)
        guest.discard(target, dice.randrange(0, 11 << 20, 65536), 65536)
        guest.flush(target)


def no_leftover(thin, guest):
    """guardd's volumes are those of the snapshots it lists, and tagged; none is active, none suspended."""
    snapshots = thin.snapshots(guest)
    listed = {thin.image(guest, snapshot["number"], target) for snapshot in snapshots for target in TARGETS}
    equal(sorted(thin.ours()), sorted(listed))
    thin.bed.wait(lambda: not thin.active(), 30, "the volumes that guardd read to be inactive")
    equal((thin.group.suspended(), thin.held()), ([], []))
    equal([name for name, facts in thin.ours().items() if "guardd" not in facts["tags"]], [])
    equal(sorted(set(thin.group.volumes()) - set(thin.group.ours())), ["web-01", "web01.data"])


@timeout(400)
def test_snapshots_are_the_disks_of_their_instant(bed):
    thin, guest, first = prepared(bed)
    info = bed.sh("dominfo", "web01")
    equal((info["engine"], info["state"]), ("native", "paused"))
    dice, then = random.Random(SEED), {first: thin.digests(guest)}
    for _ in range(4):
        scribble(guest, dice)
        taken = thin.snapshot(guest)
        equal((taken["engine"], [disk["read_bytes"] for disk in taken["disks"]], guest.state()), ("native", [0, 0], "paused"))
        then[taken["number"]] = thin.digests(guest)
    scribble(guest, dice)
    assert len({digest["vda"] for digest in [*then.values(), thin.digests(guest)]}) == 6
    no_leftover(thin, guest)
    equal(thin.kept(guest, *then), then)
    bed.sh("snapshot-verify", "web01")
    no_leftover(thin, guest)


main(inside=True)
