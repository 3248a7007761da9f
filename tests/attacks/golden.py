# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks with some thousand files on real filesystems, made once per run by the host's tools and kernel."""
import itertools
import os
import pathlib
import shutil
import subprocess
import threading

MIB = 1 << 20
SIZE = 1024 * MIB
SOURCES = ["/usr/include", "/usr/share/perl", "/usr/share/perl5", "/usr/lib/python3", "/usr/share/doc"]
FILES = 3000


def run(script):
    subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-ec", script], check=True, stdout=subprocess.DEVNULL)


def small_files():
    for source in SOURCES:
        for folder, folders, names in os.walk(source):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if not os.path.islink(path) and 0 < os.path.getsize(path) < 200_000:
                    yield path


class Golden:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.tree = self.folder / "tree"
        self.made = {}
        self.lock = threading.Lock()

    def content(self):
        """A tree of files as servers have them, several folders wide."""
        if not self.tree.exists():
            for number, source in enumerate(itertools.islice(small_files(), FILES)):
                folder = self.tree / f"d{number // 60}"
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / str(number))
        return self.tree

    def mounted(self, path, offset=0):
        run(f"mkdir -p {self.folder}/mnt; mount -o loop,offset={offset} {path} {self.folder}/mnt; "
            f"cp -r {self.content()} {self.folder}/mnt/files; umount {self.folder}/mnt")

    def make(self, kind, path):
        with open(path, "wb") as file:
            file.truncate(SIZE)
        if kind in ("ext4", "xfs", "btrfs"):
            force = {"ext4": "-q -F -b 4096", "xfs": "-q", "btrfs": "-q"}[kind]
            run(f"mkfs.{kind} {force} {path}")
            self.mounted(path)
        elif kind == "ntfs":
            run(f"mkntfs -q -F {path} 2>/dev/null")
            for number in range(40):
                run(f"ntfscp {path} /usr/bin/find f{number} 2>/dev/null")
        elif kind == "gpt":
            run(f"sgdisk -n 1:2048:+800M -n 2:0:0 {path}")
            run(f"mkfs.ext4 -q -F -b 4096 -E offset={MIB} {path} 800M")
            self.mounted(path, MIB)
        elif kind == "mbr":
            run(f"echo 2048,800M | sfdisk -q {path}")
            run(f"mkfs.ext4 -q -F -b 4096 -E offset={MIB} {path} 800M")
            self.mounted(path, MIB)
        elif kind == "luks":
            run(f"printf secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {path} -")
        elif kind == "lvm":
            self.volume(path)
        else:
            assert kind == "empty", kind

    def volume(self, path):
        """A linear volume with ext4 in it; without device-mapper, so its content goes where LVM says it lies."""
        options = '--driverloaded n --config "devices { use_devicesfile=0 filter=[\\"a|^$L$|\\",\\"r|.*|\\"] }"'
        run(
            f"L=$(losetup -f --show {path}); trap 'losetup -d $L' EXIT; pvcreate {options} -qq $L; vgcreate {options} -qq data $L;"
            f" lvcreate {options} -qq -an -Zn -L 800M -n mail data"
        )
        run(f"mkfs.ext4 -q -F -b 4096 -E offset={MIB} {path} 800M")
        self.mounted(path, MIB)

    def copy(self, kind, target):
        with self.lock:
            if kind not in self.made:
                self.make(kind, self.folder / f"{kind}.raw")
                self.made[kind] = self.folder / f"{kind}.raw"
        subprocess.run(["cp", "--sparse=always", self.made[kind], target], check=True)
