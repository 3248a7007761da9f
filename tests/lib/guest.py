# SPDX-License-Identifier: GPL-2.0-or-later
"""What every guest of the test bed can do, and the paused guest: a QEMU that never runs a CPU.

A paused guest costs some tens of megabytes and starts in a moment; its "writes" are made by QEMU itself (HMP's qemu-io,
through the virtio device), so they go where a real guest's go: through the block layer, into dirty bitmaps and snapshots.
"""
import os
import re

from qmp import Qmp
from wait import until


class GuestError(Exception):
    pass


class Guest:
    memory_mib = 32

    def __init__(self, bed, name, disks, machine="q35", extra_xml=""):
        self.bed, self.name, self.disks = bed, name, disks
        self.machine, self.extra_xml = machine, extra_xml
        for index, disk in enumerate(disks):
            disk.place(name, index, bed.images)
        self._monitor = None

    # Its life

    def os_xml(self):
        return f"<os><type arch='x86_64' machine='{self.machine}'>hvm</type></os>"

    def devices_xml(self):
        return "".join(disk.xml() for disk in self.disks)

    def xml(self):
        # A monitor of the bed's own beside libvirt's: tests write while libvirtd is dead, and wait for none of its locks.
        return (
            f"<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
            f"<name>{self.name}</name><memory unit='MiB'>{self.memory_mib}</memory><vcpu>1</vcpu>{self.os_xml()}"
            f"<features><acpi/></features><cpu mode='maximum'/>"
            f"<devices><emulator>/usr/bin/qemu-system-x86_64</emulator><memballoon model='none'/>"
            f"<controller type='usb' model='none'/>{self.devices_xml()}{self.extra_xml}</devices>"
            f"<qemu:commandline><qemu:arg value='-qmp'/>"
            f"<qemu:arg value='unix:{self.monitor_path},server=on,wait=off'/></qemu:commandline></domain>"
        )

    @property
    def monitor_path(self):
        return self.bed.run / f"{self.name}.qmp"

    def define(self):
        path = self.bed.run / f"{self.name}.xml"
        path.write_text(self.xml())
        self.bed.virsh("define", path)

    def start(self, paused=False):
        self.close()
        self.bed.virsh("start", self.name, *(["--paused"] if paused else []))

    def destroy(self):
        self.close()
        self.bed.virsh("destroy", self.name)

    def undefine(self):
        self.bed.virsh("undefine", self.name, "--nvram", "--checkpoints-metadata", "--snapshots-metadata")

    def state(self):
        """As virsh says it: running, paused, shut off, …"""
        return self.bed.virsh("domstate", self.name).strip()

    def uuid(self):
        return self.bed.virsh("domuuid", self.name).strip()

    def pid(self):
        """Of its QEMU; None when shut off or libvirtd has lost it."""
        try:
            return int((self.bed.libvirt_run / f"{self.name}.pid").read_text())
        except FileNotFoundError:
            return None

    def attach(self, disk):
        """Hot-plugs a disk."""
        disk.place(self.name, len(self.disks), self.bed.images)
        path = self.bed.run / f"{self.name}-{disk.target}.xml"
        path.write_text(disk.xml())
        self.bed.virsh("attach-device", self.name, path, "--live", "--config")
        self.disks.append(disk)

    def detach(self, target):
        """Hot-unplug needs a guest that listens to it: a booted one."""
        disk = self.disk(target)
        self.bed.virsh("detach-disk", self.name, target, "--live", "--config")
        until(lambda: f"dev='{target}'" not in self.bed.virsh("dumpxml", self.name), 30, f"{target} to leave {self.name}")
        self.disks.remove(disk)

    def disk(self, target):
        return next(disk for disk in self.disks if disk.target == target)

    # Its monitor

    @property
    def monitor(self):
        if self._monitor is None:
            self._monitor = Qmp(self.monitor_path)
        return self._monitor

    def qmp(self, command, **arguments):
        try:
            return self.monitor.execute(command, **arguments)
        except (EOFError, OSError):
            # The QEMU behind it is another one by now, say after a rollback.
            self.close()
            return self.monitor.execute(command, **arguments)

    def close(self):
        if self._monitor:
            self._monitor.close()
        self._monitor = None

    # Its disks, from QEMU's inside.  Offsets and lengths in bytes, or as "16M".

    def io(self, target, command, done):
        """Runs a qemu-io command; its output must have a line that starts with `done`, else GuestError."""
        device = f"/machine/peripheral/{self.disk(target).alias}/virtio-backend"
        # qemu-io prints to QEMU's stdout, which is libvirt's log of the domain, not to the monitor.
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            log.seek(0, os.SEEK_END)
            answer = self.qmp("human-monitor-command", command_line=f'qemu-io -d {device} "{command}"')
            output = answer + log.read()
        if answer.strip() or not re.search(f"^{done}", output, re.MULTILINE):
            raise GuestError(f"{self.name} {target}: {command}: {output.strip()}")
        return output

    @property
    def log_path(self):
        return f"/var/log/libvirt/qemu/{self.name}.log"

    def write(self, target, offset, length, pattern):
        self.io(target, f"write -P {pattern} {offset} {length}", "wrote ")

    def put(self, target, offset, data):
        """Writes these bytes."""
        file = self.bed.images / "put.bin"
        file.write_bytes(data)
        self.io(target, f"write -s {file} {offset} {len(data)}", "wrote ")

    def zero(self, target, offset, length):
        self.io(target, f"write -z {offset} {length}", "wrote ")

    def discard(self, target, offset, length):
        self.io(target, f"discard {offset} {length}", "discard ")

    def flush(self, target):
        self.io(target, "flush", "")

    def holds(self, target, offset, length, pattern):
        """Is every byte there `pattern`?"""
        return "Pattern verification failed" not in self.io(target, f"read -P {pattern} {offset} {length}", "read ")

    def read(self, target, offset, length):
        """The bytes themselves; by way of a hex dump, so a few kilobytes at most."""
        rows = re.findall(r"^[0-9a-f]{8,}: +((?:[0-9a-f]{2} )+)", self.io(target, f"read -v {offset} {length}", "read "), re.MULTILINE)
        return bytes.fromhex("".join(rows))


class PausedGuest(Guest):
    def start(self, paused=True):
        super().start(paused)
