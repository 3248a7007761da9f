# SPDX-License-Identifier: GPL-2.0-or-later
"""The private libvirtd of a test bed (tests/lib/enter gives it a host of its own)."""
import os
import pathlib
import shutil
import signal
import subprocess

from wait import until

QEMU_CONF = {
    "user": '"root"',
    "group": '"root"',
    "dynamic_ownership": "1",
    "remember_owner": "0",
    "security_driver": '"none"',
    # No systemd, no cgroups of our own, /dev shared with the rest of the bed.
    "cgroup_controllers": "[]",
    "namespaces": "[]",
    "stdio_handler": '"file"',
}


class Libvirtd:
    def __init__(self, build, log, qemu_conf=None):
        settings = {**QEMU_CONF, **(qemu_conf or {})}
        text = "".join(f"{key} = {value}\n" for key, value in settings.items())
        pathlib.Path("/etc/libvirt/qemu.conf").write_text(text)
        # Asking QEMU what it can do takes seconds; libvirtd itself sees when its answer has become stale.
        self.kept = pathlib.Path(build) / "tests" / "capabilities"
        self.cache = pathlib.Path("/var/cache/libvirt/qemu/capabilities")
        if self.kept.exists() and not self.cache.exists():
            shutil.copytree(self.kept, self.cache)
        self.log = log
        self.process = None

    def start(self):
        # The host's devices, which /sys shows, are not in this network; libvirtd says so at length.
        environment = {**os.environ, "LIBVIRT_LOG_FILTERS": "4:util.netdev 4:node_device"}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["libvirtd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
            )
        until(self.answers, 60, "libvirtd to answer")
        if self.cache.exists() and not self.kept.exists():
            shutil.copytree(self.cache, self.kept, dirs_exist_ok=True)

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"libvirtd ended with {self.process.returncode}; see {self.log}")
        probe = ["virsh", "-q", "-c", "qemu:///system", "list"]
        return subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def end(self, how=signal.SIGTERM):
        """Guests go on running without it."""
        if self.running:
            self.process.send_signal(how)
            self.process.wait(30)
