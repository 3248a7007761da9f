# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest with a device-mapper, for tests of LVM: most hosts that run tests have none of their own, or one that
is in use.  It is built by supermin from the Debian packages that are installed here (its kernel is the host's), once
for each build folder and set of packages, and boots in some seconds; nothing that happens in it is kept.

    /guardd   the sources and what was built of them, in memory: tests may write there
    /dev/vdc  an empty disk for volume groups

main() of suite.py with inside=True runs a test program in it.
"""
import glob
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import initramfs
from linux import Console
from wait import Late, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE = "4G"  # of the root disk, sparse
DISK = "40G"  # of /dev/vdc, sparse
MEMORY_MIB = 1536
PACKAGES = """bash coreutils findutils grep sed procps psmisc kmod mount util-linux attr tini iproute2 python3
    lvm2 dmsetup thin-provisioning-tools e2fsprogs xfsprogs jq
    libnbd0 libsqlite3-0 libjson-c5 libreadline8 libcurl4 libseccomp2 libxml2 libguestfs0
    libvirt-daemon-system libvirt-daemon libvirt-clients qemu-system-x86 qemu-system-data qemu-utils
    libasan8 libubsan1""".split()  # the last two for ASAN=1; they come with gcc
# supermin leaves out what a package calls its configuration, since it may have been changed.
HOST_FILES = ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.conf", "/etc/ld.so.conf.d/*", "/etc/ld.so.cache",
              "/etc/mke2fs.conf", "/etc/sasl2/*", "/etc/python3*/*"]
# udev runs in no container and not here either: LVM makes its device nodes itself.
LVM_CONF = """\
activation { udev_sync = 0 udev_rules = 0 verify_udev_operations = 0 monitoring = 0 }
global { event_activation = 0 }
devices { obtain_device_list_from_udev = 0 filter = [ "a|^/dev/vdc$|", "r|.*|" ] }
"""
INIT = """\
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 BUILD=/guardd/build GUARDD_INSIDE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /guardd /source
mount -t devpts devpts /dev/pts
for place in /run /tmp /dev/shm /guardd; do mount -t tmpfs tmpfs $place; done
mkdir -p /run/lock/lvm /run/lvm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -o remount,rw /
modprobe -a dm-mod dm-thin-pool loop
mount -o ro /dev/vdb /source && cp -a /source/. /guardd/ && umount /source
ip link set lo up
stty -F /dev/ttyS1 raw -echo
# As a script, since a shell that finds a terminal on its input prompts.  For ever: a guest without init panics.
while true; do setsid bash /dev/ttyS1 </dev/null >/dev/ttyS1 2>&1; done
"""


def host_files():
    return sorted(path for pattern in HOST_FILES for path in glob.glob(pattern) if not os.path.isdir(path))


def version():
    """Of everything that the appliance is made of."""
    _, release = initramfs.kernel()
    installed = subprocess.run(["dpkg-query", "-W", *PACKAGES], check=True, capture_output=True).stdout
    return hashlib.sha256(pathlib.Path(__file__).read_bytes() + release.encode() + installed).hexdigest()[:12]


def tar(folder, files):
    """files: {path: (mode, text)}"""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for path, (mode, text) in files.items():
            target = pathlib.Path(scratch) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(mode)
        subprocess.run(["tar", "-C", scratch, "-czf", folder / "own.tar.gz", *files], check=True)


def build(folder):
    """The folder with `kernel`, `initrd` and `root`."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with initramfs.locked(folder):
        return build_locked(folder, folder / f"appliance-{version()}")


def build_locked(folder, target):
    if target.exists():
        return target
    for old in folder.glob("appliance-*"):
        shutil.rmtree(old, ignore_errors=True)
    image, release = initramfs.kernel()
    environment = {**os.environ, "SUPERMIN_KERNEL": image, "SUPERMIN_MODULES": f"/lib/modules/{release}"}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        recipe, made = pathlib.Path(scratch) / "recipe", pathlib.Path(scratch) / "made"
        recipe.mkdir()
        (recipe / "packages").write_text("\n".join(PACKAGES) + "\n")
        (recipe / "hostfiles").write_text("\n".join(host_files()) + "\n")
        tar(recipe, {"init": (0o755, INIT), "etc/lvm/lvm.conf": (0o644, LVM_CONF)})
        subprocess.run(
            ["supermin", "--build", "--size", SIZE, "-f", "ext2", str(recipe), "-o", str(made)], check=True, env=environment
        )
        shutil.copy(os.path.realpath(made / "kernel"), made / "kernel.copy")
        os.replace(made / "kernel.copy", made / "kernel")
        os.rename(made, target)
    return target


def source_disk(build_folder, path):
    """An ext4 image with the sources' tests and what was built; symbols are left out, they are most of it."""
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        root = pathlib.Path(scratch)
        shutil.copytree(ROOT / "tests", root / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "examples", root / "examples")
        for name in ("plugins", "tests/unit", "tests/lib"):
            if (build_folder / name).is_dir():
                shutil.copytree(build_folder / name, root / "build" / name, ignore=shutil.ignore_patterns("*.d"))
        for name in ["killpoint.so"]:
            if (build_folder / "tests" / name).exists():
                shutil.copy(build_folder / "tests" / name, root / "build/tests")
        for program in build_folder.glob("guard*"):
            shutil.copy(program, root / "build")
        binaries = [p for p in (root / "build").rglob("*") if p.is_file()]
        subprocess.run(["strip", "--strip-debug", *map(str, binaries)], check=False, capture_output=True)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-d", scratch, str(path), "256M"], check=True, capture_output=True)


class Appliance:
    """Started by `with`; one root shell."""

    def __init__(self, build_folder, memory_mib=MEMORY_MIB):
        self.build, self.memory_mib = pathlib.Path(build_folder), memory_mib
        self.parts = build(self.build / "tests")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="appliance.", dir=os.environ["BED_WORK"]))
        self.process = self.console = None

    def __enter__(self):
        try:
            source_disk(self.build, self.folder / "source")
            with open(self.folder / "disk", "wb") as disk:
                disk.truncate(int(DISK[:-1]) << 30)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.console:
            self.console.close()
        if self.process:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder)

    def drive(self, path, fmt="raw", snapshot="off"):
        return ["-drive", f"file={path},format={fmt},if=virtio,cache=unsafe,snapshot={snapshot}"]

    def start(self):
        argv = [
            "qemu-system-x86_64", "-nodefaults", "-display", "none", "-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "2",
            "-m", str(self.memory_mib), "-kernel", self.parts / "kernel", "-initrd", self.parts / "initrd",
            "-append", "console=ttyS0 root=/dev/vda quiet loglevel=4 panic=-1 no_timer_check tsc=unstable selinux=0",
            *self.drive(self.parts / "root", snapshot="on"), *self.drive(self.folder / "source"),
            *self.drive(self.folder / "disk"),
            "-serial", f"file:{self.folder}/console.log",
            "-serial", f"unix:{self.folder}/shell,server=on,wait=off",
        ]
        self.process = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(self.folder)},
        )
        until(self.answers, 300, "the appliance to boot")

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the appliance ended while it booted: {self.log()}")
        try:
            if not self.console:
                self.console = Console(self.folder / "shell")
            self.console.send("echo up-$((40+2))")
            self.console.read_until(b"up-42\n", 1)
            return True
        except Late:
            return False
        except (OSError, EOFError):
            self.console = None
            return False

    def log(self):
        try:
            return (self.folder / "console.log").read_text(errors="replace")[-4000:]
        except FileNotFoundError:
            return ""

    def sh(self, command, timeout=120):
        output, status = self.console.run(command, timeout)
        if status:
            raise RuntimeError(f"{command}: exit status {status}: {output.strip()}")
        return output

    def relay(self, command, timeout):
        """Runs a command, printing what it says as it comes; its exit status."""
        self.console.send(f"echo the-beginning; ({command}) </dev/null 2>&1; echo the-end $?")
        self.console.read_until(rb"the-beginning\r?\n", 60)  # an answer that came too late may lie before it
        while True:
            line, match = self.console.read_until(rb"\r?\n", timeout)
            if ended := re.fullmatch(rb"the-end ([0-9]+)", line):
                return int(ended[1])
            sys.stdout.write(line.decode(errors="replace") + "\n")
            sys.stdout.flush()


def run_inside(program, arguments, timeout=600):
    """Exit status of a test program of this tree, run in an appliance of its own."""
    name = pathlib.Path(program).resolve().relative_to(ROOT)
    begin = time.monotonic()
    with Appliance(os.environ.get("BUILD", "build")) as appliance:
        print(f"# the appliance is up after {time.monotonic() - begin:.2f} s", flush=True)
        environment = [f"{key}={shlex.quote(os.environ[key])}" for key in ("GUARDD_SEED", "GUARDD_KILLS") if key in os.environ]
        status = appliance.relay(" ".join([*environment, "python3", f"/guardd/{name}", *arguments]), timeout)
        if status:
            print("# the appliance's console:", *appliance.log().splitlines()[-30:], sep="\n# ")
        return status
