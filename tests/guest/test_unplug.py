#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk is unplugged from a booted guest (a paused one does not listen)."""
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from killpoint import DATA, Killpoint
from suite import Disk, equal, main, qemu_open_files


def targets(bed):
    return [disk["target"] for disk in bed.sh("dominfo", "mail01")["disks"]]


def test_an_unplugged_disk_is_left_out_and_comes_back_when_plugged_again(bed):
    guest = bed.linux_guest("mail01")
    guest.attach(Disk("32M", "qcow2"))
    bed.guardd(interval="7d")
    bed.wait(lambda: bed.sh("dominfo", "mail01")["snapshots"] == 1, 30, "the first snapshot")
    guest.detach("vdb")
    bed.wait(lambda: targets(bed) == ["vda"], 30, "guardd to see it")
    equal([d["target"] for d in bed.sh("snapshot-create", "mail01")["disks"]], ["vda"])
    guest.attach(Disk("32M", "qcow2", path=str(bed.images / "mail01-vdb.qcow2")))
    bed.wait(lambda: targets(bed) == ["vda", "vdb"], 30, "guardd to see it again")
    disks = {d["target"]: d for d in bed.sh("snapshot-create", "mail01")["disks"]}
    equal((disks["vdb"]["parent"], disks["vda"]["full_reason"]), (1, None))
    assert disks["vdb"]["full_reason"]
    equal(guest.state(), "running")


def opened(guest):
    """Names of the nodes in its QEMU, and the disk images that it has open."""
    nodes = sorted(node["node-name"] for node in guest.qmp("query-named-block-nodes", flat=True))
    return nodes, [path for _, path in qemu_open_files(guest.bed.images)]


def reading_slowly(bed, disk):
    """(guest, what it had open before it had a second disk): the first snapshot of both is under way, and is not over before slow.disarm()."""
    slow = Killpoint(bed)
    guest = bed.linux_guest("mail01")
    before = opened(guest)
    guest.attach(disk)
    for at in range(0, 64, 16):
        guest.put("vdb", f"{at}M", random.randbytes(16 << 20))
    slow.arm(DATA, delay_us=100000)
    bed.guardd(interval="7d", environment=slow.environment)
    bed.wait(lambda: slow.count() > 3 and guest.qmp("query-jobs"), 30, "the first snapshot to be read")
    return guest, before, slow


def overlay(bed):
    base = bed.images / "base.raw"
    with open(base, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, bed.images / "over.qcow2"], check=True)
    return Disk(format="qcow2", path=str(bed.images / "over.qcow2"))


def test_a_disk_that_is_unplugged_while_it_is_read_is_closed_and_can_be_plugged_again(bed):
    """libvirt deletes its nodes once, and is refused while guardd's stands on them."""
    guest, before, slow = reading_slowly(bed, overlay(bed))
    guest.detach("vdb")
    assert guest.qmp("query-jobs"), "the snapshot was over before the disk was gone"
    slow.disarm()
    bed.wait(lambda: bed.sh("dominfo", "mail01")["snapshots"] == 1, 30, "the first snapshot")
    bed.wait(lambda: opened(guest) == before, 30, "all of it to be closed")
    guest.attach(Disk(format="qcow2", path=str(bed.images / "over.qcow2")))
    bed.wait(lambda: targets(bed) == ["vda", "vdb"], 30, "guardd to see it again")
    bed.sh("snapshot-create", "mail01")
    equal(guest.state(), "running")


def test_a_disk_that_is_unplugged_while_guardd_dies_is_closed_by_the_next_one(bed):
    guest, before, slow = reading_slowly(bed, overlay(bed))
    bed.daemon.kill()
    guest.detach("vdb")
    assert guest.qmp("query-jobs"), "nothing was left"
    slow.disarm()
    bed.daemon.start()
    bed.wait(lambda: bed.sh("dominfo", "mail01")["snapshots"] == 1, 30, "the first snapshot")
    bed.wait(lambda: opened(guest) == before, 30, "all of it to be closed")


main()
