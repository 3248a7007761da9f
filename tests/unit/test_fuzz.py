#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A short run of every fuzz target; make fuzz is the long one."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import main

FUZZ = pathlib.Path(__file__).resolve().parent.parent / "fuzz"


def test_five_seconds_of_fuzzing_find_nothing(_):
    done = subprocess.run([FUZZ / "run", "5"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    assert "fuzz: no finding" in done.stdout and "number_of_executed_units" in done.stdout, done.stdout


main(bed=False)
