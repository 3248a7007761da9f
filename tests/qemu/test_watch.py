#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What guardd makes of what it sees on a guest's disks, and what it does then."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import Disk, equal, main, until

MIB = 1 << 20


def snapshots(bed, name="web01"):
    return bed.sh("snapshot-list", name)["snapshots"]


def filesystem(bed, guest, target="vda"):
    """Formats the disk of a paused guest with files on it; through QEMU, as the guest would."""
    image = bed.images / "content.raw"
    image.unlink(missing_ok=True)
    with open(image, "wb") as file:
        file.truncate(256 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-d", "/usr/share/doc", image], check=True)
    put(guest, target, image)


def put(guest, target, image):
    """Writes those stretches of an image that are not zero."""
    with open(image, "rb") as file:
        for at in range(0, os.path.getsize(image), MIB):
            data = file.read(MIB)
            guest.put(target, at, data) if any(data) else guest.zero(target, at, MIB)


def verdict(bed, number, name="web01"):
    return next(s for s in snapshots(bed, name) if s["number"] == number)["verdict"]


def judged(bed, number, name="web01"):
    until(lambda: verdict(bed, number, name) is not None, 20, f"a verdict on snapshot {number}")
    return verdict(bed, number, name)


def test_a_format_is_critical_and_the_snapshot_before_is_held(bed):
    guest = bed.paused_guest("web01", [Disk("256M", "raw")])
    filesystem(bed, guest)
    bed.guardd(interval="7d")
    until(lambda: snapshots(bed), 30, "the first snapshot")
    equal(judged(bed, 1), "ok")
    empty = bed.images / "empty.raw"
    with open(empty, "wb") as file:
        file.truncate(256 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", empty], check=True)
    with open(empty, "rb") as file:
        guest.put("vda", 0, file.read(MIB))
    bad = bed.sh("snapshot-create", "web01")["number"]
    equal(judged(bed, bad), "critical")
    good, = [s for s in snapshots(bed) if s["held"]]
    equal(good["number"], bad - 1)
    assert "formatted" in good["held"], good
    later = bed.sh("snapshot-create", "web01")["number"]
    equal(judged(bed, later), "critical")
    equal(bed.sh("snapshot-info", "web01", "last-good")["number"], bad - 1)


main()
