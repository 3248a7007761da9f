#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The test bed itself: what the other tests rely on."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import CommandError, Disk, GuestError, main, qemu_open_files, until


def test_paused_guest_reads_what_it_wrote(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "raw"), Disk("64M", "qcow2")])
    for target in ("vda", "vdb"):
        guest.write(target, "1M", "2M", 0xA5)
        assert guest.holds(target, "1M", "2M", 0xA5)
        assert guest.holds(target, "3M", "1M", 0)
        assert not guest.holds(target, "2M", "2M", 0xA5)
        guest.zero(target, "1M", "1M")
        assert guest.holds(target, "1M", "1M", 0)
    assert guest.read("vda", 2 << 20, 64) == b"\xa5" * 64
    assert guest.state() == "paused"


def test_writes_reach_the_image_file(bed):
    guest = bed.paused_guest("web01", [Disk("16M", "raw")])
    guest.write("vda", 0, 4096, 0x5A)
    guest.flush("vda")
    with open(guest.disks[0].path, "rb") as image:
        assert image.read(4097) == b"\x5a" * 4096 + b"\0"


def test_a_write_that_fails_says_so(bed):
    guest = bed.paused_guest("web01", [Disk("16M")])
    try:
        guest.write("vda", "32M", 4096, 1)
    except GuestError as error:
        assert "web01 vda" in str(error)
    else:
        raise AssertionError("a write beyond the end passed")


def test_twenty_guests(bed):
    guests = [bed.paused_guest(f"web{number:02}", [Disk("16M")]) for number in range(20)]
    for number, guest in enumerate(guests, 1):
        guest.write("vda", 0, 65536, number)
    assert all(guest.holds("vda", 0, 65536, number) for number, guest in enumerate(guests, 1))


def test_guests_outlive_libvirtd(bed):
    guest = bed.paused_guest("web01")
    pid = guest.pid()
    bed.libvirt_kill()
    guest.write("vda", 0, 65536, 7)
    bed.libvirt_start()
    assert guest.state() == "paused" and guest.pid() == pid


def test_a_disk_can_be_plugged(bed):
    guest = bed.paused_guest("web01")
    guest.attach(Disk("32M", "qcow2"))
    guest.write("vdb", 0, "1M", 3)
    assert guest.holds("vdb", 0, "1M", 3)


def test_open_files_of_qemu_are_seen(bed):
    guest = bed.paused_guest("web01")
    assert (guest.pid(), guest.disks[0].path) in qemu_open_files(bed.images)
    assert qemu_open_files(bed.state) == []


def test_a_destroyed_guest_is_gone(bed):
    guest = bed.paused_guest("web01")
    pid = guest.pid()
    guest.destroy()
    assert guest.state() == "shut off"
    until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "its QEMU to end")
    guest.start()
    assert guest.state() == "paused"


def test_virsh_errors_are_raised(bed):
    try:
        bed.virsh("dominfo", "nobody")
    except CommandError as error:
        assert error.status == 1 and "nobody" in error.output
    else:
        raise AssertionError("virsh knows a domain that is not there")


def test_network_is_private(bed):
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(links) == 1 and " lo: " in links[0], links


main()
