#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the sentinel's readers see on disks that the real tools made."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import equal, main

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOOK = (ROOT / os.environ.get("BUILD", "build")).resolve() / "tests" / "lib" / "look"
MIB = 1 << 20


def run(*argv, **more):
    done = subprocess.run([str(arg) for arg in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "LC_ALL": "C"}, **more)
    assert done.returncode == 0, f"{argv}: {done.stdout}"
    return done.stdout


def look(*images):
    return json.loads(run(LOOK, *images))


def structures(image):
    return {(item["path"], item["kind"]): item for item in look(image)["structures"]}


@contextlib.contextmanager
def image(size, *made_by):
    with tempfile.TemporaryDirectory(prefix="guardd-image-", dir="/var/tmp") as folder:
        path = pathlib.Path(folder, "disk")
        with open(path, "wb") as file:
            file.truncate(size)
        if made_by:
            run(*made_by, path)
        yield path


def wipe(path, offset, length):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(bytes(length))


def mounted(path, script):
    """Runs a script in the mounted image ($M), in a mount namespace of its own; $COPY copies the image as it is."""
    folder = path.parent / "mount"
    folder.mkdir(exist_ok=True)
    set_up = f'set -e; M={folder}; COPY="cp --sparse=always {path}"; mount -o loop {path} $M; cd $M; '
    run("unshare", "-m", "--propagation", "private", "sh", "-c", set_up + script + "; cd /; umount $M")


def test_ext4_counts_what_its_own_tools_count(_):
    for options in ([], ["-b", "1024"], ["-O", "^64bit"], ["-O", "meta_bg,^resize_inode"], ["-O", "bigalloc"],
                    ["-t", "ext3"], ["-t", "ext2"], ["-O", "sparse_super2"]):
        with image(600 * MIB, "mkfs.ext4", "-q", "-d", ROOT / "docs", *options) as disk:
            ext = structures(disk)["", "ext"]
            told = dict(line.split(":", 1) for line in run("dumpe2fs", "-h", disk).splitlines() if ":" in line)
            told = {key: value.strip() for key, value in told.items()}
            equal(ext["used_inodes"], int(told["Inode count"]) - int(told["Free inodes"]))
            blocks, free = int(told["Block count"]), int(told["Free blocks"])
            own = int(told["Overhead clusters"]) * (int(told["Cluster size"]) // int(told["Block size"]) if "Cluster size" in told else 1)
            if "bigalloc" not in options:  # there a bitmap may have a cluster to itself
                equal(ext["used_bytes"], (blocks - own - free) * int(told["Block size"]))
            equal(ext["uuid"], told["Filesystem UUID"].replace("-", ""))
            equal([flag for flag in ext["flags"] if flag != "counted"], [])


EMPTY = {"ext": [["mkfs.ext4", "-q"], ["mkfs.ext4", "-q", "-b", "1024"], ["mkfs.ext4", "-q", "-O", "meta_bg,^resize_inode"], ["mkfs.ext4", "-q", "-t", "ext2"]],
         "xfs": [["mkfs.xfs", "-q"]], "btrfs": [["mkfs.btrfs", "-q"]], "ntfs": [["mkntfs", "-Q", "-q", "-F"]], "fat": [["mkfs.vfat", "-F", "32"]]}


def test_what_mkfs_leaves_is_nobodys(_):
    for kind, tools in EMPTY.items():
        for tool in tools:
            for size in (512 * MIB, 8192 * MIB):
                with image(size, *tool) as disk:
                    used = structures(disk)["", kind]["used_bytes"]
                    assert used < MIB, f"{tool} of {size >> 20} MiB: {used} bytes in use"


def test_ext4_deletion_shows_in_the_journal_before_it_is_in_place(_):
    with image(256 * MIB, "mkfs.ext4", "-q") as disk:
        before, after = disk.parent / "before", disk.parent / "after"
        mounted(disk, "mkdir d; for i in $(seq 3000); do echo $i >d/$i; done; sync; "
                      f"$COPY {before}; rm -rf d; touch now; sync now; $COPY {after}")
        used = [structures(path)["", "ext"] for path in (before, after)]
        assert used[0]["used_inodes"] > 3000, used
        assert used[1]["used_inodes"] < 20, used
        equal(used[1]["used_dirs"], 2)
        equal(used[1]["flags"], ["counted"])


def test_ext4_zeroed_blocks_are_told_apart_by_the_bitmap(_):
    with image(256 * MIB, "mkfs.ext4", "-q", "-b", "4096") as disk:
        mounted(disk, "dd if=/dev/urandom of=a bs=1M count=16 2>/dev/null; cp a b")
        before, trimmed, wiped = (disk.parent / name for name in ("before", "trimmed", "wiped"))
        run("cp", disk, before)
        mounted(disk, "rm a; sync; fstrim .")
        run("cp", disk, trimmed)
        zeroed = look(trimmed, before)["to_zero"]
        assert zeroed["free"] >= 15 * MIB and zeroed["kept"] + zeroed["late"] < MIB, zeroed
        run("cp", before, wiped)
        where = run("debugfs", "-R", "blocks /b", wiped).split()
        wipe(wiped, int(where[-16 * 256]) * 4096, 8 * MIB)
        zeroed = look(wiped, before)["to_zero"]
        assert zeroed["kept"] >= 7 * MIB and zeroed["metadata"] == 0, zeroed
        wipe(wiped, 4096, 4096)
        assert look(wiped, before)["to_zero"]["metadata"] > 0, "the descriptors were zeroed"


FILESYSTEMS = {"ext4": ["mkfs.ext4", "-q", "-b", "4096"], "xfs": ["mkfs.xfs", "-q"]}


def test_what_was_free_in_between_was_not_overwritten_in_place(_):
    for kind, tool in FILESYSTEMS.items():
        with image(400 * MIB, *tool) as disk:
            before, after = disk.parent / "before", disk.parent / "after"
            # Both maps have the blocks in use: of the first file, then of the second, for which there is no other room.
            mounted(disk, f"dd if=/dev/urandom of=a bs=1M count=200 2>/dev/null; sync; $COPY {before}; "
                          f"rm a; sync; dd if=/dev/urandom of=b bs=1M count=220 conv=fsync 2>/dev/null; $COPY {after}")
            other = look(after, before)["other"]
            assert other["new"] >= 190 * MIB and other["kept"] + other["late"] < MIB, (kind, other)


def test_ext4_files_replaced_one_by_one_are_counted_though_their_inodes_are_used_again(_):
    with image(256 * MIB, *FILESYSTEMS["ext4"]) as disk:
        before, after, same = (disk.parent / name for name in ("before", "after", "same"))
        mounted(disk, f"for i in $(seq 100); do echo $i >f$i; done; sync; $COPY {before}; "
                      f"for i in $(seq 100); do echo $i >n$i; rm f$i; done; sync; $COPY {after}; "
                      f"for i in $(seq 100); do echo more >>n$i; chmod 600 n$i; done; sync; $COPY {same}")
        replaced, written = look(after, before), look(same, after)
        assert 98 <= replaced["freed_inodes"] <= 102 and 98 <= replaced["new_inodes"] <= 102, replaced
        equal([written["freed_inodes"], written["new_inodes"]], [0, 0])


def test_files_that_are_overwritten_or_zeroed_are_kept(_):
    for kind, tool in FILESYSTEMS.items():
        with image(400 * MIB, *tool) as disk:
            before, after, zeroed = (disk.parent / name for name in ("before", "after", "zeroed"))
            mounted(disk, "dd if=/dev/urandom of=a bs=1M count=40 2>/dev/null; for i in $(seq 200); do echo $i >f$i; done; "
                          f"sync; $COPY {before}; dd if=/dev/urandom of=a bs=1M count=30 conv=notrunc,fsync 2>/dev/null; "
                          f"$COPY {after}; dd if=/dev/zero of=a bs=1M count=30 conv=notrunc,fsync 2>/dev/null; $COPY {zeroed}")
            assert look(after, before)["other"]["kept"] >= 29 * MIB, (kind, look(after, before))
            assert look(zeroed, after)["to_zero"]["kept"] >= 29 * MIB, (kind, look(zeroed, after))


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def inode_table(disk):
    """Its first block, of the first group."""
    line = next(line for line in run("dumpe2fs", disk).splitlines() if "Inode table at" in line)
    return int(line.split("at ")[1].split("-")[0])


def test_ext4_inode_tables_that_are_overwritten_are_ruined(_):
    for options in (["-b", "4096"], ["-b", "1024"], ["-t", "ext3", "-b", "4096", "-I", "128"]):
        with image(400 * MIB, "mkfs.ext4", "-q", *options) as disk:
            mounted(disk, "for i in $(seq 2000); do echo $i >f$i; done")
            before = disk.parent / "before"
            run("cp", disk, before)
            size, table = int(options[options.index("-b") + 1]), inode_table(disk)
            for data in (os.urandom(4096), b"\xcc" * 4096, b"All your files are mine. " * 200):
                run("cp", before, disk)
                for block in range(20):
                    overwrite(disk, table * size + 8192 + block * 4096, data[:4096])
                assert look(disk, before)["other"]["ruined"] >= 19 * 4096, (options, look(disk, before))
            run("cp", before, disk)
            overwrite(disk, table * size, os.urandom(8192))
            assert "damaged" in structures(disk)["", "ext"]["flags"], "its root directory's inode"


def test_ext4_inodes_that_are_cleared_one_by_one_are_ruined(_):
    for options in (["-b", "4096"], ["-b", "1024"], ["-b", "4096", "-O", "^metadata_csum"]):
        with image(400 * MIB, "mkfs.ext4", "-q", *options) as disk:
            mounted(disk, "for i in $(seq 2000); do echo $i >f$i; done")
            before, commands = disk.parent / "before", disk.parent / "commands"
            run("cp", disk, before)
            commands.write_text("".join(f"clri <{number}>\n" for number in range(12, 1900)))
            run("debugfs", "-w", "-f", commands, disk)
            assert look(disk, before)["other"]["ruined"] >= 20 * 4096, (options, look(disk, before))


def test_ext4_inodes_of_files_that_were_deleted_are_not_ruined(_):
    with image(400 * MIB, "mkfs.ext4", "-q", "-b", "4096", "-O", "^metadata_csum") as disk:
        before = disk.parent / "before"
        mounted(disk, "for i in $(seq 2000); do echo $i >f$i; done")
        run("cp", disk, before)
        mounted(disk, "rm f*")
        found = look(disk, before)
        equal(found["other"]["ruined"], 0)
        assert found["other"]["metadata"] >= 100 * 4096, found
        run("e2fsck", "-fy", disk)
        run("cp", disk, before)
        run("tune2fs", "-O", "metadata_csum", disk)  # clears what is not in use, and gives each a checksum
        found = look(disk, before)
        equal(found["other"]["ruined"], 0)
        assert found["other"]["metadata"] >= 100 * 4096, found


def inode_table(disk):
    return int(re.search(r"Inode table at (\d+)", run("dumpe2fs", disk)).group(1))


def test_ext4_tables_that_are_zeroed_are_metadata_only_where_files_were(_):
    # Of small blocks there are many groups; one in which no file is left is not looked into by tune2fs
    for block, pieces in ((4096, 400), (1024, 10)):
        with image(400 * MIB, "mkfs.ext4", "-q", "-b", block, "-N", "32768") as disk:
            before = disk.parent / "before"
            # Many pieces in which every file was deleted, between others, and with some that stay
            mounted(disk, "for i in $(seq 12000); do echo $i >f$i; done; sync; seq -f f%.0f 500 11000 | grep -vx f5000 | xargs rm")
            run("e2fsck", "-fy", disk)
            run("cp", disk, before)
            run("tune2fs", "-O", "^metadata_csum", disk)  # clears what is not in use
            found = look(disk, before)
            equal(found["to_zero"]["metadata"], 0)
            assert found["to_zero"]["free"] >= pieces * 4096, found["to_zero"]
            run("cp", disk, before)
            overwrite(disk, (inode_table(disk) * block // 4096 + 2) * 4096, bytes(20 * 4096))
            equal(look(disk, before)["to_zero"]["metadata"], 20 * 4096)


def test_ext4_pieces_of_a_table_are_looked_at_whole(_):
    with image(400 * MIB, "mkfs.ext4", "-q", "-b", "1024") as disk:
        mounted(disk, "for i in $(seq 600); do echo $i >f$i; done; sync; for i in $(seq 30 33); do rm f$i; done; sync; rm f100 f101")
        run("e2fsck", "-fy", disk)
        before = disk.parent / "before"
        run("cp", disk, before)
        start = inode_table(disk) * 1024
        overwrite(disk, (start // 4096 + 2) * 4096, bytes(10 * 4096))
        equal(look(disk, before)["to_zero"]["metadata"], 10 * 4096)


def test_ext4_inodes_that_hold_random_data_are_not_ruined(_):
    for inode in (256, 1024):
        with image(400 * MIB, "mkfs.ext4", "-q", "-b", "4096", "-I", inode, "-O", "inline_data") as disk:
            before, fill = disk.parent / "before", f"dd if=/dev/urandom bs={inode // 2} count=1 2>/dev/null"
            mounted(disk, f"for i in $(seq 600); do {fill} >f$i; done")
            run("cp", disk, before)
            mounted(disk, f"for i in $(seq 600); do {fill} >f$i; done; for i in $(seq 300); do rm f$i; {fill} >g$i; done")
            other = look(disk, before, "high")
            equal(other["high"]["ruined"], 0)
            assert other["high"]["metadata"] >= 30 * 4096, other


def test_xfs_tables_that_are_overwritten_are_ruined(_):
    with image(400 * MIB, *FILESYSTEMS["xfs"]) as disk:
        before, after, work = (disk.parent / name for name in ("before", "after", "work"))
        # In use all the while; what it does besides is no damage
        mounted(disk, "for i in $(seq 6000); do echo $i >f$i; done; dd if=/dev/urandom of=data bs=1M count=10 2>/dev/null; "
                      f"sync; xfs_freeze -f $M; $COPY {before}; xfs_freeze -u $M; for i in $(seq 3000); do rm f$i; done; "
                      "dd if=/dev/urandom of=data bs=1M count=10 conv=notrunc,fsync 2>/dev/null; "
                      f"for i in $(seq 2000); do mkdir d$i; done; sync; xfs_freeze -f $M; $COPY {work}; xfs_freeze -u $M")
        high = look(work, before, "high")["high"]
        equal(high["ruined"], 0)
        assert high["kept"] >= 9 * MIB, high
        run("cp", before, after)
        inodes = [at for at in range(0, 400 * MIB, 4096) if is_inode_block(before, at)]
        for at in inodes[16:80]:
            overwrite(after, at, os.urandom(4096))
        assert look(after, before, "high")["high"]["ruined"] >= 60 * 4096, look(after, before, "high")
        overwrite(after, inodes[0], os.urandom(8192))
        assert "damaged" in structures(after)["", "xfs"]["flags"], "its root directory's inode"


def is_inode_block(disk, at):
    with open(disk, "rb") as file:
        file.seek(at)
        return file.read(2) == b"IN"


def test_ntfs_records_that_are_overwritten_are_ruined(_):
    with image(256 * MIB, "mkntfs", "-Q", "-q", "-F") as disk:
        folder, before = disk.parent / "mount", disk.parent / "before"
        folder.mkdir()
        script = f"mount.ntfs-3g -o loop {disk} {folder} 2>/dev/null || ntfs-3g {disk} {folder}; cd {folder}; "
        fill = "for i in $(seq 800); do dd if=/dev/urandom of=f$i bs=600 count=1 2>/dev/null; done; "
        run("unshare", "-m", "sh", "-ec", f"{script} {fill} cd /; umount {folder}")
        run("cp", disk, before)
        run("unshare", "-m", "sh", "-ec", f"{script} {fill} rm f1*; mkdir d; cd /; umount {folder}")
        high = look(disk, before, "high")["high"]
        equal(high["ruined"], 0)
        assert high["late"] > 400 * 1024, high
        with open(before, "rb") as file:
            boot = file.read(512)
        mft = int.from_bytes(boot[0x30:0x38], "little") * boot[0x0d] * 512
        run("cp", before, disk)
        overwrite(disk, mft + 100 * 1024, os.urandom(200 * 1024))
        assert look(disk, before, "high")["high"]["ruined"] >= 190 * 1024, look(disk, before, "high")


def test_what_a_program_compressed_is_told_from_what_is_encrypted(_):
    with image(256 * MIB, *FILESYSTEMS["ext4"]) as disk:
        before, start, text = (disk.parent / name for name in ("before", "start", "text"))
        text.write_text("".join(f"{n * n % 977} lines of a log, {n} of them\n" for n in range(700)))
        mounted(disk, f"for i in $(seq 400); do cp {text} f$i; done")
        run("cp", disk, start)
        for tool, packed in (("gzip -n", True), ("xz -0", True), ("head -c 6000 /dev/urandom", False)):
            run("cp", start, disk)
            mounted(disk, f"touch now; sync; $COPY {before}; for i in $(seq 400); do {tool} <f$i >g$i; rm f$i; done; sync; cp {disk} {disk}.x")
            seen = look(f"{disk}.x", before)
            assert seen["freed_inodes"] >= 390 and seen["new_inodes"] >= 390, seen
            # A file's first block in so many
            assert (seen["taken_packed_bytes"] > 400 * 4096 / 2) == packed, (tool, seen)
            assert packed or seen["taken_packed_bytes"] == 0, seen


def test_ext4_first_changes_after_a_mount_or_a_freeze_are_followed(_):
    wipe_file = "dd if=/dev/zero of=a bs=1M count=30 conv=notrunc,fsync 2>/dev/null; "
    replace = "for i in $(seq 100); do echo $i >n$i; rm f$i; done; sync; "
    with image(300 * MIB, *FILESYSTEMS["ext4"]) as disk:
        before, after = disk.parent / "before", disk.parent / "after"
        mounted(disk, "dd if=/dev/urandom of=a bs=1M count=40 2>/dev/null; for i in $(seq 100); do echo $i >f$i; done")
        start = disk.parent / "start"
        run("cp", disk, start)
        freeze = f"touch b; sync; fsfreeze -f $M; $COPY {before}; fsfreeze -u $M; "
        for name, script in (("mounted", f"{wipe_file} {replace} $COPY {after}"),
                             ("mounted and unmounted", f"{wipe_file} {replace} cd /; umount $M; cp {disk} {after}; mount -o loop {disk} $M"),
                             ("frozen", f"{freeze} {wipe_file} {replace} $COPY {after}")):
            run("cp", start, before)
            run("cp", start, disk)
            mounted(disk, script)
            seen = look(after, before)
            assert seen["to_zero"]["kept"] >= 29 * MIB, (name, seen)
            assert 98 <= seen["freed_inodes"] <= 102, (name, seen)
        # Where the log goes on after a freeze is not always known: a transaction that is not found was there
        run("cp", start, disk)
        mounted(disk, f"{freeze} rm a; dd if=/dev/urandom of=b bs=1M count=230 conv=fsync 2>/dev/null; sync; "
                      f"fsfreeze -f $M; $COPY {after}; fsfreeze -u $M")
        assert look(after, before)["other"]["kept"] < MIB, look(after, before)


def test_xfs_deletion_and_trim_show_in_the_log_before_they_are_in_place(_):
    with image(512 * MIB, *FILESYSTEMS["xfs"]) as disk:
        before, gone, trimmed = (disk.parent / name for name in ("before", "gone", "trimmed"))
        mounted(disk, "dd if=/dev/urandom of=a bs=1M count=40 2>/dev/null; mkdir d; for i in $(seq 3000); do echo $i >d/$i; done; "
                      f"sync; $COPY {before}; rm -rf a d; sync; $COPY {gone}; fstrim .; $COPY {trimmed}")
        used = [structures(path)["", "xfs"]["used_inodes"] for path in (before, gone)]
        assert used[0] > 3000 and used[1] < 20, used
        zeroed = look(trimmed, before)["to_zero"]
        assert zeroed["free"] >= 39 * MIB and zeroed["kept"] + zeroed["late"] < MIB, zeroed


def test_ntfs_clusters_in_use_are_in_use_by_a_late_map(_):
    with image(256 * MIB, "mkntfs", "-q", "-F") as disk:
        before, file = disk.parent / "before", disk.parent / "file"
        content = os.urandom(10 * MIB)
        file.write_bytes(content)
        run("ntfscp", disk, file, "file")
        run("cp", disk, before)
        overwrite(disk, disk.read_bytes().index(content[:4096]), bytes(10 * MIB))
        zeroed = look(disk, before)["to_zero"]
        assert zeroed["late"] >= 9 * MIB and zeroed["kept"] == 0, zeroed
        run("cp", before, disk)
        run("ntfscp", disk, file, "another")
        other = look(disk, before)["other"]
        assert other["new"] >= 9 * MIB and other["late"] < MIB, other


def test_ntfs_clusters_of_a_file_whose_record_was_written_are_kept(_):
    with image(256 * MIB, "mkntfs", "-q", "-F") as disk:
        before, folder = disk.parent / "before", disk.parent / "mount"
        folder.mkdir()

        def mounted_ntfs(script):
            run("unshare", "-m", "sh", "-ec", f"ntfs-3g {disk} {folder}; cd {folder}; {script}; cd /; umount {folder}")

        mounted_ntfs("for i in $(seq 10); do dd if=/dev/urandom of=f$i bs=1M count=2 2>/dev/null; done")
        run("cp", disk, before)
        mounted_ntfs("for i in $(seq 10); do dd if=/dev/zero of=f$i bs=1M count=2 conv=notrunc 2>/dev/null; done")
        zeroed = look(disk, before)["to_zero"]
        assert zeroed["kept"] == 20 * MIB, zeroed
        # Longer than it was: what it had is kept, what it got is new.
        run("cp", before, disk)
        mounted_ntfs("dd if=/dev/urandom of=f10 bs=1M count=4 conv=notrunc 2>/dev/null")
        high = look(disk, before, "high")["high"]
        assert high["kept"] == 2 * MIB and high["new"] >= 2 * MIB - 65536, high
        # Deleted, and its clusters given to another file in the same record.
        run("cp", before, disk)
        mounted_ntfs("rm f*; for i in $(seq 10); do dd if=/dev/urandom of=g$i bs=1M count=2 2>/dev/null; done")
        high = look(disk, before, "high")["high"]
        assert high["kept"] == 0 and high["late"] >= 10 * MIB, high


def ntfs_valid_lengths(disk):
    """[(where on the disk it stands, bytes of a file that were written)]"""
    content = disk.read_bytes()
    mft = int.from_bytes(content[0x30:0x38], "little") * content[0x0d] * 512
    found = []
    for record in range(mft + 64 * 1024, mft + 256 * 1024, 1024):
        at = record + int.from_bytes(content[record + 20:record + 22], "little")
        while content[record:record + 4] == b"FILE" and content[at:at + 4] not in (b"\xff" * 4, b"\0" * 4):
            if content[at:at + 4] == b"\x80\0\0\0" and content[at + 8]:
                found.append((at + 56, int.from_bytes(content[at + 56:at + 64], "little")))
            at += int.from_bytes(content[at + 4:at + 8], "little")
    return found


def test_ntfs_clusters_that_a_file_had_not_written_or_that_pages_are_in_are_late(_):
    """What it was given without writing it holds what others left; and paging files may be cleared."""
    with image(256 * MIB, "mkntfs", "-q", "-F") as disk:
        before, folder = disk.parent / "before", disk.parent / "mount"
        folder.mkdir()
        files = "for f in a b pagefile.sys; do dd if=/dev/{} of=$f bs=1M count=4 conv=notrunc 2>/dev/null; done"
        mount = f"ntfs-3g {disk} {folder}; cd {folder}; {{}}; cd /; umount {folder}"
        run("unshare", "-m", "sh", "-ec", mount.format(files.format("urandom")))
        run("cp", disk, before)
        lengths = ntfs_valid_lengths(before)
        equal([length for _, length in lengths], [4 * MIB] * 3)
        overwrite(before, lengths[1][0], (1 * MIB).to_bytes(8, "little"))
        run("unshare", "-m", "sh", "-ec", mount.format(files.format("zero")))
        zeroed = look(disk, before)["to_zero"]
        equal((zeroed["kept"], zeroed["late"]), (5 * MIB, 7 * MIB))


def test_ntfs_clusters_are_kept_where_records_lie_across_the_blocks_that_are_told(_):
    with image(256 * MIB, "mkntfs", "-q", "-F", "-p", "63") as volume, image(257 * MIB) as disk:
        before, folder = disk.parent / "before", volume.parent / "mount"
        folder.mkdir()

        def put(script, to):
            run("unshare", "-m", "sh", "-ec", f"ntfs-3g {volume} {folder}; cd {folder}; {script}; cd /; umount {folder}")
            run("sfdisk", "-q", "-f", disk, input="start=63, size=524288, type=7\n")
            run("dd", f"if={volume}", f"of={disk}", "bs=512", "seek=63", "conv=notrunc")
            run("cp", disk, to)

        put("for i in $(seq 200); do dd if=/dev/urandom of=f$i bs=64k count=1 2>/dev/null; done", before)
        put("for i in $(seq 200); do dd if=/dev/zero of=f$i bs=64k count=1 conv=notrunc 2>/dev/null; done", disk.parent / "now")
        zeroed = look(disk.parent / "now", before)["to_zero"]
        # Pieces of the disk are not the volume's: the first or last one of a file is zero in part alone.
        assert zeroed["kept"] >= 200 * (65536 - 4096) and zeroed["late"] == 0, zeroed


def test_a_format_over_a_filesystem_shows_as_another_one(_):
    with image(512 * MIB, "mkfs.ext4", "-q", "-d", ROOT / "docs") as disk:
        first = structures(disk)["", "ext"]
        run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", "-U", str(uuid.UUID(first["uuid"])), disk)
        second = structures(disk)["", "ext"]
        equal(second["uuid"], first["uuid"])
        equal(second["used_inodes"], 11)
        assert second["made"] >= first["made"]
        run("mkfs.xfs", "-q", "-f", "-K", disk)
        equal([kind for _, kind in structures(disk)], ["xfs"])


def test_ext4_backup_of_another_filesystem_is_seen(_):
    with image(512 * MIB, "mkfs.ext4", "-q") as disk:
        wipe(disk, 128 * MIB, 4096)
        equal(structures(disk)["", "ext"]["flags"], ["counted", "backup-bad"])


def test_xfs_counts_inodes_of_all_groups(_):
    with image(512 * MIB, "mkfs.xfs", "-q") as disk:
        empty = structures(disk)["", "xfs"]
        assert abs(empty["made"] - time.time()) < 60, "when mkfs made it"
        mounted(disk, "for i in $(seq 500); do mkdir d$i; echo $i >d$i/f; done")
        full = structures(disk)["", "xfs"]
        equal(full["used_inodes"] - empty["used_inodes"], 1000)
        assert full["used_bytes"] > empty["used_bytes"]
        equal(full["uuid"], run("blkid", "-p", "-o", "value", "-s", "UUID", disk).strip().replace("-", ""))


def test_btrfs_counts_bytes(_):
    with image(256 * MIB, "mkfs.btrfs", "-q") as disk:
        empty = structures(disk)["", "btrfs"]
        mounted(disk, "dd if=/dev/urandom of=a bs=1M count=20 2>/dev/null")
        full = structures(disk)["", "btrfs"]
        assert full["used_bytes"] - empty["used_bytes"] > 20 * MIB, (empty, full)
        assert full["generation"] > empty["generation"]
        wipe(disk, 64 * MIB, 4096)
        assert "backup-bad" in structures(disk)["", "btrfs"]["flags"]


def test_fat_tables_that_are_overwritten_are_found(_):
    for size, options in ((8 * MIB, ["-F", "12"]), (64 * MIB, ["-F", "16"]), (256 * MIB, ["-F", "32"]), (256 * MIB, ["-F", "32", "-S", "4096"])):
        with image(size, "mkfs.vfat", *options) as disk:
            boot = disk.read_bytes()[:64]
            sector, reserved = int.from_bytes(boot[11:13], "little"), int.from_bytes(boot[14:16], "little")
            length = int.from_bytes(boot[22:24], "little") or int.from_bytes(boot[36:40], "little")
            before = structures(disk)["", "fat"]["flags"]
            first, second = reserved * sector, (reserved + length) * sector
            overwrite(disk, second, bytes(512))
            equal(set(structures(disk)["", "fat"]["flags"]) - set(before), {"backup-bad"})
            overwrite(disk, first, os.urandom(4096 - first % 4096))
            assert "damaged" in structures(disk)["", "fat"]["flags"] and "damaged" not in before, options


def metadata_chunks(disk):
    """Where the copies of each chunk of btrfs trees lie: [[bytes, …], …]"""
    text = run("btrfs", "inspect-internal", "dump-tree", "-t", "chunk", disk)
    chunks = [part for part in re.split(r"item \d+ key", text) if re.search(r"type (SYSTEM|METADATA)", part)]
    return [[int(at) for at in re.findall(r"stripe \d devid \d offset (\d+)", chunk)] for chunk in chunks]


BTRFS_IN_USE = ("for d in $(seq 30); do mkdir $M/d$d; for f in $(seq 60); do echo $d$f >$M/d$d/$f; done; done; btrfs -q subvolume create $M/s; "
                "cp -r $M/d* $M/s/; btrfs -q subvolume snapshot $M/s $M/t; rm -r $M/s/d1*; sync")


def test_btrfs_trees_that_are_whole_are_followed(_):
    for options in ([], ["-m", "single"], ["-n", "65536"], ["-n", "4096"], ["--csum", "xxhash"], ["-M"], ["-O", "^no-holes"]):
        with image(512 * MIB, "mkfs.btrfs", "-q", *options) as disk:
            equal((options, structures(disk)["", "btrfs"]["flags"]), (options, ["counted", "lagging"]))
            mounted(disk, BTRFS_IN_USE)
            equal((options, structures(disk)["", "btrfs"]["flags"]), (options, ["counted", "lagging"]))


def test_btrfs_content_that_files_were_overwritten_with_is_kept(_):
    """btrfs writes nothing in place: which blocks changed does not say it."""
    each = "for i in $(seq 20); do"
    overwrite_all = "of=f$i bs=1M count=2 conv=notrunc iflag=fullblock 2>/dev/null; done"
    cases = {  # MiB that are gone, MiB of high entropy in their place
        f"{each} dd if=/dev/zero {overwrite_all}": (40, 0),
        f"{each} tr '\\0' '\\314' </dev/zero | dd {overwrite_all}": (40, 0),
        f"{each} dd if=/dev/urandom {overwrite_all}": (0, 40),
        f"{each} dd if=/dev/zero of=f$i bs=64k seek=$i count=1 conv=notrunc 2>/dev/null; done": (1.25, 0),
        "dd if=/dev/zero of=g bs=1M count=50 2>/dev/null; sync; rm g; dd if=/dev/zero of=h bs=1M count=40 2>/dev/null": (0, 0),
        f"{each} cp f$i x; mv x f$i; done; btrfs -q subvolume snapshot . s; sync; rm f1": (0, 0),
        f"{each} dd if=f$i bs=1M 2>/dev/null | dd {overwrite_all}": (0, 0),
        "btrfs -q filesystem defragment -rf .; btrfs -q balance start --full-balance .": (0, 0),
        "btrfs -q filesystem defragment -rf -czlib .": (0, 0),  # what is zero was it before
    }
    for options in ("noatime", "noatime,compress-force=zstd"):
        with image(512 * MIB, "mkfs.btrfs", "-q") as disk:
            before, remount = disk.parent / "before", f"mount -o remount,{options} $M; "
            mounted(disk, f"{remount} {each} seq $((i * 1000000)) 1000000000 | head -c 2097152 >f$i; done; "
                          "dd if=/dev/zero of=zeros bs=1M count=30 2>/dev/null; sync")
            run("cp", disk, before)
            for script, (gone, high) in cases.items():
                run("cp", before, disk)
                mounted(disk, f"{remount} {script}; sync")
                seen = look(disk, before)
                kept = ((seen["to_zero"]["kept"] + seen["collapsed"]["kept"]) / MIB, seen["high"]["kept"] / MIB)
                assert all(is_near(*pair) for pair in zip(kept, (gone, high))), (options, script, kept, seen)


def test_btrfs_files_that_are_gone_are_counted(_):
    cases = {"rm -r d1*": 11 * 101, "rm d7/*": 100, "rm -r d*": 30 * 101, "for d in 1 2 3; do rm -r d$d; done; btrfs -q subvolume snapshot . s; touch x y": 3 * 101 - 2,
             "cp -r d1 e; cp -r d2 f": -202, "mv d1 e; touch d2/*; chmod 600 d3/*": 0, "for d in d*; do for f in $d/*; do cp $f x; mv x $f; done; done": 0,
             "btrfs -q balance start --full-balance .": 0}
    with image(512 * MIB, "mkfs.btrfs", "-q") as disk:
        before = disk.parent / "before"
        mounted(disk, "for d in $(seq 30); do mkdir d$d; for f in $(seq 100); do seq $f >d$d/$f; done; done; sync")
        run("cp", disk, before)
        for script, gone in cases.items():
            run("cp", before, disk)
            mounted(disk, f"{script}; sync")
            seen = look(disk, before)
            equal((script, seen["freed_inodes"], seen["new_inodes"]), (script, max(gone, 0), max(-gone, 0)))


def is_near(seen, expected):
    return abs(seen - expected) <= expected / 10


def test_btrfs_trees_that_are_overwritten_are_damaged(_):
    with image(512 * MIB, "mkfs.btrfs", "-q", "-m", "dup") as disk:
        mounted(disk, BTRFS_IN_USE)
        chunks = metadata_chunks(disk)
        assert all(len(copies) == 2 for copies in chunks) and len(chunks) >= 2, chunks
        before = disk.parent / "before"
        run("cp", disk, before)
        for content in (bytes(8 * MIB), os.urandom(8 * MIB)):
            for chunk in chunks:
                run("cp", before, disk)
                overwrite(disk, chunk[0], content)
                assert "backup-bad" in structures(disk)["", "btrfs"]["flags"], chunk
                overwrite(disk, chunk[1], content)
                assert "damaged" in structures(disk)["", "btrfs"]["flags"], chunk


def test_ntfs_counts_records_and_clusters(_):
    with image(256 * MIB, "mkntfs", "-q", "-F") as disk:
        empty = structures(disk)["", "ntfs"]
        with open(disk.parent / "file", "wb") as file:
            file.write(b"x" * 10 * MIB)
        run("ntfscp", disk, disk.parent / "file", "file")
        full = structures(disk)["", "ntfs"]
        equal(full["used_inodes"] - empty["used_inodes"], 1)
        assert full["used_bytes"] - empty["used_bytes"] >= 10 * MIB, (empty, full)
        equal(full["flags"], ["counted", "lagging"])
        with open(disk, "rb") as file:
            boot = file.read(512)
        mft = int.from_bytes(boot[0x30:0x38], "little") * boot[0x0d] * 512
        wipe(disk, mft, 4096)
        assert "damaged" in structures(disk)["", "ntfs"]["flags"]


def test_fat_exfat_and_swap_are_known(_):
    for kind, tool in (("fat", ["mkfs.vfat", "-F", "32"]), ("fat", ["mkfs.vfat", "-F", "16"]),
                       ("exfat", ["mkfs.exfat"]), ("swap", ["mkswap"])):
        with image(128 * MIB, *tool) as disk:
            (_, found), = structures(disk)
            equal(found, kind)


def test_gpt_is_read_from_either_copy(_):
    with image(256 * MIB) as disk:
        run("sgdisk", "-n", "1:2048:+64M", "-n", "2:0:0", disk)
        loop = disk.parent / "part"
        run("cp", disk, loop)
        both = structures(disk)
        equal(both["", "gpt"]["flags"], [])
        equal([path for path, kind in both if kind == "partition"], ["p1", "p2"])
        equal(both["p1", "partition"]["length"], 64 * MIB)
        wipe(disk, 0, MIB)
        seen = structures(disk)
        equal(seen["", "gpt"]["flags"], ["primary-bad"])
        equal(seen["p1", "partition"]["uuid"], both["p1", "partition"]["uuid"])
        run("cp", loop, disk)
        wipe(disk, 256 * MIB - 512, 512)
        equal(structures(disk)["", "gpt"]["flags"], ["backup-bad"])
        wipe(disk, 0, MIB)
        equal(structures(disk), {})


def test_gpt_that_the_mbr_does_not_announce_is_bad(_):
    with image(256 * MIB) as disk:
        run("sgdisk", "-n", "1:2048:+64M", disk)
        wipe(disk, 0, 512)
        equal(structures(disk)["", "gpt"]["flags"], ["primary-bad"])


def test_swap_with_a_hibernated_system_is_swap(_):
    with image(64 * MIB, "mkswap") as disk:
        first = structures(disk)
        with open(disk, "r+b") as file:
            file.seek(4086)
            file.write(b"S1SUSPEND\0")
        equal(structures(disk), first)


def test_what_is_written_over_a_filesystem_that_shows_through_is_seen(_):
    tables = {"mbr": ["sfdisk", "-q", "-f"], "gpt": ["sgdisk", "-o", "-n", "1:2048:0"]}
    for kind, mkfs in (("ext", ["mkfs.ext4", "-q", "-F"]), ("xfs", ["mkfs.xfs", "-q", "-f"]), ("btrfs", ["mkfs.btrfs", "-q", "-f"])):
        for table, tool in tables.items():
            if (kind, table) == ("ext", "gpt"):
                continue  # its second sector is the superblock: nothing is left of it
            with image(512 * MIB, *mkfs) as disk:
                equal(list(structures(disk)), [("", kind)])
                run(*tool, disk, **({"input": "2048\n"} if table == "mbr" else {}))
                run("mkfs.ext4", "-q", "-F", "-E", f"nodiscard,offset={MIB}", disk, "200M")
                seen = structures(disk)
                equal(list(seen), [("", kind), ("", table), ("p1", "partition"), ("p1", "ext")])
                assert "overlaid" in seen["", kind]["flags"] and "overlaid" not in seen["p1", "ext"]["flags"], seen
    with image(512 * MIB, "mkfs.btrfs", "-q", "-f") as disk:
        run("mkntfs", "-Q", "-q", "-F", disk)
        seen = structures(disk)
        equal(list(seen), [("", "btrfs"), ("", "ntfs")])
        assert "overlaid" in seen["", "btrfs"]["flags"] and "overlaid" not in seen["", "ntfs"]["flags"], seen


def test_what_mkfs_left_of_a_table_is_not_beside_it(_):
    for tool in (["mkfs.ext4", "-q", "-F"], ["mkfs.xfs", "-q", "-f"], ["mkfs.btrfs", "-q", "-f"], ["mkntfs", "-Q", "-q", "-F"], ["mkfs.vfat", "-I"]):
        for table in (["sgdisk", "-n", "1:2048:0"], ["sfdisk", "-q"]):
            with image(512 * MIB) as disk:
                run(*table, disk, **({"input": "2048\n"} if table[0] == "sfdisk" else {}))
                run(*tool, disk)
                (path, _), = structures(disk)
                equal(path, "")


def test_mbr_partitions_and_what_is_in_them(_):
    with image(256 * MIB) as disk:
        table = "1: start=2048,size=100M\n2: size=120M,type=E\n5: size=40M\n6: size=20M\n"
        run("sfdisk", "-q", disk, input=table)
        run("mkfs.ext4", "-q", "-E", f"offset={MIB}", disk, "100M")
        seen = structures(disk)
        assert ("p1", "ext") in seen and ("p5", "partition") in seen and ("p6", "partition") in seen, seen
        equal(seen["p1", "ext"]["offset"], MIB)


@contextlib.contextmanager
def lvm(disk):
    """Runs LVM's tools on a disk, without device-mapper."""
    loop = run("losetup", "-f", "--show", disk).strip()
    options = ["--driverloaded", "n", "--config", f'devices {{ filter=["a|^{loop}$|","r|.*|"] use_devicesfile=0 }} backup {{ backup=0 archive=0 }}']
    try:
        yield lambda tool, *more: run(tool, *options, "-qq", *[loop if word == "DISK" else word for word in more])
    finally:
        run("losetup", "-d", loop)


def test_lvm_volumes_are_followed(_):
    with image(256 * MIB) as disk:
        volume = disk.parent / "lv"
        with lvm(disk) as tool:
            tool("pvcreate", "DISK")
            tool("vgcreate", "v", "DISK")
            for name, size in (("a", "40m"), ("b.x-y+z", "20m")):
                tool("lvcreate", "-an", "-Zn", "-L", size, "-n", name, "v")
            tool("lvextend", "-L", "+12m", "v/a")
        seen = structures(disk)
        equal([path for path, kind in seen if kind == "lv"], ["a", "b.x-y+z"])
        equal(seen["a", "lv"]["length"], 52 * MIB)
        start = seen["a", "lv"]["offset"]
        with open(volume, "wb") as file:
            file.truncate(40 * MIB)
        run("mkfs.ext4", "-q", volume)
        with open(volume, "rb") as source, open(disk, "r+b") as file:
            file.seek(start)
            shutil.copyfileobj(source, file)
        seen = structures(disk)
        equal(seen["a", "ext"]["total_bytes"], 40 * MIB)
        wipe(disk, 4096, 64 * 1024)
        equal(list(structures(disk)), [("", "pv")])
        wipe(disk, 0, 4096)
        assert ("", "pv") not in structures(disk)


def logical_volume(number, name, visible, segment):
    status = '["READ", "WRITE", "VISIBLE"]' if visible else '["READ", "WRITE"]'
    return (f'{name} {{\nid = "{f"{number:06}-" + "-".join(["AAAA"] * 5)}-AAAAAA"\nstatus = {status}\nflags = []\nsegment_count = 1\n'
            f'segment1 {{\nstart_extent = 0\nextent_count = 5\n{segment}\n}}\n}}\n')


def test_lvm_volumes_that_cannot_be_followed_are_known_and_pieces_are_not(_):
    with image(256 * MIB) as disk:
        text = disk.parent / "text"
        linear = 'type = "striped"\nstripe_count = 1\nstripes = [ "pv0", %u ]'
        with lvm(disk) as tool:
            tool("pvcreate", "DISK")
            tool("vgcreate", "v", "DISK")
            tool("lvcreate", "-an", "-Zn", "-L", "20m", "-n", "plain", "v")
            tool("vgcfgbackup", "-f", text, "v")
            made = [logical_volume(1, "snapshot0", True, 'type = "snapshot"\nchunk_size = 8\norigin = "plain"\ncow_store = "snap"'),
                    logical_volume(2, "snap", True, linear % 5),
                    logical_volume(3, "pool_tmeta", False, linear % 10), logical_volume(4, "pool_tdata", False, linear % 15),
                    logical_volume(5, "pool", True, 'type = "thin-pool"\nmetadata = "pool_tmeta"\npool = "pool_tdata"\ntransaction_id = 2\nchunk_size = 128'),
                    logical_volume(6, "thin", True, 'type = "thin"\nthin_pool = "pool"\ntransaction_id = 0\ndevice_id = 1'),
                    logical_volume(7, "clone", True, 'type = "thin"\nthin_pool = "pool"\ntransaction_id = 1\ndevice_id = 2\norigin = "thin"')]
            text.write_text(text.read_text().replace("\t\tplain {", "".join(made) + "\t\tplain {"))
            tool("vgcfgrestore", "--force", "-y", "-f", text, "v")
        with open(disk, "r+b") as file:
            for extent in (5, 10, 15):  # what is in a store or a pool's pieces is nobody's filesystem
                file.seek(MIB + extent * 4 * MIB)
                file.write(os.urandom(8192))
        seen = structures(disk)
        volumes = {path: (item["flags"], item["length"] > 0) for (path, kind), item in seen.items() if kind == "lv"}
        equal(volumes, {"plain": ([], True), "snap": ([], True), "pool": (["opaque"], False), "thin": (["opaque"], True),
                        "clone": (["opaque"], False)})
        equal([path for path, kind in seen if kind == "unknown"], [])
        assert seen["thin", "lv"]["uuid"] != seen["plain", "lv"]["uuid"]


def encrypt(disk, kind):
    run("cryptsetup", "luksFormat", "-q", "--type", kind, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
        disk, "-", input="secret")


def test_luks_keys_that_are_erased_show(_):
    for kind in ("luks1", "luks2"):
        with image(64 * MIB) as disk:
            encrypt(disk, kind)
            first = structures(disk)["", "luks"]
            equal(first["flags"], ["opaque"])
            equal(first["uuid"], run("cryptsetup", "luksUUID", disk).strip().replace("-", ""))
            run("cryptsetup", "luksChangeKey", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
                disk, input="secret\nother\n")
            second = structures(disk)["", "luks"]
            assert second["generation"] != first["generation"] and second["digest"] != first["digest"]
            run("cryptsetup", "erase", "-q", disk)
            assert "keys-gone" in structures(disk)["", "luks"]["flags"]


def key_areas(disk):
    """Where each key lies: (first byte, length)."""
    lines = run("cryptsetup", "luksDump", disk).splitlines()
    for at, line in enumerate(lines):
        word = line.split(":")[-1].split()
        if "Area offset" in line:
            yield int(word[0]), int(lines[at + 1].split(":")[-1].split()[0])
        elif "Key material offset" in line:
            yield int(word[0]) * 512, 256000


def test_luks_keys_are_looked_at_to_their_last_sector(_):
    for kind in ("luks1", "luks2"):
        with image(64 * MIB) as disk:
            encrypt(disk, kind)
            first, whole = look(disk), disk.read_bytes()
            (start, length), = key_areas(disk)
            for at in (start, start + length // 2 // 512 * 512, start + 255488):
                disk.write_bytes(whole)
                with open(disk, "r+b") as file:
                    file.seek(at)
                    file.write(os.urandom(512))
                second = look(disk)["structures"][0]
                equal(second["generation"], first["structures"][0]["generation"])
                assert second["digest"] != first["structures"][0]["digest"], f"{kind}: a sector at {at - start} of {length}"
            assert first["read_bytes"] < 2 * MIB, first["read_bytes"]


def test_luks_volume_key_tells_a_format_from_another_key(_):
    for kind in ("luks1", "luks2"):
        with image(64 * MIB) as disk:
            encrypt(disk, kind)
            keys = [structures(disk)["", "luks"]["key"]]
            identity = run("cryptsetup", "luksUUID", disk).strip()
            run("cryptsetup", "luksAddKey", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", disk, input="secret\nother\n")
            keys.append(structures(disk)["", "luks"]["key"])
            if kind == "luks1":
                run("cryptsetup", "convert", "-q", "--type", "luks2", disk)
                keys.append(structures(disk)["", "luks"]["key"])
            assert keys[0] != 0 and len(set(keys)) == 1, (kind, keys)
            run("cryptsetup", "luksFormat", "-q", "--type", kind, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--uuid", identity,
                disk, "-", input="secret")
            again = structures(disk)["", "luks"]
            equal(again["uuid"], identity.replace("-", ""))
            assert again["key"] not in (0, keys[0])


def test_luks_encrypted_anew_goes_on_counting(_):
    with image(64 * MIB) as disk:
        key = disk.parent / "key"
        key.write_text("secret")
        encrypt(disk, "luks2")
        before = structures(disk)["", "luks"]
        anew = ["cryptsetup", "reencrypt", "-q", "--key-file", key, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
        run(*anew, "--init-only", disk)
        equal(structures(disk)["", "luks"]["key"], 0)  # which one counts is not said
        run("cryptsetup", "reencrypt", "-q", "--key-file", key, "--force-offline-reencrypt", "--resume-only", disk)
        after = structures(disk)["", "luks"]
        assert after["key"] not in (0, before["key"]) and after["generation"] >= before["generation"] + 4, (before, after)


def test_luks_many_keys_are_read_within_bounds(_):
    with image(64 * MIB) as disk:
        encrypt(disk, "luks2")
        for _ in range(11):
            run("cryptsetup", "luksAddKey", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", disk, input="secret\nsecret\n")
        seen = look(disk)
        equal(seen["structures"][0]["flags"], ["opaque"])
        assert seen["read_bytes"] < 2 * MIB, seen["read_bytes"]


def test_luks2_is_found_by_its_second_header(_):
    with image(64 * MIB) as disk:
        encrypt(disk, "luks2")
        wipe(disk, 0, 4096)
        equal(structures(disk)["", "luks"]["flags"], ["primary-bad", "opaque"])


def test_random_bytes_are_unknown_and_zeros_nothing(_):
    with image(16 * MIB) as disk:
        equal(structures(disk), {})
        with open(disk, "r+b") as file:
            file.write(os.urandom(8 * MIB))
        equal(list(structures(disk)), [("", "unknown")])


main(bed=False)
