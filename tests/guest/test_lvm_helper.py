#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""guardd-lvm in a real kernel: what it does, and what is left when it is killed at it."""
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from lvm import Group, Helper, run
from suite import equal, main, timeout

MIB = 1 << 20
KILLS = 8


def write(path, offset, byte, length=65536):
    with open(path, "r+b", buffering=0) as device:
        os.pwrite(device.fileno(), bytes([byte]) * length, offset)
        os.fsync(device.fileno())


def test_thin_volumes_are_made_read_protected_and_removed(_):
    group = Group()
    with Helper(group) as helper:
        helper.ask("create", lv="guardd-a", size=10 * MIB + 1, tags=["guardd"])
        write(f"/dev/{group.name}/guardd-a", 0, 7)
        helper.ask("snapshot", snapshots=[{"origin": "guardd-a", "lv": "guardd-b"}], tags=["guardd", "guardd-12345678"])
        made = group.ours()
        equal(made["guardd-b"]["tags"], {"guardd", "guardd-12345678"})
        equal(made["guardd-b"]["attr"], "Vri---tz-k")  # not active, and a plain `vgchange -ay` leaves it so
        equal(made["guardd-a"]["size"], 12 * MIB)  # whole extents
        helper.ask("protect", lv="guardd-a")
        equal(group.ours()["guardd-a"]["attr"], "Vri-a-tz-k")
        helper.ask("activate", lv="guardd-b")
        equal(group.ours()["guardd-b"]["attr"], "Vri-a-tz-k")
        with open(f"/dev/{group.name}/guardd-b", "rb") as device:
            equal(device.read(4), b"\7\7\7\7")
        helper.ask("extend", lv="guardd-a", size=14 * MIB)
        equal(group.ours()["guardd-a"]["size"], 16 * MIB)
        report = {volume["name"]: volume for volume in helper.ask("report")["lvs"]}
        equal((report["guardd-b"]["pool"], report["guardd-b"]["origin"]), (group.pool, "guardd-a"))
        helper.ask("deactivate", lvs=["guardd-a", "guardd-b"])
        helper.ask("deactivate", lvs=["guardd-a"])
        helper.ask("remove", lvs=["guardd-a", "guardd-b"])
        helper.ask("remove", lvs=["guardd-a", "guardd-b"])
        equal(group.ours(), {})


def test_delta_names_what_was_written(_):
    group = Group(chunk="128k")
    with Helper(group) as helper:
        disk = group.volume("disk")
        write(disk, 0, 1)
        helper.ask("snapshot", snapshots=[{"origin": "disk", "lv": "guardd-a"}], tags=["guardd"])
        write(disk, 0, 2)
        write(disk, 10 * MIB + 65536, 3)
        run("blkdiscard", "-o", 0, "-l", 1, disk, check=False)
        helper.ask("snapshot", snapshots=[{"origin": "disk", "lv": "guardd-b"}], tags=["guardd"])
        ids = {volume["name"]: volume["thin_id"] for volume in helper.ask("report")["lvs"]}
        delta = helper.ask("delta", **{"from": ids["guardd-a"], "to": ids["guardd-b"]})
        equal(delta["extents"], [[0, 131072], [10 * MIB, 131072]])
        equal(helper.ask("usage")["chunk_bytes"], 131072)


def test_usage_is_what_lvm_says(_):
    group = Group()
    with Helper(group) as helper:
        disk = group.volume("disk")
        write(disk, 0, 1, 8 * MIB)
        usage = helper.ask("usage")
        equal(usage["data_bytes"], 2048 * MIB)
        equal(usage["data_used_bytes"], 8 * MIB)
        equal((usage["discards"], usage["writable"]), (True, True))
        assert 0 < usage["metadata_used_bytes"] < usage["metadata_bytes"] == 16 * MIB, usage


def test_names_that_need_quotes_never_reach_lvm(_):
    group = Group()
    with Helper(group) as helper:
        for name in ("a b", "-f", "a/b", "a;b", 'a"b', "", "x" * 120):
            helper.send("remove", lvs=[name])
            answer = helper.answer()
            assert isinstance(answer, str) and answer.startswith("refused:"), f"{name!r}: {answer}"
        helper.send("create", lv="guardd-a", size=MIB, tags=["a b"])
        assert helper.answer().startswith("refused:")
        equal(group.volumes(), {})


def test_a_device_left_suspended_goes_on(_):
    group = Group()
    disk = group.volume("disk")
    pool = run("dmsetup", "ls", "--target", "thin-pool").split()[0].removesuffix("-tpool")
    # with all that lies below it: each can only be resumed after what it lies on
    for device in (disk, f"{pool}-tpool", f"{pool}_tdata", f"{pool}_tmeta"):
        run("dmsetup", "suspend", device)
    equal(len(group.suspended()), 4)
    with Helper(group) as helper:
        helper.ask("report")  # the first question settles
        equal(group.suspended(), [])
    write(disk, 0, 1)


def test_a_device_that_never_got_a_table_is_removed_if_it_is_ours(_):
    group = Group()
    group.volume("disk")
    uuid = "LVM-" + run("vgs", "--noheadings", "-o", "vg_uuid", group.name).strip().replace("-", "")
    stem = group.name.replace("-", "--")
    for number, name in enumerate(("guardd--a", "own")):
        run("dmsetup", "create", f"{stem}-{name}", "--notable", "--uuid", f"{uuid}{number:032}")
    with Helper(group) as helper:
        helper.ask("report")  # the first question settles
    left = run("dmsetup", "ls").split()
    equal((f"{stem}-guardd--a" in left, f"{stem}-own" in left), (False, True))
    run("dmsetup", "remove", f"{stem}-own")


def begun(group, volume):
    """As a death between the two messages to the kernel leaves it: the newest volume is made, and LVM is still to count it."""
    device = run("dmsetup", "ls", "--target", "thin-pool").split()[0]
    counted = int(run("dmsetup", "status", device).split()[3])
    run("dmsetup", "message", device, "0", f"set_transaction_id {counted} {counted - 1}")
    run("vgcfgbackup", "-f", "/tmp/metadata", group.name)
    head, pool = pathlib.Path("/tmp/metadata").read_text().split('type = "thin-pool"')
    place = f"transaction_id = {counted}\n"
    assert place in pool
    edited = pool.replace(place, f'{place}message1 {{\ncreate = "{volume}"\n}}\n', 1)
    pathlib.Path("/tmp/metadata").write_text(f'{head}type = "thin-pool"{edited}')
    run("vgcfgrestore", "-q", "--force", "-y", "-f", "/tmp/metadata", group.name)


def test_a_volume_that_was_made_and_not_counted_bars_nobodys_way(_):
    for tags, heals in ((["guardd"], True), (["operators"], False)):
        group = Group()
        write(group.volume("disk"), 0, 7)
        with Helper(group) as helper:
            helper.ask("snapshot", snapshots=[{"origin": "disk", "lv": "guardd-a"}, {"origin": "disk", "lv": "guardd-b"}], tags=tags)
        begun(group, "guardd-b")
        barred = subprocess.run(["lvcreate", "-A", "n", "-s", "-n", "own", f"{group.name}/disk"], stderr=subprocess.PIPE, text=True, check=False)
        assert "already contain thin device" in barred.stderr, barred.stderr
        with Helper(group) as helper:
            helper.ask("report")  # the first question settles
            helper.send("snapshot", snapshots=[{"origin": "disk", "lv": "guardd-c"}], tags=["guardd"])
            answer = helper.answer()
            equal(isinstance(answer, dict), heals)
            if not heals:
                continue
            run("lvcreate", "-q", "-A", "n", "-s", "-n", "own", f"{group.name}/disk")
            for name in ("guardd-a", "guardd-c"):
                helper.ask("activate", lv=name)
                with open(f"/dev/{group.name}/{name}", "rb") as device:
                    equal(device.read(4), b"\7\7\7\7")
            helper.ask("deactivate", lvs=["guardd-a", "guardd-c"])
            helper.ask("remove", lvs=["guardd-a", "guardd-b", "guardd-c"])
            equal(sorted(group.volumes()), ["disk", "own"])


@timeout(200)
def test_killed_at_any_instant_it_leaves_no_disk_suspended(_):
    group = Group()
    disk = group.volume("disk")
    dice = random.Random(int(os.environ.get("GUARDD_SEED", "1")))
    with Helper(group) as helper:
        helper.ask("report")
        begin = time.monotonic()
        helper.ask("snapshot", snapshots=[{"origin": "disk", "lv": "guardd-0"}], tags=["guardd"])
        seconds = time.monotonic() - begin
        lost = 0
        for n in range(1, KILLS):
            pid = helper.pid()
            helper.send("snapshot", snapshots=[{"origin": "disk", "lv": f"guardd-{n}"}], tags=["guardd"])
            time.sleep(dice.random() * seconds)
            os.kill(pid, signal.SIGKILL)
            lost += isinstance(helper.answer(), str)
            # Where it had answered before the signal came, the next question finds it dead or dies of it.
            helper.send("report")
            if not isinstance(report := helper.answer(), dict):
                report = helper.ask("report")
            equal(group.suspended(), [])
            write(disk, 0, n)
            made = [volume["name"] for volume in report["lvs"] if volume["name"] == f"guardd-{n}"]
            helper.ask("remove", lvs=[f"guardd-{n}"])
            print(f"# kill {n}: {'made' if made else 'not made'}", flush=True)
        assert lost > 0, "no kill hit a request"
        equal(set(group.ours()), {"guardd-0"})


if __name__ == "__main__":
    main(bed=False, inside=True)
