#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk is unplugged from a booted guest (a paused one does not listen)."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import Disk, equal, main


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


main()
