#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Domains and disks come, go and change while guardd runs."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import Disk, equal, main


def domains(bed):
    return {d["name"]: d for d in bed.sh("list")["domains"]}


def count(bed, name):
    return domains(bed).get(name, {}).get("snapshots", 0)


def newest(bed, name):
    return bed.sh("snapshot-info", name, "latest")


def test_a_new_domain_is_protected(bed):
    bed.guardd(interval="7d")
    equal(domains(bed), {})
    bed.paused_guest("web01")
    bed.wait(lambda: count(bed, "web01") == 1, 30, "a snapshot of it")


def test_an_undefined_domain_keeps_its_snapshots(bed):
    guest = bed.paused_guest("web01")
    bed.guardd(interval="7d")
    bed.wait(lambda: count(bed, "web01") == 1, 30, "a snapshot")
    guest.destroy()
    bed.wait(lambda: count(bed, "web01") == 2, 30, "one of the shutdown")
    guest.undefine()
    bed.wait(lambda: domains(bed)["web01"]["state"] == "undefined", 30, "guardd to see it")
    equal(len(bed.sh("snapshot-list", "web01")["snapshots"]), 2)


def test_a_guest_protected_while_its_qemu_is_looked_at_does_not_wait_for_an_interval(bed):
    guest = bed.paused_guest("web01")
    os.kill(guest.pid(), signal.SIGSTOP)
    try:
        bed.guardd(interval="7d", protect="nothing")
        bed.wait(lambda: "web01" in domains(bed), 30, "guardd to see it")
        bed.sh("protect", "web01")
    finally:
        os.kill(guest.pid(), signal.SIGCONT)
    bed.wait(lambda: count(bed, "web01") == 1, 30, "a snapshot of it")


def test_power_off_and_start_are_followed(bed):
    guest = bed.paused_guest("web01")
    bed.guardd(interval="7d")
    bed.wait(lambda: count(bed, "web01") == 1, 30, "a snapshot")
    guest.destroy()
    bed.wait(lambda: domains(bed)["web01"]["state"] == "shut off", 30, "guardd to see the end")
    guest.start()
    bed.wait(lambda: domains(bed)["web01"]["state"] == "paused", 30, "guardd to see the start")
    equal(bed.sh("snapshot-create", "web01")["engine"], "qmp")


def test_a_hot_plugged_disk_is_in_the_next_snapshot(bed):
    guest = bed.paused_guest("web01")
    bed.guardd(interval="7d")
    bed.wait(lambda: count(bed, "web01") == 1, 30, "a snapshot")
    guest.attach(Disk("32M", "qcow2"))
    guest.write("vdb", 0, "1M", 6)
    bed.wait(lambda: len(bed.sh("dominfo", "web01")["disks"]) == 2, 30, "guardd to see the disk")
    disks = {d["target"]: d for d in bed.sh("snapshot-create", "web01")["disks"]}
    equal(sorted(disks), ["vda", "vdb"])
    equal((disks["vda"]["full_reason"], disks["vdb"]["parent"]), (None, None))


def test_a_resized_disk_is_captured_with_its_new_size(bed):
    guest = bed.paused_guest("web01", [Disk("32M", "raw")])
    guest.write("vda", 0, "1M", 6)
    bed.guardd(interval="7d")
    bed.wait(lambda: count(bed, "web01") == 1, 30, "a snapshot")
    bed.virsh("blockresize", "web01", "vda", "48M")
    snapshot = bed.sh("snapshot-create", "web01")
    equal(snapshot["disks"][0]["size_bytes"], 48 << 20)
    assert "size" in snapshot["disks"][0]["full_reason"]
    equal(len(bed.sh("snapshot-verify", "web01", "--deep")["verified"]), 2)


def test_a_renamed_domain_stays_the_same(bed):
    guest = bed.paused_guest("web01", start=False)
    bed.guardd(interval="7d")
    bed.wait(lambda: count(bed, "web01") == 1, 30, "a snapshot")
    bed.virsh("domrename", "web01", "web02")
    bed.wait(lambda: count(bed, "web02") == 1, 30, "its snapshot under the new name")
    assert "web01" not in domains(bed)
    guest.name = "web02"


def test_protect_and_unprotect_last_over_a_restart(bed):
    bed.paused_guest("web01")
    bed.paused_guest("db01")
    bed.guardd(interval="7d", protect="web*")
    bed.wait(lambda: count(bed, "web01") == 1, 30, "a snapshot")
    bed.sh("unprotect", "web01")
    bed.sh("protect", "db01")
    bed.wait(lambda: count(bed, "db01") == 1, 30, "a snapshot of the other")
    bed.daemon.restart()
    bed.wait(lambda: domains(bed)["db01"]["state"] == "paused", 30, "guardd to see the guests")
    found = {name: (d["protected"], d["protected_by"]) for name, d in domains(bed).items()}
    equal(found, {"web01": (False, None), "db01": (True, "command")})


def test_libvirtd_may_go_and_come_back(bed):
    guest = bed.paused_guest("web01")
    bed.guardd(interval="1s")
    bed.wait(lambda: count(bed, "web01") >= 1, 30, "a snapshot")
    bed.libvirt_kill()
    bed.wait(lambda: domains(bed)["web01"]["state"] == "unknown", 30, "guardd to see that libvirt is away")
    before = count(bed, "web01")
    guest.write("vda", 0, "1M", 8)
    bed.libvirt_start()
    bed.wait(lambda: count(bed, "web01") > before, 60, "a snapshot after libvirt came back")
    equal(newest(bed, "web01")["disks"][0]["full_reason"], None)
    equal(bed.daemon.process.poll(), None)


def test_many_guests_are_all_captured(bed):
    guests = [bed.paused_guest(f"web{n:02}", [Disk("16M")]) for n in range(12)]
    bed.guardd(interval="2s")
    bed.wait(lambda: all(count(bed, guest.name) >= 1 for guest in guests), 60, "a snapshot of each")
    for number, guest in enumerate(guests, 1):
        guest.write("vda", 0, 65536, number)
    bed.wait(lambda: all(count(bed, guest.name) >= 2 for guest in guests), 60, "another of each")


main()
