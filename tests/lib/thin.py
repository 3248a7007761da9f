# SPDX-License-Identifier: GPL-2.0-or-later
"""guardd inside the appliance (appliance.py): its pool, and the guests' disks, in one thin pool."""
import hashlib
import os
import subprocess

from daemon import CONFIG, Guardd, GuardshError
from disk import Disk
from lvm import Group, run


class Thin:
    """A volume group with that thin pool; volumes are the operator's, ours() are guardd's."""

    def __init__(self, bed, **group):
        self.bed = bed
        # none has them open any more, and LVM would not remove them
        bed.clear()
        self.group = Group(**group)
        self.uuids = {}  # of guests, by name

    def disk(self, target, name, size):
        return Disk(path=self.group.volume(name, size, tag="operators"), target=target, block=True)

    def guardd(self, interval="7d", protect="*", parameters="idle_seconds = 1"):
        state = self.bed.state
        config = CONFIG.format(
            run_dir=Guardd.run_dir, state_dir=state, plugin_dir=self.bed.build / "plugins", libexec_dir=self.bed.build,
            appliance_dir=self.bed.build / "appliance", inspect="never", alert="", pool=f"{state}/pool\n{parameters}",
            interval=interval, protect=protect, daemon="", policy="engine = auto\nkeep = 1000x1s",
        )
        guardd = self.bed.daemon = Guardd(self.bed, config)
        guardd.sh("pool-create", guardd.pool, "--storage", "lvmthin", "--volume-group", self.group.name, "--thin-pool", self.group.pool)
        return guardd.start()

    def first(self, guest):
        """The number of its first snapshot."""
        self.bed.wait(lambda: self.bed.sh("list")["domains"][0]["snapshots"], 120, "the first snapshot")
        return self.snapshots(guest)[0]["number"]

    def snapshot(self, guest):
        """A new one.  Where processors are emulated, and busy, LVM may take longer than guardd holds a guest for it."""
        return self.bed.wait(lambda: self.attempt(guest), 120, "a snapshot")

    def attempt(self, guest):
        try:
            return self.bed.sh("snapshot-create", guest.name)
        except GuardshError as error:
            if "within 5 s" not in error.message:
                raise
            print(f"# {error}", flush=True)
            return None

    def image(self, guest, number, target):
        """The name of a snapshot's volume, without what comes before the guest."""
        if guest.name not in self.uuids:
            self.uuids[guest.name] = guest.uuid().replace("-", "")
        return f"{self.uuids[guest.name]}-{number:08d}-{target}"

    def snapshots(self, guest):
        return self.bed.sh("snapshot-list", guest.name)["snapshots"]

    def ours(self):
        """{name without the pool's id: facts of the volume}"""
        return {name.split("-", 2)[2]: {**facts, "name": name} for name, facts in self.group.ours().items()}

    def active(self):
        return [name for name, facts in self.ours().items() if facts["attr"][4] != "-"]

    def digest(self, path):
        """Of what the device has, and not of what the page cache still knows."""
        with subprocess.Popen(["dd", f"if={path}", "bs=1M", "iflag=direct", "status=none"], stdout=subprocess.PIPE) as dd:
            found = hashlib.sha256(dd.stdout.read()).hexdigest()
        assert dd.returncode == 0, path
        return found

    def digests(self, guest):
        """{target: digest} of the guest's disks, now."""
        return {disk.target: self.digest(disk.path) for disk in guest.disks}

    def kept(self, guest, *numbers, suffix=""):
        """{number: {target: digest}} of snapshots, by LVM alone; "-kept": of the disks that a rollback replaced."""
        self.bed.wait(lambda: not self.active(), 60, "guardd to have read what it reads")
        ours = self.ours()
        volumes = {(number, disk.target): f"{self.group.name}/{ours[self.image(guest, number, disk.target) + suffix]['name']}"
                   for number in numbers for disk in guest.disks}
        found = {number: {} for number in numbers}
        for (number, target), volume in volumes.items():
            found[number][target] = self.bed.wait(lambda name=volume: self.digest_idle(name), 60, f"{volume} to be read")
        return found

    def digest_idle(self, volume):
        """None: guardd, which looks at snapshots when it likes, has deactivated it in between."""
        run("lvchange", "-A", "n", "-ay", "-K", volume)
        try:
            return self.digest(f"/dev/{volume}")
        except AssertionError:
            return None
        finally:
            run("lvchange", "-A", "n", "-an", volume, check=False)

    def filled(self):
        """(data, metadata) in percent, and the mode that the kernel has the thin pool in."""
        words = run("dmsetup", "status", "--target", "thin-pool").split()
        at = words.index("thin-pool")
        (metadata, metadatas), (data, datas) = (map(int, words[at + n].split("/")) for n in (2, 3))
        return 100 * data / datas, 100 * metadata / metadatas, next(word for word in words if word in ("rw", "ro", "out_of_data_space"))

    def held(self):
        """Guests that guardd has noted as suspended by itself."""
        folder = self.bed.state / "held"
        return os.listdir(folder) if folder.exists() else []
