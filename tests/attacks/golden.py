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
LARGE = 64 * SIZE  # sparse; beyond what a filesystem's descriptors fit into a page or two
SOURCES = ["/usr/include", "/usr/share/perl", "/usr/share/perl5", "/usr/lib/python3", "/usr/share/doc"]
FILES = 3000
DOCUMENTS = 96  # of a mebibyte each


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

    def documents(self):
        """Fewer and bigger ones, of text."""
        folder = self.folder / "documents"
        if not folder.exists():
            folder.mkdir()
            text = b"".join(path.read_bytes() for path in sorted(self.content().rglob("*")) if path.is_file())
            for number in range(DOCUMENTS):
                start = number * 77_777 % (len(text) - MIB)
                (folder / str(number)).write_bytes(text[start : start + MIB])
        return folder

    def mounted(self, path, offset=0, mount="mount -o loop,offset=", more=""):
        run(f"mkdir -p {self.folder}/mnt; {mount}{offset} {path} {self.folder}/mnt; "
            f"cp -r {self.content()} {self.folder}/mnt/files; cp -r {self.documents()} {self.folder}/mnt/documents; {more} umount {self.folder}/mnt")

    def packages(self):
        """tool_1.deb and tool_2.deb: two versions of a package with hundreds of files, as dpkg makes them."""
        for version, source in ((1, "d1 d2 d3 d4 d5"), (2, "d2 d3 d4 d5 d6")):
            tree = self.folder / f"tool_{version}"
            run(f"mkdir -p {tree}/DEBIAN {tree}/usr/lib/tool; cd {self.content()}; cp -r {source} {tree}/usr/lib/tool; "
                f"printf 'Package: tool\\nVersion: {version}\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: a tool\\n' >{tree}/DEBIAN/control; "
                f"dpkg-deb --root-owner-group -Zgzip -b {tree} {self.folder}/tool_{version}.deb")
        return f"cp {self.folder}/tool_?.deb {self.folder}/mnt; mkdir -p {self.folder}/mnt/var/lib/dpkg/updates {self.folder}/mnt/var/lib/dpkg/info; touch {self.folder}/mnt/var/lib/dpkg/status;"

    def make(self, kind, path):
        """`kind` of a gibibyte, or "large <kind>" of 64."""
        size, kind = (LARGE, kind.removeprefix("large ")) if kind.startswith("large ") else (SIZE, kind)
        with open(path, "wb") as file:
            file.truncate(size)
        if kind == "debian":
            run(f"mkfs.ext4 -q -F -b 4096 {path}")
            self.mounted(path, more=self.packages())
        elif kind in ("ext4", "xfs", "btrfs"):
            force = {"ext4": "-q -F -b 4096", "xfs": "-q", "btrfs": "-q"}[kind]
            run(f"mkfs.{kind} {force} {path}")
            self.mounted(path)
        elif kind == "ntfs":
            run(f"mkntfs -Q -q -F {path} 2>/dev/null")  # else it writes zeros all over it
            self.mounted(path, mount="ntfs-3g -o big_writes,uid=", offset=0)
        elif kind == "gpt-xfs":
            run(f"sgdisk -n 1:2048:+800M -n 2:0:0 {path}; mkfs.xfs -q {path}.part -d file,size=800m; dd if={path}.part of={path} bs=1M seek=1 conv=notrunc 2>/dev/null; rm {path}.part")
            self.mounted(path, MIB)
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
                self.make(kind, self.folder / f"{kind.replace(' ', '-')}.raw")
                self.made[kind] = self.folder / f"{kind.replace(' ', '-')}.raw"
        subprocess.run(["cp", "--sparse=always", self.made[kind], target], check=True)
