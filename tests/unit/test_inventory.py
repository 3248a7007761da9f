#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is gone between two lists of files, as the inspector's sandboxed half says."""
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import equal, main

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSPECTOR = (ROOT / os.environ.get("BUILD", "build")).resolve() / "guardd-inspector"
ROOT_FS = "fs /dev/sda1 ext4 /"


def file(path, size=10, mtime=1000, inode=None, kind="f", uid=0):
    return f"f {path} {kind} {size} {mtime} {uid} {inode if inode is not None else abs(hash(path)) % 10**9}"


def inventory(*lines):
    files = sum(line.startswith("f ") for line in lines)
    return "\n".join(["guardd-inventory 1", *lines, f"end {files}", ""])


def compare(before, now):
    """The finished process, and what it wrote."""
    with tempfile.TemporaryFile() as old, tempfile.TemporaryFile() as new:
        for out, text in ((old, before), (new, now)):
            out.write(gzip.compress(text if isinstance(text, bytes) else text.encode()))
            out.seek(0)
        reading, writing = os.pipe()
        done = subprocess.Popen(
            ["/bin/sh", "-c", f'exec "$0" compare 3<&{old.fileno()} 4<&{new.fileno()} 5>&{writing}', INSPECTOR],
            pass_fds=[old.fileno(), new.fileno(), writing], stderr=subprocess.PIPE, text=True)
        os.close(writing)
        with os.fdopen(reading) as answer:
            text = answer.read()
        words = done.communicate(timeout=60)[1]
    return done.returncode, text, words


def gone(before, now):
    status, text, words = compare(inventory(*before), inventory(*now))
    assert status == 0, words
    return json.loads(text)


def refused(text):
    status, answer, words = compare(inventory(ROOT_FS), text)
    return status != 0 and answer == "" and "damaged" in words


def test_a_file_under_another_name_is_renamed_not_deleted(_):
    answer = gone([ROOT_FS, file("/a", 77, 5, 9)], [ROOT_FS, file("/b", 77, 5, 9)])
    equal((answer["deleted"]["files"], answer["new"]["files"]), (0, 0))
    equal(answer["renamed"], {"files": 1, "bytes": 77})


def test_a_reused_inode_is_no_rename(_):
    answer = gone([ROOT_FS, file("/a", 77, 5, 9)], [ROOT_FS, file("/b", 78, 6, 9)])
    equal((answer["deleted"]["files"], answer["renamed"]["files"]), (1, 0))


def test_the_same_inode_of_another_filesystem_is_no_rename(_):
    answer = gone(["fs /dev/sda1 ext4 /", file("/a", 77, 5, 9), "fs /dev/sdb1 ext4 -"],
                  ["fs /dev/sda1 ext4 /", "fs /dev/sdb1 ext4 -", file("/a", 77, 5, 9)])
    equal((answer["deleted"]["files"], answer["renamed"]["files"]), (1, 0))


def test_emptied_and_shrunk_files_count_what_they_lost(_):
    answer = gone([ROOT_FS, file("/a", 100), file("/b", 100), file("/c", 100)],
                  [ROOT_FS, file("/a", 0, 2000), file("/b", 60, 2000), file("/c", 100, 2000)])
    equal(answer["emptied"], {"files": 1, "bytes": 100})
    equal(answer["shrunk"], {"files": 1, "bytes": 40})
    equal(answer["rewritten"]["files"], 1)


def test_a_filesystem_that_is_gone_takes_its_files_along(_):
    answer = gone([ROOT_FS, file("/a"), "fs /dev/sdb xfs /srv", file("/b", 5000)], [ROOT_FS, file("/a")])
    equal(answer["filesystems"], [{"device": "/dev/sdb", "type": "xfs", "mountpoint": "/srv", "now": None}])
    equal(answer["samples"], [{"path": "/srv/b", "what": "deleted", "bytes": 5000}])


def test_another_filesystem_in_its_place_is_told(_):
    answer = gone(["fs /dev/sdb xfs /srv", file("/b", 5000)], ["fs /dev/sdb ext4 -", file("/lost+found", 16384, kind="d")])
    equal(answer["filesystems"][0]["now"], "ext4")
    equal(answer["deleted"]["files"], 1)


def test_losses_stand_in_their_directory_extension_and_owner_biggest_first(_):
    answer = gone([ROOT_FS, file("/etc/hosts", 10), file("/home/ann/x/1.jpg", 500, uid=7), file("/home/bob/2.jpg", 900, uid=8)],
                  [ROOT_FS])
    equal([d["name"] for d in answer["directories"]], ["/home/bob", "/home/ann", "/etc"])
    equal(answer["extensions"][0], {"files": 2, "bytes": 1400, "name": ".jpg"})
    equal([o["name"] for o in answer["owners"]], ["8", "7", "0"])


def test_a_directory_stands_before_what_is_in_it_whatever_its_name(_):
    lines = [ROOT_FS, file("/a", kind="d"), file("/a/z"), file("/a%20b"), file("/a!")]
    equal(gone(lines, lines)["before"]["files"], 4)


def test_names_reach_a_terminal_as_text(_):
    answer = gone([ROOT_FS, file("/%1B[2J%0A\udcff".encode("utf-8", "surrogateescape").decode("latin-1"))], [ROOT_FS])
    assert "\x1b" not in json.dumps(answer) and answer["samples"][0]["path"].startswith("/\\x1b[2J\\x0a"), answer["samples"]


def test_a_wiped_log_is_told_and_a_rotated_one_is_not(_):
    before = [ROOT_FS, file("/var/log/auth.log", 900, 5, 1), file("/var/log/wtmp", 700, 5, 2)]
    equal([t["path"] for t in gone(before, [ROOT_FS, file("/var/log/auth.log", 0, 9, 1)])["tampered"]],
          ["/var/log/auth.log", "/var/log/wtmp"])
    rotated = [ROOT_FS, file("/var/log/auth.log.1", 900, 5, 1), file("/var/log/wtmp", 700, 5, 2)]
    equal(gone(before, rotated)["tampered"], [])


def test_what_is_no_whole_list_is_refused(_):
    whole = inventory(ROOT_FS, file("/a"), file("/b"))
    for damaged in ("", "guardd-inventory 2\nend 0\n", whole[:-7], whole.replace("end 2", "end 3"),
                    inventory(ROOT_FS, file("/b"), file("/a")), inventory(ROOT_FS, file("/a"), file("/a")),
                    inventory(file("/a")), inventory(ROOT_FS, "f /a%2 f 1 1 1 1"), inventory(ROOT_FS, "f /a%00 f 1 1 1 1"),
                    inventory(ROOT_FS, "f /a f x 1 1 1"), inventory(ROOT_FS, "x"), inventory(ROOT_FS, "f /" + "a" * 5000 + " f 1 1 1 1"),
                    inventory("fs /dev/sdb xfs -", "fs /dev/sda xfs -"), b"\xff\x00garbage"):
        assert refused(damaged), damaged[:80]


def test_a_million_files_fit_into_its_memory(_):
    def many(count, gone):
        lines = (file(f"/{number:07d}/" + "n" * 40, 100, 5, number) for number in range(count) if not gone or number % 2)
        return inventory(ROOT_FS, *lines)
    status, text, words = compare(many(1_000_000, False), many(1_000_000, True))
    assert status == 0, words
    equal(json.loads(text)["deleted"]["files"], 500_000)


main(bed=False)
