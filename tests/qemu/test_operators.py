#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The libvirt engine gives way to what operators ask of libvirt during a capture."""
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from daemon import GuardshError
from killpoint import DATA, LIBVIRT
from libvirt_engine import Slow, fill, has_job, left, ready, same, slow_guest, snapshots
from suite import equal, main, timeout, until


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


def test_a_job_that_begins_as_guardds_ends_is_not_aborted_in_its_place(bed):
    guest, killpoint = slow_guest(bed)
    path = bed.run / "saved"
    # every call to libvirt as well: guardd's look and what it then does are apart
    with Slow(bed, killpoint, kinds=DATA | LIBVIRT):
        bed.virsh("save", "web01", path)
    guest.close()
    bed.virsh("restore", path)
    equal(guest.state(), "running")


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


main()
