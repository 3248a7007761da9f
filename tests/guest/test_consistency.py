#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots of a booted guest that writes: one instant across its disks, and the guest notices nothing.

GUARDD_TEST_SNAPSHOTS=1000 makes the run longer.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import Disk, equal, main, qemu_open_files, timeout, until

SNAPSHOTS = int(os.environ.get("GUARDD_TEST_SNAPSHOTS", "60"))
# Number i goes to block i of the first disk, and only when it is there to block i of the second.  /tmp/slowest is what
# the slowest number took, in hundredths of a second.
WRITER = """
i=0 slowest=0
while :; do
  i=$((i + 1))
  read begin rest </proc/uptime
  for disk in vda vdb; do
    printf '%0511d\\n' $i | dd of=/dev/$disk bs=512 seek=$i conv=fsync,notrunc 2>/dev/null || echo failed >/tmp/failed
  done
  read end rest </proc/uptime
  took=$((${end%.*}${end#*.} - ${begin%.*}${begin#*.}))
  [ -e /tmp/slowest ] || slowest=0
  [ $took -gt $slowest ] && slowest=$took
  echo $slowest >/tmp/slowest
  echo $i >/tmp/at
done
"""


def last_number(bed, snapshot, target):
    """The last number on a disk of a snapshot; every block before it must hold its own."""
    image = bed.daemon.pool / snapshot["uuid"] / f"{snapshot['number']:08}" / f"{target}.qcow2"
    raw = bed.images / "content.raw"
    subprocess.run(["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", image, raw], check=True)
    number = 0
    with open(raw, "rb") as data:
        data.seek(512)
        while (block := data.read(512)).rstrip(b"\0"):
            equal(int(block), number + 1)
            number += 1
    return number


def slowest(guest):
    """Milliseconds that the slowest number took since this was last asked."""
    value = int(guest.sh("cat /tmp/slowest; rm /tmp/slowest")) * 10
    until(lambda: guest.try_sh("test -e /tmp/slowest")[1] == 0, 20, "the writer to go on")
    return value


@timeout(SNAPSHOTS + 300)
def test_every_snapshot_is_one_instant_of_both_disks(bed):
    guest = bed.linux_guest("mail01", [Disk("64M", "raw"), Disk("64M", "qcow2")])
    bed.guardd(interval="7d", protect="nothing")
    guest.spawn(WRITER)
    until(lambda: guest.try_sh("test $(cat /tmp/at) -gt 100")[1] == 0, 60, "a hundred numbers")
    slowest(guest)
    until(lambda: guest.try_sh("test $(cat /tmp/at) -gt 400")[1] == 0, 120, "numbers without snapshots")
    without = slowest(guest)
    snapshots = [bed.sh("snapshot-create", "mail01") for _ in range(SNAPSHOTS)]
    beside = slowest(guest)
    equal(guest.try_sh("test -e /tmp/failed")[1], 1)
    equal(guest.state(), "running")
    equal(len(bed.sh("snapshot-verify", "mail01", "--deep", timeout=600)["verified"]), SNAPSHOTS)
    seen = 0
    for snapshot in snapshots:
        first, second = last_number(bed, snapshot, "vda"), last_number(bed, snapshot, "vdb")
        assert first - second in (0, 1), (snapshot["number"], first, second)
        assert first >= seen, (snapshot["number"], first, seen)
        seen = first
    assert seen > 400, seen
    print(f"# {SNAPSHOTS} snapshots, {seen} numbers; the slowest took {without} ms without and {beside} ms beside snapshots")
    assert beside <= without + 250, f"a write took {beside} ms, without snapshots {without} ms"
    equal(bed.sh("dominfo", "mail01")["failures"], 0)
    ours = [s for s in guest.qmp("query-fdsets") if any("guardd" in (f.get("opaque") or "") for f in s["fds"])]
    equal(ours, [])
    equal(os.listdir("/run/guardd/nbd"), [])
    equal(qemu_open_files(bed.state), [])
    console = (bed.run / "mail01-console.log").read_text(errors="replace")
    assert "I/O error" not in console and "blk_update" not in console, console[-2000:]


def test_a_guest_that_powers_off_in_the_middle_is_captured_off(bed):
    guest = bed.linux_guest("mail01", [Disk("64M", "raw"), Disk("64M", "qcow2")])
    bed.guardd(interval="1s")
    guest.spawn(WRITER)
    until(lambda: bed.sh("dominfo", "mail01")["snapshots"] >= 3, 60, "snapshots")
    guest.console.send("poweroff -f")
    until(lambda: guest.state() == "shut off", 60, "the guest to be off")
    until(lambda: bed.sh("snapshot-info", "mail01", "latest")["engine"] == "offline", 60, "a snapshot of it off")
    assert bed.sh("snapshot-verify", "mail01", "--deep")["verified"]


main()
