#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Rollback of paused guests."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import Disk, equal, main
from daemon import GuardshError

MIB = 1 << 20


def prepared(bed, disks=None):
    """A guest with known content, and its first snapshot."""
    guest = bed.paused_guest("web01", disks or [Disk("64M", "raw"), Disk("64M", "qcow2")])
    for disk in guest.disks:
        guest.write(disk.target, "1M", "8M", 0xA5)
    bed.guardd(interval="7d")
    bed.wait(lambda: [d for d in bed.sh("list")["domains"] if d["snapshots"]], 30, "the first snapshot")
    return guest


def refused(bed, part, *words):
    try:
        bed.sh("rollback", "web01", *words)
    except GuardshError as error:
        assert part in error.message, error.message
    else:
        raise AssertionError("the rollback was not refused")


def test_disks_of_every_format_come_back(bed):
    guest = prepared(bed)
    for target in ("vda", "vdb"):
        guest.write(target, 0, "64M", 0xEE)
    answer = bed.sh("rollback", "web01", "1")
    equal((answer["started"], answer["snapshot"], answer["evidence"]), (True, 1, 2))
    for target in ("vda", "vdb"):
        assert guest.holds(target, "1M", "8M", 0xA5)
        assert guest.holds(target, 0, "1M", 0) and guest.holds(target, "9M", "55M", 0)


def test_only_blocks_that_differ_are_written(bed):
    guest = prepared(bed)
    guest.write("vda", "2M", "1M", 0x11)
    answer = bed.sh("rollback", "web01", "1")
    equal([d["written_bytes"] for d in answer["disks"]], [MIB, 0])
    assert guest.holds("vda", "1M", "8M", 0xA5)


def test_a_rollback_can_be_rolled_back(bed):
    guest = prepared(bed)
    guest.write("vda", "2M", "1M", 0x11)
    evidence = bed.sh("rollback", "web01", "1")["evidence"]
    bed.sh("rollback", "web01", str(evidence))
    assert guest.holds("vda", "2M", "1M", 0x11)
    info = bed.sh("snapshot-info", "web01", str(evidence))
    assert info["evidence"] and info["held"]


def test_one_disk_alone(bed):
    guest = prepared(bed)
    for target in ("vda", "vdb"):
        guest.write(target, "1M", "1M", 0x22)
    bed.sh("rollback", "web01", "1", "--disk", "vdb")
    assert guest.holds("vda", "1M", "1M", 0x22) and guest.holds("vdb", "1M", "1M", 0xA5)


def test_dry_run_touches_nothing(bed):
    guest = prepared(bed)
    guest.write("vda", "1M", "1M", 0x22)
    bed.sh("snapshot-create", "web01")
    pid = guest.pid()
    answer = bed.sh("rollback", "web01", "1", "--dry-run")
    equal([d["differing_bytes"] for d in answer["disks"]], [MIB, 0])
    equal((answer["evidence"], guest.pid()), (None, pid))
    assert guest.holds("vda", "1M", "1M", 0x22)


def test_no_start_leaves_it_off(bed):
    guest = prepared(bed)
    bed.sh("rollback", "web01", "1", "--no-start")
    equal(guest.state(), "shut off")


def test_a_guest_that_is_off_comes_back(bed):
    guest = prepared(bed)
    guest.write("vda", "1M", "4M", 0)
    guest.destroy()
    bed.wait(lambda: bed.sh("list")["domains"][0]["snapshots"] == 2, 30, "the snapshot of the shutdown")
    assert bed.sh("rollback", "web01", "1")["started"]
    assert guest.holds("vda", "1M", "8M", 0xA5)


def test_what_cannot_work_is_refused_and_nothing_is_touched(bed):
    guest = prepared(bed, [Disk("64M", "raw")])
    pid = guest.pid()
    refused(bed, "77", "77")
    refused(bed, "vdz", "1", "--disk", "vdz")
    bed.virsh("blockresize", "web01", "vda", "96M")
    refused(bed, "96.0 MiB", "1")
    equal((guest.pid(), guest.state()), (pid, "paused"))
    equal(os.listdir(bed.state / "rollback"), [])


def journal(bed):
    path = bed.state / "rollback"
    return [entry for entry in os.listdir(path) if entry.endswith(".json")] if path.exists() else []


def test_killed_at_any_moment_it_is_finished_or_undone(bed):
    guest = prepared(bed, [Disk("256M", "raw")])
    guest.write("vda", "1M", "200M", 0xEE)
    evidence = bed.sh("snapshot-create", "web01")["number"]
    outcomes = set()
    for delay in (0.0, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8):
        words = [str(bed.build / "guardsh"), "rollback", "web01", "1"]
        command = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        bed.wait(lambda: journal(bed) or command.poll() is not None, 30, "the rollback to begin")
        time.sleep(delay)  # the moment of the kill, not a wait for something
        bed.daemon.kill()
        command.wait(30)
        bed.daemon.start()
        bed.wait(lambda: not journal(bed), 60, "the rollback to be finished or undone")
        bed.wait(lambda: bed.sh("list")["domains"][0]["state"] in ("paused", "running"), 60, "the guest")
        guest.close()
        restored, wiped = guest.holds("vda", "1M", "8M", 0xA5), guest.holds("vda", "1M", "200M", 0xEE)
        assert restored != wiped, (delay, restored, wiped)
        if restored:
            assert guest.holds("vda", "9M", "192M", 0)
            bed.sh("rollback", "web01", str(evidence))
            guest.close()
        outcomes.add(restored)
    equal(outcomes, {True, False})


main()
