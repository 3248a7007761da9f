#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What fills up, fails or goes away under guardd: a message that says so, the guest untouched, and it goes on by itself."""
import contextlib
import errno
import os
import pathlib
import resource
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from daemon import GuardshError
from killpoint import DATA, NAME, SYNC, Killpoint
from suite import Disk, equal, main, timeout, until


def command(*words):
    subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


class Place:
    """A running guest and a guardd in whose way things can be put."""

    def __init__(self, bed, pool_mib=0, size="64M", **options):
        self.bed, self.killpoint = bed, Killpoint(bed)
        self.pool = bed.state / "pool"
        if pool_mib:
            self.mount(pool_mib)
        self.daemon = bed.guardd(interval="7d", keep="1000x1s", protect="nothing", environment=self.killpoint.environment, **options)
        self.guest = bed.paused_guest("web01", [Disk(size, "raw"), Disk(size, "qcow2")], start=False)
        self.guest.start(paused=False)
        until(lambda: [d["state"] for d in bed.sh("list")["domains"]] == ["running"], 30, "guardd to see the guest")

    def mount(self, mib):
        """The pool on a small filesystem of its own."""
        image = self.bed.run / "pool.img"
        with open(image, "wb") as file:
            file.truncate(mib << 20)
        self.pool.mkdir(parents=True)
        command("mkfs.ext4", "-q", "-m", "0", image)
        self.device = subprocess.check_output(["losetup", "--find", "--show", image], text=True).strip()
        command("mount", self.device, self.pool)
        command("losetup", "--detach", self.device)  # it goes with the last mount
        (self.pool / "lost+found").rmdir()

    def snapshot(self):
        return self.bed.sh("snapshot-create", "web01")

    def refused(self, *words):
        """The message of a command that fails."""
        try:
            self.bed.sh(*(words or ("snapshot-create", "web01")))
        except GuardshError as error:
            return error.message
        raise AssertionError(f"{words or 'snapshot-create'} went through")

    def numbers(self):
        return [snapshot["number"] for snapshot in self.bed.sh("snapshot-list", "web01")["snapshots"]]

    def left(self):
        qmp = self.guest.qmp
        found = [job["id"] for job in qmp("query-jobs")] + [export["id"] for export in qmp("query-block-exports")]
        found += [s["fdset-id"] for s in qmp("query-fdsets") if any("guardd" in (fd.get("opaque") or "") for fd in s["fds"])]
        bitmaps = [b["name"] for node in qmp("query-named-block-nodes", flat=True) for b in node.get("dirty-bitmaps", [])]
        return found + bitmaps[2:]  # one for each disk may stay

    def check_unharmed(self):
        """The guest runs, nothing is left in it or in the pool, and nothing half-written is listed."""
        equal(self.guest.state(), "running")
        until(lambda: not self.left(), 20, f"leftovers to go: {self.left()}")
        if self.numbers():
            equal(len(self.bed.sh("snapshot-verify", "web01")["verified"]), len(self.numbers()))

    def check_goes_on(self):
        """Without a restart; and what was written meanwhile is in the next snapshot."""
        self.snapshot()
        equal(list(self.pool.rglob(".new-*")), [])
        number = self.snapshot()["number"]
        for disk in self.guest.disks:
            self.guest.flush(disk.target)
            image = self.pool / self.guest.uuid() / f"{number:08}" / f"{disk.target}.qcow2"
            command("qemu-img", "compare", "-q", "-U", "-f", "qcow2", "-F", disk.format, image, disk.path)
        self.check_unharmed()

    def log(self):
        return self.daemon.log.read_text(errors="replace")


def filled(place, leave_mib):
    """A file of somebody else's that takes the pool's room."""
    space = os.statvfs(place.pool)
    path = place.pool.parent / "pool" / "somebody's"
    command("fallocate", "-l", (space.f_bavail * space.f_frsize) - (leave_mib << 20), path)
    return path


def test_a_full_pool_refuses_before_anything_is_begun(bed):
    place = Place(bed, pool_mib=128)
    place.snapshot()
    stranger = filled(place, 1)
    place.guest.write("vda", 0, "8M", 7)
    message = place.refused()
    assert "stay in reserve" in message and "enlarge" in message, message  # not by running into the end
    place.check_unharmed()
    place.refused()
    # told at once, and once, for all guests of the pool
    other = bed.paused_guest("web02", [Disk("16M", "raw")])
    until(lambda: len(bed.sh("list")["domains"]) == 2, 30, "guardd to see the other guest")
    place.refused("snapshot-create", other.name)
    alerts = bed.sh("alert-list")["alerts"]
    equal([(alert["domain"], alert["level"], alert["resolved"]) for alert in alerts], [("web01", "blind", None)])
    assert "pool main is full" in alerts[0]["summary"], alerts
    stranger.unlink()
    place.check_goes_on()
    equal(bed.sh("alert-list")["alerts"][0]["resolved"], None)  # the other still has none
    bed.sh("snapshot-create", other.name, "--wait")
    equal([alert["resolved"] for alert in bed.sh("alert-list")["alerts"]], ["recovered"])


def test_a_pool_that_gets_full_on_the_way_loses_only_that_snapshot(bed):
    place = Place(bed, pool_mib=400, size="128M")
    place.guest.write("vda", 0, "90M", 5)
    place.guest.write("vdb", 0, "90M", 6)
    stranger = filled(place, 100)  # nobody knows beforehand how much a first snapshot takes
    message = place.refused()
    assert "No space left" in message or "full" in message, message
    place.check_unharmed()
    stranger.unlink()
    place.check_goes_on()


def failing(bed, kinds, number, words):
    place = Place(bed)
    place.snapshot()
    for countdown in (1, 2, 3, 5, 8, 13):
        place.guest.write("vda", f"{countdown}M", "512k", countdown)
        place.guest.write("vdb", f"{countdown}M", "512k", countdown)
        place.killpoint.arm(kinds, countdown, failure=number)
        done = place.daemon.guardsh("snapshot-create", "web01", "--wait")
        _, call = place.killpoint.disarm()
        if call:
            assert done.returncode != 0, f"call {countdown}, {call}, failed and nobody noticed"
            assert words in done.stderr, done.stderr
            assert words in place.log(), "nothing in the log"
        place.check_unharmed()
    place.check_goes_on()


def test_a_device_that_fails_to_write(bed):
    failing(bed, DATA, errno.EIO, "Input/output error")


def test_a_device_that_fails_to_sync(bed):
    failing(bed, SYNC, errno.EIO, "Input/output error")


def test_a_quota(bed):
    failing(bed, DATA, errno.EDQUOT, "quota exceeded")


def scratch(bed, **options):
    place = Place(bed, size="512M", **options)
    place.snapshot()
    for disk in place.guest.disks:
        place.guest.write(disk.target, 0, "64M", 1)
    place.killpoint.arm(DATA, delay_us=200000)  # the pool is slow
    answer = []
    thread = threading.Thread(target=lambda: answer.append(place.daemon.guardsh("snapshot-create", "web01")))
    thread.start()
    until(lambda: place.guest.qmp("query-jobs"), 20, "the copy to begin")
    # to what is read last, and to what is not read at all
    for disk in place.guest.disks:
        place.guest.write(disk.target, "32M", "32M", 2)
        place.guest.write(disk.target, "100M", "64M", 3)
    thread.join(60)
    place.killpoint.disarm()
    return place, answer[0]


def jobs(place):
    return [job["id"] for job in place.guest.qmp("query-jobs")]


@contextlib.contextmanager
def asked_for(place, kind, call, delay_us, mebibytes):
    """A snapshot is asked for, and each such call of guardd's takes so long."""
    place.bed.sh("snapshot-create", "web01", "--wait")
    until(lambda: place.bed.sh("snapshot-info", "web01", "latest")["verdict"], 60, "a verdict")
    place.guest.write("vdb", 0, f"{mebibytes}M", 7)  # the last disk
    place.killpoint.arm(kind, delay_us=delay_us, only=call)
    asked = threading.Thread(target=place.daemon.guardsh, args=("snapshot-create", "web01"), daemon=True)
    asked.start()
    yield
    place.daemon.kill()
    asked.join()


def test_a_pool_that_hangs_does_not_keep_qemu_copying_what_the_guest_overwrites(bed):
    """Once all is read: eight of the mebibytes may then still have to be stored."""
    place = Place(bed)
    with asked_for(place, DATA, "pwrite", 200000, mebibytes=40):
        until(lambda: jobs(place), 30, "the snapshot's job")
        before = place.killpoint.count()
        until(lambda: not jobs(place), 60, "QEMU to be tidied up")
        assert place.killpoint.count() - before < 38, f"{before} and {place.killpoint.count()} writes"


def test_a_device_that_does_not_flush_keeps_no_snapshot_from_its_instant(bed):
    place = Place(bed)
    with asked_for(place, SYNC, "fsync", 20000000, mebibytes=1):
        until(lambda: place.killpoint.count() > 1, 10, "guardd to come to the seal")


def test_scratch_that_fills_up_costs_the_snapshot_and_not_the_guest(bed):
    place, answer = scratch(bed, daemon="scratch_memory = 16M")
    assert answer.returncode != 0, "it went through"
    assert "scratch" in answer.stderr, answer.stderr
    place.check_unharmed()
    place.check_goes_on()
    assert place.guest.holds("vda", "32M", "32M", 2) and place.guest.holds("vdb", "100M", "64M", 3)


def test_too_few_descriptors(bed):
    place = Place(bed)
    place.snapshot()
    place.guest.write("vda", 0, "1M", 9)
    used = len(os.listdir(f"/proc/{place.daemon.pid}/fd"))
    before = resource.prlimit(place.daemon.pid, resource.RLIMIT_NOFILE)
    for more in (1, 3, 6, 9):
        resource.prlimit(place.daemon.pid, resource.RLIMIT_NOFILE, (used + more, before[1]))
        done = place.daemon.guardsh("snapshot-create", "web01")
        resource.prlimit(place.daemon.pid, resource.RLIMIT_NOFILE, before)
        if done.returncode:
            assert "Too many open files" in done.stderr + place.log(), done.stderr + place.log()
        until(lambda: place.daemon.guardsh("version").returncode == 0, 20, "guardd to answer again")
        place.check_unharmed()
    place.check_goes_on()


def test_a_memory_limit(bed):
    """It may end guardd, as it would under a supervisor's limit; then the next one finds everything in order."""
    place = Place(bed)
    place.snapshot()
    place.guest.write("vda", 0, "16M", 9)
    place.daemon.restart()  # what the last snapshot was read through is kept
    answers = lambda: place.daemon.guardsh("dominfo", "web01").returncode == 0
    until(answers, 20, "guardd to find the guest")
    pages = int(pathlib.Path(f"/proc/{place.daemon.pid}/statm").read_text().split()[0])
    resource.prlimit(place.daemon.pid, resource.RLIMIT_AS, (pages * resource.getpagesize() + (2 << 20), resource.RLIM_INFINITY))
    done = place.daemon.guardsh("snapshot-create", "web01")
    assert done.returncode != 0, "16 MiB were captured in 2 MiB"
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(place.daemon.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    # one that has hung up may still be dying
    until(lambda: place.daemon.process.poll() is not None or answers(), 20, "guardd to answer or to be dead")
    if place.daemon.process.poll() is not None:
        place.daemon.start()
    until(answers, 20, "guardd to answer")
    place.check_unharmed()
    place.check_goes_on()


def test_a_pool_that_became_read_only(bed):
    failing(bed, NAME, errno.EROFS, "Read-only file system")


def test_a_pool_that_is_unmounted(bed):
    place = Place(bed, pool_mib=128)
    place.snapshot()
    place.guest.write("vda", 0, "1M", 9)
    command("umount", "-l", place.pool)
    message = place.refused()
    assert "mount" in message, message
    equal(list(place.pool.iterdir()), [])  # nothing is written into the empty directory
    equal(place.guest.state(), "running")
    command("mount", place.device, place.pool)
    place.check_goes_on()


def test_a_clock_that_jumps(bed):
    place = Place(bed)
    day = 86400 * 1000000
    taken = [place.snapshot()["number"]]
    for jump in (400 * day, -400 * day, 0):
        place.killpoint.arm(clock_us=jump)
        place.guest.write("vda", 0, "1M", jump % 200 + 1)
        taken.append(place.snapshot()["number"])
        equal(place.bed.sh("snapshot-info", "web01", "latest")["number"], taken[-1])
    equal(place.numbers(), taken)
    equal(taken, sorted(taken))
    place.check_goes_on()
    # pruning goes by periods that hold a snapshot, not by how long ago: none is old enough to go
    place.daemon.restart()
    assert set(taken) <= set(place.numbers()), place.numbers()


def test_a_list_of_files_does_not_take_what_the_pool_keeps_in_reserve(bed):
    place = Place(bed, pool_mib=300)
    place.snapshot()
    message = place.refused("snapshot-inspect", "web01", "1")
    assert "NoSpace" in message, message
    equal(list(place.pool.rglob("*inventory*")), [])
    place.snapshot()


main()
