# SPDX-License-Identifier: GPL-2.0-or-later
"""What guardd is measured against: the same work by the best open tools, as their users would run them."""
import os
import shutil
import subprocess
import time

CHECKPOINT = "<domaincheckpoint><name>{name}</name></domaincheckpoint>"
BACKUP = """<domainbackup mode='push'>{incremental}<disks>{disks}</disks></domainbackup>"""
DISK = "<disk name='{target}' backup='yes' type='file'><target file='{path}'/><driver type='qcow2'/></disk>"


class Virtnbdbackup:
    """Full on the first call, incremental after it."""

    name = "virtnbdbackup"

    def __init__(self, bed, guest):
        self.guest = guest
        self.folder = bed.images / f"virtnbdbackup-{guest.name}"
        self.level = "full"
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def available():
        return shutil.which("virtnbdbackup") is not None

    def backup(self):
        words = ["virtnbdbackup", "-U", "qemu:///system", "-d", self.guest.name, "-l", self.level, "-o", self.folder]
        subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True, timeout=600)
        self.level = "inc"


class BackupBegin:
    """virsh backup-begin in push mode with a checkpoint; done when libvirt says so."""

    name = "virsh backup-begin"

    def __init__(self, bed, guest):
        self.bed, self.guest, self.count = bed, guest, 0
        self.folder = bed.images / f"push-{guest.name}"
        self.folder.mkdir(exist_ok=True)

    @staticmethod
    def available():
        return True

    def backup(self):
        self.count += 1
        disks = "".join(DISK.format(target=disk.target, path=self.folder / f"{disk.target}-{self.count}.qcow2") for disk in self.guest.disks)
        incremental = f"<incremental>push{self.count - 1}</incremental>" if self.count > 1 else ""
        backup, checkpoint = self.folder / "backup.xml", self.folder / "checkpoint.xml"
        backup.write_text(BACKUP.format(incremental=incremental, disks=disks))
        checkpoint.write_text(CHECKPOINT.format(name=f"push{self.count}"))
        self.bed.virsh("backup-begin", self.guest.name, backup, "--checkpointxml", checkpoint)
        while "None" not in self.bed.virsh("domjobinfo", self.guest.name):
            time.sleep(0.005)


def convert(source, source_format, target):
    """A plain copy that is on the disk when it returns."""
    subprocess.run(["qemu-img", "convert", "-U", "-f", source_format, "-O", "raw", source, target], check=True)
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
