#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The libvirt engine: it leaves nothing, and touches nothing of other people's."""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from killpoint import REFUSED, Killpoint
from libvirt_engine import MIB, Slow, checkpoints, files, has_job, left, ready, same, slow_guest, snapshots
from suite import Disk, equal, main, until


# What stays and what does not

def test_one_checkpoint_stays_and_nothing_else(bed):
    guest = ready(bed)
    for number in range(4):
        guest.write("vda", f"{number}M", "1M", number + 1)
        last = bed.sh("snapshot-create", "web01")
        equal(left(bed, guest), [])
    equal(len(checkpoints(bed)), 1)
    equal((last["disks"][0]["full_reason"], last["disks"][0]["read_bytes"]), (None, MIB))
    equal((last["engine"], last["engine_reason"]), ("libvirt", "the policy asks for it"))
    equal(guest.state(), "running")
    same(bed, guest, last)


def test_other_peoples_checkpoints_are_not_touched(bed):
    guest = ready(bed)
    for name in ("theirs-1", "theirs-2"):
        bed.virsh("checkpoint-create-as", "web01", name, "--diskspec", "vda", "--diskspec", "vdb,checkpoint=no")
        guest.write("vda", "3M", "1M", 8)
        bed.sh("snapshot-create", "web01")
        same(bed, guest, bed.sh("snapshot-create", "web01"))
    equal([name for name in checkpoints(bed) if not name.startswith("guardd-")], ["theirs-1", "theirs-2"])
    equal(left(bed, guest), ["theirs-1", "theirs-2"])


def test_a_changed_policy_leaves_no_checkpoint(bed):
    guest = ready(bed)
    bed.daemon.stop()
    bed.guardd(interval="7d", policy="engine = qmp")
    until(lambda: bed.sh("dominfo", "web01")["engine"] == "qmp", 30, "the engine to be chosen")
    snapshot = bed.sh("snapshot-create", "web01")
    equal(checkpoints(bed), [])
    assert "another engine" in snapshot["disks"][0]["full_reason"], snapshot
    same(bed, guest, snapshot)


def test_a_paused_guest_that_has_not_changed_is_not_captured_again(bed):
    ready(bed, [Disk("64M", "qcow2")], paused=True, interval="1s")
    until(lambda: bed.sh("dominfo", "web01")["unchanged_intervals"] >= 2, 30, "two intervals")
    equal(len(snapshots(bed)), 1)


def test_a_rollback_leaves_no_checkpoint_and_the_next_snapshot_is_right(bed):
    guest = ready(bed)
    guest.write("vda", 0, "64M", 0xEE)
    bed.sh("rollback", "web01", "1")
    known = [snapshot["id"][:8] for snapshot in snapshots(bed)[:2]]  # the evidence is one; a third may follow at once
    equal([name for name in checkpoints(bed) if name.endswith(tuple(known))], [])
    guest.close()
    assert guest.holds("vda", "1M", "2M", 5) and guest.holds("vda", "3M", "61M", 0)
    guest.write("vda", "9M", "1M", 3)
    same(bed, guest, bed.sh("snapshot-create", "web01"))
    guest.write("vda", "10M", "1M", 4)
    last = bed.sh("snapshot-create", "web01")
    equal(last["disks"][0]["full_reason"], None)
    same(bed, guest, last)


def test_an_operator_can_go_back_to_an_internal_snapshot(bed):
    """QEMU refuses that where the image has a bitmap, and libvirt has ended the guest by then."""
    guest = ready(bed, [Disk("64M", "qcow2")])
    bed.virsh("snapshot-create-as", "web01", "theirs")
    guest.write("vda", 0, "8M", 0xEE)
    snapshot = bed.sh("snapshot-create", "web01")
    equal(checkpoints(bed), [])
    assert "internal snapshots" in snapshot["disks"][0]["full_reason"], snapshot
    same(bed, guest, snapshot)
    bed.virsh("snapshot-revert", "web01", "theirs")
    guest.close()
    equal(guest.state(), "running")
    assert guest.holds("vda", "1M", "2M", 5)
    until(lambda: bed.daemon.guardsh("snapshot-create", "web01").returncode == 0, 60, "a snapshot")
    same(bed, guest, snapshots(bed)[-1])


# When things go wrong

def restart_unseen(bed, guest, how):
    """The guest's QEMU is replaced while guardd is not there to capture what it left."""
    bed.daemon.stop()
    how()
    until(lambda: guest.state() == "shut off", 30, "libvirt to see it")
    guest.start(paused=False)
    guest.write("vda", "5M", "1M", 9)
    bed.daemon.start()
    until(lambda: bed.sh("dominfo", "web01")["state"] == "running", 30, "guardd to see the guest")


def test_a_checkpoint_that_a_killed_qemu_has_broken_is_not_used(bed):
    guest = ready(bed)
    restart_unseen(bed, guest, lambda: os.kill(guest.pid(), signal.SIGKILL))
    snapshot = bed.sh("snapshot-create", "web01")
    assert "is broken" in snapshot["disks"][0]["full_reason"], snapshot
    same(bed, guest, snapshot)
    guest.write("vda", "6M", "1M", 9)
    snapshot = bed.sh("snapshot-create", "web01")
    equal((snapshot["disks"][0]["full_reason"], snapshot["disks"][0]["read_bytes"]), (None, MIB))
    same(bed, guest, snapshot)
    equal(left(bed, guest), [])


def test_a_checkpoint_outlives_a_qemu_that_ends_well(bed):
    guest = ready(bed)
    restart_unseen(bed, guest, guest.destroy)
    snapshot = bed.sh("snapshot-create", "web01")
    equal((snapshot["disks"][0]["full_reason"], snapshot["disks"][0]["read_bytes"]), (None, MIB))
    same(bed, guest, snapshot)


def test_a_guest_that_was_captured_off_begins_a_new_checkpoint(bed):
    guest = ready(bed)
    guest.destroy()
    until(lambda: snapshots(bed)[-1]["engine"] == "offline", 30, "the snapshot of the shutdown")
    guest.start(paused=False)
    until(lambda: bed.sh("dominfo", "web01")["state"] == "running", 30, "guardd to see the guest")
    guest.write("vda", "5M", "1M", 9)
    snapshot = bed.sh("snapshot-create", "web01")
    assert "while it was off" in snapshot["disks"][0]["full_reason"], snapshot
    same(bed, guest, snapshot)
    equal(left(bed, guest), [])


def test_a_checkpoint_that_somebody_removed_or_whose_bitmap_is_gone_costs_a_comparison(bed):
    guest = ready(bed, [Disk("64M", "qcow2")])
    bed.virsh("checkpoint-delete", "web01", checkpoints(bed)[0])
    guest.write("vda", "5M", "1M", 9)
    snapshot = bed.sh("snapshot-create", "web01")
    assert "is gone" in snapshot["disks"][0]["full_reason"], snapshot
    same(bed, guest, snapshot)
    node = next(n for n in guest.qmp("query-named-block-nodes", flat=True) if n.get("dirty-bitmaps"))
    guest.qmp("block-dirty-bitmap-remove", node=node["node-name"], name=node["dirty-bitmaps"][0]["name"])
    guest.write("vda", "6M", "1M", 9)
    snapshot = bed.sh("snapshot-create", "web01")
    assert "is broken" in snapshot["disks"][0]["full_reason"], snapshot
    same(bed, guest, snapshot)
    equal(left(bed, guest), [])


def test_a_guest_that_is_destroyed_during_a_capture(bed):
    guest, killpoint = slow_guest(bed)
    with Slow(bed, killpoint) as slow:
        guest.destroy()
        assert slow.asked.result().returncode != 0
    equal(files(), [])
    guest.start(paused=False)
    until(lambda: bed.sh("dominfo", "web01")["state"] == "running", 30, "guardd to see the guest")
    same(bed, guest, bed.sh("snapshot-create", "web01"))
    until(lambda: left(bed, guest) == [], 20, "leftovers to go")


def test_a_libvirtd_that_dies_during_a_capture(bed):
    guest, killpoint = slow_guest(bed)
    with Slow(bed, killpoint):
        bed.libvirt_kill()
        bed.libvirt_start()
    until(lambda: not has_job(bed), 20, "the job to be ended")
    until(lambda: bed.daemon.guardsh("snapshot-create", "web01").returncode == 0, 60, "a snapshot")
    same(bed, guest, snapshots(bed)[-1])
    until(lambda: left(bed, guest) == [], 20, "leftovers to go")
    equal(guest.state(), "running")


def test_a_guardd_that_is_killed_during_a_capture_leaves_nothing_once_it_is_back(bed):
    guest, killpoint = slow_guest(bed)
    before = checkpoints(bed)
    with Slow(bed, killpoint):
        bed.daemon.kill()
    assert has_job(bed) and files()
    bed.daemon.start()
    until(lambda: left(bed, guest) == [], 20, "leftovers to go")
    equal(checkpoints(bed), before)
    guest.write("vda", "7M", "1M", 7)
    snapshot = bed.sh("snapshot-create", "web01")
    equal(snapshot["disks"][0]["full_reason"], None)
    same(bed, guest, snapshot)
    equal(guest.state(), "running")


def test_a_scratch_that_fills_up_ends_the_capture_before_the_guest_feels_it(bed):
    folder = bed.state / "scratch"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96M,mode=755", "tmpfs", folder], check=True)
    guest, killpoint = slow_guest(bed, daemon=f"scratch_dir = {folder}\n")
    with Slow(bed, killpoint) as slow:
        for at in range(0, 200):
            guest.write("vdb", f"{at}M", "1M", 3)  # fails when the guest's write does
        done = slow.asked.result()
        assert done.returncode != 0 and "scratch_dir" in done.stderr, done
    equal((guest.state(), files(folder), has_job(bed)), ("running", [], False))
    same(bed, guest, bed.sh("snapshot-create", "web01"))


def test_a_scratch_in_memory_is_bounded_too(bed):
    guest, killpoint = slow_guest(bed, daemon="scratch_memory = 32M\n")
    with Slow(bed, killpoint) as slow:
        for at in range(0, 200):
            guest.write("vdb", f"{at}M", "1M", 3)
        done = slow.asked.result()
        assert done.returncode != 0 and "scratch_memory" in done.stderr, done
    equal((guest.state(), files(), has_job(bed)), ("running", [], False))


# The choice

def test_auto_takes_libvirt_where_the_passthrough_is_refused_and_says_so(bed):
    killpoint = Killpoint(bed)
    killpoint.arm(REFUSED)
    guest = ready(bed, policy="", environment=killpoint.environment)
    info = until(lambda: (now := bed.sh("dominfo", "web01"))["engine"] and now, 30, "the engine to be told")
    equal(info["engine"], "libvirt")
    assert "access denied" in info["engine_reason"], info
    equal(snapshots(bed)[0]["engine_reason"], info["engine_reason"])
    assert "custom monitor" not in bed.virsh("dominfo", "web01"), "the passthrough was used"
    killpoint.disarm()
    guest.destroy()
    guest.start(paused=False)
    until(lambda: bed.sh("dominfo", "web01")["state"] == "running", 30, "guardd to see the guest")
    equal(bed.sh("snapshot-create", "web01")["engine"], "qmp")  # a new QEMU process, asked afresh


def test_an_engine_that_the_policy_asks_for_and_that_is_refused_is_an_error(bed):
    killpoint = Killpoint(bed)
    killpoint.arm(REFUSED)
    bed.paused_guest("web01")
    bed.guardd(interval="7d", policy="engine = qmp", environment=killpoint.environment)
    error = until(lambda: bed.sh("dominfo", "web01")["last_error"], 30, "the first snapshot to fail")
    assert "engine = auto" in error and "access denied" in error, error


main()
