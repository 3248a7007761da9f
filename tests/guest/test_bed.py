#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux guests of the test bed: they boot, make filesystems, write and read."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import Disk, GuestError, equal, main


def test_filesystems_keep_files_over_a_reboot(bed):
    guest = bed.linux_guest("mail01", [Disk("64M", "raw"), Disk("320M", "qcow2")])
    for device, kind in (("vda", "ext4"), ("vdb", "xfs")):
        guest.sh(f"mkfs.{kind} -q /dev/{device} && mkdir /mnt/{device} && mount -t {kind} /dev/{device} /mnt/{device}")
        guest.sh(f"echo hello {kind} > /mnt/{device}/letter; sync")
    guest.destroy()
    guest.start()
    for device, kind in (("vda", "ext4"), ("vdb", "xfs")):
        guest.sh(f"mkdir /mnt/{device} && mount -t {kind} /dev/{device} /mnt/{device}")
        equal(guest.sh(f"cat /mnt/{device}/letter"), f"hello {kind}\n")


def test_shell_tells_output_and_status(bed):
    guest = bed.linux_guest("mail01")
    equal(guest.try_sh("echo out; echo err >&2; exit 3"), ("out\nerr\n", 3))
    equal(guest.try_sh("printf 'no newline'"), ("no newline", 0))
    equal(guest.sh("echo '" + "x" * 10000 + "' | wc -c"), "10001\n")
    assert len(guest.sh("seq 20000")) == len("".join(f"{i}\n" for i in range(1, 20001)))
    try:
        guest.sh("false")
    except GuestError as error:
        assert "exit status 1" in str(error)
    else:
        raise AssertionError("a failure was not raised")


def test_a_disk_can_be_plugged_and_unplugged(bed):
    guest = bed.linux_guest("mail01")
    guest.attach(Disk("32M", "qcow2"))
    bed.wait(lambda: guest.try_sh("test -b /dev/vdb")[1] == 0, 30, "the guest to see vdb")
    guest.sh("mkfs.ext4 -q /dev/vdb")
    guest.detach("vdb")
    equal(guest.try_sh("test -b /dev/vdb")[1], 1)


main()
