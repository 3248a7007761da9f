#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""guardd, QEMU and libvirtd are killed at instants drawn from all that guardd does; nothing is lost, left or harmed.

Before a kill the work is done once to count guardd's calls; then it dies right before one of them, drawn by a seed.
GUARDD_KILLS=300 says how many over all phases, GUARDD_SEED which.  A table by phase is printed.
"""
import collections
import os
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from killpoint import DATA, LIBVIRT, NAME, SYNC, Killpoint
from suite import Disk, equal, main, timeout, until

KILLS = int(os.environ.get("GUARDD_KILLS", "40"))
SEED = int(os.environ.get("GUARDD_SEED", "1"))
MANY = 10  # snapshots, after which the oldest go
Phase = collections.namedtuple("Phase", "name work kinds victim power", defaults=("guardd", False))
LIBVIRT_PHASES = (
    Phase("capture", "capture", DATA | LIBVIRT),
    Phase("seal", "capture", SYNC | NAME),
    Phase("rollback", "rollback", NAME | LIBVIRT),
    Phase("rollback, libvirtd killed", "rollback", LIBVIRT, victim="libvirtd"),
    Phase("QEMU killed", "capture", DATA | SYNC | NAME | LIBVIRT, victim="qemu"),
    Phase("libvirtd killed", "capture", DATA | SYNC | NAME | LIBVIRT, victim="libvirtd"),
)
PHASES = (
    Phase("capture", "capture", DATA | LIBVIRT),
    Phase("seal", "capture", SYNC | NAME),
    Phase("seal, power lost", "capture", DATA | SYNC | NAME, power=True),
    Phase("merge", "merge", DATA | SYNC | NAME),
    Phase("merge, power lost", "merge", DATA | SYNC | NAME, power=True),
    Phase("fold", "fold", DATA | SYNC | NAME),
    Phase("fold, power lost", "fold", DATA | SYNC | NAME, power=True),
    Phase("offline", "offline", DATA | SYNC | NAME),
    Phase("rollback", "rollback", DATA | SYNC | NAME | LIBVIRT),
    Phase("rollback, libvirtd killed", "rollback", LIBVIRT, victim="libvirtd"),
    Phase("QEMU killed", "capture", DATA | SYNC | NAME | LIBVIRT, victim="qemu"),
    Phase("libvirtd killed", "capture", DATA | SYNC | NAME | LIBVIRT, victim="libvirtd"),
)


class Range:
    """The guests, what is on their disks, and which snapshots there must be."""

    def __init__(self, bed, engine):
        self.bed, self.random, self.engine = bed, random.Random(SEED), engine
        self.killpoint = Killpoint(bed)
        self.daemon = bed.guardd(
            interval="7d", policy=f"engine = {engine}", daemon="sample_every = 0s\n",
            # without a policy nothing is pruned; who wants an engine has one
            protect="nothing" if engine == "qmp" else "*",
            environment=self.killpoint.environment,
        )
        # Not paused: a QEMU that is keeps descriptor sets that it was told to drop.
        self.guest = bed.paused_guest("web01", [Disk("64M", "raw"), Disk("64M", "qcow2")], start=False)
        self.guest.start(paused=False)
        self.off = bed.paused_guest("off01", [Disk("64M", "raw")], start=False)
        self.fill, self.last_call = 0, ""
        for name in ("web01", "off01"):
            until(lambda name=name: any(d["name"] == name for d in bed.sh("list")["domains"]), 30, f"guardd to see {name}")
            bed.sh("snapshot-create", name)
        for _ in range(4):
            self.change()
            bed.sh("snapshot-create", "web01")

    def numbers(self, name="web01"):
        return [snapshot["number"] for snapshot in self.bed.sh("snapshot-list", name)["snapshots"]]

    def change(self):
        """Writes here and there on both disks of web01."""
        for disk in self.guest.disks:
            for _ in range(self.random.randrange(1, 4)):
                self.fill = self.fill % 250 + 1
                self.guest.write(disk.target, self.random.randrange(0, 1000) * 65536, "64k", self.fill)
            self.guest.flush(disk.target)

    # The works: each prepares, and returns the words of the command during which the kill comes.

    def capture(self):
        self.change()
        return "snapshot-create", "web01", "--wait"

    def merge(self):
        numbers = self.numbers()
        return "snapshot-delete", "web01", numbers[self.random.randrange(1, len(numbers) - 1)]

    def fold(self):
        return "snapshot-delete", "web01", self.numbers()[0]

    def offline(self):
        self.fill = self.fill % 250 + 1
        place = self.random.randrange(0, 1000) * 65536
        subprocess.run(["qemu-io", "-f", "raw", "-c", f"write -P {self.fill} {place} 64k", self.off.disks[0].path], check=True, stdout=subprocess.DEVNULL)
        return "snapshot-create", "off01", "--wait"

    def rollback(self):
        self.change()
        return "rollback", "web01", self.random.choice(self.numbers()[:-1])

    # What must hold

    def same(self, name, number, disk):
        """Is the snapshot what is on the guest's disk?"""
        image = self.daemon.pool / self.bed.sh("dominfo", name)["uuid"] / f"{number:08}" / f"{disk.target}.qcow2"
        words = ["qemu-img", "compare", "-q", "-U", "-f", "qcow2", "-F", disk.format, image, disk.path]
        return subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode == 0

    def left_in_qemu(self):
        """Everything of guardd's but the bitmap of the newest snapshot."""
        newest = self.bed.sh("snapshot-info", "web01", "latest")
        found = [job["id"] for job in self.guest.qmp("query-jobs")] + [x["id"] for x in self.guest.qmp("query-block-exports")]
        found += [s for s in self.guest.qmp("query-fdsets") if any("guardd" in (fd.get("opaque") or "") for fd in s["fds"])]
        for node in self.guest.qmp("query-named-block-nodes", flat=True):
            found += [node["node-name"]] if node["node-name"].startswith("guardd") else []
            for bitmap in node.get("dirty-bitmaps", []):
                bitmap = {"name": "", **bitmap}  # of a job that is under way
                # What a QEMU that was killed has left in its image, or a libvirtd in QEMU, libvirt cannot remove.
                lost = bitmap.get("inconsistent") or bitmap["name"].startswith("guardd-dirty-")
                if lost and self.engine == "libvirt":
                    continue
                if bitmap["name"].startswith("guardd") and not (bitmap["name"].endswith(newest["id"][:8]) and bitmap["recording"]):
                    found.append(bitmap["name"])
        return found + self.left_in_libvirt(newest)

    def left_in_libvirt(self, newest):
        names = self.bed.virsh("checkpoint-list", "web01", "--name").split()
        places = pathlib.Path("/var/lib/libvirt/qemu").glob("domain-*/guardd-*")
        return [name for name in names if not name.endswith(newest["id"][:8])] + [str(path) for path in places]

    def left_in_pool(self):
        """Files of a work that is not done."""
        every = [os.path.join(folder, name) for folder, folders, files in os.walk(self.daemon.pool) for name in folders + files]
        return [path for path in every if os.path.basename(path).startswith(".") and not path.endswith("/.lock") or path.endswith(".part")]

    def check_pool(self, before, gone=None):
        for name in ("web01", "off01"):
            now = set(self.numbers(name))
            assert before[name] - {gone} <= now, f"{name}: {sorted(before[name] - now)} are lost"
            verified = set(self.bed.sh("snapshot-verify", name)["verified"])
            equal((now & set(self.numbers(name))) - verified, set())  # what was pruned meanwhile need not be
        until(lambda: not self.left_in_pool(), 20, f"leftovers to go from the pool: {self.left_in_pool()}")

    def check_guests(self):
        equal(self.guest.state(), "running")
        until(lambda: not self.left_in_qemu(), 20, f"leftovers to go from QEMU: {self.left_in_qemu()}")
        newest = self.bed.sh("snapshot-create", "web01")["number"]
        for disk in self.guest.disks:
            assert self.same("web01", newest, disk), f"snapshot {newest} is not what is on {disk.target}"
        newest = self.bed.sh("snapshot-create", "off01")["number"]
        assert self.same("off01", newest, self.off.disks[0]), f"snapshot {newest} of off01 is not what is on its disk"

    def check_rolled(self, target, evidence):
        """The disks are the snapshot, or what they were before; nothing between."""
        until(lambda: not list(self.bed.state.glob("rollback/*.json")), 60, "the rollback to end")
        until(lambda: self.guest.state() == "running", 60, "the guest to run")
        self.guest.close()
        for disk in self.guest.disks:
            self.guest.flush(disk.target)
        done = [self.same("web01", target, disk) for disk in self.guest.disks]
        if not all(done):
            words = ["qemu-img", "compare", "-q", "-U", "-f", "raw", "-F"]
            before = [
                subprocess.run([*words, disk.format, copy, disk.path], stdin=subprocess.DEVNULL, check=False).returncode == 0
                for disk, copy in zip(self.guest.disks, evidence)
            ]
            assert all(before), f"disks are snapshot {target}: {done}; as before: {before}"

    # One kill

    def copies(self):
        """The disks' contents now."""
        paths = []
        for disk in self.guest.disks:
            paths.append(self.bed.images / f"before-{disk.target}.raw")
            subprocess.run(["qemu-img", "convert", "-U", "-f", disk.format, "-O", "raw", disk.path, paths[-1]], check=True)
        return paths

    def victim(self, phase):
        return {"guardd": 0, "qemu": self.guest.pid(), "libvirtd": self.bed.libvirtd.process.pid}[phase.victim]

    def count_calls(self, phase):
        words = getattr(self, phase.work)()
        self.killpoint.arm(phase.kinds)
        self.bed.sh(*words)
        count, _ = self.killpoint.disarm()
        self.guest.close()
        assert count > 0, phase
        return count

    def kill(self, phase, calls):
        """True when it came to the kill."""
        words = getattr(self, phase.work)()
        if self.engine != "qmp":
            self.keep_all()
        before = {name: set(self.numbers(name)) for name in ("web01", "off01")}
        evidence = self.copies() if phase.work == "rollback" else None
        self.killpoint.arm(phase.kinds, self.random.randrange(1, calls + 1), self.victim(phase), phase.power)
        self.daemon.guardsh("--json", *words)
        _, call = self.killpoint.disarm()
        self.last_call = call
        self.recover(phase, call)
        removed = words[2] if phase.work in ("merge", "fold") else None
        if phase.work == "rollback":
            self.check_rolled(words[2], evidence)
        self.check_pool(before, removed)
        self.check_guests()
        return bool(call)

    def recover(self, phase, call):
        """As the host's supervisor would: starts again what is dead."""
        if not call:
            return
        if phase.victim == "guardd":
            self.daemon.process.wait(10)
            if phase.power:
                self.guest.destroy()
                self.guest.start(paused=False)
            self.daemon.start()
        elif phase.victim == "qemu":
            until(lambda: self.guest.state() == "shut off", 20, "libvirt to see that QEMU is gone")
            self.guest.start(paused=False)
        else:
            self.bed.libvirtd.process.wait(10)
            self.bed.libvirt_start()
        if self.bed.libvirtd.process.poll() is not None:
            # libvirt 9.0 now and then ends when a client dies while its event callbacks are being taken out; systemd
            # would start it again.
            print(f"# libvirtd ended by itself ({self.bed.libvirtd.process.returncode}) after a kill in {phase.name}; started again", flush=True)
            self.bed.libvirt_start()
        assert self.daemon.process.poll() is None, "guardd died of another's death"
        until(lambda: self.daemon.guardsh("snapshot-list", "web01").returncode == 0, 30, "guardd to go on")
        until(lambda: self.bed.sh("dominfo", "web01")["state"] == "running" or phase.work == "rollback", 30, "guardd to see the guest")

    def keep_all(self):
        """Of a guest that has a policy: what is held is not pruned."""
        for name in ("web01", "off01"):
            for snapshot in self.bed.sh("snapshot-list", name)["snapshots"]:
                if not snapshot["held"]:
                    self.bed.sh("snapshot-hold", name, snapshot["number"], "--reason", "counted on")

    def thin_out(self):
        for name in ("web01", "off01"):
            if extra := self.numbers(name)[:-MANY]:
                self.bed.sh("snapshot-delete", name, *extra, "--force")


def kill_all(bed, engine, phases, kills_wanted):
    range_ = Range(bed, engine)
    print(f"# {'phase':25} {'kills':>6} {'lost':>6} {'left':>6} {'harmed':>6}   before")
    total = 0
    for number, phase in enumerate(phases):
        wanted = kills_wanted * (number + 1) // len(phases) - kills_wanted * number // len(phases)
        calls, kills, tries = range_.count_calls(phase), 0, 0
        while kills < wanted:
            tries += 1
            assert tries < 3 * wanted + 10, f"{phase.name}: {kills} kills in {tries} tries"
            try:
                kills += range_.kill(phase, calls)
            except Exception:
                print(f"# {phase.name}: kill {kills + 1} of {wanted}, before {range_.last_call}")
                raise
            range_.thin_out()
        total += kills
        # a loss, leftover or harm would have ended the test
        print(f"# {phase.name:25} {kills:6} {0:6} {0:6} {0:6}   one of {calls} calls", flush=True)
    equal(total, kills_wanted)


@timeout(KILLS * 5 + 120)
def test_nothing_is_lost_left_or_harmed_whenever_something_is_killed(bed):
    kill_all(bed, "qmp", PHASES, KILLS)


@timeout(KILLS * 3 + 120)
def test_nor_with_the_libvirt_engine(bed):
    kill_all(bed, "libvirt", LIBVIRT_PHASES, KILLS // 3)


main()
