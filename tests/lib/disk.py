# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's disk: its image file and its part of the domain XML."""
import os
import subprocess
from dataclasses import dataclass
from typing import Optional


@dataclass
class Disk:
    size: str = "64M"
    format: str = "raw"
    target: Optional[str] = None  # vda, vdb, … in order when not given
    path: Optional[str] = None  # an image that exists; else one is made
    read_only: bool = False
    shareable: bool = False
    cache: str = "none"
    options: str = ""  # qemu-img create -o
    block: bool = False  # the path is a block device's
    sector: int = 0  # logical block size in the guest; 0: QEMU's default, 512

    def place(self, guest, index, folder):
        """Fills in what was left out, and makes the image."""
        self.target = self.target or "vd" + chr(ord("a") + index)
        if not self.path:
            self.path = os.path.join(folder, f"{guest}-{self.target}.{self.format}")
            command = ["qemu-img", "create", "-q", "-f", self.format]
            command += ["-o", self.options] if self.options else []
            subprocess.run(command + [self.path, self.size], check=True)

    @property
    def alias(self):
        """virtio-disk0 for vda, as libvirt numbers them."""
        return f"virtio-disk{ord(self.target[-1]) - ord('a')}"

    def xml(self):
        flags = "<readonly/>" * self.read_only + "<shareable/>" * self.shareable
        kind, attribute = ("block", "dev") if self.block else ("file", "file")
        blockio = f"<blockio logical_block_size='{self.sector}' physical_block_size='{self.sector}'/>" if self.sector else ""
        return (
            f"<disk type='{kind}' device='disk'>"
            f"<driver name='qemu' type='{self.format}' cache='{self.cache}' discard='unmap'/>"
            f"<source {attribute}='{self.path}'/>{blockio}<target dev='{self.target}' bus='virtio'/>{flags}</disk>"
        )
