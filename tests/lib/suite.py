# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the test_* functions of a program, each in a cleared bed, and reports in TAP.

    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
    from suite import Disk, main

    def test_snapshot_sees_a_write(bed): ...

    main()

Run by hand: tests/qemu/test_bed.py [-v] [NAME…]; it enters a bed by itself.
"""
import os
import pathlib
import signal
import sys
import time
import traceback

from appliance import run_inside
from bed import Bed, CommandError, Disk, qemu_open_files
from guest import GuestError
from wait import until

__all__ = ["equal", "Bed", "CommandError", "Disk", "GuestError", "Skip", "main", "qemu_open_files", "timeout", "until"]

TIMEOUT = 120
PATIENCE = int(os.environ.get("GUARDD_PATIENCE", "1"))


class Skip(Exception):
    """Raise with the reason."""


class Overdue(Exception):
    pass


def equal(found, expected):
    """assert found == expected, but saying both."""
    assert found == expected, f"found {found!r}, expected {expected!r}"


def timeout(seconds):
    """A test that may take longer than TIMEOUT."""

    def mark(function):
        function.timeout = seconds
        return function

    return mark


def overdue(*_):
    raise Overdue("the test's time is over")


def run_one(function, bed):
    """None when it passed, else what to print."""
    signal.signal(signal.SIGALRM, overdue)
    signal.alarm(getattr(function, "timeout", TIMEOUT) * PATIENCE)
    try:
        function(bed)
        return None
    except Skip:
        raise
    except Exception:
        signal.alarm(0)
        return (bed.report() + "\n" if bed else "") + traceback.format_exc()
    finally:
        signal.alarm(0)


def report(number, name, failure, seconds):
    print(f"{'not ok' if failure else 'ok'} {number} {name}")
    for line in (failure or "").splitlines():
        print("#", line)
    print(f"# {seconds:.2f} s", flush=True)


def run_all(functions, bed):
    failed = 0
    print(f"1..{len(functions)}", flush=True)
    for number, (name, function) in enumerate(functions, 1):
        start = time.monotonic()
        try:
            failure = run_one(function, bed)
        except Skip as skip:
            print(f"ok {number} {name} # SKIP {skip}", flush=True)
        else:
            report(number, name, failure, time.monotonic() - start)
            failed += bool(failure)
        if bed:
            bed.clear()
            for log in bed.run.glob("*.log"):
                os.truncate(log, 0)
    return failed


def main(bed=True, inside=False, **bed_options):
    """bed=False: for tests that need none; they are called with None.  Options are those of class Bed.
    inside=True: in a guest with a device-mapper (appliance.py), all of the program, its bed too."""
    inside = inside and "GUARDD_INSIDE" not in os.environ
    if (bed or inside) and "BED_INSIDE" not in os.environ:
        enter = pathlib.Path(__file__).with_name("enter")
        os.execv(enter, [str(enter), sys.executable, *sys.argv])
    if inside:
        sys.exit(run_inside(sys.argv[0], sys.argv[1:]))
    space = vars(sys.modules["__main__"])
    functions = [(name, value) for name, value in space.items() if name.startswith("test_") and callable(value)]
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    if wanted:
        functions = [(name, value) for name, value in functions if any(word in name for word in wanted)]
    if not bed:
        sys.exit(1 if run_all(functions, None) else 0)
    start = time.monotonic()
    with Bed(**bed_options) as bed:
        print(f"# the bed is up after {time.monotonic() - start:.2f} s")
        failed = run_all(functions, bed)
    sys.exit(1 if failed else 0)
