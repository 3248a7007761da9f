# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting for conditions, never for a time."""
import time


class Late(AssertionError):
    pass


def until(condition, timeout, what):
    """Calls condition() until it returns something true, and returns that; Late, naming `what`, after `timeout` seconds."""
    end = time.monotonic() + timeout
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Late(f"waited {timeout} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
