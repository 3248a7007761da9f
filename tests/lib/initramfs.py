# SPDX-License-Identifier: GPL-2.0-or-later
"""The Linux guests' userland: busybox and the real mkfs tools, in an initramfs made once per build folder."""
import contextlib
import fcntl
import glob
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

MODULES = ["virtio_pci", "virtio_blk", "xfs"]  # ext4 is built into Debian's kernels
TOOLS = ["mke2fs", "e2fsck", "mkfs.xfs", "xfs_repair", "wipefs", "shred", "fallocate", "sfdisk", "blkdiscard"]
# For make attacks: whatever an intruder, or an administrator, finds on a server.
MORE_MODULES = ["btrfs", "fuse", "dm-mod", "dm-crypt", "dm-mirror", "dm-snapshot", "dm-thin-pool", "xts"]
MORE_TOOLS = ["mkfs.btrfs", "btrfs", "mkntfs", "ntfs-3g", "sgdisk", "cryptsetup", "lvm", "resize2fs", "tune2fs", "dumpe2fs", "debugfs", "e4defrag",
              "xfs_growfs", "xfs_db", "xfs_fsr", "xfs_io", "mkfs.vfat", "mkswap", "fstrim", "openssl", "xz", "zstd", "gzip", "find", "rm", "dd",
              "truncate", "cp", "tar", "dpkg", "dpkg-deb", "dpkg-split", "diff", "sqlite3", "git", "restic", "rsync", "dash"]
MORE_APPLETS = {"lvm": ["lvcreate", "lvremove", "lvextend", "lvreduce", "vgcreate", "vgchange", "vgremove", "pvremove", "pvmove", "vgextend", "pvcreate"]}
# No udev: LVM makes its nodes itself.
LVM_CONF = 'activation { udev_sync=0 udev_rules=0 monitoring=0 }\ndevices { use_devicesfile=0 dir="/dev" scan="/dev" }\nbackup { backup=0 archive=0 }\n'
INIT = """\
#!/bin/sh
export PATH=/bin:/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in @MODULES@; do insmod /lib/modules/$module; done
stty -F /dev/ttyS1 raw -echo
# As a script, since a shell that finds a terminal on its input prompts.  For ever: a guest without init panics.
while true; do setsid /bin/sh /dev/ttyS1 </dev/null >/dev/ttyS1 2>&1; done
"""


def kernel():
    """(image, release) of the newest kernel that has its modules here."""
    images = glob.glob("/boot/vmlinuz-*")
    images = [path for path in images if os.path.isdir("/lib/modules/" + path.split("vmlinuz-")[1])]
    if not images:
        raise RuntimeError("no kernel in /boot to boot guests with: run packaging/deps")
    image = max(images, key=lambda path: [int(number) for number in re.findall(r"[0-9]+", path)])
    return image, image.split("vmlinuz-")[1]


def output(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def modules(release, names):
    """Paths of modules and of what they need, in the order of loading."""
    paths = []
    for name in names:
        for line in output("/sbin/modprobe", "-S", release, "--show-depends", name).splitlines():
            word, path = line.split()[:2]
            if word == "insmod" and path not in paths:
                paths.append(path)
    return paths


def libraries(binary):
    return re.findall(r"(/\S+) \(0x", output("ldd", binary))


def fill(root, release, tools, wanted):
    for folder in ("bin", "sbin", "proc", "sys", "dev", "tmp", "root", "mnt", "etc", "lib/modules"):
        os.makedirs(root / folder)
    # busybox first: a real tool takes the place of an applet of that name.
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for applet in output("/bin/busybox", "--list").split():
        if applet != "busybox":
            os.symlink("/bin/busybox", root / "bin" / applet)
    for tool in tools:
        source = shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")
        (root / "bin" / tool).unlink(missing_ok=True)
        shutil.copy(source, root / "bin" / tool)
        for library in libraries(source):
            target = root / library.lstrip("/")
            os.makedirs(target.parent, exist_ok=True)
            shutil.copy(library, target)
    os.symlink("mke2fs", root / "bin/mkfs.ext4")
    if "dash" in tools:  # busybox's shell takes its own applets, which know half of the options, before what is in PATH
        (root / "bin/sh").unlink()
        os.symlink("dash", root / "bin/sh")
    for tool, applets in MORE_APPLETS.items():
        for applet in applets if tool in tools else []:
            os.symlink(tool, root / "bin" / applet)
    (root / "etc/lvm").mkdir()
    (root / "etc/lvm/lvm.conf").write_text(LVM_CONF)
    shutil.copy("/etc/mke2fs.conf", root / "etc")
    names = []
    for path in modules(release, wanted):
        names.append(os.path.basename(path))
        shutil.copy(path, root / "lib/modules")
    init = root / "init"
    init.write_text(INIT.replace("@MODULES@", " ".join(names)))
    init.chmod(0o755)


@contextlib.contextmanager
def locked(folder):
    """Programs run side by side: one makes what all need, and the others wait for it."""
    with open(pathlib.Path(folder) / "made.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(folder, full=False):
    with locked(folder):
        return build_locked(folder, full)


def build_locked(folder, full):
    """(kernel image, initramfs); made anew when this file or the kernel changed.  full: with MORE_TOOLS."""
    image, release = kernel()
    version = hashlib.sha256(pathlib.Path(__file__).read_bytes() + release.encode()).hexdigest()[:12]
    stem = "full-initramfs" if full else "initramfs"
    path = pathlib.Path(folder) / f"{stem}-{version}.cpio"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            root = pathlib.Path(scratch) / "root"
            root.mkdir()
            fill(root, release, TOOLS + MORE_TOOLS * full, MODULES + MORE_MODULES * full)
            names = "".join(f"{name}\0" for name in sorted(str(p.relative_to(root)) for p in root.rglob("*")))
            with open(pathlib.Path(scratch) / "cpio", "wb") as archive:
                subprocess.run(
                    ["cpio", "--quiet", "-0", "-o", "-H", "newc"], input=names.encode(), cwd=root, stdout=archive, check=True
                )
            for old in pathlib.Path(folder).glob(f"{stem}-*.cpio"):
                old.unlink()
            os.rename(archive.name, path)
    return image, path
