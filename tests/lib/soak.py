# SPDX-License-Identifier: GPL-2.0-or-later
"""A long run: 30 guests at a 2 s interval, three of them booted, all writing.  Used by make soak and by a short test."""
import os
import pathlib
import random
import threading
import time

from disk import Disk
from linux import LinuxGuest

INTERVAL = 2
KEEP = "30x2s 30x1min"
COLUMNS = ("seconds", "snapshots", "missed", "failures", "rss_mib", "descriptors", "threads", "cpu_%", "pool_mib", "libvirtd_mib")
# Number after number into the same 64 blocks, so that a run of any length stays small.
WRITER = """
i=0
while :; do
  i=$((i + 1))
  printf '%0511d\\n' $i | dd of=/dev/vda bs=512 seek=$((i % 64 * 128)) conv=fsync,notrunc 2>/dev/null || echo failed >/tmp/failed
  usleep 200000
done
"""


class Writes(threading.Thread):
    """A write to every paused guest in turn, each about once an interval; the same places in every run."""

    def __init__(self, guests):
        super().__init__(daemon=True)
        self.guests, self.ending, self.failure, self.count = guests, threading.Event(), None, 0
        self.random = random.Random(1)

    def run(self):
        try:
            while not self.ending.is_set():
                for guest in self.guests:
                    guest.write("vda", self.random.randrange(0, 2000) * 65536, "64k", self.random.randrange(1, 255))
                    self.count += 1
                    if self.ending.wait(INTERVAL / len(self.guests)):
                        return
        except Exception as failure:  # the soak ends with it
            self.failure = failure

    def end(self):
        self.ending.set()
        self.join(30)
        if self.failure:
            raise self.failure


def status(pid, field):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Soak:
    def __init__(self, bed, booted=3, paused=27):
        self.bed = bed
        bed.guardd(interval="7d", keep=KEEP, protect="nothing")  # the guests are to be there before the clock runs
        self.booted = [bed.linux_guest(f"booted{number}", [Disk("128M", "qcow2")]) for number in range(booted)]
        self.paused = [bed.paused_guest(f"paused{number:02}", [Disk("128M", "qcow2")]) for number in range(paused)]
        bed.daemon.stop()
        for guest in self.booted:
            guest.spawn(WRITER)
        self.writes = Writes(self.paused)
        self.writes.start()
        self.daemon = bed.guardd(interval=f"{INTERVAL}s", keep=KEEP, protect="*")
        self.guests = self.booted + self.paused
        bed.wait(lambda: all(domain["snapshots"] for domain in self.domains()), 120, "a first snapshot of each guest")
        self.begin, self.cpu = time.monotonic(), cpu_seconds(self.daemon.pid)
        self.first = {name: number + missed for name, (number, missed) in self.taken().items()}

    def domains(self):
        return self.bed.sh("list")["domains"]

    def taken(self):
        """{name: (intervals that had a snapshot or needed none, missed intervals)}"""
        found = {}
        for domain in self.domains():
            newest = self.bed.sh("snapshot-info", domain["name"], "latest")
            info = self.bed.sh("dominfo", domain["name"])
            found[domain["name"]] = newest["number"] + info["unchanged_intervals"], info["missed_intervals"]
        return found

    def sample(self):
        taken = self.taken()
        pid, elapsed = self.daemon.pid, time.monotonic() - self.begin
        pool = self.bed.sh("pool-info", "main")
        return {
            "seconds": round(elapsed), "snapshots": sum(number for number, _ in taken.values()),
            "missed": sum(missed for _, missed in taken.values()),
            "failures": sum(domain["failures"] for domain in self.domains()), "rss_mib": round(status(pid, "VmRSS") / 1024, 1),
            "descriptors": descriptors(pid), "threads": status(pid, "Threads"),
            "cpu_%": round((cpu_seconds(pid) - self.cpu) / elapsed * 100, 1), "pool_mib": pool["stored_bytes"] >> 20,
            "libvirtd_mib": round(status(self.bed.libvirtd.process.pid, "VmRSS") / 1024, 1),
        }

    def run(self, seconds, samples, tell):
        """Samples over the time; tell(line) is called with each row of the table."""
        tell(" ".join(f"{column:>12}" for column in COLUMNS))
        rows = []
        for number in range(1, samples + 1):
            while (left := self.begin + seconds * number / samples - time.monotonic()) > 0:
                if self.writes.failure:
                    raise self.writes.failure
                time.sleep(min(left, 1))
            rows.append(self.sample())
            tell(" ".join(f"{rows[-1][column]:>12}" for column in COLUMNS))
        return rows

    def unaccounted(self):
        """Intervals of any guest that were neither taken nor counted as missed."""
        intervals = (time.monotonic() - self.begin) / INTERVAL
        done = {name: number + missed - self.first[name] for name, (number, missed) in self.taken().items()}
        return max(abs(intervals - count) for count in done.values())

    def end(self):
        """Everything stops; the number of snapshots that verify."""
        self.writes.end()
        for guest in self.guests:
            self.bed.sh("unprotect", guest.name)
        self.bed.wait(lambda: not any(domain.get("busy") for domain in self.domains()), 60, "captures to end")
        for guest in self.booted:
            assert isinstance(guest, LinuxGuest) and guest.state() == "running", guest.name
            assert guest.try_sh("test -e /tmp/failed")[1] == 1, f"{guest.name}: a write failed"
        return sum(len(self.bed.sh("snapshot-verify", guest.name, timeout=600)["verified"]) for guest in self.guests)


def descriptors(pid):
    """The fewest that are open within an interval: captures under way have more, and a slow host has more of them under way."""
    counts = []
    for _ in range(20):
        counts.append(len(os.listdir(f"/proc/{pid}/fd")))
        time.sleep(INTERVAL / 20)
    return min(counts)


def flat(rows, column, allowance):
    """No growth from the first third to the last, beyond so much."""
    third = max(1, len(rows) // 3)
    before, after = (sum(row[column] for row in part) / third for part in (rows[:third], rows[-third:]))
    return after <= before + allowance, f"{column}: {before:.1f} in the first third, {after:.1f} in the last"
