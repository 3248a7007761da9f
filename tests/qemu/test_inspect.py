#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a snapshot, and those that are gone, as libguestfs sees them."""
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from daemon import GuardshError
from receiver import Receiver
from suite import Disk, Skip, equal, main, timeout, until

MIB = 1 << 20
UUID = "11111111-2222-3333-4444-555555555555"


def put_filesystem(bed, guest, tree):
    """The same filesystem, with the files of `tree`, on the disk of a paused guest."""
    image = bed.images / "content.raw"
    image.unlink(missing_ok=True)
    with open(image, "wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-U", UUID, "-d", tree, image], check=True)
    put_image(guest, image)


def put_image(guest, image):
    with open(image, "rb") as file:
        for at in range(0, image.stat().st_size, MIB):
            data = file.read(MIB)
            guest.put("vda", at, data) if any(data) else guest.zero("vda", at, MIB)


def make_btrfs(bed):
    """For alter_filesystem(), instead of what put_filesystem() makes: 128 MiB."""
    image = bed.images / "content.raw"
    subprocess.run(["truncate", "-s", "128M", image], check=True)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True)


def alter_filesystem(bed, guest, commands):
    """What was made before, changed in place by a kernel: shell commands in its root."""
    image, folder = bed.images / "content.raw", bed.images / "mount"
    folder.mkdir(exist_ok=True)
    script = f"mount -o loop {image} {folder}; (cd {folder}; {commands}); umount {folder}"
    subprocess.run(["unshare", "-m", "sh", "-ec", script], check=True)
    put_image(guest, image)


def plant(bed):
    tree = bed.images / "tree"
    for number in range(12):
        home = tree / "home" / f"user{number}"
        home.mkdir(parents=True)
        for letter in range(10):
            (home / f"letter {letter}.txt").write_bytes(b"x" * 1000)
    (tree / "var" / "log").mkdir(parents=True)
    (tree / "var" / "log" / "auth.log").write_bytes(b"l" * 50000)
    for folder in ("bin", "etc", "usr"):
        (tree / folder).mkdir()
    (tree / "etc" / "fstab").write_text("/dev/sda / ext4 defaults 0 1\n")
    (tree / "etc" / "os-release").write_text('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n')
    (tree / "big.iso").write_bytes(b"i" * MIB)
    for number in range(25):
        (tree / f"photo{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"j" * 3000)
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
    for path in tree.glob("photo*"):
        times = path.stat().st_mtime_ns
        path.write_bytes(os.urandom(3004))
        os.utime(path, ns=(times, times))
    (tree / "var" / "log" / "auth.log").write_bytes(b"")
    for path in tree.glob("evil*"):
        path.unlink()
    (tree / "etc" / "os-release").write_text('ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian 13"\n')


def ready(bed, **more):
    guest = bed.paused_guest("web01", [Disk("64M", "raw")])
    tree = plant(bed)
    put_filesystem(bed, guest, tree)
    bed.guardd(interval="7d", **more)
    until(lambda: bed.sh("snapshot-list", "web01")["snapshots"], 30, "the first snapshot")
    return guest, tree


def webhook(receiver):
    return f"[alert hook]\ntype = webhook\nurl = http://127.0.0.1:{receiver.port}/\n"


@timeout(600)
def test_what_is_gone_between_two_snapshots_is_shown_biggest_loss_first(bed):
    guest, tree = ready(bed)
    summary = bed.sh("snapshot-inspect", "web01", "1", timeout=300)
    one, = summary["filesystems"]
    equal((one["device"], one["type"], one["unread"]), ("/dev/sda", "ext4", 0))
    equal((one["mountpoint"], summary["os"]["product"]), ("/", "Debian 12"))
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
    equal((gone["content"]["sampled"], gone["content"]["other"]), (25, 25))  # although their times were set back
    assert gone["content"]["samples"][0]["path"].startswith("/photo"), gone["content"]
    assert "/evil\\x0a\\x1b[2J\\xff name" in [s["path"] for s in gone["samples"]], gone["samples"]
    # On the same filesystems the system is not found out again for a day.
    again = bed.sh("snapshot-inspect", "web01", str(number), timeout=300)
    equal((again["filesystems"][0]["mountpoint"], again["os"]), ("/", summary["os"]))


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


@timeout(400)
def test_an_alarm_is_followed_by_what_is_gone(bed):
    receiver = Receiver().start()
    guest, tree = ready(bed, inspect="auto", daemon="accelerator = tcg\n",
                        alert=webhook(receiver))
    until(lambda: bed.sh("snapshot-info", "web01", "1")["verdict"] == "ok", 30, "a good snapshot")
    shutil.rmtree(tree / "home")
    put_filesystem(bed, guest, tree)
    bed.sh("snapshot-create", "web01")
    until(lambda: len(receiver.bodies) == 2, 300, "two alerts")
    first, second = receiver.bodies
    equal((first["losses"], first["incident"]), (None, second["incident"]))
    equal(second["level"], "critical")
    equal(second["losses"]["deleted"]["files"], 120)
    assert second["losses"]["directories"][0]["name"].startswith("/home/user"), second["losses"]
    assert "files-gone" in [finding["rule"] for finding in second["findings"]], second["findings"]
    equal(second["rollback"], "guardsh rollback web01 1")


LOCK = """for home in home/*; do
  for file in $home/*.txt; do mv "$file" "$file.locked"; done
  echo pay >$home/HOW_TO_RECOVER.txt
done"""


@timeout(600)
def test_what_only_the_daily_list_sees_is_an_incident(bed):
    receiver = Receiver().start()
    guest, _ = ready(bed, inspect="auto\ninspect_every = 10s", daemon="accelerator = tcg\n", alert=webhook(receiver))
    until(lambda: list(bed.daemon.pool.glob("*/00000001/inventory.gz")), 300, "the first list")
    alter_filesystem(bed, guest, LOCK)
    number = bed.sh("snapshot-create", "web01")["number"]
    until(lambda: receiver.bodies, 300, "an alert")
    alert = receiver.bodies[0]
    equal(alert["level"], "critical")
    equal({finding["rule"] for finding in alert["findings"]} >= {"new-ending", "note"}, True)
    equal((alert["snapshot_bad"], alert["snapshot_good"]), (number, 1))
    equal(alert["rollback"], "guardsh rollback web01 1")
    equal(alert["losses"]["suffixes"], [{"name": ".locked", "files": 120}])
    equal(bed.sh("snapshot-info", "web01", "last-good")["number"], 1)
    assert bed.sh("snapshot-info", "web01", "1")["held"], "the last good one is not held"

def say(worker, difference, before=""):
    """An inspector that finds this between any two lists, once that is done."""
    aside = worker.with_suffix(".new")
    aside.write_text(f"#!/bin/sh\n[ $1 = compare ] || exit 0\n{before}echo '{json.dumps(difference)}' >&5\n")
    aside.chmod(0o755)
    aside.rename(worker)


GONE = {"before": {"files": 1000}, "deleted": {"files": 900, "bytes": 1000}}
PART = {"before": {"files": 1000}, "deleted": {"files": 300, "bytes": 400}}
NOTHING = {"before": {"files": 1000}, "deleted": {"files": 0, "bytes": 0}}


def said_worker(bed):
    """An inspector beside the real sentinel, for say()."""
    libexec = bed.images / "libexec"
    libexec.mkdir()
    os.symlink(bed.build / "guardd-sentinel", libexec / "guardd-sentinel")
    worker = libexec / "guardd-inspector"
    say(worker, NOTHING)
    return worker


def listed(bed):
    """A snapshot that has a list already."""
    number = bed.sh("snapshot-create", "web01")["number"]
    folder, = bed.daemon.pool.glob(f"*/{number:08}")
    (folder / "inventory.gz").write_bytes(b"")
    return number


def alarms(receiver):
    """Without those that say that there was no list yet."""
    return [body for body in receiver.bodies if body["level"] != "blind"]


def test_what_lists_alone_have_found_is_over_by_a_list_or_a_rollback_and_nothing_else(bed):
    receiver = Receiver().start()
    worker = said_worker(bed)
    guest, _ = ready(bed, inspect="auto\ninspect_every = 1s", daemon="accelerator = tcg\n", libexec_dir=worker.parent,
                     alert=webhook(receiver))
    good = listed(bed)
    number = listed(bed)
    say(worker, GONE)
    until(lambda: alarms(receiver), 30, "an alert")
    first, = alarms(receiver)
    equal((first["level"], first["snapshot_good"], first["snapshot_bad"]), ("critical", good, number))
    equal(bed.sh("snapshot-info", "web01", "last-good")["number"], good)
    assert bed.sh("snapshot-info", "web01", str(good))["held"], "the last good one is not held"
    bed.daemon.restart()
    quiet = listed(bed)
    until(lambda: bed.sh("snapshot-info", "web01", str(quiet))["verdict"], 30, "a verdict")
    equal(bed.sh("snapshot-info", "web01", str(quiet))["verdict"], "critical")
    say(worker, NOTHING)
    until(lambda: bed.sh("alert-info", first["id"])["resolved"] == "recovered", 30, "its end by a list")
    equal(len(alarms(receiver)), 1)
    listed(bed)
    say(worker, GONE)
    until(lambda: len(alarms(receiver)) == 2, 30, "another alert")
    second = alarms(receiver)[1]
    bed.sh("rollback", "web01", str(second["snapshot_good"]), "--no-start")
    until(lambda: bed.sh("alert-info", second["id"])["resolved"] == "recovered", 30, "its end by a rollback")


def more_lists(bed, words):
    told = bed.daemon.log.read_text().count(words)
    until(lambda: bed.daemon.log.read_text().count(words) >= told + 3, 60, "more lists of the same")


def test_what_goes_on_after_lists_have_told_of_it_raises_the_alarm_and_is_answered_once(bed):
    receiver = Receiver().start()
    worker = said_worker(bed)
    ready(bed, inspect="auto\ninspect_every = 1s\non_critical = pause", daemon="accelerator = tcg\n",
          libexec_dir=worker.parent, alert=webhook(receiver))
    good = listed(bed)
    listed(bed)
    say(worker, PART)
    until(lambda: alarms(receiver), 30, "an alert")
    part, = alarms(receiver)
    equal((part["level"], part["snapshot_good"]), ("warn", good))
    more_lists(bed, "300 files")
    equal(len(alarms(receiver)), 1)
    say(worker, GONE)
    until(lambda: len(alarms(receiver)) == 3, 30, "the rise, and what it was answered with")
    rise, answer = alarms(receiver)[1:]
    equal((rise["level"], rise["incident"], rise["snapshot_good"]), ("critical", part["incident"], good))
    equal([(finding["rule"], finding["level"]) for finding in rise["findings"]], [("files-gone", "critical")])
    assert answer["summary"].startswith("on_critical: "), answer
    more_lists(bed, "900 files")
    equal(len(alarms(receiver)), 3)


def test_a_list_that_was_under_way_when_a_look_raised_the_alarm_is_followed_by_the_one_it_owes(bed):
    """The first is of the suspicion before, and may find nothing."""
    receiver = Receiver().start()
    worker = said_worker(bed)
    guest, tree = ready(bed, inspect="auto\ninspect_every = 1s", daemon="accelerator = tcg\n", libexec_dir=worker.parent,
                        alert=webhook(receiver))
    until(lambda: bed.sh("snapshot-info", "web01", "1")["verdict"] == "ok", 30, "a good snapshot")
    going, gone = bed.run / "going", bed.run / "gone"
    say(worker, NOTHING, f"touch {going}; while [ ! -e {gone} ]; do sleep 0.1; done;")
    listed(bed)
    good = listed(bed)
    until(going.exists, 30, "a list that is under way")
    shutil.rmtree(tree / "home")
    put_filesystem(bed, guest, tree)
    listed(bed)
    until(lambda: alarms(receiver), 30, "the alarm by the counters")
    say(worker, GONE)
    gone.touch()
    until(lambda: len(alarms(receiver)) == 2, 30, "what is gone")
    alarm, files = alarms(receiver)
    equal((alarm["losses"], files["losses"]["deleted"]["files"]), (None, 900))
    equal((files["incident"], files["snapshot_good"]), (alarm["incident"], good))


@timeout(400)
def test_files_that_still_go_from_a_btrfs_after_the_alarm_raise_it(bed):
    """The first list is made while they go."""
    receiver = Receiver().start()
    guest = bed.paused_guest("web01", [Disk("128M", "raw")])
    make_btrfs(bed)
    alter_filesystem(bed, guest, "for i in $(seq 1000); do echo $i >$i; done")
    bed.guardd(interval="7d", inspect="auto\ninspect_every = 7d", daemon="accelerator = tcg\n", alert=webhook(receiver))
    until(lambda: bed.sh("snapshot-list", "web01")["snapshots"], 30, "the first snapshot")
    until(lambda: bed.sh("snapshot-info", "web01", "1")["verdict"] == "ok", 30, "a good snapshot")
    levels = []
    for commands in "rm 1?? 2?? 3??", "rm 4?? 5?? 6?? 7?? 8?? 9??":
        alter_filesystem(bed, guest, commands)
        bed.sh("snapshot-create", "web01")
        until(lambda: len(alarms(receiver)) > len(levels), 150, "an alert")
        levels = [alert["level"] for alert in alarms(receiver)]
    equal(levels, ["warn", "critical"])
    equal({(alert["incident"], alert["rollback"]) for alert in alarms(receiver)},
          {(alarms(receiver)[0]["incident"], "guardsh rollback web01 1")})


def test_an_inspector_that_hangs_after_an_alarm_is_told_as_blind(bed):
    receiver = Receiver().start()
    libexec = bed.images / "libexec"
    libexec.mkdir()
    os.symlink(bed.build / "guardd-sentinel", libexec / "guardd-sentinel")
    (libexec / "guardd-inspector").write_text('#!/bin/sh\n[ "$1" = appliance ] || exec sleep 1000\n')
    (libexec / "guardd-inspector").chmod(0o755)
    guest, tree = ready(bed, inspect="auto", daemon="accelerator = tcg\ninspect_timeout = 2s\n", libexec_dir=libexec,
                        alert=webhook(receiver))
    until(lambda: bed.sh("snapshot-info", "web01", "1")["verdict"] == "ok", 30, "a good snapshot")
    shutil.rmtree(tree / "home")
    put_filesystem(bed, guest, tree)
    bed.sh("snapshot-create", "web01")
    until(lambda: len(receiver.bodies) == 2, 30, "two alerts")
    alarm, blind = receiver.bodies
    equal((alarm["level"], blind["level"]), ("critical", "blind"))
    assert "did not end in time and was killed" in blind["summary"], blind["summary"]
    equal(bed.sh("snapshot-create", "web01")["number"], 3)


MANY = """
mount -o loop {image} {folder}
python3 - <<'PYTHON'
import os
os.mkdir("{folder}/many")
for number in range(150000):
    os.mknod("{folder}/many/a-name-as-long-as-names-are-" + str(number))
os.makedirs("{folder}/" + "d/" * 300)
PYTHON
umount {folder}
"""


@timeout(400)
def test_snapshots_of_btrfs_subvolumes_are_not_the_guests_files(bed):
    """They come and go by themselves, with all that is in them; a subvolume that is none is listed, once."""
    guest = bed.paused_guest("web01", [Disk("128M", "raw")])
    bed.guardd(interval="7d", keep="5000x1s", daemon="accelerator = tcg\n")
    make_btrfs(bed)
    alter_filesystem(bed, guest, "btrfs -q subvolume create home; for i in $(seq 20); do echo $i >home/$i; echo $i >$i; done; "
                                 "for s in 1 2 3; do btrfs -q subvolume snapshot -r home s$s; done")
    first = str(bed.sh("snapshot-create", "web01")["number"])
    alter_filesystem(bed, guest, "btrfs -q subvolume delete s1 s2; rm home/7; btrfs -q subvolume snapshot -r home s4")
    second = str(bed.sh("snapshot-create", "web01")["number"])
    told = bed.sh("diff", "web01", first, second, timeout=300)
    equal((told["before"]["files"], told["now"]["files"], told["deleted"]["files"], told["filesystems"]), (44, 42, 1, []))


def test_a_directory_too_long_for_one_answer_is_listed_and_one_too_deep_is_known_to_be_left_out(bed):
    image, folder = bed.images / "many.raw", bed.images / "mount"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(256 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-N", "200000", image], check=True)
    subprocess.run(["unshare", "-m", "sh", "-ec", MANY.format(image=image, folder=folder)], check=True)
    bed.paused_guest("web01", [Disk(path=str(image))])
    bed.guardd(interval="7d", daemon="accelerator = tcg\n")
    until(lambda: bed.sh("snapshot-list", "web01")["snapshots"], 30, "the first snapshot")
    listed = bed.sh("snapshot-inspect", "web01", "1", timeout=300)
    equal((listed["files"], listed["filesystems"][0]["unread"]), (150002 + 257, 1))
    inventory, = bed.daemon.pool.glob("*/00000001/inventory.gz")
    assert b"that%20lie%20deeper" in gzip.decompress(inventory.read_bytes()), "so that its files do not count as gone later"


WORKERS = {
    "echo '[1, 2]' >&5": "says what cannot be",
    "echo '{\"a\": ' >&5": "inspector",
    "head -c 2000000 /dev/zero >&5": "says too much",
    "echo 'out of paper' >&2; exit 3": "the inspector failed: out of paper",
    "kill -SEGV $$": "the inspector was killed",
    "exec 1>&- 2>&- 5>&-; sleep 1000": "did not end in time and was killed",
}


def refused(bed, workers):
    """Each script in place of the inspector ends with an error that says so, and guardd goes on."""
    libexec = bed.images / "libexec"
    libexec.mkdir()
    os.symlink(bed.build / "guardd-sentinel", libexec / "guardd-sentinel")
    ready(bed, daemon="accelerator = tcg\ninspect_timeout = 5s\n", libexec_dir=libexec)
    bed.sh("snapshot-create", "web01")
    for path in bed.daemon.pool.glob("*/0000000[12]"):
        (path / "inventory.gz").write_bytes(b"")
    worker = libexec / "guardd-inspector"
    for script, words in workers.items():
        worker.write_text(f"#!/bin/sh\n{script}\n")
        worker.chmod(0o755)
        try:
            bed.sh("diff", "web01", "1", "2", timeout=60)
            raise AssertionError(script)
        except GuardshError as error:
            assert words in error.message, (script, error.message)
    bed.sh("snapshot-create", "web01")


def test_a_worker_that_was_taken_over_ends_as_an_error(bed):
    refused(bed, WORKERS)


def test_a_worker_that_eats_memory_ends_as_an_error(bed):
    if "asan" in bed.build.name:
        raise Skip("a checker of memory needs what the limit takes")
    refused(bed, {"exec python3 -c 'eaten = bytearray(2 << 30)'": "MemoryError"})


def unit_capabilities():
    unit = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "guardd.service"
    line, = [line for line in unit.read_text().splitlines() if line.startswith("CapabilityBoundingSet=")]
    return [word.removeprefix("CAP_").lower() for word in line.split("=", 1)[1].split()]


@timeout(400)
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
