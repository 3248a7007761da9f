#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""guardd itself where guests' disks are thin volumes of its own thin pool: a real device-mapper, libvirtd and QEMU."""
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from daemon import GuardshError
from lvm import run
from suite import equal, main, timeout
from thin import Thin

SEED = int(os.environ.get("GUARDD_SEED", "1"))
KILLS = int(os.environ.get("GUARDD_KILLS", "2"))
TARGETS = ("vda", "vdb")
DISKS = ("web-01", "web01.data")


def prepared(bed, size="12M", guardd=None, group=None):
    """A guest with two thin volumes, written to, and its first snapshot."""
    thin = Thin(bed, **(group or {}))
    guest = bed.paused_guest("web01", [thin.disk(*which, size) for which in zip(TARGETS, DISKS)])
    for disk in guest.disks:
        guest.write(disk.target, "1M", "2M", 0xA5)
    thin.guardd(**(guardd or {}))
    return thin, guest, thin.first(guest)


def scribble(guest, dice, end=11 << 20):
    """Writes, zeros and discards of some places of both disks."""
    for target in TARGETS:
        for _ in range(3):
            guest.write(target, dice.randrange(0, end, 4096), dice.randrange(4096, 1 << 20, 4096), dice.randrange(1, 256))
        guest.zero(target, dice.randrange(0, end, 65536), 65536)
        guest.discard(target, dice.randrange(0, end, 65536), 65536)
        guest.flush(target)


def no_leftover(thin, guest):
    """guardd's volumes are those of the snapshots it lists, with what their rollbacks have kept, and tagged; none is
    active, none suspended, and the operator's are as they were made."""
    listed = {thin.image(guest, snapshot["number"], target) for snapshot in thin.snapshots(guest) for target in TARGETS}
    equal(sorted({name.removesuffix("-kept") for name in thin.ours()}), sorted(listed))
    thin.bed.wait(lambda: not thin.active(), 30, "the volumes that guardd read to be inactive")
    equal((thin.group.suspended(), thin.held()), ([], []))
    for name, facts in thin.ours().items():
        tag = "-".join(facts["name"].split("-", 2)[:2])
        equal((name, facts["tags"], facts["attr"][1], facts["attr"][-1]), (name, {"guardd", tag}, "r", "k"))
    others = {name: facts for name, facts in thin.group.volumes().items() if name not in thin.group.ours()}
    equal({name: (facts["tags"], facts["attr"][1], facts["attr"][-1]) for name, facts in others.items() if name in DISKS},
          {name: ({"operators"}, "w", "-") for name in DISKS})
    assert set(others) <= {*DISKS, "filler"}, others


@timeout(400)
def test_snapshots_are_the_disks_of_their_instant(bed):
    thin, guest, first = prepared(bed)
    info = bed.wait(lambda: (now := bed.sh("dominfo", "web01"))["engine"] and now, 30, "the engine to be told")
    equal((info["engine"], info["state"]), ("native", "paused"))
    dice, then = random.Random(SEED), {first: thin.digests(guest)}
    for _ in range(4):
        scribble(guest, dice)
        taken = thin.snapshot(guest)
        equal((taken["engine"], [disk["read_bytes"] for disk in taken["disks"]], guest.state()), ("native", [0, 0], "paused"))
        then[taken["number"]] = thin.digests(guest)
    scribble(guest, dice)
    assert len({digest["vda"] for digest in [*then.values(), thin.digests(guest)]}) == 6
    no_leftover(thin, guest)
    equal(thin.kept(guest, *then), then)
    bed.sh("snapshot-verify", "web01")
    no_leftover(thin, guest)


@timeout(400)
def test_a_rollback_puts_the_snapshot_in_place_and_keeps_what_was_there(bed):
    thin, guest, first = prepared(bed)
    dice, then = random.Random(SEED), {first: thin.digests(guest)}
    scribble(guest, dice)
    then[thin.snapshot(guest)["number"]] = thin.digests(guest)
    scribble(guest, dice)
    ruined = thin.digests(guest)
    answer = bed.sh("rollback", "web01", str(first))
    evidence = answer["evidence"]
    equal([disk["method"] for disk in answer["disks"]], ["clone", "clone"])
    equal((guest.state(), thin.digests(guest)), ("running", then[first]))
    then[evidence] = ruined
    equal(thin.kept(guest, *then), then)
    equal(thin.kept(guest, evidence, suffix="-kept"), {evidence: ruined})
    no_leftover(thin, guest)
    bed.virsh("suspend", "web01")
    scribble(guest, dice)
    taken = thin.snapshot(guest)
    equal(taken["engine"], "native")
    then[taken["number"]] = thin.digests(guest)
    bed.sh("rollback", "web01", str(evidence), "--no-start")
    equal((guest.state(), thin.digests(guest)), ("shut off", ruined))
    equal(thin.kept(guest, taken["number"]), {taken["number"]: then[taken["number"]]})
    bed.sh("snapshot-delete", "web01", str(evidence), "--force")
    equal([name for name in thin.ours() if f"-{evidence:08d}-" in name], [])
    no_leftover(thin, guest)


@timeout(400)
def test_a_rollback_reaches_a_disk_by_whatever_path_it_was_given(bed):
    """A clone takes the volume's name: a link to that follows, the device's number does not, and is written to."""
    thin = Thin(bed)
    disks = [thin.disk(*which, "12M") for which in zip(TARGETS, DISKS)]
    (bed.images / "volumes").symlink_to(os.path.dirname(disks[0].path))
    (bed.images / "web.img").symlink_to("volumes/web-01")
    disks[0].path, disks[1].path = str(bed.images / "web.img"), f"/dev/dm-{os.minor(os.stat(disks[1].path).st_rdev)}"
    guest = bed.paused_guest("web01", disks)
    for disk in guest.disks:
        guest.write(disk.target, "1M", "2M", 0xA5)
    thin.guardd()
    first = thin.first(guest)
    then = thin.digests(guest)
    scribble(guest, random.Random(SEED))
    ruined = thin.digests(guest)
    answer = bed.sh("rollback", "web01", str(first))
    equal([(number, bed.sh("snapshot-info", "web01", str(number))["engine"]) for number in (first, answer["evidence"])],
          [(first, "native"), (answer["evidence"], "native")])
    equal([disk["method"] for disk in answer["disks"]], ["clone", "write"])
    equal((guest.state(), thin.digests(guest)), ("running", then))
    equal(thin.kept(guest, answer["evidence"]), {answer["evidence"]: ruined})
    no_leftover(thin, guest)
    bed.virsh("suspend", "web01")
    equal(thin.snapshot(guest)["engine"], "native")


def killed(bed, victim):
    """guardd, or the helper that gives the LVM commands, or both; and the next guardd."""
    if victim != "guardd-lvm":
        os.kill(bed.daemon.pid, signal.SIGKILL)
    if victim != "guardd":
        run("pkill", "-KILL", "-x", "guardd-lvm", check=False)
    if victim != "guardd-lvm":
        bed.daemon.process.wait(30)
        bed.daemon.start()


def timed(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


@timeout(240 + 60 * KILLS)
def test_a_death_at_any_instant_of_a_snapshot_or_a_rollback_loses_nothing(bed):
    thin, guest, first = prepared(bed, size="8M")
    dice, then, seconds = random.Random(SEED), {first: thin.digests(guest)}, {}
    scribble(guest, dice, 7 << 20)
    seconds["snapshot-create"] = seconds["rollback"] = timed(lambda: thin.snapshot(guest))
    then[first + 1] = thin.digests(guest)
    for n in range(KILLS):
        if guest.state() == "shut off":
            guest.start()
        scribble(guest, dice, 7 << 20)
        was, target = thin.digests(guest), dice.choice(sorted(then))
        what, victim, before = ("rollback", "snapshot-create")[n % 2], ("guardd", "guardd-lvm", "both")[n % 3], dice.choice(("running", "paused"))
        if before == "running":
            bed.virsh("resume", "web01")
        words = [what, "web01", *([str(target), "--no-start"] if what == "rollback" else [])]
        with subprocess.Popen([bed.build / "guardsh", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asked:
            time.sleep(dice.random() * 2 * seconds[what])
            killed(bed, victim)
        bed.wait(lambda: not os.listdir(bed.state / "rollback"), 120, "the rollback to be finished or undone")
        now = thin.digests(guest)
        done = now != was
        print(f"# kill {n}: {victim} in {what} of a guest that is {before}: {'rolled back' if done else 'not begun'}, "
              f"exit status {asked.returncode}", flush=True)
        if done:
            equal((what, now, guest.state()), ("rollback", then[target], "shut off"))
        else:
            bed.wait(lambda state=before: guest.state() == state, 30, f"the guest to be {before}")
        if guest.state() == "running":
            bed.virsh("suspend", "web01")
        newest = thin.snapshot(guest)["number"]
        numbers = {snapshot["number"] for snapshot in thin.snapshots(guest)}
        assert set(then) < numbers, (then, numbers)
        found = thin.kept(guest, target, *numbers - set(then))
        equal((found.pop(target), found[newest]), (then[target], now))
        assert all(digests in (was, now) for digests in found.values()), (was, now, found)
        assert not done or was in found.values(), "rolled back without evidence"
        then.update(found)
        no_leftover(thin, guest)
    equal(thin.kept(guest, *then), then)
    bed.sh("snapshot-verify", "web01")


def fill(path, mebibytes):
    """An operator's volume takes room; an error of the kernel's is one here."""
    with open(path, "r+b", buffering=0) as device:
        for at in range(mebibytes):
            os.pwrite(device.fileno(), os.urandom(1 << 20), at << 20)
        os.fsync(device.fileno())


def map_much(path, chunks):
    """Every other chunk of a big volume: a mapping each, and hardly any data."""
    with open(path, "r+b", buffering=0) as device:
        for chunk in range(0, 2 * chunks, 2):
            os.pwrite(device.fileno(), b"x" * 4096, chunk << 16)
        os.fsync(device.fileno())


def overfilled(thin, guest, first, push, free):
    """A thin pool over refuse_at: a snapshot is refused and that is told at once, and once; over is over."""
    bed = thin.bed
    bed.sh("snapshot-hold", "web01", str(first), "--reason", "test")
    then = {first: thin.digests(guest)}
    push()
    guest.write("vda", "1M", "1M", 0x22)
    try:
        raise AssertionError(f"it went through: {bed.sh('snapshot-create', 'web01')}")
    except GuardshError as error:
        assert " full" in error.message or "stay in reserve" in error.message, error
    alerts = bed.wait(lambda: bed.sh("alert-list")["alerts"], 5, "the alert")
    equal(([alert["level"] for alert in alerts], alerts[0]["resolved"]), (["blind"], None))
    assert "pool main is full" in alerts[0]["summary"], alerts
    bed.wait(lambda: bed.sh("dominfo", "web01")["failures"] > 1, 60, "it to be tried again")
    equal(len(bed.sh("alert-list")["alerts"]), 1)
    for disk in guest.disks:  # the guest knows nothing of it
        guest.write(disk.target, "3M", "2M", 0x33)
        guest.flush(disk.target)
        assert guest.holds(disk.target, "3M", "2M", 0x33)
    equal((guest.state(), thin.filled()[2]), ("paused", "rw"))
    equal([snapshot["number"] for snapshot in thin.snapshots(guest)], [first])
    equal(thin.kept(guest, first), then)
    free()
    bed.wait(lambda: len(thin.snapshots(guest)) > 1, 120, "a snapshot, now that there is room")
    bed.wait(lambda: bed.sh("alert-list")["alerts"][0]["resolved"] == "recovered", 30, "the alert to be over")
    equal(len(bed.sh("alert-list")["alerts"]), 1)
    equal(thin.kept(guest, first), then)
    no_leftover(thin, guest)


@timeout(300)
def test_full_data_is_told_at_once_and_no_guest_sees_an_error(bed):
    thin, guest, first = prepared(bed, size="8M", guardd={"parameters": "prune_at = 60\nrefuse_at = 80"}, group={"size": "512M"})
    filler = thin.group.volume("filler", size="480M")
    overfilled(thin, guest, first, lambda: fill(filler, 400), lambda: run("lvremove", "-q", "-A", "n", "-y", filler))


@timeout(300)
def test_full_metadata_is_told_at_once_and_no_guest_sees_an_error(bed):
    thin, guest, first = prepared(bed, size="8M", guardd={"parameters": "prune_at = 15\nrefuse_at = 20"},
                                  group={"size": "30G", "metadata": "4M", "zero": "n"})
    filler = thin.group.volume("filler", size="20G")
    overfilled(thin, guest, first, lambda: map_much(filler, 20000), lambda: run("lvremove", "-q", "-A", "n", "-y", filler))


@timeout(300)
def test_a_thin_pool_that_fills_and_of_which_nothing_may_go_is_told(bed):
    thin, guest, first = prepared(bed, size="8M", guardd={"parameters": "prune_at = 60\nrefuse_at = 90"}, group={"size": "512M"})
    filler = thin.group.volume("filler", size="400M")
    fill(filler, 340)
    bed.sh("snapshot-hold", "web01", str(first), "--reason", "test")
    guest.write("vda", "1M", "1M", 0x22)
    newest = thin.snapshot(guest)["number"]
    bed.wait(lambda: bed.sh("alert-list")["alerts"], 60, "the alert")
    assert "none may go" in bed.sh("alert-list")["alerts"][0]["summary"], bed.sh("alert-list")
    equal([snapshot["number"] for snapshot in thin.snapshots(guest)], [first, newest])
    run("lvremove", "-q", "-A", "n", "-y", filler)
    thin.snapshot(guest)
    bed.wait(lambda: bed.sh("alert-list")["alerts"][0]["resolved"] == "recovered", 60, "the alert to be over")
    equal(len(bed.sh("alert-list")["alerts"]), 1)


main(inside=True)
