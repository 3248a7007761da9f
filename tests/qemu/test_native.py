#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The native engine: the pool's storage clones the guests' own disks.  Here they are raw files on an XFS with reflinks."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import Disk, equal, main
from clones import Clones
from killpoint import LIBVIRT, Killpoint

MIB = 1 << 20


def prepared(bed, disks=2, running=False, **options):
    """A guest whose disks can be cloned, with 8 MiB of 0xA5 on each, and its first snapshot."""
    clones = Clones(bed)
    guest = bed.paused_guest("web01", [clones.disk(f"vd{letter}", 64) for letter in "abcd"[:disks]])
    for disk in guest.disks:
        guest.write(disk.target, "1M", "8M", 0xA5)
    if running:
        bed.virsh("resume", "web01")
    clones.guardd(**options)
    bed.wait(lambda: bed.sh("list")["domains"][0]["snapshots"], 30, "the first snapshot")
    return clones, guest


def snapshot(bed, number="latest"):
    return bed.sh("snapshot-info", "web01", number)


def test_snapshots_are_clones_of_that_instant(bed):
    clones, guest = prepared(bed, interval="7d")
    info = snapshot(bed)
    equal((info["engine"], [d["read_bytes"] for d in info["disks"]]), ("native", [0, 0]))
    for disk in guest.disks:
        guest.write(disk.target, "2M", "1M", 0x11)
    second = bed.sh("snapshot-create", "web01")
    equal([d["changed_bytes"] for d in second["disks"]], [MIB, MIB])
    for disk in guest.disks:
        guest.write(disk.target, "2M", "1M", 0x22)
    for number, byte in ((1, 0xA5), (second["number"], 0x11)):
        for disk in guest.disks:
            equal(clones.image(bed, "web01", number, disk.target, 2 * MIB, MIB), bytes([byte]) * MIB)
    bed.sh("snapshot-verify", "web01", "1", "--deep")


def test_a_running_guest_is_suspended_for_the_clones_alone(bed):
    _, guest = prepared(bed, running=True)
    info = bed.sh("snapshot-create", "web01")
    equal(guest.state(), "running")
    assert 0 < info["stall_us"] < info["duration_ms"] * 1000 + 1000 < 5_000_000, info
    assert not os.listdir(bed.state / "held")


def test_a_guest_that_somebody_paused_stays_paused(bed):
    _, guest = prepared(bed)
    equal(bed.sh("snapshot-create", "web01")["stall_us"], 0)
    equal(guest.state(), "paused")


def test_what_stands_still_is_not_cloned_again(bed):
    _, guest = prepared(bed)
    bed.wait(lambda: bed.sh("dominfo", "web01")["unchanged_intervals"] >= 2, 30, "intervals without a change")
    equal(bed.sh("list")["domains"][0]["snapshots"], 1)
    guest.write("vda", "3M", "1M", 0x33)
    bed.wait(lambda: bed.sh("list")["domains"][0]["snapshots"] == 2, 30, "a snapshot of the change")


def test_a_guest_that_is_off_is_cloned(bed):
    _, guest = prepared(bed, interval="7d")
    guest.write("vda", "3M", "1M", 0x33)
    guest.destroy()
    bed.wait(lambda: bed.sh("list")["domains"][0]["snapshots"] == 2, 30, "the snapshot of the shutdown")
    info = snapshot(bed)
    equal((info["engine"], info["guest_active"], [d["changed_bytes"] for d in info["disks"]]), ("native", False, [MIB, 0]))


def test_one_disk_elsewhere_and_another_engine_is_used_and_says_why(bed):
    clones = Clones(bed)
    bed.paused_guest("web01", [clones.disk("vda", 64), Disk("64M", "raw")])
    clones.guardd()
    bed.wait(lambda: bed.sh("list")["domains"][0]["snapshots"], 30, "the first snapshot")
    bed.wait(lambda: bed.sh("dominfo", "web01")["engine"], 30, "an engine")
    info = bed.sh("dominfo", "web01")
    equal(info["engine"], "qmp")
    assert "disk vdb: " in info["engine_reason"] and "web01-vdb.raw" in info["engine_reason"], info["engine_reason"]
    equal(snapshot(bed)["engine"], "qmp")


def test_rollback_puts_clones_in_place_and_keeps_what_was_there(bed):
    clones, guest = prepared(bed, running=True)
    for disk in guest.disks:
        guest.write(disk.target, 0, "64M", 0xEE)
    before = [os.stat(disk.path) for disk in guest.disks]
    answer = bed.sh("rollback", "web01", "1")
    equal([d["method"] for d in answer["disks"]], ["clone", "clone"])
    for disk, was in zip(guest.disks, before):
        now = os.stat(disk.path)
        equal((now.st_mode, now.st_uid, now.st_gid), (was.st_mode, was.st_uid, was.st_gid))
        assert now.st_ino != was.st_ino
        assert guest.holds(disk.target, "1M", "8M", 0xA5) and guest.holds(disk.target, "9M", "55M", 0)
        kept = clones.folder(guest, answer["evidence"]) / f"{disk.target}.replaced"
        equal(kept.stat().st_ino, was.st_ino)
        equal(clones.image(bed, "web01", answer["evidence"], disk.target, 0, MIB), b"\xee" * MIB)
    bed.sh("snapshot-create", "web01")
    bed.sh("rollback", "web01", str(answer["evidence"]))
    assert guest.holds("vda", 0, "64M", 0xEE)


def killed_before_destroy(bed):
    clones, guest = prepared(bed, interval="7d")
    guest.write("vda", "1M", "8M", 0xEE)
    killpoint = Killpoint(bed)
    bed.daemon.environment = killpoint.environment
    bed.daemon.restart()
    killpoint.arm(LIBVIRT, 1, only="virDomainDestroy")
    bed.daemon.guardsh("rollback", "web01", "1")
    equal(killpoint.disarm()[1], "virDomainDestroy")
    bed.daemon.process.wait(10)
    return clones, guest


def test_a_rollback_killed_while_the_guest_was_ended_is_finished(bed):
    _, guest = killed_before_destroy(bed)
    guest.destroy()
    bed.daemon.start()
    bed.wait(lambda: not os.listdir(bed.state / "rollback"), 30, "the rollback to end")
    assert guest.holds("vda", "1M", "8M", 0xA5)


def test_unless_its_disks_were_used_since(bed):
    _, guest = killed_before_destroy(bed)
    guest.write("vdb", "20M", "1M", 0x77)
    guest.destroy()
    bed.daemon.start()
    bed.wait(lambda: not os.listdir(bed.state / "rollback"), 30, "the rollback to be undone")
    equal(guest.state(), "shut off")
    guest.start()
    assert guest.holds("vda", "1M", "8M", 0xEE) and guest.holds("vdb", "20M", "1M", 0x77)


def test_a_disk_that_no_clone_can_replace_is_written_to(bed):
    """A clone beside the link would take the link's place, and not the disk's."""
    clones = Clones(bed)
    disks = [clones.disk(target, 64) for target in ("vda", "vdb")]
    link, file = bed.images / "link.raw", disks[1].path
    link.symlink_to(file)
    disks[1].path = str(link)
    guest = bed.paused_guest("web01", disks)
    for disk in guest.disks:
        guest.write(disk.target, "1M", "8M", 0xA5)
    clones.guardd(interval="7d")
    bed.wait(lambda: bed.sh("list")["domains"][0]["snapshots"], 30, "the first snapshot")
    for disk in guest.disks:
        guest.write(disk.target, 0, "64M", 0xEE)
    was = os.stat(file)
    answer = bed.sh("rollback", "web01", "1")
    equal([(snapshot(bed, n)["engine"]) for n in ("1", str(answer["evidence"]))], ["native", "native"])
    equal([d["method"] for d in answer["disks"]], ["clone", "write"])
    equal((os.readlink(link), os.stat(link).st_ino), (file, was.st_ino))
    for disk in guest.disks:
        assert guest.holds(disk.target, "1M", "8M", 0xA5) and guest.holds(disk.target, "9M", "55M", 0)


def test_one_disk_alone_is_rolled_back(bed):
    _, guest = prepared(bed)
    for disk in guest.disks:
        guest.write(disk.target, "1M", "1M", 0x22)
    bed.sh("rollback", "web01", "1", "--disk", "vdb")
    assert guest.holds("vda", "1M", "1M", 0x22) and guest.holds("vdb", "1M", "1M", 0xA5)


def test_a_guest_left_suspended_by_a_guardd_that_was_killed_goes_on(bed):
    clones, guest = prepared(bed, running=True, interval="7d", plugin_edit=clones_slowly())
    waiting = subprocess.Popen([str(bed.build / "guardsh"), "snapshot-create", "web01"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bed.wait(lambda: guest.state() == "paused", 30, "the guest to be suspended for its clones")
    bed.daemon.kill()
    waiting.wait(30)
    equal(guest.state(), "paused")
    bed.daemon.start()
    bed.wait(lambda: guest.state() == "running", 30, "the guest to go on")
    assert not os.listdir(bed.state / "held")


def test_a_storage_that_hangs_does_not_hold_the_guest(bed):
    clones, guest = prepared(bed, running=True, interval="7d", plugin_edit=clones_slowly())
    waiting = subprocess.Popen([str(bed.build / "guardsh"), "snapshot-create", "web01"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    bed.wait(lambda: guest.state() == "paused", 30, "the guest to be suspended for its clones")
    bed.wait(lambda: guest.state() == "running", 30, "the guest to go on although the clones are not there")
    assert not os.listdir(bed.state / "held")
    assert waiting.poll() is None  # the storage has not come back yet
    clones.let_go()
    assert "within 5 s" in waiting.communicate(timeout=60)[1]
    equal([s["number"] for s in bed.sh("snapshot-list", "web01")["snapshots"]], [1])
    equal(sorted(p.name for p in clones.folder(guest).iterdir() if p.name.startswith(".new")), [])
    assert bed.sh("snapshot-create", "web01")["engine"] == "native"


def test_a_guest_that_somebody_paused_waits_for_no_clone_and_gets_its_snapshot_however_late(bed):
    clones, paused = prepared(bed, interval="7d", plugin_edit=clones_slowly())
    running = bed.paused_guest("web02", [clones.disk("vde", 64), clones.disk("vdf", 64)])
    bed.wait(lambda: all(d["snapshots"] for d in bed.sh("list")["domains"]) and len(bed.sh("list")["domains"]) == 2, 30, "its first snapshot")
    bed.virsh("resume", "web02")
    bed.wait(lambda: running.state() == "running", 30, "it to run")
    late = subprocess.Popen([str(bed.build / "guardsh"), "snapshot-create", "web01"], stdout=subprocess.DEVNULL)
    bed.wait(lambda: list(clones.folder(paused).glob(".new-*")), 30, "the clones to be begun")
    refused = subprocess.Popen([str(bed.build / "guardsh"), "snapshot-create", "web02"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bed.wait(lambda: running.state() == "paused", 30, "the other to be suspended")
    bed.wait(lambda: running.state() == "running", 30, "the other to go on after 5 s, which began later")
    clones.let_go()
    assert refused.wait(60) != 0
    equal((late.wait(60), paused.state()), (0, "paused"))
    equal([s["number"] for s in bed.sh("snapshot-list", "web01")["snapshots"]], [1, 2])


def hangs(bed, clones, waiting):
    """guardd notices that the storage does not come back, tells it, and goes on with everything else."""
    bed.wait(lambda: "has not come back" in (bed.sh("dominfo", "web01")["last_error"] or ""), 30, "the silence to be noticed")
    info = bed.sh("dominfo", "web01")
    assert "storage plugin plain of pool main has not come back from sources_clone" in info["last_error"], info["last_error"]
    bed.wait(lambda: bed.sh("alert-list")["alerts"], 30, "an alert")
    assert waiting.poll() is None


def test_a_storage_that_hangs_is_told_and_everything_else_goes_on(bed):
    clones, guest = prepared(bed, interval="7d", plugin_edit=clones_slowly(), daemon="capture_timeout = 2s")
    elsewhere = bed.paused_guest("web02", [Disk("16M", "raw")])
    waiting = subprocess.Popen([str(bed.build / "guardsh"), "snapshot-create", "web01"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    hangs(bed, clones, waiting)
    elsewhere.write("vda", 0, "1M", 1)
    equal(bed.sh("snapshot-create", "web02")["engine"], "qmp")
    clones.let_go()
    waiting.wait(30)
    assert bed.sh("snapshot-create", "web01")["number"] > 1
    equal(bed.sh("dominfo", "web01")["last_error"], None)
    equal(bed.daemon.stop(), 0)


def test_guardd_ends_although_a_storage_hangs_and_the_next_one_tidies_up(bed):
    clones, guest = prepared(bed, running=True, interval="7d", plugin_edit=clones_slowly(), daemon="capture_timeout = 2s")
    waiting = subprocess.Popen([str(bed.build / "guardsh"), "snapshot-create", "web01"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    hangs(bed, clones, waiting)
    equal(bed.daemon.stop(), 1)
    waiting.wait(30)
    equal(guest.state(), "running")
    clones.let_go()
    bed.daemon.start()
    equal(sorted(p.name for p in clones.folder(guest).iterdir() if p.name.startswith(".new")), [])
    assert bed.sh("snapshot-create", "web01")["number"] > 1


def sentinel_that_waits(bed):
    """It looks at nothing while the file is there."""
    folder, wait = bed.images / "libexec", bed.images / "wait"
    folder.mkdir()
    for program in bed.build.glob("guardd-*"):
        (folder / program.name).symlink_to(program)
    (folder / "guardd-sentinel").unlink()
    (folder / "guardd-sentinel").write_text(f"#!/bin/sh\nwhile [ -e {wait} ]; do sleep 0.05; done\nexec {bed.build}/guardd-sentinel\n")
    (folder / "guardd-sentinel").chmod(0o755)
    return folder, wait


def held_at_the_alarm(bed, on_critical, extra_xml=""):
    """A running guest whose disk is found to be wiped while guardd has suspended it for the clones of the next snapshot."""
    clones = Clones(bed)
    disks = [clones.disk(target, 256) for target in ("vda", "vdb")]
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-d", "/usr/share/doc", disks[0].path], check=True)
    guest = bed.paused_guest("web01", disks, extra_xml=extra_xml)
    bed.virsh("resume", "web01")
    folder, wait = sentinel_that_waits(bed)
    clones.guardd(interval="7d", plugin_edit=clones_slowly(), policy=f"on_critical = {on_critical}", libexec_dir=folder)
    bed.wait(lambda: verdict(bed, 1) == "ok", 30, "the first snapshot to be found good")
    clones.let_go()
    guest.zero("vda", 0, MIB)
    wait.touch()
    bed.sh("snapshot-create", "web01")
    clones.hang()
    held = subprocess.Popen([str(bed.build / "guardsh"), "snapshot-create", "web01"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bed.wait(lambda: bed.sh("dominfo", "web01")["state"] == "paused", 30, "guardd to hear that it is suspended")
    wait.unlink()
    bed.wait(lambda: verdict(bed, 2) == "critical", 20, "the alarm")
    return clones, guest, held


def verdict(bed, number):
    return next((s["verdict"] for s in bed.sh("snapshot-list", "web01")["snapshots"] if s["number"] == number), None)


def test_a_policy_pauses_a_guest_that_guardd_itself_holds_and_it_stays_so(bed):
    clones, guest, held = held_at_the_alarm(bed, "pause")
    bed.wait(lambda: "on_critical: paused" in bed.daemon.log.read_text(), 20, "the answer to the alarm")
    assert not os.listdir(bed.state / "held")  # nothing is left for a guardd that dies now to resume
    clones.let_go()
    held.wait(30)
    equal(guest.state(), "paused")
    equal(bed.sh("snapshot-create", "web01")["stall_us"], 0)
    equal(guest.state(), "paused")


NETWORK = "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>"


def test_a_policy_isolates_a_guest_that_guardd_itself_holds(bed):
    clones, guest, held = held_at_the_alarm(bed, "isolate", NETWORK)
    bed.wait(lambda: "down" in bed.virsh("domif-getlink", "web01", "52:54:00:00:00:01"), 20, "the link to be down")
    clones.let_go()
    held.wait(30)
    bed.wait(lambda: guest.state() == "running", 30, "it to go on without its network")


def clones_slowly():
    """plain.c waits, before it clones, while a file "hang" is in the pool and this is not the first snapshot."""
    return ("  for (size_t i = 0; i < n; i++)\n    if (clone_one (",
            "  while (specs->parent && faccessat (((struct pool *)instance)->fd, \"hang\", F_OK, 0) == 0)\n    usleep (10000);\n"
            "  for (size_t i = 0; i < n; i++)\n    if (clone_one (")


main()
