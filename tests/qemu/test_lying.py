#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU that lies, and a pool that was damaged: refused by name, never a crash, never a wrong image."""
import os
import random
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from killpoint import LIBVIRT, Killpoint
from suite import Disk, equal, main, timeout, until

LIES = 12  # of tests/preload/killpoint.c
CUT_SHORT = 11
REFUSALS = (6, 7)  # of those: that it was not done
FLIPS = int(os.environ.get("GUARDD_FLIPS", "24"))  # for each file


def begin(bed):
    killpoint = Killpoint(bed)
    daemon = bed.guardd(interval="7d", keep="1000x1s", protect="nothing", environment=killpoint.environment)
    guest = bed.paused_guest("web01", [Disk("64M", "raw"), Disk("64M", "qcow2")], start=False)
    guest.start(paused=False)
    until(lambda: [d["state"] for d in bed.sh("list")["domains"]] == ["running"], 30, "guardd to see the guest")
    bed.sh("snapshot-create", "web01", "--wait")
    return killpoint, daemon, guest


def ours(guest):
    """What is guardd's in this QEMU, but for one bitmap of each disk."""
    found = [job["id"] for job in guest.qmp("query-jobs")] + [export["id"] for export in guest.qmp("query-block-exports")]
    found += [s["fdset-id"] for s in guest.qmp("query-fdsets") if any("guardd" in (fd.get("opaque") or "") for fd in s["fds"])]
    nodes = guest.qmp("query-named-block-nodes", flat=True)
    found += [node["node-name"] for node in nodes if node["node-name"].startswith("guardd")]
    return found + [bitmap["name"] for node in nodes for bitmap in node.get("dirty-bitmaps", []) if "name" in bitmap][2:]


@timeout(400)
def test_a_wrong_answer_to_any_command_of_a_capture(bed):
    killpoint, daemon, guest = begin(bed)
    chance = random.Random(1)
    guest.write("vda", 0, "64k", 1)
    killpoint.arm(LIBVIRT, lie=1)
    bed.sh("snapshot-create", "web01", "--wait")
    commands, _ = killpoint.disarm()
    assert commands > 15, commands
    for number in range(1, commands + 1):
        for lie in chance.sample(range(1, LIES + 1), 4):
            fill = chance.randrange(1, 250)
            guest.write("vda", f"{fill % 60}M", "64k", fill)
            guest.write("vdb", f"{fill % 50}M", "64k", fill)
            killpoint.arm(LIBVIRT, number, lie=lie)
            daemon.guardsh("snapshot-create", "web01", "--wait")
            _, command = killpoint.disarm()
            assert daemon.process.poll() is None, f"guardd died of lie {lie} to {command}"
            if lie in REFUSALS and "nbd-server-start" in command:
                # guardd stops no server that may be somebody else's; a QEMU that lies so has refused all that is to come
                guest.qmp("nbd-server-stop")
            newest = bed.sh("snapshot-create", "web01", "--wait")["number"]
            equal((ours(guest), guest.state(), command, lie), ([], "running", command, lie))
            for disk in guest.disks:
                guest.flush(disk.target)
                image = daemon.pool / guest.uuid() / f"{newest:08}" / f"{disk.target}.qcow2"
                words = ["qemu-img", "compare", "-q", "-U", "-f", "qcow2", "-F", disk.format, image, disk.path]
                same = subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode == 0
                assert same, f"after lie {lie} to {command} snapshot {newest} is not what is on {disk.target}"
        numbers = [snapshot["number"] for snapshot in bed.sh("snapshot-list", "web01")["snapshots"]]
        if len(numbers) > 20:
            bed.sh("snapshot-delete", "web01", *numbers[:10], "--force")
    assert bed.sh("snapshot-verify", "web01", "--deep")["verified"]


def capture_disturbed(bed, killpoint, daemon, guest, number, **how):
    """A capture that loses QEMU at its n-th command, after which the guest writes."""
    until(lambda: daemon.guardsh("snapshot-create", "web01", "--wait").returncode == 0, 30, "guardd to have found the guest again")
    killpoint.arm(LIBVIRT, number, **how)
    daemon.guardsh("snapshot-create", "web01", "--wait")
    _, command = killpoint.disarm()
    assert command, number
    for disk in ("vda", "vdb"):
        guest.write(disk, f"{number}M", "64k", number)
    return command


def commands_of_a_capture(bed, killpoint):
    killpoint.arm(LIBVIRT)
    bed.sh("snapshot-create", "web01", "--wait")
    return killpoint.disarm()[0]


@timeout(200)
def test_a_guest_writes_on_whenever_libvirtd_dies_in_a_capture_and_is_tidied_up_once_it_is_back(bed):
    killpoint, daemon, guest = begin(bed)
    for number in range(1, commands_of_a_capture(bed, killpoint) + 1):
        command = capture_disturbed(bed, killpoint, daemon, guest, number, target=bed.libvirtd.process.pid)
        bed.libvirt_kill()
        bed.libvirt_start()
        until(lambda: ours(guest) == [], 60, f"guardd to tidy up, libvirtd having died at {command}")
        equal(guest.state(), "running")
    assert bed.sh("snapshot-verify", "web01", "--deep")["verified"]


@timeout(200)
def test_what_an_answer_cut_short_leaves_in_qemu_does_not_wait_for_the_next_snapshot(bed):
    killpoint, daemon, guest = begin(bed)
    for number in range(1, commands_of_a_capture(bed, killpoint) + 1):
        command = capture_disturbed(bed, killpoint, daemon, guest, number, lie=CUT_SHORT)
        until(lambda: ours(guest) == [], 60, f"guardd to tidy up after a cut answer to {command}")
    assert bed.sh("snapshot-verify", "web01", "--deep")["verified"]


def flip(path, bit):
    with open(path, "r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ (1 << bit % 8)]))


@timeout(300)
def test_verify_finds_every_flipped_bit(bed):
    _, daemon, guest = begin(bed)
    for number in range(3):
        guest.write("vda", f"{number}M", "128k", number + 1)
        guest.write("vdb", f"{number}M", "64k", number + 1)
        guest.zero("vda", "40M", "1M")
        bed.sh("snapshot-create", "web01", "--wait")
    folder = daemon.pool / guest.uuid()
    subprocess.run(["chattr", "-R", "-f", "-i", folder], check=False)
    chance = random.Random(2)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    assert len(files) > 20, files
    for path in files:
        bits = path.stat().st_size * 8
        # the first and the last bytes hold what is special in most formats
        places = {0, bits - 1, *(chance.randrange(bits) for _ in range(FLIPS)), *(chance.randrange(min(bits, 4096)) for _ in range(4))}
        for bit in places:
            flip(path, bit)
            done = daemon.guardsh("snapshot-verify", "web01", "--deep")
            listed = daemon.guardsh("pool-info", "main").stdout
            found = done.returncode != 0 or path.name in listed
            assert found, f"{path}: bit {bit} of {bits} was flipped and nothing said so"
            if done.returncode:
                assert re.search(path.name.split(".")[0], done.stderr), f"{path} is not named: {done.stderr}"
            flip(path, bit)
    assert bed.sh("snapshot-verify", "web01", "--deep")["verified"]


def test_a_damaged_snapshot_is_not_restored(bed):
    _, daemon, guest = begin(bed)
    guest.write("vda", 0, "1M", 7)
    number = bed.sh("snapshot-create", "web01", "--wait")["number"]
    guest.write("vda", 0, "1M", 8)
    bed.sh("snapshot-create", "web01", "--wait")
    image = daemon.pool / guest.uuid() / f"{number:08}" / "vda.qcow2"
    subprocess.run(["chattr", "-i", image], check=True)
    flip(image, (65536 + 5000) * 8)  # in the first block of data
    done = daemon.guardsh("rollback", "web01", str(number))
    assert done.returncode != 0, "it was restored"
    assert "vda" in done.stderr, done.stderr
    guest.close()
    until(lambda: guest.state() == "running", 30, "the guest to go on")


main()
