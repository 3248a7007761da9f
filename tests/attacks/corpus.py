# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done to guests: by an intruder, and by those who run them.

A case: its name, the disk that the guest has (golden.py; mounted at /m where it can be), what is done, and for attacks
the least that must be found, for benign ones the most that may be.  Scripts run as the guest's root; /m is on /dev/vda
(or on its first partition).  `prepare` runs before guardd has seen the guest well.
"""
from dataclasses import dataclass


@dataclass
class Case:
    name: str
    disk: str
    script: str
    level: str
    prepare: str = ""
    why: str = ""  # of a benign case above info
    power_off: bool = False  # at once after the script
    late: int = 0  # seconds until the filesystem writes what its counters are made of


def wipe(name, disk, script, **more):
    return Case(name, disk, script, "critical", **more)


OFF = "cd /; umount -l /m; "
ENCRYPT = "openssl enc -aes-256-ctr -pass pass:x -pbkdf2 -iter 1"
IN_PLACE = f"{ENCRYPT} -nosalt -in /m/text -out /tmp/x 2>/dev/null; dd if=/tmp/x of=/m/text bs=1M conv=notrunc 2>/dev/null; sync"
TEXT = "cat $(/bin/find /m/files -type f) >/m/text; sync"

ATTACKS = [
    wipe("mkfs.ext4 over ext4", "ext4", OFF + "mkfs.ext4 -q -F /dev/vda"),
    wipe("mkfs.ext4, no discard", "ext4", OFF + "mkfs.ext4 -q -F -E nodiscard /dev/vda"),
    wipe("mkfs.ext4, same UUID", "ext4", OFF + "U=$(tune2fs -l /dev/vda | sed -n 's/.*UUID: *//p'); mkfs.ext4 -q -F -U $U /dev/vda"),
    wipe("mkfs.xfs over ext4", "ext4", OFF + "mkfs.xfs -q -f /dev/vda"),
    wipe("mkfs.xfs over xfs, no discard", "xfs", OFF + "mkfs.xfs -q -f -K /dev/vda"),
    wipe("mkfs.btrfs over ext4", "ext4", OFF + "mkfs.btrfs -q -f /dev/vda"),
    wipe("mkfs.btrfs over btrfs", "btrfs", OFF + "mkfs.btrfs -q -f -K /dev/vda"),
    wipe("mkntfs over ext4", "ext4", OFF + "mkntfs -Q -q -F /dev/vda"),
    wipe("wipefs -a", "ext4", OFF + "wipefs -q -a /dev/vda"),
    wipe("rm -rf of all", "ext4", "rm -rf /m/*; sync"),
    wipe("rm -rf of all, xfs", "xfs", "rm -rf /m/*; sync", late=100),
    wipe("rm -rf of all, btrfs", "btrfs", "rm -rf /m/*; sync", late=60),
    wipe("rm -rf, then fstrim", "ext4", "rm -rf /m/files; sync; fstrim /m"),
    wipe("find -delete", "ext4", "/bin/find /m/files -type f -delete; sync"),
    wipe("blkdiscard", "ext4", OFF + "blkdiscard -f /dev/vda"),
    wipe("dd zero over the disk, mounted", "ext4", "dd if=/dev/zero of=/dev/vda bs=1M 2>/dev/null; sync"),
    wipe("dd urandom over the disk", "ext4", "dd if=/dev/urandom of=/dev/vda bs=1M count=64 2>/dev/null; sync"),
    wipe("dd zero over the first MiB", "gpt", OFF + "dd if=/dev/zero of=/dev/vda bs=1M count=1 2>/dev/null; sync"),
    wipe("dd zero over one partition", "gpt", OFF + "dd if=/dev/zero of=/dev/vda1 bs=1M 2>/dev/null; sync"),
    wipe("MBR zeroed", "mbr", OFF + "dd if=/dev/zero of=/dev/vda bs=512 count=1 2>/dev/null; sync"),
    wipe("GPT, both copies", "gpt", OFF + "sgdisk -Z /dev/vda >/dev/null; sync"),
    wipe("shred of files", "ext4", "/bin/find /m/files -type f -exec shred -n 1 -u {} +; sync"),
    wipe("LUKS header zeroed", "luks", "dd if=/dev/zero of=/dev/vda bs=1M count=4 2>/dev/null; sync"),
    wipe("LUKS keys erased", "luks", "cryptsetup erase -q /dev/vda; sync"),
    wipe("NTFS, MFT overwritten", "ntfs", "dd if=/dev/urandom of=/dev/vda bs=4096 seek=4 count=64 conv=notrunc 2>/dev/null; sync"),
    wipe("PV label zeroed", "lvm", OFF + "dd if=/dev/zero of=/dev/vda bs=512 count=8 2>/dev/null; sync"),
    wipe("VG metadata zeroed", "lvm", OFF + "dd if=/dev/zero of=/dev/vda bs=4096 seek=1 count=200 2>/dev/null; sync"),
    Case("truncate of all files", "ext4", "/bin/find /m/files -type f -exec truncate -s 0 {} +; sync", "warn"),
    Case("a big database dropped", "ext4", "rm /m/db; sync", "warn",
         prepare="dd if=/dev/urandom of=/m/db bs=1M count=300 2>/dev/null; sync"),
    wipe("GPT, first copy zeroed", "gpt", OFF + "dd if=/dev/zero of=/dev/vda bs=512 seek=1 count=33 conv=notrunc 2>/dev/null; sync"),
    wipe("mkfs.xfs over ext4, no discard", "ext4", OFF + "mkfs.xfs -q -f -K /dev/vda"),
    wipe("rm -rf of one big directory", "ext4", "rm -rf /m/big; sync",
         prepare="mkdir /m/big; cp -r /m/files /m/big/a; cp -r /m/files /m/big/b; sync"),
    wipe("files removed drop by drop", "ext4",
         "for i in 1 2 3 4 5 6 7 8; do rm $(/bin/find /m/files -type f | head -n $(($(/bin/find /m/files -type f | wc -l) / 4))); sync; sleep 4; done"),
    Case("encryption into new files", "ext4",
         f"for f in $(/bin/find /m/files -type f -size +8k | head -250); do {ENCRYPT} -in $f -out $f.locked 2>/dev/null; rm $f; done; sync", "warn"),
    Case("intermittent encryption", "ext4",
         f"{ENCRYPT} -nosalt -in /m/text -out /tmp/x 2>/dev/null; "
         "n=$(($(stat -c %s /m/text) / 65536)); i=0; while [ $i -lt $n ]; do "
         "dd if=/tmp/x of=/m/text bs=64k skip=$i seek=$i count=1 conv=notrunc 2>/dev/null; i=$((i + 2)); done; sync", "warn", prepare=TEXT),
    Case("encryption in place", "ext4", IN_PLACE, "warn", prepare=TEXT),
    wipe("wipe, then power-off", "ext4", OFF + "mkfs.ext4 -q -F /dev/vda; sync", power_off=True),
]


def fine(name, disk, script, level="info", **more):
    return Case(name, disk, script, level, **more)


BENIGN = [
    fine("nothing", "ext4", "sync"),
    fine("log writing", "ext4", "for i in $(seq 2000); do echo line $i; done >>/m/log; sync"),
    fine("logrotate with compression", "ext4", "gzip -k /m/text && mv /m/text /m/text.1; sync", prepare=TEXT),
    fine("fstrim", "ext4", "fstrim /m; sync"),
    fine("fstrim after a deletion", "ext4", "rm /m/tmp; sync; fstrim /m", prepare="dd if=/dev/urandom of=/m/tmp bs=1M count=40 2>/dev/null; sync"),
    fine("package upgrade", "ext4", "for f in $(/bin/find /m/files -type f | head -300); do cp $f $f.new; mv $f.new $f; done; sync"),
    fine("backup into an archive", "ext4", "tar c -C /m files | zstd -q -o /m/backup.zst; sync"),
    fine("backup into xz", "ext4", "tar c -C /m files | xz -0 >/m/backup.xz; sync"),
    fine("oldest of five backups removed", "ext4", "rm /m/b1; sync",
         prepare="for i in 1 2 3 4 5; do dd if=/dev/urandom of=/m/b$i bs=1M count=20 2>/dev/null; done; sync"),
    fine("mail expunged", "ext4", "rm $(/bin/find /m/files -type f | head -100); sync"),
    fine("resize of the filesystem", "ext4", "resize2fs -f /dev/vda 700M 2>/dev/null; resize2fs /dev/vda 2>/dev/null; sync", prepare=""),
    fine("defragmentation", "ext4", "e4defrag /m >/dev/null 2>&1; sync"),
    fine("first format of an empty disk", "empty", "mkfs.ext4 -q /dev/vda; sync"),
    fine("first partitions and format", "empty", "sgdisk -n 1:0:0 /dev/vda >/dev/null; sync; mkfs.xfs -q -f /dev/vda1; sync"),
    fine("fresh install", "empty", "mkfs.ext4 -q /dev/vda; mkdir -p /m; mount /dev/vda /m; cp -r /bin /sbin /etc /m; sync"),
    fine("video import", "ext4", "dd if=/dev/urandom of=/m/video bs=1M count=120 2>/dev/null; sync"),
    fine("LUKS re-key", "luks", "printf secret >/tmp/a; printf other >/tmp/b; cryptsetup luksChangeKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /tmp/a /dev/vda /tmp/b; sync"),
    fine("LUKS key added", "luks", "printf secret >/tmp/a; printf other >/tmp/b; cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /tmp/a /dev/vda /tmp/b; sync"),
    fine("new UUID", "ext4", "umount /m; tune2fs -U random /dev/vda >/dev/null; mount /dev/vda /m; sync"),
    fine("btrfs balance", "btrfs", "btrfs balance start --full-balance /m >/dev/null 2>&1; sync"),
    fine("xfs in use", "xfs", "cp -r /m/files /m/copy; sync"),
    fine("swap made and used", "empty", "mkswap /dev/vda >/dev/null; swapon /dev/vda; sync; swapoff /dev/vda"),
    fine("database rewritten", "ext4", "dd if=/dev/zero bs=1M count=30 2>/dev/null | tr '\\0' 'b' >/m/db.new; mv /m/db.new /m/db; sync",
         prepare="dd if=/dev/zero bs=1M count=30 2>/dev/null | tr '\\0' 'a' >/m/db; sync"),
    fine("files of zeros", "ext4", "dd if=/dev/zero of=/m/zeros bs=1M count=100 2>/dev/null; fallocate -l 50M /m/pre; sync"),
    fine("reboot", "ext4", "cd /; umount /m; sync; mount /dev/vda /m; sync"),
    fine("CI workspace wiped", "ext4", "rm -rf /m/work; sync", prepare="mkdir /m/work; cp -r $(ls -d /m/files/* | head -n 8) /m/work; sync"),
    fine("node_modules removed", "ext4", "rm -rf /m/node_modules; sync",
         prepare="mkdir /m/node_modules; for i in $(seq 150); do mkdir /m/node_modules/$i; echo $i >/m/node_modules/$i/index.js; done; sync"),
    fine("old kernel purged", "ext4", "rm -rf /m/boot/1 /m/modules/1; sync",
         prepare="for k in 1 2; do mkdir -p /m/boot/$k /m/modules/$k; dd if=/dev/urandom of=/m/boot/$k/vmlinuz bs=1M count=12 2>/dev/null; "
                 "for i in $(seq 120); do echo $i >/m/modules/$k/$i.ko; done; done; sync"),
    fine("journal vacuumed", "ext4", "rm /m/journal/system@1*; sync",
         prepare="mkdir /m/journal; for i in $(seq 10 19) $(seq 20 24); do dd if=/dev/urandom of=/m/journal/system@$i.journal bs=1M count=3 2>/dev/null; done; sync"),
    fine("git gc", "ext4", "tar c -C /m objects | gzip >/m/pack; rm -rf /m/objects; sync",
         prepare="mkdir /m/objects; for i in $(seq 180); do dd if=/dev/urandom of=/m/objects/$i bs=1k count=4 2>/dev/null; done; sync"),
    fine("container layers pruned", "ext4", "rm -rf /m/overlay/1 /m/overlay/2; sync",
         prepare="mkdir /m/overlay; for l in 1 2 3 4 5 6 7; do mkdir /m/overlay/$l; cp -r $(ls -d /m/files/* | head -n 3) /m/overlay/$l; done; sync"),
    fine("lazy inode tables", "empty", "mkfs.ext4 -q -E lazy_itable_init=1 /dev/vda; mkdir -p /m; mount /dev/vda /m; sleep 8; sync"),
    fine("a project deleted", "ext4", "rm -rf $(ls -d /m/files/* | head -n $(($(ls /m/files | wc -l) * 3 / 10))); sync", level="warn",
         why="a user who deletes a third of all files is worth a look"),
]
