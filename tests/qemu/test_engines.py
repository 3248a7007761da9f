#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every engine on every kind of disk: what is in the pool is, byte for byte, what the disk was at one instant.

A test for each pair.  Where a storage cannot clone, guardd must say why and take another engine; the last test prints the
matrix.  The reader to compare with is qemu-img on the guest's own image, of a guest that does not run.
"""
import collections
import os
import random
import re
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from suite import Disk, Skip, equal, main, timeout, until
from clones import Clones

KIB, MIB = 1 << 10, 1 << 20
BLOCK = 64 * KIB
KEEP_ALL = "1000x1s"
ENGINES = ("qmp", "libvirt", "native", "offline")
NO_CHECKPOINT = {"raw": "libvirt has no checkpoints for raw", "v2": "version 2 keep no bitmaps", "inside": "internal snapshots"}

# disks: a function of (bed, name) that makes them.  whole: by libvirt, all of it is read each time, because of this.
# clones: sizes in bytes of disks of this kind that a storage can clone.
Kind = collections.namedtuple("Kind", "disks whole grows clones", defaults=(None, False, ()))


def plain(*disks):
    return lambda bed, name: [Disk(**disk) for disk in disks]


def img(*words):
    subprocess.run(["qemu-img", *map(str, words)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def io(path, form, *commands):
    """Writes into an image that no QEMU has open."""
    words = [word for command in commands for word in ("-c", command)]
    subprocess.run(["qemu-io", "-f", form, *words, str(path)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def chain(bed, name):
    """Three images, each with something of its own."""
    paths = [bed.images / f"{name}-{part}.qcow2" for part in ("base", "middle", "top")]
    img("create", "-q", "-f", "qcow2", paths[0], "64M")
    io(paths[0], "qcow2", "write -P 1 0 8M")
    for below, path in zip(paths, paths[1:]):
        img("create", "-q", "-f", "qcow2", "-b", below, "-F", "qcow2", path)
        io(path, "qcow2", f"write -P {paths.index(path) + 1} {paths.index(path) * 4}M 4M")
    return [Disk("64M", "qcow2", path=str(paths[-1]))]


def internal_snapshots(bed, name):
    path = bed.images / f"{name}-inside.qcow2"
    img("create", "-q", "-f", "qcow2", path, "64M")
    for number in (1, 2):
        io(path, "qcow2", f"write -P {number} {number}M 3M")
        img("snapshot", "-c", f"s{number}", path)
    return [Disk("64M", "qcow2", path=str(path))]


def data_file(raw):
    def make(bed, name):
        path, data = bed.images / f"{name}-meta.qcow2", bed.images / f"{name}-data.raw"
        img("create", "-q", "-f", "qcow2", "-o", f"data_file={data},data_file_raw={'on' if raw else 'off'}", path, "64M")
        return [Disk("64M", "qcow2", path=str(path))]

    return make


def loop_device(bed, name):
    path = bed.images / f"{name}.loop"
    with open(path, "wb") as file:
        file.truncate(64 * MIB)
    done = subprocess.run(["losetup", "--find", "--show", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skip(f"no loop devices here: {done.stderr.strip()}")
    return [Disk("64M", "raw", path=done.stdout.strip(), block=True)]


def many(count):
    return plain(*({"size": "16M", "format": "qcow2" if index % 2 else "raw"} for index in range(count)))


KINDS = {
    "raw": Kind(plain({"format": "raw"}), whole="raw", clones=[64 * MIB]),
    "qcow2_v3": Kind(plain({"format": "qcow2"})),
    "qcow2_v2": Kind(plain({"format": "qcow2", "options": "compat=0.10"}), whole="v2"),
    "qcow2_small_clusters": Kind(plain({"format": "qcow2", "options": "cluster_size=4k"})),
    "qcow2_subclusters": Kind(plain({"format": "qcow2", "options": "extended_l2=on,cluster_size=128k"})),
    "qcow2_backing_chain": Kind(chain),
    "qcow2_internal_snapshots": Kind(internal_snapshots, whole="inside"),
    "qcow2_data_file": Kind(data_file(False)),
    "qcow2_data_file_raw": Kind(data_file(True)),
    "block_device": Kind(loop_device, whole="raw"),
    "sectors_of_4096": Kind(plain({"format": "raw", "sector": 4096}, {"format": "qcow2", "sector": 4096}), whole="raw", clones=[64 * MIB]),
    "odd_sizes": Kind(
        plain({"size": str(33 * MIB + 512), "format": "raw"}, {"size": str(17 * MIB + 4608), "format": "qcow2"}), whole="raw",
        clones=[33 * MIB + 512, 17 * MIB + 4608],
    ),
    "odd_sizes_of_4096": Kind(plain({"size": str(33 * MIB + 4096), "format": "qcow2", "sector": 4096})),
    "growing": Kind(plain({"size": "32M", "format": "qcow2"}), grows=True),
    "growing_raw": Kind(plain({"size": "32M", "format": "raw"}), whole="raw", grows=True, clones=[32 * MIB]),
    "disks_16": Kind(many(16), whole="raw", clones=[16 * MIB] * 16),
}
MATRIX = {}


# What is compared

def content(bed, snapshot, target):
    """From the pool, by qemu-img alone."""
    path = bed.daemon.pool / snapshot["uuid"] / f"{snapshot['number']:08}" / f"{target}.qcow2"
    raw = bed.images / "content.raw"
    img("convert", "-f", "qcow2", "-O", "raw", path, raw)
    return raw.read_bytes()


def reference(bed, disk):
    raw = bed.images / "reference.raw"
    img("convert", "-U", "-f", disk.format, "-O", "raw", disk.path, raw)
    return raw.read_bytes()


def difference(one, other):
    if one == other:
        return None
    if len(one) != len(other):
        return f"sizes {len(one)} and {len(other)}"
    return next((f"byte {at}" for at in range(0, len(one), 512) if one[at : at + 512] != other[at : at + 512]), None)


def compare(bed, guest, snapshot):
    for disk in guest.disks:
        if guest.state() != "shut off":
            guest.flush(disk.target)
        where = difference(content(bed, snapshot, disk.target), reference(bed, disk))
        assert where is None, f"snapshot {snapshot['number']}, disk {disk.target}: {where}"


# What is written

def size_of(disk):
    return int(re.search(r"\((\d+) bytes\)", subprocess.check_output(["qemu-img", "info", "-U", "-f", disk.format, disk.path], text=True))[1])


def scribble(disk, rng, count):
    """qemu-io commands: here and there, across block borders, the first and the last sector; zeroes; a discard."""
    sector, size = disk.sector or 512, size_of(disk) // (disk.sector or 512) * (disk.sector or 512)
    spots = [0, size - sector] + [rng.randrange(0, size - 4 * BLOCK) // sector * sector for _ in range(count)]
    lengths = [min(rng.choice((sector, BLOCK - sector, BLOCK, 3 * BLOCK + sector)), size - at) for at in spots]
    commands = [f"write -P {rng.randrange(1, 256)} {at} {length}" for at, length in zip(spots, lengths)]
    middle = rng.randrange(0, size - 8 * BLOCK) // BLOCK * BLOCK
    return commands + [f"write -z {middle} {2 * BLOCK}", f"write -P 77 {middle + 4 * BLOCK} {BLOCK}", f"discard {middle + 4 * BLOCK} {BLOCK}"]


def change(guest, rng):
    for disk in guest.disks:
        for command in scribble(disk, rng, 128 // len(guest.disks) // 16):
            guest.io(disk.target, command, "(wrote|discard) ")


def write_in_order(guest, stop, written):
    """One byte more per write, in turn on the disks, until told to stop: what a snapshot has must be a beginning of that."""
    at = 0
    while not stop.is_set() and at < 400:
        for disk in guest.disks:
            guest.write(disk.target, BLOCK * (at % 200), disk.sector or 512, 1 + at // 200)
        at += 1
        written.append(at)


def steps_seen(data, sector):
    """How many of write_in_order()'s rounds are in a disk's content; all before are, and none after."""
    first = [data[BLOCK * i] for i in range(200)]
    for i in range(200):
        assert data[BLOCK * i : BLOCK * i + sector] == bytes([first[i]]) * sector, f"a write in block {i} is there in part"
    assert sorted(first, reverse=True) == first and first[0] - first[-1] <= 1, f"not in order: {first}"
    return sum(first)


def one_instant(bed, guest):
    """A snapshot while the disks are written to."""
    for disk in guest.disks:
        guest.zero(disk.target, 0, 200 * BLOCK)
    stop, written = threading.Event(), []
    writer = threading.Thread(target=write_in_order, args=(guest, stop, written))
    writer.start()
    until(lambda: len(written) > 5, 30, "the first writes")
    snapshot = bed.sh("snapshot-create", guest.name)
    stop.set()
    writer.join()
    steps = [steps_seen(content(bed, snapshot, disk.target), disk.sector or 512) for disk in guest.disks]
    assert sorted(steps, reverse=True) == steps and steps[0] - steps[-1] <= 1, f"disks show different instants: {steps}"
    assert 5 <= steps[-1] <= len(written) + 1, (steps, len(written))


# A pair

def check_incremental(engine, kind, snapshot):
    for disk in snapshot["disks"]:
        whole = engine == "libvirt" and kind.whole and (kind.whole != "raw" or disk["format"] == "raw")
        if whole:
            assert NO_CHECKPOINT[kind.whole] in disk["full_reason"], disk
        else:
            equal(disk["full_reason"], None)


def grow(bed, guest, rng):
    for disk in guest.disks:
        bed.virsh("blockresize", guest.name, disk.target, f"{48 * MIB + BLOCK // 2}B")
        guest.write(disk.target, 47 * MIB, MIB, 0x99)
    snapshot = bed.sh("snapshot-create", guest.name)
    assert all("size changed" in disk["full_reason"] for disk in snapshot["disks"]), snapshot["disks"]
    compare(bed, guest, snapshot)
    change(guest, rng)


def on(bed, engine, kind, disks, rng):
    guest = bed.paused_guest("web01", disks)
    change(guest, rng)
    bed.guardd(interval="7d", keep=KEEP_ALL, policy=f"engine = {engine}")
    first = until(lambda: bed.sh("snapshot-list", "web01")["snapshots"], 60, "the first snapshot")[0]
    equal(first["engine"], engine)
    compare(bed, guest, first)
    change(guest, rng)
    second = bed.sh("snapshot-create", "web01")
    equal(second["engine"], engine)
    check_incremental(engine, kind, second)
    compare(bed, guest, second)
    if len(disks) < 16:  # in the time that 16 of them take, too much is written
        one_instant(bed, guest)
    if kind.grows:
        grow(bed, guest, rng)
    change(guest, rng)
    last = bed.sh("snapshot-create", "web01")
    guest.destroy()
    compare(bed, guest, last)
    return "whole" if all(disk["full_reason"] for disk in second["disks"]) else "increments"


def off(bed, kind, disks, rng):
    guest = bed.paused_guest("web01", disks, start=False)
    bed.guardd(interval="7d", keep=KEEP_ALL)
    until(lambda: bed.sh("snapshot-list", "web01")["snapshots"], 60, "the first snapshot")
    for _ in range(2):
        for disk in guest.disks:
            io(disk.path, disk.format, *scribble(disk, rng, 8))
        if kind.grows:
            img("resize", "-q", "-f", guest.disks[0].format, guest.disks[0].path, "+1M")
        snapshot = bed.sh("snapshot-create", "web01")
        equal(snapshot["engine"], "offline")
        compare(bed, guest, snapshot)
    return "whole"


def cloned(bed, name, kind, rng):
    """The example storage, which clones raw files beside the pool."""
    clones = Clones(bed)
    disks = [clones.disk(f"vd{chr(ord('a') + number)}", 1) for number in range(len(kind.clones))]
    for disk, size in zip(disks, kind.clones):
        os.truncate(disk.path, size)
        disk.sector = 4096 if name == "sectors_of_4096" else 0
    guest = bed.paused_guest("web01", disks)

    def check():
        snapshot = bed.sh("snapshot-create", "web01")
        equal((snapshot["engine"], snapshot["read_bytes"]), ("native", 0))
        for disk in guest.disks:
            image = (clones.folder(guest, snapshot["number"]) / f"{disk.target}.raw").read_bytes()
            where = difference(image, reference(bed, disk))
            assert where is None, f"snapshot {snapshot['number']}, disk {disk.target}: {where}"

    change(guest, rng)
    clones.guardd(interval="7d")
    until(lambda: bed.sh("snapshot-list", "web01")["snapshots"], 60, "the first snapshot")
    for _ in range(2):
        change(guest, rng)
        check()
    if kind.grows:
        bed.virsh("blockresize", "web01", "vda", f"{48 * MIB}B")
        change(guest, rng)
        check()
    return "clones"


def not_cloned(bed, disks):
    """The same storage: it takes raw files beside it, and nothing else."""
    bed.paused_guest("web01", disks)
    Clones(bed).guardd(interval="7d")
    until(lambda: bed.sh("snapshot-list", "web01")["snapshots"], 60, "the first snapshot")
    info = until(lambda: (now := bed.sh("dominfo", "web01"))["engine"] and now, 30, "the engine to be told")
    assert info["engine"] == "qmp" and "vda" in info["engine_reason"], (info["engine"], info["engine_reason"])
    return "- the storage of these tests clones raw files beside it; dominfo names the disk"


def pair(engine, name):
    kind, key = KINDS[name], (name, engine)

    def test(bed):
        rng, disks = random.Random(name), []
        MATRIX[key] = "FAILED"
        try:
            disks = [] if engine == "native" and kind.clones else kind.disks(bed, "web01")
            if engine == "native":
                MATRIX[key] = not_cloned(bed, disks) if disks else cloned(bed, name, kind, rng)
            else:
                MATRIX[key] = off(bed, kind, disks, rng) if engine == "offline" else on(bed, engine, kind, disks, rng)
        finally:
            bed.daemon and bed.daemon.kill()
            for disk in disks:
                if disk.block:
                    bed.guests and bed.guests["web01"].state() != "shut off" and bed.guests["web01"].destroy()
                    subprocess.run(["losetup", "-d", disk.path], check=False)

    return timeout(240)(test)


for _name in KINDS:
    for _engine in ENGINES:
        globals()[f"test_{_engine}_{_name}"] = pair(_engine, _name)


def test_the_matrix(bed):
    """increments: only what changed is read; whole: all of it is read, what changed is stored; clones: nothing is read."""
    reasons = []
    print(f"#| {'':26}" + "".join(f"{engine:12}" for engine in ENGINES))
    for name in KINDS:
        cells = []
        for engine in ENGINES:
            text = MATRIX.get((name, engine), "not run")
            if text.startswith("- "):
                if text[2:] not in reasons:
                    reasons.append(text[2:])
                text = f"no ({reasons.index(text[2:]) + 1})"
            cells.append(f"{text:12}")
        print(f"#| {name:26}" + "".join(cells))
    print("#| thin_lv                   in a guest that has device-mapper: guest/test_lvm_*")
    for number, reason in enumerate(reasons, 1):
        print(f"#| ({number}) {reason}")
    assert "FAILED" not in MATRIX.values()


main()
