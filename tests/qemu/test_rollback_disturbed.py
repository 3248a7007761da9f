#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Rollback when somebody or something comes between: the guest moves, libvirtd or guardd dies, disks cannot be written."""
import contextlib
import errno
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from killpoint import DATA, LIBVIRT, Killpoint
from suite import Disk, equal, main

SLOW_US = 200000  # for each of guardd's writes: a busy machine gets its turn between two of them


class Scene:
    """web01, whose first snapshot has 0xA5 in places, and whose disks have 0xEE since; guardd with a killpoint."""

    def __init__(self, bed, disks=None, paused=False):
        self.bed, self.killpoint = bed, Killpoint(bed)
        self.guest = bed.paused_guest("web01", disks or [Disk("64M", "raw")], start=False)
        self.guest.start(paused)
        self.fill(0xA5)
        self.daemon = bed.guardd(interval="7d", daemon="sample_every = 0s\n", environment=self.killpoint.environment)
        bed.wait(lambda: self.origins(), 30, "the first snapshot")
        self.fill(0xEE)

    def fill(self, pattern):
        for disk in self.guest.disks:
            for place in range(1, 60, 4):
                self.guest.write(disk.target, f"{place}M", "64k", pattern)

    def holds(self, pattern):
        return all(self.guest.holds(d.target, f"{place}M", "64k", pattern) for d in self.guest.disks for place in range(1, 60, 4))

    def origins(self):
        """Of all snapshots there are."""
        done = self.daemon.guardsh("--json", "snapshot-list", "web01")
        return [s["origin"] for s in json.loads(done.stdout)["snapshots"]] if done.returncode == 0 else []

    def journal(self):
        """None: there is none."""
        path = self.bed.state / "rollback" / f"{self.guest.uuid()}.json"
        with contextlib.suppress(FileNotFoundError):
            return json.loads(path.read_text())
        return None

    def begin(self, *words):
        """A rollback under way, slowly, keeping its evidence."""
        self.killpoint.arm(DATA, delay_us=SLOW_US)
        command = subprocess.Popen([self.bed.build / "guardsh", "rollback", "web01", "1", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.bed.wait(lambda: (self.journal() or {}).get("step") == "evidence", 30, "the rollback to keep its evidence")
        return command

    def end(self, command):
        """As fast as it can from here on; it must fail; what it says."""
        self.killpoint.disarm()
        output, _ = command.communicate(timeout=60)
        equal(command.returncode, 1)
        return output

    def fails(self, *words, saying=""):
        done = self.daemon.guardsh("rollback", "web01", "1", *words)
        assert done.returncode == 1 and saying in done.stderr, (done.returncode, done.stderr)

    def disarm(self, call):
        assert call in self.killpoint.disarm()[1], f"it did not come to {call}"

    def is_over(self):
        self.bed.wait(lambda: self.journal() is None, 30, "the rollback to be finished or undone")

    def start_is_refused(self):
        """By libvirt's hook, as it is installed."""
        hook = self.bed.root / "packaging" / "libvirt-hook"
        xml = self.bed.virsh("dumpxml", "web01")
        done = subprocess.run([hook, "web01", "prepare", "begin", "-"], input=xml, capture_output=True, text=True, env={**os.environ, "GUARDD_STATE_DIR": str(self.bed.state)})
        return done.returncode != 0


# Somebody moves the guest


def test_a_guest_that_is_resumed_meanwhile_is_left_alone(bed):
    scene = Scene(bed)
    pid = scene.guest.pid()
    command = scene.begin()
    bed.virsh("resume", "web01")
    scene.guest.write("vda", "2M", "64k", 0x77)
    output = scene.end(command)
    assert "resumed" in output, output
    equal((scene.guest.pid(), scene.guest.state(), scene.journal()), (pid, "running", None))
    assert scene.holds(0xEE) and scene.guest.holds("vda", "2M", "64k", 0x77)


def test_a_guest_that_is_started_meanwhile_is_left_alone(bed):
    scene = Scene(bed)
    scene.guest.destroy()
    bed.wait(lambda: scene.origins()[-1] == "shutdown", 30, "the snapshot of the shutdown")
    subprocess.run(["qemu-io", "-f", "raw", "-c", "write -P 0x66 2M 16M", scene.guest.disks[0].path], check=True, stdout=subprocess.DEVNULL)
    command = scene.begin()
    scene.guest.start(paused=False)
    pid = scene.guest.pid()
    output = scene.end(command)
    assert "started" in output, output
    equal((scene.guest.pid(), scene.guest.state(), scene.journal()), (pid, "running", None))
    assert scene.guest.holds("vda", "2M", "16M", 0x66)


# libvirtd or guardd dies, or refuses


def without_libvirtd(bed, scene, call):
    """A rollback in which libvirtd dies right before a call, and comes back."""
    scene.killpoint.arm(LIBVIRT, 1, bed.libvirtd.process.pid, only=call)
    scene.fails()
    scene.disarm(call.strip('"'))
    bed.libvirtd.process.wait(10)
    bed.libvirt_start()
    scene.is_over()


def test_libvirtd_dies_before_it_ends_the_guest(bed):
    scene = Scene(bed)
    pid = scene.guest.pid()
    without_libvirtd(bed, scene, "virDomainDestroy")
    equal((scene.guest.pid(), scene.guest.state()), (pid, "running"))
    assert scene.holds(0xEE)


def test_libvirtd_dies_before_it_starts_the_guest(bed):
    scene = Scene(bed)
    without_libvirtd(bed, scene, "virDomainCreate")
    equal(scene.guest.state(), "running")
    scene.guest.close()
    assert scene.holds(0xA5)


def test_a_guest_that_cannot_be_started_is_finished_all_the_same(bed):
    scene = Scene(bed)
    scene.killpoint.arm(LIBVIRT, 1, failure=errno.EACCES, only="virDomainCreate")
    scene.fails(saying="virsh start")
    scene.disarm("virDomainCreate")
    equal((scene.guest.state(), scene.journal()), ("shut off", None))
    scene.guest.start()
    assert scene.holds(0xA5)


def test_libvirtd_dies_during_the_evidence(bed):
    scene = Scene(bed)
    without_libvirtd(bed, scene, '"blockdev-backup"')
    equal(scene.guest.state(), "running")


def test_a_guest_that_cannot_be_ended_goes_on(bed):
    scene = Scene(bed)
    scene.killpoint.arm(LIBVIRT, 1, failure=errno.EACCES, only="virDomainDestroy")
    scene.fails(saying="access denied")
    scene.disarm("virDomainDestroy")
    equal((scene.guest.state(), scene.journal()), ("running", None))
    assert scene.holds(0xEE)


def test_a_guest_that_cannot_be_resumed_is_resumed_later(bed):
    scene = Scene(bed)
    # neither ended nor resumed
    scene.killpoint.arm(LIBVIRT, 1, failure=errno.EACCES, only="virDomain")
    bed.virsh("suspend", "web01")  # so that guardd needs not, which would fail
    bed.wait(lambda: bed.sh("dominfo", "web01")["state"] == "paused", 30, "guardd to see it")
    scene.fails()
    equal((scene.guest.state(), scene.journal()), ("paused", None))  # as somebody else has left it
    scene.killpoint.disarm()
    bed.virsh("resume", "web01")
    bed.wait(lambda: bed.sh("dominfo", "web01")["state"] == "running", 30, "guardd to see it")
    command = scene.begin()
    scene.killpoint.arm(LIBVIRT, 1, failure=errno.EACCES, only="virDomain")
    equal(command.wait(60), 1)
    equal((scene.guest.state(), scene.journal() is None), ("paused", False))
    scene.disarm("virDomain")
    scene.is_over()
    equal(scene.guest.state(), "running")


def killed_before_destroy(bed):
    scene = Scene(bed)
    scene.killpoint.arm(LIBVIRT, 1, only="virDomainDestroy")
    scene.daemon.guardsh("rollback", "web01", "1")
    scene.disarm("virDomainDestroy")
    scene.daemon.process.wait(10)
    equal((scene.journal()["step"], scene.guest.state()), ("destroy", "paused"))
    return scene


def test_what_was_done_while_guardd_was_away_is_not_rolled_back(bed):
    scene = killed_before_destroy(bed)
    bed.virsh("resume", "web01")
    scene.guest.write("vda", "2M", "64k", 0x77)
    scene.guest.destroy()
    scene.daemon.start()
    scene.is_over()
    equal(scene.guest.state(), "shut off")
    scene.guest.start()
    assert scene.holds(0xEE) and scene.guest.holds("vda", "2M", "64k", 0x77)


def test_killed_while_the_guest_was_ended_it_is_finished(bed):
    scene = killed_before_destroy(bed)
    scene.guest.destroy()
    scene.daemon.start()
    scene.is_over()
    equal(scene.guest.state(), "running")
    scene.guest.close()
    assert scene.holds(0xA5)


# Disks that are half written


def half_written(bed, then=None):
    """A rollback that came to its writing, and not to its end; then() is called before its disks can be written again."""
    scene = Scene(bed, [Disk("64M", "raw"), Disk("64M", "raw")])
    path = scene.guest.disks[1].path
    command = scene.begin()
    subprocess.run(["chattr", "+i", path], check=True)  # still to be read
    output = scene.end(command)
    if then:
        then()
    subprocess.run(["chattr", "-i", path], check=True)
    scene.guest.close()
    equal((scene.journal()["step"], scene.guest.state()), ("write", "shut off"))
    assert "vdb" in output, output
    assert scene.start_is_refused()
    return scene


def test_half_written_disks_are_no_snapshot(bed):

    def wait_for_any():
        bed.wait(lambda: bed.sh("dominfo", "web01")["state"] == "shut off", 30, "guardd to see that it is off")
        bed.sh("snapshot-create", "web01")  # it comes after those that are under way

    scene = half_written(bed, wait_for_any)
    equal(sorted(scene.origins()), ["evidence", "manual", "schedule"])
    bed.sh("rollback", "web01", "1")
    assert scene.holds(0xA5)
    equal(scene.journal(), None)


def test_a_second_rollback_that_fails_keeps_the_guard_of_the_first(bed):
    scene = half_written(bed)
    scene.killpoint.arm(DATA, 1, failure=errno.ENOSPC, only="pwrite")
    scene.fails()
    scene.disarm("pwrite")
    assert scene.start_is_refused()
    bed.sh("rollback", "web01", "1")
    equal((scene.journal(), scene.start_is_refused(), scene.holds(0xA5)), (None, False, True))


def test_a_second_rollback_that_is_killed_keeps_the_guard_of_the_first(bed):
    scene = half_written(bed)
    scene.killpoint.arm(DATA, 1, only="pwrite")
    scene.daemon.guardsh("rollback", "web01", "1")
    scene.disarm("pwrite")
    scene.daemon.process.wait(10)
    assert scene.start_is_refused()
    scene.daemon.start()
    bed.wait(lambda: scene.journal()["step"] == "suspend", 30, "the second to be undone")
    assert scene.start_is_refused()
    bed.sh("rollback", "web01", "1")
    equal((scene.journal(), scene.start_is_refused(), scene.holds(0xA5)), (None, False, True))


def test_half_written_disks_are_not_left_out(bed):
    scene = half_written(bed)
    scene.fails("--disk", "vdb", saying="vda")
    equal((scene.journal()["step"], scene.start_is_refused()), ("write", True))


def test_what_failed_to_be_written_is_when_libvirt_comes_back(bed):
    scene = half_written(bed)
    bed.libvirt_stop()
    bed.libvirt_start()
    scene.is_over()
    assert scene.holds(0xA5)


def test_half_written_disks_that_somebody_used_are_not_finished(bed):
    scene = half_written(bed)
    scene.guest.start()  # where the hook is not installed
    bed.wait(lambda: scene.journal()["half_written"], 30, "guardd to see it")
    scene.guest.write("vda", "2M", "64k", 0x77)
    scene.guest.destroy()
    scene.daemon.restart()
    assert scene.start_is_refused()
    evidence = bed.sh("rollback", "web01", "1")["evidence"]
    assert scene.holds(0xA5) and scene.guest.holds("vda", "2M", "64k", 0)
    bed.sh("rollback", "web01", str(evidence))
    assert scene.guest.holds("vda", "2M", "64k", 0x77)


# Beside the disks


def test_firmware_variables_that_are_gone_are_made_again(bed):
    nvram = bed.images / "web01.fd"
    guest = bed.paused_guest("web01", start=False)
    guest.os_xml = lambda: (
        f"<os><type arch='x86_64' machine='q35'>hvm</type><loader readonly='yes' type='pflash'>/dev/null</loader><nvram>{nvram}</nvram></os>"
    )
    guest.undefine()
    guest.define()
    nvram.write_text("variables")
    bed.guardd(interval="7d")
    bed.sh("snapshot-create", "web01")
    nvram.unlink()
    bed.sh("rollback", "web01", "1", "--no-start")
    equal(nvram.read_text(), "variables")


main()
