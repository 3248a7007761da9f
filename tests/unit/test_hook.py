#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirt's hook finds the journals where guardd keeps them."""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import equal, main

HOOK = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "libvirt-hook"
UUID = "11111111-2222-3333-4444-555555555555"


def refuses(**environment):
    done = subprocess.run([HOOK, "web01", "prepare", "begin", "-"], input=f"<domain>\n  <uuid>{UUID}</uuid>\n</domain>\n", text=True,
                          capture_output=True, env={**os.environ, **{name: str(value) for name, value in environment.items()}})
    equal("has not finished rolling web01 back" in done.stderr, done.returncode != 0)
    return done.returncode != 0


def test_it_reads_state_dir_of_the_configuration(_):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        state, empty, conf = folder / "a state", folder / "empty", folder / "guardd.conf"
        (state / "rollback").mkdir(parents=True)
        (state / "rollback" / f"{UUID}.json").write_text('{"step": "write"}')
        for text, refused in ((f"[daemon]\nuri = x\n  state_dir = {state} \n[pool main]\nstate_dir = /nowhere\n", True),
                              (f"[daemon]\n# state_dir = {state}\n", False),
                              (f"[pool main]\nstate_dir = {state}\n", False)):
            conf.write_text(text)
            equal((text, refuses(GUARDD_CONF=conf)), (text, refused))
            equal(refuses(GUARDD_CONF=conf, GUARDD_STATE_DIR=state), True)
            equal(refuses(GUARDD_CONF=conf, GUARDD_STATE_DIR=empty), False)
        equal(refuses(GUARDD_CONF=folder / "none"), False)


main(bed=False)
