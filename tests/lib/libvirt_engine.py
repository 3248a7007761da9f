# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that guardd captures by libvirt's own backup jobs."""
import pathlib
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

from killpoint import DATA, Killpoint
from suite import CommandError, Disk, until

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

    def __init__(self, bed, killpoint, delay_us=40000, kinds=DATA):
        self.bed, self.killpoint, self.delay_us, self.kinds = bed, killpoint, delay_us, kinds

    def __enter__(self):
        self.killpoint.arm(self.kinds, delay_us=self.delay_us)
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
