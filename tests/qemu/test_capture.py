#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots of paused guests: what they hold, what they cost, what they leave behind."""
import json
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import CommandError, Disk, equal, main, qemu_open_files, until
from daemon import GuardshError
from killpoint import DATA, LIBVIRT, Killpoint

MIB = 1 << 20
OURS = "guardd-"
REFUSAL = 6  # of the lies of tests/preload/killpoint.c


def snapshots(bed, name="web01"):
    return bed.sh("snapshot-list", name)["snapshots"]


def manual(bed, **options):
    """guardd that takes snapshots only when told: its first scheduled one is waited for."""
    bed.guardd(interval="7d", **options)
    bed.wait(lambda: all(d["snapshots"] for d in bed.sh("list")["domains"]), 30, "the first snapshots")


def image(bed, snapshot, target):
    return str(bed.daemon.pool / snapshot["uuid"] / f"{snapshot['number']:08}" / f"{target}.qcow2")


def content(bed, snapshot, target):
    """By qemu-img alone."""
    raw = bed.images / "content.raw"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", image(bed, snapshot, target), raw], check=True)
    return raw.read_bytes()


def leftovers(guest):
    """What guardd has in this QEMU: names of bitmaps, nodes, jobs, exports, descriptor sets."""
    nodes = guest.qmp("query-named-block-nodes")
    bitmaps = {b["name"] for n in nodes for b in n.get("dirty-bitmaps", []) if b["name"].startswith(OURS)}
    other = [n["node-name"] for n in nodes if n["node-name"].startswith(OURS)]
    other += [j["id"] for j in guest.qmp("query-jobs")] + [e["id"] for e in guest.qmp("query-block-exports")]
    if guest.state() == "running":  # QEMU drops descriptor sets of a running guest only
        other += [str(s["fdset-id"]) for s in guest.qmp("query-fdsets") if OURS in str(s["fds"])]
    return bitmaps, other


def test_a_snapshot_holds_what_was_written_before_it_and_nothing_after(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "raw"), Disk("64M", "qcow2")])
    for target in ("vda", "vdb"):
        guest.write(target, "1M", "2M", 0xA5)
    manual(bed)
    guest.write("vda", "1M", "1M", 0x11)
    guest.zero("vdb", "2M", "1M")
    second = bed.sh("snapshot-create", "web01")
    guest.write("vda", 0, "64M", 0xFF)
    first = snapshots(bed)[0]
    equal(content(bed, first, "vda")[MIB : 3 * MIB], b"\xa5" * 2 * MIB)
    now = content(bed, second, "vda")
    equal((now[MIB : 2 * MIB], now[2 * MIB : 3 * MIB]), (b"\x11" * MIB, b"\xa5" * MIB))
    assert not any(now[3 * MIB :])
    equal(content(bed, second, "vdb")[2 * MIB : 3 * MIB], bytes(MIB))
    equal(second["changed_bytes"], 2 * MIB)
    equal(second["stored_bytes"], MIB)


def test_only_dirty_bytes_are_read_after_the_first_time(bed):
    guest = bed.paused_guest("web01", [Disk("20G", "raw")])
    guest.write("vda", "5G", "16M", 3)
    manual(bed)
    guest.write("vda", "9G", "16M", 4)
    snapshot = bed.sh("snapshot-create", "web01")
    equal(snapshot["read_bytes"], 16 * MIB)
    equal(snapshot["disks"][0]["full_reason"], None)
    assert 0 < snapshot["stall_us"] < 1_000_000


def holds(image_path, offset, length, pattern):
    words = ["qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern} {offset} {length}", image_path]
    answer = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return answer.returncode == 0 and "verification failed" not in answer.stdout


def test_what_is_dirty_anywhere_on_large_disks_is_in_the_snapshot(bed):
    guest = bed.paused_guest("web01", [Disk("4T", "qcow2") for _ in range(3)])
    manual(bed)
    places = {"vda": ("1G", "1500G", "4095G"), "vdb": (), "vdc": ("4095G",)}
    for target, offsets in places.items():
        for pattern, offset in enumerate(offsets, 1):
            guest.write(target, offset, "1M", pattern)
    snapshot = bed.sh("snapshot-create", "web01")
    equal([disk["full_reason"] for disk in snapshot["disks"]], [None] * 3)
    equal([disk["read_bytes"] for disk in snapshot["disks"]], [3 * MIB, 0, MIB])
    for target, offsets in places.items():
        for pattern, offset in enumerate(offsets, 1):
            assert holds(image(bed, snapshot, target), offset, "1M", pattern), (target, offset)


def test_large_disks_of_which_nothing_is_dirty_are_not_asked_for_piece_by_piece(bed):
    guest = bed.paused_guest("web01", [Disk("4T", "qcow2") for _ in range(8)])
    manual(bed)
    guest.write("vda", "1G", "1M", 1)
    guest.qmp("trace-event-set-state", name="nbd_receive_request", enable=True)
    snapshot = bed.sh("snapshot-create", "web01")
    equal(snapshot["read_bytes"], MIB)
    requests = pathlib.Path(guest.log_path).read_text(errors="replace").count("nbd_receive_request")
    assert 0 < requests < 8 * 1024 / 2, requests  # 1,024 of 4 GiB for each disk


def trim(guest, target, begin, end):
    """GiB; as a guest's fstrim does: in pieces, and also what holds nothing."""
    for at in range(begin, end):
        guest.discard(target, f"{at}G", "1G")


def test_a_trim_of_all_that_is_free_takes_neither_the_time_nor_the_room_of_a_full_disk(bed):
    guest = bed.paused_guest("web01", [Disk("1T", "raw"), Disk("1000G", "qcow2")])
    for target in ("vda", "vdb"):
        guest.write(target, "1M", "1M", 1)
        guest.write(target, "10G", "96M", 2)
        guest.write(target, "900G", "64k", 3)
    manual(bed)
    for target, end in (("vda", 402), ("vdb", 102)):
        trim(guest, target, 2, end)
        guest.write(target, "11G", "128k", 4)
    snapshot = bed.sh("snapshot-create", "web01")
    for disk, (target, form) in zip(snapshot["disks"], (("vda", "raw"), ("vdb", "qcow2"))):
        equal((disk["full_reason"], disk["read_bytes"], disk["changed_bytes"]), (None, 128 << 10, (96 << 20) + (128 << 10)))
        guest.flush(target)
        words = ["qemu-img", "compare", "-q", "-U", "-f", "qcow2", "-F", form, image(bed, snapshot, target), guest.disk(target).path]
        equal(subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode, 0)
    assert bed.sh("snapshot-verify", "web01", "--deep")["verified"]


def test_nothing_of_a_capture_is_left_in_qemu_or_on_disk(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "raw"), Disk("64M", "qcow2")])
    before = sorted(os.listdir(bed.images))
    manual(bed)
    for pattern in range(1, 5):
        guest.write("vda", 0, "1M", pattern)
        bed.sh("snapshot-create", "web01", "--wait")
    bitmaps, other = leftovers(guest)
    equal(len(bitmaps), 1)
    equal(other, [])
    equal(sorted(os.listdir(bed.images)), before)
    equal(os.listdir("/run/guardd/nbd"), [])
    equal(guest.state(), "paused")


def test_a_paused_guest_that_changes_keeps_one_descriptor_set(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "raw")])
    manual(bed)
    for i in range(5):
        guest.write("vda", f"{i}M", "64k", i)
        bed.sh("snapshot-create", "web01")
    ours = [s for s in guest.qmp("query-fdsets") if OURS in str(s["fds"])]
    equal(len(ours), 1)
    bed.virsh("resume", "web01")
    until(lambda: bed.sh("snapshot-create", "web01", "--wait") and leftovers(guest)[1] == [], 10, "a running QEMU dropped it")


def test_a_disk_that_takes_long_to_store_does_not_cost_the_next_one(bed):
    """QEMU hangs up on an NBD client that has not negotiated within 10 s (since CVE-2024-7409)."""
    slow = Killpoint(bed)
    guest = bed.paused_guest("web01", [Disk("64M", "raw"), Disk("64M", "raw")])
    guest.write("vda", 0, "32M", 1)
    guest.write("vdb", 0, "1M", 2)
    manual(bed, environment=slow.environment)
    guest.write("vda", 0, "40M", 3)
    guest.write("vdb", 0, "1M", 4)
    slow.arm(DATA, delay_us=400000)  # of a mebibyte, but for a few
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(bed.sh, "snapshot-create", "web01")
        until(lambda: slow.count() >= 40 or asked.done(), 60, "vda to be stored")
        slow.disarm()
        asked.result()
    equal(content(bed, snapshots(bed)[-1], "vdb")[:MIB], b"\x04" * MIB)


def written(daemon):
    """Bytes that guardd has given to write(2) and its like."""
    return int(re.search(r"^wchar: (\d+)", pathlib.Path(f"/proc/{daemon.pid}/io").read_text(), re.MULTILINE)[1])


def test_a_disk_that_is_another_by_now_is_not_read_to_its_end(bed):
    liar = Killpoint(bed)
    guest = bed.paused_guest("web01", [Disk("512M", "raw")])
    manual(bed, environment=liar.environment)
    guest.write("vda", 0, "400M", 1)
    before = written(bed.daemon)
    liar.arm(LIBVIRT, 2, lie=REFUSAL, only="query-block")  # the first is the plan's
    done = bed.daemon.guardsh("snapshot-create", "web01")
    _, command = liar.disarm()
    assert done.returncode == 1 and "query-block" in command, (command, done.stderr)
    assert written(bed.daemon) - before < 200 * MIB, done.stderr


def test_who_asks_is_answered_before_qemu_is_tidied_up_or_waits_for_that(bed):
    slow = Killpoint(bed)
    guest = bed.paused_guest("web01", [Disk("64M", "raw")])
    manual(bed, environment=slow.environment)
    slow.arm(LIBVIRT, delay_us=2000000, only="block-dirty-bitmap-remove")
    bed.sh("snapshot-create", "web01")
    equal((bed.sh("dominfo", "web01")["busy"], len(leftovers(guest)[0])), (True, 2))
    bed.sh("snapshot-create", "web01", "--wait")
    equal((bed.sh("dominfo", "web01")["busy"], len(leftovers(guest)[0])), (False, 1))


def test_no_qemu_opens_a_file_of_the_pool(bed):
    guest = bed.paused_guest("web01", [Disk("256M", "raw")])
    manual(bed)
    for pattern in range(1, 6):
        guest.write("vda", 0, "128M", pattern)
        words = [str(bed.build / "guardsh"), "snapshot-create", "web01"]
        capture = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        while capture.poll() is None:
            equal(qemu_open_files(bed.state), [])
        equal(capture.returncode, 0)


def test_the_pool_is_closed_to_other_users(bed):
    bed.paused_guest("web01")
    manual(bed)
    path = image(bed, snapshots(bed)[0], "vda")
    for words in (["cat", path], ["ls", bed.daemon.pool]):
        done = subprocess.run(["setpriv", "--reuid", "64055", "--clear-groups", *words], capture_output=True)
        assert done.returncode and b"Permission denied" in done.stderr, done


def test_a_restarted_qemu_is_compared_and_the_reason_is_given(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "qcow2")])
    guest.write("vda", 0, "8M", 1)
    manual(bed)
    guest.destroy()
    guest.start()
    guest.write("vda", "4M", "1M", 2)
    snapshot = bed.sh("snapshot-create", "web01")
    disk = snapshot["disks"][0]
    assert "bitmap" in disk["full_reason"], disk
    assert disk["read_bytes"] >= 8 * MIB
    equal(snapshot["stored_bytes"], MIB)


def test_a_restarted_guardd_goes_on_from_the_bitmap_in_qemu(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "raw")])
    manual(bed)
    guest.write("vda", "8M", "1M", 7)
    bed.daemon.kill()
    bed.daemon.start()
    bed.wait(lambda: bed.sh("list")["domains"][0]["state"] == "paused", 30, "guardd to see the guest")
    snapshot = bed.sh("snapshot-create", "web01")
    equal((snapshot["disks"][0]["full_reason"], snapshot["read_bytes"]), (None, MIB))


def test_what_an_earlier_guardd_had_recorded_elsewhere_is_not_lost(bed):
    """It stopped the bitmap that stays at the instant of a snapshot, and died before that was sealed."""
    guest = bed.paused_guest("web01", [Disk("64M", "raw")])
    manual(bed)
    bed.daemon.kill()
    node = next(n for n in guest.qmp("query-named-block-nodes") if n.get("dirty-bitmaps"))
    kept = node["dirty-bitmaps"][0]["name"]
    place = {"node": node["node-name"]}
    guest.qmp("block-dirty-bitmap-disable", name=kept, **place)
    guest.qmp("block-dirty-bitmap-add", name=kept[:-8] + "00000000", granularity=65536, **place)
    guest.write("vda", "8M", "1M", 7)
    guest.qmp("block-dirty-bitmap-enable", name=kept, **place)
    bed.daemon.start()
    bed.wait(lambda: bed.sh("list")["domains"][0]["state"] == "paused", 30, "guardd to see the guest")
    snapshot = bed.sh("snapshot-create", "web01", "--wait")
    equal((snapshot["disks"][0]["full_reason"], set(content(bed, snapshot, "vda")[8 * MIB:9 * MIB])), (None, {7}))
    equal(len(leftovers(guest)[0]), 1)


def test_a_guest_that_is_off_is_captured_once_per_change(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "raw")], start=False)
    bed.guardd(interval="1s")
    bed.wait(lambda: len(snapshots(bed)) == 1, 30, "a snapshot of it")
    first = snapshots(bed)[0]
    equal((first["engine"], first["guest_active"]), ("offline", False))
    with open(guest.disks[0].path, "r+b") as file:
        file.seek(5 * MIB)
        file.write(b"changed" * 1000)
    bed.wait(lambda: len(snapshots(bed)) == 2, 30, "another one")
    equal(content(bed, snapshots(bed)[1], "vda")[5 * MIB : 5 * MIB + 7], b"changed")
    bed.wait(lambda: bed.sh("dominfo", "web01")["unchanged_intervals"] >= 2, 30, "two intervals")
    equal(len(snapshots(bed)), 2)


def test_an_interval_without_a_snapshot_says_why(bed):
    killpoint = Killpoint(bed)
    guests = [bed.paused_guest(name) for name in ("web01", "web02")]
    daemon = bed.guardd(interval="1s", daemon="parallel = 1\n", environment=killpoint.environment)
    bed.wait(lambda: all(snapshots(bed, guest.name) for guest in guests), 30, "a snapshot of each")
    killpoint.arm(DATA, delay_us=400000)
    for guest in guests:
        guest.write("vda", 0, "16M", 7)
    for reason in ("the snapshot before it has been under way for ", 'as many snapshots as "parallel" allows'):
        bed.wait(lambda: re.search(f"web0.: \\d+ intervals passed without a snapshot: {reason}", daemon.log.read_text()), 60, reason)
    killpoint.disarm()


def fill(path, gib, byte):
    with open(path, "r+b") as file:
        for _ in range(gib * 1024):
            file.write(bytes([byte]) * MIB)


def test_a_start_during_an_offline_capture_gives_a_snapshot_of_the_started_guest(bed):
    guest = bed.paused_guest("web01", [Disk("3G", "raw")], start=False)
    fill(guest.disks[0].path, 3, 1)
    bed.guardd(interval="7d")
    bed.wait(lambda: len(snapshots(bed)) == 1, 60, "the first snapshot")
    fill(guest.disks[0].path, 3, 2)
    with ThreadPoolExecutor() as beside:
        asked = beside.submit(bed.sh, "snapshot-create", "web01")
        reading = ["pgrep", "-x", "qemu-nbd"]
        until(lambda: subprocess.run(reading, stdout=subprocess.DEVNULL).returncode == 0, 30, "the reading to begin")
        guest.start()
        equal(asked.result()["engine"], "qmp")


def test_a_shutdown_is_captured(bed):
    guest = bed.paused_guest("web01")
    bed.guardd(interval="7d")
    bed.wait(lambda: len(snapshots(bed)) == 1, 30, "the first snapshot")
    guest.write("vda", 0, "1M", 9)
    guest.destroy()
    bed.wait(lambda: len(snapshots(bed)) == 2, 30, "one of the shutdown")
    last = snapshots(bed)[1]
    equal((last["origin"], last["engine"]), ("shutdown", "offline"))
    equal(content(bed, last, "vda")[:MIB], b"\x09" * MIB)


def test_disks_that_cannot_be_captured_are_named_with_the_reason(bed):
    bed.paused_guest("web01", [Disk("16M"), Disk("16M", shareable=True), Disk("16M", read_only=True)])
    manual(bed)
    disks = {d["target"]: d for d in bed.sh("dominfo", "web01")["disks"]}
    equal([disks[t]["captured"] for t in ("vda", "vdb", "vdc")], [True, False, False])
    assert disks["vda"]["reason"] is None and disks["vdb"]["reason"] and disks["vdc"]["reason"], disks
    equal([d["target"] for d in snapshots(bed)[0]["disks"]], ["vda"])


def test_every_snapshot_of_many_verifies_and_reads_the_same_by_qemu_img(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "raw"), Disk("64M", "qcow2")])
    bed.guardd(interval="7d", protect="nothing")  # without a policy nothing is pruned
    bed.sh("snapshot-create", "web01")
    for number in range(12):
        guest.write("vda", f"{number}M", "1M", number + 1)
        guest.write("vdb", f"{2 * number}M", "64k", number + 1)
        bed.sh("snapshot-create", "web01")
    equal(len(bed.sh("snapshot-verify", "web01", "--deep")["verified"]), 13)
    for index, snapshot in enumerate(snapshots(bed)):
        data = content(bed, snapshot, "vda")
        want = b"".join(bytes([n + 1]) * MIB for n in range(index))
        equal(data[: len(want)], want)
        assert not any(data[len(want) :])


def test_retention_prunes_in_the_background(bed):
    guest = bed.paused_guest("web01", [Disk("64M")])
    bed.guardd(interval="1s", keep="3x1s")

    def old_ones_are_gone():
        guest.write("vda", 0, "1M", 5)
        bed.sh("snapshot-create", "web01")
        return snapshots(bed)[0]["number"] > 3

    bed.wait(old_ones_are_gone, 60, "old snapshots to go")
    assert bed.sh("snapshot-verify", "web01", "--deep")["verified"]


def test_chains_stay_short_enough_for_qemu_img_without_a_policy(bed):
    """A backing file's path grows with each step; beyond 4,096 characters nothing can be opened."""
    bed.guardd(interval="7d", protect="nothing")
    guest = bed.paused_guest("web01")
    for number in range(150):
        guest.write("vda", number * 65536, "64k", number + 1)
        newest = bed.sh("snapshot-create", "web01")

    def depth():
        image = bed.daemon.pool / newest["uuid"] / f"{newest['number']:08}" / "vda.qcow2"
        return len(json.loads(subprocess.check_output(["qemu-img", "info", "-U", "--backing-chain", "--output=json", image])))

    bed.wait(lambda: depth() <= 100, 40, "the chain to get shorter")
    equal(len(snapshots(bed)), 150)
    equal(len(bed.sh("snapshot-verify", "web01")["verified"]), 150)


def test_errors_say_what_to_do(bed):
    bed.paused_guest("web01")
    manual(bed)
    for words, part in ((("snapshot-info", "web01", "99"), "99"), (("dominfo", "nobody"), "guardsh list")):
        try:
            bed.sh(*words)
        except GuardshError as error:
            assert error.status == 1 and part in error.message, error.message
        else:
            raise AssertionError(f"{words} passed")
    equal(bed.daemon.guardsh("snapshot-info").returncode, 2)


main()
