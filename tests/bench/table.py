# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of the benchmark: printed as they come, kept for bench.json, and held against what the project promises."""
import json
import os
import pathlib
import platform
import statistics
import subprocess
import time


def timed(function):
    """(milliseconds, what it returned)"""
    begin = time.monotonic()
    result = function()
    return (time.monotonic() - begin) * 1000, result


def median(function, runs):
    return statistics.median(timed(lambda: function(run))[0] for run in range(runs))


def first_line(*command):
    return (subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines() or ["?"])[0]


def machine(folder):
    """On what this ran."""
    processors = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    filesystem = first_line("findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", folder).split()
    return {
        "kernel": platform.release(), "processors": len(processors), "processor": processors[0] if processors else "?",
        "memory_gib": pages >> 30, "filesystem": " ".join(filesystem),
        "qemu": first_line("qemu-system-x86_64", "--version"), "libvirt": first_line("virsh", "--version"),
    }


class Table:
    def __init__(self, where):
        self.where, self.rows, self.promises = where, [], []
        print("# " + ", ".join(f"{key} {value}" for key, value in where.items()), flush=True)

    def row(self, what, value, unit="ms", peers=None, **more):
        """peers: {name: value} of the same unit."""
        peers = peers or {}
        self.rows.append({"what": what, "value": round(value, 3), "unit": unit, "peers": peers, **more})
        beside = "".join(f"   {name} {other:.1f} {unit} ({other / value:.1f} x)" for name, other in peers.items())
        notes = "".join(f"   {key} {note}" for key, note in more.items())
        print(f"{what:58} {value:9.2f} {unit:4}{beside}{notes}", flush=True)
        return value

    def promise(self, what, value, limit, above=False):
        """A figure that the project promises to keep below (or above) a limit."""
        kept = value >= limit if above else value <= limit
        self.promises.append({"what": what, "value": round(value, 3), "limit": limit, "kept": kept})
        print(f"  {'kept  ' if kept else 'BROKEN'} {what}: {value:.2f}, promised {'at least' if above else 'at most'} {limit}", flush=True)

    def end(self, path):
        """True when every promise was kept."""
        document = {"machine": self.where, "rows": self.rows, "promises": self.promises}
        pathlib.Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        broken = sum(not promise["kept"] for promise in self.promises)
        print(f"bench: {len(self.promises) - broken} of {len(self.promises)} promises kept; all figures in {path}")
        return broken == 0
