# SPDX-License-Identifier: GPL-2.0-or-later
"""A storage that clones: the example storage-plain on an XFS with reflinks, built here, with the guests' disks beside the pool."""
import json
import subprocess

from daemon import CONFIG, Guardd
from disk import Disk


class Clones:
    def __init__(self, bed):
        self.bed = bed
        self.place = bed.images / "xfs"
        self.pool = self.place / "pool"
        self.place.mkdir()
        image = bed.images / "xfs.img"
        for argv in (["truncate", "-s", "1G", image], ["mkfs.xfs", "-q", "-m", "reflink=1", image], ["mount", "-o", "loop", image, self.place]):
            subprocess.run(argv, check=True)

    def disk(self, target, mib):
        """One that can be cloned."""
        path = self.place / f"{target}.raw"
        with open(path, "wb") as file:
            file.truncate(mib << 20)
        return Disk(path=str(path), target=target)

    def plugins(self, edit):
        """Those of the build, and plain, changed if `edit` says so."""
        folder = self.bed.run / "plugins"
        folder.mkdir(exist_ok=True)
        for plugin in (self.bed.build / "plugins").glob("*.so"):
            if not (folder / plugin.name).exists():
                (folder / plugin.name).symlink_to(plugin)
        text = (self.bed.root / "examples/plugins/storage-plain/plain.c").read_text()
        if edit:
            assert edit[0] in text
            text = text.replace(*edit)
        source, made = self.bed.run / "plain.c", folder / "storage-plain.so"
        source.write_text(text)
        subprocess.run(["cc", "-O1", "-std=gnu11", "-fPIC", "-shared", "-fvisibility=hidden", f"-I{self.bed.root}/include", "-o", made, source, "-lcrypto"],
                       check=True)
        return folder

    def guardd(self, interval="1s", plugin_edit=None, daemon="", policy="", libexec_dir=None):
        text = CONFIG.format(run_dir=Guardd.run_dir, state_dir=self.bed.state, plugin_dir=self.plugins(plugin_edit), libexec_dir=libexec_dir or self.bed.build,
                             appliance_dir=self.bed.build / "appliance", inspect="never", alert="", pool=self.pool, interval=interval,
                             protect="*", daemon=daemon, policy=policy)
        guardd = Guardd(self.bed, text)
        guardd.sh("pool-create", self.pool)
        identity = self.pool / "pool.json"
        identity.write_text(json.dumps({**json.loads(identity.read_text()), "storage": "plain"}))
        if plugin_edit:
            self.hang()
        self.bed.daemon = guardd
        return guardd.start()

    def hang(self):
        (self.pool / "hang").touch()

    def let_go(self):
        (self.pool / "hang").unlink()

    def folder(self, guest, number=None):
        """Of the guest in the pool, or of one of its snapshots."""
        folder = self.pool / guest.uuid()
        return folder / f"{number:08d}" if number else folder

    def image(self, bed, name, number, target, offset, length):
        """What the snapshot's image holds there."""
        with open(self.pool / bed.guests[name].uuid() / f"{number:08d}" / f"{target}.raw", "rb") as file:
            file.seek(offset)
            return file.read(length)
