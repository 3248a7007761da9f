#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks of guests that are thin volumes, cloned by the lvmthin storage plugin in a real kernel."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from lvm import BUILD, Group, run
from suite import equal, main, timeout


@timeout(500)
def test_clones_hold_what_the_disks_held_and_rollback_keeps_what_was_there(_):
    group = Group()
    disks = [group.volume("web-01", "16M", tag="operators"), group.volume("web01.data", "12M")]
    before = group.volumes()
    done = subprocess.run(
        [BUILD / "guardd-plugin-check", BUILD / "plugins/storage-lvmthin.so", *sum((["--source", disk] for disk in disks), []),
         f"volume_group={group.name}", f"thin_pool={group.pool}", "pool_id=1a2b3c4d", f"libexec_dir={BUILD}", "idle_seconds=90"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )
    broken = [line for line in done.stdout.splitlines() if not line.startswith("ok")]
    assert done.returncode == 0, "\n".join(broken)
    print("#", broken[-1], flush=True)
    equal(group.ours(), {})
    after = group.volumes()
    equal(sorted(after), sorted(before))
    for name in before:
        equal({name: {**after[name], "origin": ""}}, {name: before[name]})
    equal(group.suspended(), [])


main(bed=False, inside=True)
