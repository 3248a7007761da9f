#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The libvirt engine: it gives way, leaves nothing, and touches nothing of other people's."""
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from killpoint import DATA, REFUSED, Killpoint
from suite import CommandError, Disk, equal, main, timeout, until
from daemon import GuardshError

MIB = 1 << 20
LIBVIRT_ENGINE = "engine = libvirt"


def ready(bed, disks=None, paused=False, **options):
    """A guest with a first snapshot of the libvirt engine's."""
    guest = bed.paused_guest("web01", disks or [Disk("64M", "qcow2"), Disk("64M", "raw")], start=False)
    guest.start(paused=paused)
    for disk in guest.disks:
        guest.write(disk.target, "1M", "2M", 5)
    bed.guardd(**{"interval": "7d", "keep": "1000x1s", "policy": LIBVIRT_ENGINE, **options})
    until(lambda: snapshots(bed), 60, "the first snapshot")
    return guest


def snapshots(bed):
    return bed.sh("snapshot-list", "web01")["snapshots"]


def checkpoints(bed):
    return bed.virsh("checkpoint-list", "web01", "--name").split()


def has_job(bed):
    try:
        return "guardd-" in bed.virsh("backup-dumpxml", "web01")
    except CommandError:
        return False


def files(*folders):
    """Sockets and scratch files of guardd's where QEMU can make some."""
    folders = folders or pathlib.Path("/var/lib/libvirt/qemu").glob("domain-*")
    return [str(path) for folder in folders for path in pathlib.Path(folder).glob("guardd-*")]


def left(bed, guest):
    """What there is of guardd's beside the checkpoint of the newest snapshot."""
    newest = snapshots(bed)[-1]["id"][:8]
    found = [name for name in checkpoints(bed) if not name.endswith(newest)] + files() + ["a job"] * has_job(bed)
    found += [node["node-name"] for node in guest.qmp("query-named-block-nodes", flat=True) if "scratch" in node["node-name"] or "backup" in node["node-name"]]
    return found + [job["id"] for job in guest.qmp("query-jobs")] + [export["id"] for export in guest.qmp("query-block-exports")]


def same(bed, guest, snapshot):
    for disk in guest.disks:
        if guest.state() != "shut off":
            guest.flush(disk.target)
        image = bed.daemon.pool / snapshot["uuid"] / f"{snapshot['number']:08}" / f"{disk.target}.qcow2"
        words = ["qemu-img", "compare", "-U", "-f", "qcow2", "-F", disk.format, image, disk.path]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"snapshot {snapshot['number']}, disk {disk.target}: {done.stdout}{done.stderr}"


def fill(guest, target, mib):
    """With what was never there before: a snapshot has to store all of it."""
    data = random.randbytes(16 * MIB)
    for at in range(0, mib, 16):
        guest.put(target, f"{at}M", data)


class Slow:
    """A snapshot that takes seconds, because the pool's disk is slow; use as a context."""

    def __init__(self, bed, killpoint, delay_us=40000):
        self.bed, self.killpoint, self.delay_us = bed, killpoint, delay_us

    def __enter__(self):
        self.killpoint.arm(DATA, delay_us=self.delay_us)
        self.pool = ThreadPoolExecutor(1)
        self.asked = self.pool.submit(self.bed.daemon.guardsh, "--json", "snapshot-create", "web01")
        # It reads: the job has begun.  A libvirtd that dies while it begins one never gets rid of it (libvirt 9.0).
        until(lambda: self.killpoint.count() > 0 and has_job(self.bed) or self.asked.done(), 30, "the backup job")
        assert not self.asked.done(), self.asked.result()
        return self

    def __exit__(self, *_):
        self.killpoint.disarm()
        self.pool.shutdown()


def slow_guest(bed, **options):
    """(guest, killpoint): a guest whose raw disk takes seconds to read."""
    killpoint = Killpoint(bed)
    guest = ready(bed, [Disk("64M", "qcow2"), Disk("256M", "raw")], environment=killpoint.environment, **options)
    fill(guest, "vdb", 256)
    return guest, killpoint


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
    equal(checkpoints(bed), [])
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


# Others

def took(bed, *words):
    start = time.monotonic()
    bed.virsh(*words)
    return time.monotonic() - start


def operators(bed, guest):
    """What they do; each leaves the guest as it was for the next."""

    def snapshot():
        return took(bed, "snapshot-create-as", "web01", "theirs", "--disk-only", "--no-metadata", "--diskspec", f"vdb,file={bed.images}/over-{time.monotonic()}.qcow2", "--diskspec", "vda,snapshot=no")

    def save():
        path = bed.run / "saved"
        seconds = took(bed, "save", "web01", path)
        guest.close()
        bed.virsh("restore", path)
        return seconds

    def dump():
        return took(bed, "dump", "web01", bed.run / "dumped", "--memory-only", "--live")

    def list_disks():
        return took(bed, "domblklist", "web01")

    return {"domblklist": list_disks, "dump": dump, "save": save, "snapshot-create-as": snapshot}


@timeout(300)
def test_what_an_operator_asks_for_during_a_capture_goes_through_within_a_second(bed):
    guest, killpoint = slow_guest(bed)
    alone = {name: work() for name, work in operators(bed, guest).items()}
    print("#| an operator's call, seconds  alone  during a capture")
    for name, work in operators(bed, guest).items():
        until(lambda: bed.sh("dominfo", "web01")["state"] == "running", 30, "guardd to see the guest")
        fill(guest, "vdb", 256)
        with Slow(bed, killpoint) as slow:
            seconds = work()
            assert not slow.asked.done() or slow.asked.result().returncode, "the capture was over before"
        print(f"#| {name:28} {alone[name]:6.2f} {seconds:6.2f}")
        assert seconds - alone[name] < 1, f"{name} waited: {seconds:.2f} s, without a capture {alone[name]:.2f} s"
        until(lambda: not has_job(bed), 30, "the capture to end")
    until(lambda: bed.daemon.guardsh("snapshot-create", "web01").returncode == 0, 60, "a snapshot")
    equal(guest.state(), "running")


def test_a_capture_that_gave_way_is_taken_all_the_same(bed):
    guest, killpoint = slow_guest(bed)
    with Slow(bed, killpoint, 15000) as slow:
        bed.virsh("dump", "web01", bed.run / "dumped", "--memory-only", "--live")
        assert not slow.asked.done(), "the capture was over before"
        done = slow.asked.result()
    equal(done.returncode, 0)
    same(bed, guest, snapshots(bed)[-1])
    equal(left(bed, guest), [])


def test_somebody_elses_job_is_not_waited_for(bed):
    ready(bed)
    folder = next(pathlib.Path("/var/lib/libvirt/qemu").glob("domain-*"))
    (bed.run / "theirs.xml").write_text(f"<domainbackup mode='pull'><server transport='unix' socket='{folder}/theirs'/></domainbackup>")
    bed.virsh("backup-begin", "web01", bed.run / "theirs.xml")
    start = time.monotonic()
    try:
        bed.sh("snapshot-create", "web01")
    except GuardshError as error:
        assert "domjobinfo" in error.message, error.message
    else:
        raise AssertionError("a snapshot beside another backup job")
    assert time.monotonic() - start < 10
    assert "theirs" in bed.virsh("backup-dumpxml", "web01")
    bed.virsh("domjobabort", "web01")
    until(lambda: bed.daemon.guardsh("snapshot-create", "web01").returncode == 0, 20, "a snapshot")


def test_without_sight_of_libvirts_threads_a_job_is_never_held_for_long(bed):
    folder = bed.run / "libexec"
    folder.mkdir(exist_ok=True)
    shutil.copy(bed.build / "guardd-sentinel", folder)
    guest, killpoint = slow_guest(bed, libexec_dir=folder)
    start = time.monotonic()
    with Slow(bed, killpoint) as slow:
        until(lambda: not has_job(bed), 3, "the job to be ended")
        done = slow.asked.result()
    assert done.returncode != 0 and "libvirtd-admin.socket" in done.stderr, done
    assert time.monotonic() - start < 20
    equal(left(bed, guest), [])


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
