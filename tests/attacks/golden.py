# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks with some thousand files on real filesystems, made once per run by the host's tools and kernel."""
import pathlib
import subprocess

MIB = 1 << 20
SIZE = 1024 * MIB
SOURCE = "/usr/include /usr/share/perl /usr/share/perl5 /usr/lib/python3 /usr/share/doc"
FILES = 3000


def run(script):
    subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-ec", script], check=True, stdout=subprocess.DEVNULL)


class Golden:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.tree = self.folder / "tree"
        self.made = {}

    def content(self):
        """A tree of files as servers have them, several folders wide."""
        if not self.tree.exists():
            self.tree.mkdir()
            run(
                f"cd {self.tree}; n=0; find {SOURCE} -type f -size -200k -size +0 2>/dev/null | head -n {FILES} | while read -r f; do"
                " n=$((n + 1)); d=d$((n / 60)); mkdir -p $d; cp \"$f\" $d/$n; done"
            )
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
        if kind not in self.made:
            self.made[kind] = self.folder / f"{kind}.raw"
            self.make(kind, self.made[kind])
        subprocess.run(["cp", "--sparse=always", self.made[kind], target], check=True)
