#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a snapshot, and those that are gone, as libguestfs sees them."""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from daemon import GuardshError
from receiver import Receiver
from suite import Disk, equal, main, until

MIB = 1 << 20
UUID = "11111111-2222-3333-4444-555555555555"


def put_filesystem(bed, guest, tree):
    """The same filesystem, with the files of `tree`, on the disk of a paused guest."""
    image = bed.images / "content.raw"
    image.unlink(missing_ok=True)
    with open(image, "wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-U", UUID, "-d", tree, image], check=True)
    with open(image, "rb") as file:
        for at in range(0, 64 * MIB, MIB):
            data = file.read(MIB)
            guest.put("vda", at, data) if any(data) else guest.zero("vda", at, MIB)


def plant(bed):
    tree = bed.images / "tree"
    for number in range(12):
        home = tree / "home" / f"user{number}"
        home.mkdir(parents=True)
        for letter in range(10):
            (home / f"letter {letter}.txt").write_bytes(b"x" * 1000)
    (tree / "var" / "log").mkdir(parents=True)
    (tree / "var" / "log" / "auth.log").write_bytes(b"l" * 50000)
    (tree / "big.iso").write_bytes(b"i" * MIB)
    (tree / "evil\n\x1b[2J\udcff name").write_bytes(b"e" * 3000)
    return tree


def ruin(tree):
    """What an intruder leaves: fewer files, a note in every directory, an empty log."""
    shutil.rmtree(tree / "home" / "user3")
    for home in (tree / "home").iterdir():
        (home / "HOW_TO_RECOVER.txt").write_text("pay")
    for letter in range(10):
        path = tree / "home" / "user5" / f"letter {letter}.txt"
        path.rename(path.with_suffix(".txt.locked"))
        path.with_suffix(".txt.locked").write_bytes(b"y" * 1100)
    (tree / "var" / "log" / "auth.log").write_bytes(b"")
    for path in tree.glob("evil*"):
        path.unlink()


def ready(bed, **more):
    guest = bed.paused_guest("web01", [Disk("64M", "raw")])
    tree = plant(bed)
    put_filesystem(bed, guest, tree)
    bed.guardd(interval="7d", **more)
    until(lambda: bed.sh("snapshot-list", "web01")["snapshots"], 30, "the first snapshot")
    return guest, tree


def test_what_is_gone_between_two_snapshots_is_shown_biggest_loss_first(bed):
    guest, tree = ready(bed)
    summary = bed.sh("snapshot-inspect", "web01", "1", timeout=300)
    one, = summary["filesystems"]
    equal((one["device"], one["type"], one["unread"]), ("/dev/sda", "ext4", 0))
    equal(summary["files"], sum(len(d) + len(f) for _, d, f in os.walk(tree)) + 1)  # lost+found
    ruin(tree)
    put_filesystem(bed, guest, tree)
    number = bed.sh("snapshot-create", "web01")["number"]
    gone = bed.sh("diff", "web01", "1", str(number), timeout=300)
    equal(gone["deleted"]["files"], 21)  # ten letters, ten that were renamed, one with a strange name
    equal(gone["emptied"], {"files": 1, "bytes": 50000})
    equal(gone["samples"][0], {"path": "/var/log/auth.log", "what": "emptied", "bytes": 50000})
    equal(gone["watched"][0]["path"], "/var/log/auth.log")
    equal({"name": "/home/user3", "files": 10, "bytes": 10000} in gone["directories"], True)
    equal(gone["notes"], [{"name": "HOW_TO_RECOVER.txt", "files": 11}])
    equal(gone["suffixes"], [{"name": ".locked", "files": 10}])
    assert "/evil\\x0a\\x1b[2J\\xff name" in [s["path"] for s in gone["samples"]], gone["samples"]


def test_an_appliance_that_hangs_is_killed_and_said_to_be_blind(bed):
    ready(bed, daemon="inspect_timeout = 1s\naccelerator = tcg\n")
    try:
        bed.sh("snapshot-inspect", "web01", "1", timeout=300)
        raise AssertionError("a second is not enough")
    except GuardshError as error:
        assert "did not end in time and was killed" in error.message, error
    until(lambda: subprocess.run(["pgrep", "-f", "guardd-inspector|guestfs"], stdout=subprocess.DEVNULL).returncode == 1,
          10, "the appliance to be gone")
    equal(list(pathlib.Path(bed.daemon.pool).rglob("*inventory*")), [])


def test_an_alarm_is_followed_by_what_is_gone(bed):
    receiver = Receiver().start()
    guest, tree = ready(bed, inspect="auto", daemon="accelerator = tcg\n",
                        alert=f"[alert hook]\ntype = webhook\nurl = http://127.0.0.1:{receiver.port}/\n")
    until(lambda: bed.sh("snapshot-info", "web01", "1")["verdict"] == "ok", 30, "a good snapshot")
    shutil.rmtree(tree / "home")
    put_filesystem(bed, guest, tree)
    bed.sh("snapshot-create", "web01")
    until(lambda: len(receiver.bodies) == 2, 200, "two alerts")
    first, second = receiver.bodies
    equal((first["losses"], first["incident"]), (None, second["incident"]))
    equal(second["level"], "critical")
    equal(second["losses"]["deleted"]["files"], 120)
    assert second["losses"]["directories"][0]["name"].startswith("/home/user"), second["losses"]
    assert "files-gone" in [finding["rule"] for finding in second["findings"]], second["findings"]
    equal(second["rollback"], "guardsh rollback web01 1")


MANY = """
mount -o loop {image} {folder}
python3 - <<'PYTHON'
import os
os.mkdir("{folder}/many")
for number in range(150000):
    os.mknod("{folder}/many/a-name-as-long-as-names-are-" + str(number))
PYTHON
umount {folder}
"""


def test_a_directory_that_is_too_long_for_one_answer_is_listed(bed):
    image, folder = bed.images / "many.raw", bed.images / "mount"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(256 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-N", "200000", image], check=True)
    subprocess.run(["unshare", "-m", "sh", "-ec", MANY.format(image=image, folder=folder)], check=True)
    bed.paused_guest("web01", [Disk(path=str(image))])
    bed.guardd(interval="7d", daemon="accelerator = tcg\n")
    until(lambda: bed.sh("snapshot-list", "web01")["snapshots"], 30, "the first snapshot")
    equal(bed.sh("snapshot-inspect", "web01", "1", timeout=300)["files"], 150002)


WORKERS = {
    "echo '[1, 2]' >&5": "says what cannot be",
    "echo '{\"a\": ' >&5": "inspector",
    "head -c 2000000 /dev/zero >&5": "says too much",
    "echo 'out of paper' >&2; exit 3": "the inspector failed: out of paper",
    "kill -SEGV $$": "the inspector was killed",
    "exec 1>&- 2>&- 5>&-; sleep 1000": "did not end in time and was killed",
}


def test_a_worker_that_was_taken_over_ends_as_an_error(bed):
    libexec = bed.images / "libexec"
    libexec.mkdir()
    os.symlink(bed.build / "guardd-sentinel", libexec / "guardd-sentinel")
    ready(bed, daemon="accelerator = tcg\ninspect_timeout = 2s\n", libexec_dir=libexec)
    bed.sh("snapshot-create", "web01")
    for path in bed.daemon.pool.glob("*/0000000[12]"):
        (path / "inventory.gz").write_bytes(b"")
    worker = libexec / "guardd-inspector"
    for script, words in WORKERS.items():
        worker.write_text(f"#!/bin/sh\n{script}\n")
        worker.chmod(0o755)
        try:
            bed.sh("diff", "web01", "1", "2", timeout=60)
            raise AssertionError(script)
        except GuardshError as error:
            assert words in error.message, (script, error.message)
    bed.sh("snapshot-create", "web01")


def unit_capabilities():
    unit = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "guardd.service"
    line, = [line for line in unit.read_text().splitlines() if line.startswith("CapabilityBoundingSet=")]
    return [word.removeprefix("CAP_").lower() for word in line.split("=", 1)[1].split()]


def test_the_capabilities_of_the_systemd_unit_are_enough(bed):
    keep = ",".join(["-all", *(f"+{name}" for name in unit_capabilities())])
    guest, _ = ready(bed, daemon="accelerator = tcg\n", wrapper=["setpriv", f"--bounding-set={keep}"])
    until(lambda: bed.sh("snapshot-info", "web01", "1")["verdict"], 30, "a verdict")
    equal(bed.sh("snapshot-info", "web01", "1")["verdict"], "ok")
    assert bed.sh("snapshot-inspect", "web01", "1", timeout=300)["files"] > 100
    guest.put("vda", 1 << 20, b"gone")
    bed.sh("snapshot-create", "web01")
    bed.sh("rollback", "web01", "1", "--no-start", timeout=300)
    bed.sh("snapshot-delete", "web01", "1")


main()
