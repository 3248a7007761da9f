#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A pool in a thin pool: one that fills, and what a death leaves."""
import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from lvm import BUILD, Group, run
from suite import equal, main, timeout
from wait import until

FOLDER = "/tmp/pool"
KILLS = int(os.environ.get("GUARDD_KILLS", "8"))
PER_MIB = 16  # blocks


class Pool:
    """guardd's pool and the snapshots of one guest, in a process of its own (lvm-pool.c)."""

    def __init__(self, group, *params, fresh=True):
        if fresh:
            run("chattr", "-R", "-f", "-i", FOLDER, check=False)
            shutil.rmtree(FOLDER, ignore_errors=True)
        self.process = subprocess.Popen(
            [BUILD / "tests/lib/lvm-pool", FOLDER, group.name, group.pool, BUILD, *params], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )
        equal(self.answer(), "open")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(60)

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().strip()

    def ask(self, line):
        self.send(line)
        return self.answer()

    def listed(self):
        return [int(word) for word in self.ask("list").split()[1:]]


def fill(path, mebibytes):
    """An operator's disk takes room, as a guest's writes do; an error of the kernel's is one here."""
    with open(path, "r+b", buffering=0) as device:
        for at in range(mebibytes):
            os.pwrite(device.fileno(), os.urandom(1 << 20), at << 20)
        os.fsync(device.fileno())


@timeout(300)
def test_full_data_is_refused_and_pruned_before_the_kernel_is_asked(_):
    group = Group(size="256M")
    disk = group.volume("disk", size="240M")
    with Pool(group, "prune_at=60", "refuse_at=80") as pool:
        equal([pool.ask(f"take {n} {8 * PER_MIB}") for n in (1, 2, 3, 4)], ["taken 1", "taken 2", "taken 3", "taken 4"])
        equal(pool.ask("hold 1"), "held")
        fill(disk, 150)
        # 182 of 256 MiB: more than 60 %, and a guest that goes on writing brings it above 80 %.
        answer = pool.ask(f"take 5 {64 * PER_MIB}")
        assert answer.startswith("full: "), answer
        equal(pool.listed(), [1, 2, 3, 4])
        equal(pool.ask("room"), "removed 1")  # not the held one, not the newest, not that before it, which may be the last good one
        equal(pool.listed(), [1, 3, 4])
        fill(disk, 200)  # no error
        assert pool.ask(f"take 6 {PER_MIB}").startswith("full: ")
        equal([pool.ask("verify 1 1"), pool.ask("verify 4 4")], ["verified", "verified"])
    status = run("dmsetup", "status", "--target", "thin-pool")
    assert " rw " in status, status


@timeout(300)
def test_full_metadata_is_refused_before_the_kernel_is_asked(_):
    group = Group(size="30G", metadata="4M", zero="n")
    with Pool(group, "prune_at=15", "refuse_at=20") as pool:
        equal(pool.ask("take 1 1"), "taken 1")
        equal(pool.ask("hold 1"), "held")
        # Every other chunk of a big disk: a mapping each, and hardly any data.
        disk = group.volume("disk", size="20G")
        with open(disk, "r+b", buffering=0) as device:
            for chunk in range(0, 40000, 2):
                os.pwrite(device.fileno(), b"x" * 4096, chunk << 16)
            os.fsync(device.fileno())
        answer = pool.ask("take 2 1")
        assert answer.startswith("full: "), answer
        status = run("dmsetup", "status", "--target", "thin-pool").split()
        used, total = map(int, status[status.index("thin-pool") + 2].split("/"))
        data_used, data_total = map(int, status[status.index("thin-pool") + 3].split("/"))
        assert used / total >= 0.2 > data_used / data_total, status
        equal((pool.listed(), pool.ask("verify 1 1")), ([1], "verified"))
    assert " rw " in run("dmsetup", "status", "--target", "thin-pool")


@timeout(300 + 10 * KILLS)
def test_a_death_at_any_instant_leaves_no_volume_that_no_snapshot_has(_):
    group = Group()
    dice = random.Random(int(os.environ.get("GUARDD_SEED", "1")))
    with Pool(group) as pool:
        equal(pool.ask("take 1 16"), "taken 1")
        begin = time.monotonic()
        equal(pool.ask("take 2 16"), "taken 2")
        seconds = time.monotonic() - begin
    for n in range(KILLS):
        with Pool(group, fresh=False) as pool:
            before = pool.listed()
            pool.send(f"take {n + 3} 16")
            time.sleep(dice.random() * seconds)
            if n % 2:  # guardd and the helper, or the helper alone
                os.kill(pool.process.pid, signal.SIGKILL)
            run("pkill", "-KILL", "-x", "guardd-lvm", check=False)
        with Pool(group, fresh=False) as pool:
            listed = pool.listed()
            assert listed[: len(before)] == before, (before, listed)
            ours = group.ours()
            equal(sorted(int(name.split("-")[-2]) for name in ours), listed)
            active = [name for name, facts in ours.items() if facts["attr"][4] == "a"]
            equal((active, group.suspended()), ([], []))
            print(f"# kill {n}: {len(listed) - len(before)} snapshot made", flush=True)
    with Pool(group, fresh=False) as pool:
        equal((pool.ask("verify 1 1"), pool.ask("verify 2 2")), ("verified", "verified"))


def test_what_could_not_be_removed_at_the_start_goes_with_the_next_pruning(_):
    group = Group()
    with Pool(group) as pool:
        equal([pool.ask("take 1 1"), pool.ask("take 2 1")], ["taken 1", "taken 2"])
    sealed = sorted(group.ours())
    left = sealed[0].replace("00000001", "00000009")
    tags = [word for tag in group.ours()[sealed[0]]["tags"] for word in ("--addtag", tag)]
    run("lvcreate", "-q", "-A", "n", "-kn", "-s", "-n", left, *tags, f"{group.name}/{sealed[0]}")
    reader = open(f"/dev/{group.name}/{left}", "rb")  # somebody looks at it just then
    with Pool(group, fresh=False) as pool:
        assert pool.ask("upkeep").startswith("failed: "), "an open volume was removed"
        equal((pool.listed(), pool.ask("take 3 1")), ([1, 2], "taken 3"))
        assert left in group.ours()
        reader.close()
        equal(pool.ask("upkeep"), "kept")
        equal(sorted(int(name.split("-")[-2]) for name in group.ours()), [1, 2, 3])
        equal(pool.ask("verify 1 1"), "verified")


def locked(group):
    """An LVM command is at work on it.  The last to use the lock's file removes it."""
    try:
        with open(f"/run/lock/lvm/V_{group.name}", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def deactivated_after(interrupted):
    """guardd deactivates what it has read, and cannot: somebody has it open.  That is interrupted, and it is free then."""
    group = Group()
    with Pool(group, "idle_seconds=1") as pool:
        equal((pool.ask("take 1 1"), pool.ask("verify 1 1")), ("taken 1", "verified"))
        volume = f"{group.name}/{next(iter(group.ours()))}"
        with open(f"/dev/{volume}", "rb"):
            until(lambda: locked(group), 30, "guardd-lvm to be at it")
            interrupted(group)
        # As lvs knows it without its lock, which would hold up guardd-lvm.
        until(lambda: not os.path.exists(f"/dev/{volume}"), 60, f"{volume} to be inactive")
        equal(pool.ask("verify 1 1"), "verified")


def test_a_volume_that_somebody_has_open_is_deactivated_once_it_is_free(_):
    deactivated_after(lambda group: until(lambda: not locked(group), 60, "LVM to give up"))


def test_a_volume_whose_deactivation_died_is_deactivated_by_the_next_helper(_):
    deactivated_after(lambda group: run("pkill", "-KILL", "-x", "guardd-lvm"))


if __name__ == "__main__":
    main(bed=False, inside=True)
