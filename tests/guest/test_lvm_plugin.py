#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The lvmthin storage plugin in a real kernel."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from lvm import BUILD, Group, run
from suite import equal, main, timeout


@timeout(600)
def test_it_keeps_the_promises_of_its_kind(_):
    group = Group()
    begin = time.monotonic()
    check = subprocess.Popen(
        [BUILD / "guardd-plugin-check", BUILD / "plugins/storage-lvmthin.so", f"volume_group={group.name}",
         f"thin_pool={group.pool}", "pool_id=1a2b3c4d", f"libexec_dir={BUILD}", "idle_seconds=90"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    said = []
    for line in check.stdout:
        said.append(line.rstrip())
        print(f"# {time.monotonic() - begin:.1f} s", said[-1], flush=True)
    broken = [line for line in said if not line.startswith("ok")]
    assert check.wait() == 0, "\n".join(broken)
    equal(group.ours(), {})
    equal(run("dmsetup", "ls", "--target", "thin").strip().removeprefix("No devices found"), "")  # none is active


if __name__ == "__main__":
    main(bed=False, inside=True)
