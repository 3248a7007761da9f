# SPDX-License-Identifier: GPL-2.0-or-later
"""The test bed: a private libvirtd, guests, guardd.  Made and torn down by suite.main(); see tests/README.md."""
import os
import pathlib
import shutil
import signal
import subprocess

from daemon import Guardd
from disk import Disk
from guest import PausedGuest
from libvirtd import Libvirtd
from linux import LinuxGuest
from wait import until

__all__ = ["Bed", "Disk", "CommandError", "qemu_open_files"]

UNDEFINE = ["--nvram", "--checkpoints-metadata", "--snapshots-metadata"]
ROOT = pathlib.Path(__file__).resolve().parents[2]


class CommandError(Exception):
    def __init__(self, argv, status, output):
        super().__init__(f"{' '.join(map(str, argv))}: exit status {status}: {output.strip()}")
        self.status, self.output = status, output


def run(argv, timeout=60, **options):
    """Output of a command; CommandError when it fails.  Never waits for input."""
    done = subprocess.run(
        [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="replace", timeout=timeout, **options,
    )
    if done.returncode:
        raise CommandError(argv, done.returncode, done.stderr + done.stdout)
    return done.stdout


def qemu_open_files(folder):
    """[(pid, path)]: files under `folder` that a process named qemu… has open or mapped."""
    folder = os.path.realpath(folder)
    found = set()
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if not (process / "comm").read_text().startswith("qemu"):
                continue
            paths = [os.readlink(fd) for fd in (process / "fd").iterdir()]
            paths += [line.split(maxsplit=5)[5] for line in (process / "maps").read_text().splitlines() if "/" in line]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        found |= {(int(process.name), path) for path in paths if path.startswith(folder + "/")}
    return sorted(found)


class Bed:
    """qemu_conf: settings to override, values as in the file, e.g. {"user": '"libvirt-qemu"'}."""

    def __init__(self, qemu_conf=None):
        if "BED_INSIDE" not in os.environ:
            raise RuntimeError("not inside a bed: run tests/lib/enter PROGRAM")
        self.build = pathlib.Path(os.environ["BUILD"])
        self.root = ROOT
        self.run = pathlib.Path("/run/bed")
        self.images = pathlib.Path("/var/lib/libvirt/images")
        self.state = pathlib.Path("/var/lib/guardd")
        self.libvirt_run = pathlib.Path("/run/libvirt/qemu")
        self.libvirtd = Libvirtd(self.build, self.run / "libvirtd.log", qemu_conf)
        self.guests = {}
        self.daemon = None

    def __enter__(self):
        self.libvirtd.start()
        return self

    def __exit__(self, *_):
        self.clear()
        self.libvirtd.end()

    # libvirt

    def virsh(self, *words, timeout=60):
        return run(["virsh", "-q", "-c", "qemu:///system", *words], timeout)

    def libvirt_start(self):
        self.libvirtd.start()

    def libvirt_stop(self):
        self.libvirtd.end()

    def libvirt_kill(self):
        self.libvirtd.end(signal.SIGKILL)

    # Guests

    def _guest(self, guest, start):
        self.guests[guest.name] = guest
        guest.define()
        if start:
            guest.start()
        return guest

    def paused_guest(self, name, disks=None, start=True, **options):
        return self._guest(PausedGuest(self, name, disks or [Disk()], **options), start)

    def linux_guest(self, name, disks=None, start=True, **options):
        """Booted, with a root shell: guest.sh()."""
        return self._guest(LinuxGuest(self, name, disks or [Disk()], **options), start)

    # guardd

    def guardd(self, config=None, **options):
        """Starts guardd and waits until it answers: `config` is guardd.conf's text, or options of daemon.config_text()."""
        self.daemon = Guardd(self, config, **options)
        self.daemon.start()
        return self.daemon

    def sh(self, *words, **options):
        """guardsh --json WORDS → its document."""
        return self.daemon.sh(*words, **options)

    def wait(self, condition, timeout=30, what="a condition"):
        return until(condition, timeout, what)

    # Between tests

    def clear(self):
        """As after __enter__: no guests, no guardd, empty folders."""
        if self.daemon:
            self.daemon.kill()
            self.daemon = None
        if not self.libvirtd.running:
            self.libvirtd.start()
        for guest in self.guests.values():
            guest.close()
        self.guests = {}
        # All at once: libvirt takes 0.2 s for each destroy.
        for name in self.virsh("list", "--name").split():
            os.kill(int((self.libvirt_run / f"{name}.pid").read_text()), signal.SIGKILL)
        until(lambda: not self.virsh("list", "--name").strip(), 30, "all guests to end")
        for name in self.virsh("list", "--all", "--name").split():
            self.virsh("undefine", name, *UNDEFINE)
        for folder in (self.images, self.state):
            empty(folder)

    def report(self):
        """What to look at when a test failed: the tails of all logs."""
        parts = []
        for log in [*sorted(self.run.glob("*.log")), *sorted(pathlib.Path("/var/log/libvirt/qemu").glob("*.log"))]:
            # A line that ends in a backslash is a piece of QEMU's command line.
            lines = [line for line in log.read_text(errors="replace").splitlines() if not line.endswith("\\")][-60:]
            if lines:
                parts += [f"--- {log}", *lines]
        return "\n".join(parts)


def empty(folder):
    """Loop-mounted pools and sealed (immutable) files included."""
    mounts = [line.split()[1] for line in open("/proc/mounts", encoding="utf-8")]
    for mount in reversed([path for path in mounts if path.startswith(f"{folder}/")]):
        run(["umount", mount])
    subprocess.run(["chattr", "-R", "-f", "-i", folder], stdin=subprocess.DEVNULL, capture_output=True)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
