# SPDX-License-Identifier: GPL-2.0-or-later
"""What intruders do."""
from case import ENCRYPT, INTO_NEW, KEYED, LIST, MAKE_THIN, OFF, REPLACE, TEXT, THIN, Case, random, zeros


def wipe(name, disk, script, **more):
    return Case(name, disk, script, "critical", **more)


def warn(name, disk, script, **more):
    return Case(name, disk, script, "warn", **more)


IN_PLACE = (f"for f in /m/documents/*; do {ENCRYPT} -nosalt -in $f -out /tmp/x 2>/dev/null; "
            "dd if=/tmp/x of=$f bs=1M conv=notrunc 2>/dev/null; done; sync")
EVERY_OTHER = (f"for f in /m/documents/*; do {ENCRYPT} -nosalt -in $f -out /tmp/x 2>/dev/null; i=0; while [ $i -lt 16 ]; do "
               "dd if=/tmp/x of=$f bs=64k skip=$i seek=$i count=1 conv=notrunc 2>/dev/null; i=$((i + 2)); done; done; sync")
ZERO_ALL = "for f in /m/documents/*; do dd if=/dev/zero of=$f bs=1M count=1 conv=notrunc 2>/dev/null; done; sync"
INTO_NEW_SMALLER = f"for f in $({LIST} -size +8k -size -60k | head -600); do gzip -c $f | {ENCRYPT} -out $f.gpg 2>/dev/null; rm $f; done; sync"
PATTERN = ("tr '\\0' '\\314' </dev/zero | head -c 1048576 >/tmp/p; for f in /m/documents/*; do dd if=/tmp/p of=$f bs=1M conv=notrunc 2>/dev/null; done; sync")
ZERO_MOST = ("for f in /m/documents/*; do for i in $(seq 0 15); do dd if=/dev/zero of=$f bs=4k seek=$((i * 16)) count=15 conv=notrunc 2>/dev/null; done; done; sync")
PUNCH = "for f in /m/documents/*; do fallocate -p -o 0 -l 1M $f; done; sync"
RANDOM = "dd if=/dev/urandom of=/dev/vda conv=notrunc 2>/dev/null "
INODES = "T=$(dumpe2fs /dev/vda 2>/dev/null | sed -n 's/.*Inode table at \\([0-9]*\\)-.*/\\1/p' | head -1); "
DROP = (f"for i in 1 2 3 4 5 6 7 8; do rm $({LIST} | head -n $(($({LIST} | wc -l) / 4))); sync; sleep 4; done")
FEW = "mkdir -p /m; mount /dev/vda /m; " + "".join(random(f"/m/vm{n}.img", 30) for n in (1, 2, 3)) + "sync"
UUID_EXT = "U=$(tune2fs -l /dev/vda | sed -n 's/.*UUID: *//p'); "
UUID_XFS = "U=$(xfs_db -r -c uuid /dev/vda | sed 's/.*= //'); "
UUID_BTRFS = "U=$(btrfs inspect-internal dump-super /dev/vda | sed -n 's/^fsid\\s*//p'); "

ATTACKS = [
    # made anew
    wipe("mkfs.ext4 over ext4", "ext4", OFF + "mkfs.ext4 -q -F /dev/vda"),
    wipe("mkfs.ext4, no discard", "ext4", OFF + "mkfs.ext4 -q -F -E nodiscard /dev/vda"),
    wipe("mkfs.ext4, same UUID", "ext4", OFF + UUID_EXT + "mkfs.ext4 -q -F -U $U /dev/vda"),
    # mkfs opens exclusively, which a mount forbids, whatever it is told; writing does not
    wipe("mkfs.ext4 while mounted", "ext4", "truncate -s 1G /tmp/x; mkfs.ext4 -q -F /tmp/x; dd if=/tmp/x of=/dev/vda bs=1M conv=sparse,notrunc 2>/dev/null; sync"),
    wipe("mkfs.ext2, no journal", "ext4", OFF + "mke2fs -q -F -O ^has_journal /dev/vda"),
    wipe("mkfs.xfs over ext4", "ext4", OFF + "mkfs.xfs -q -f /dev/vda"),
    wipe("mkfs.xfs over ext4, no discard", "ext4", OFF + "mkfs.xfs -q -f -K /dev/vda"),
    wipe("mkfs.xfs over xfs", "xfs", OFF + "mkfs.xfs -q -f /dev/vda"),
    wipe("mkfs.xfs over xfs, no discard", "xfs", OFF + "mkfs.xfs -q -f -K /dev/vda"),
    wipe("mkfs.xfs, same UUID", "xfs", OFF + UUID_XFS + "mkfs.xfs -q -f -K -m uuid=$U /dev/vda"),
    wipe("mkfs.btrfs over ext4", "ext4", OFF + "mkfs.btrfs -q -f /dev/vda"),
    wipe("mkfs.btrfs over btrfs, no discard", "btrfs", OFF + "mkfs.btrfs -q -f -K /dev/vda"),
    wipe("mkfs.btrfs, same UUID", "btrfs", OFF + UUID_BTRFS + "wipefs -q -a /dev/vda; mkfs.btrfs -q -f -K -U $U /dev/vda"),
    wipe("mkntfs over ext4", "ext4", OFF + "mkntfs -Q -q -F /dev/vda"),
    wipe("mkntfs over ntfs", "ntfs", OFF + "mkntfs -Q -q -F /dev/vda"),
    wipe("mkntfs over ntfs, discarded first", "ntfs", OFF + "blkdiscard -f /dev/vda; mkntfs -Q -q -F /dev/vda"),
    wipe("mkfs.vfat over ext4", "ext4", OFF + "mkfs.vfat -I /dev/vda >/dev/null; sync"),
    wipe("mkswap over ext4", "ext4", OFF + "mkswap -f /dev/vda >/dev/null; sync"),
    wipe("mkfs on a logical volume", "lvm", OFF + "mkfs.ext4 -q -F /dev/data/mail; sync"),
    wipe("mkfs.ext4 over a large ext4, no discard", "large ext4", OFF + "mkfs.ext4 -q -F -E nodiscard /dev/vda"),
    wipe("mkfs.xfs over a large xfs, no discard", "large xfs", OFF + "mkfs.xfs -q -f -K /dev/vda"),
    wipe("mkntfs over a large ntfs", "large ntfs", OFF + "mkntfs -Q -q -F /dev/vda"),
    wipe("mkfs.ext4 over three big files", "empty", OFF + "mkfs.ext4 -q -F /dev/vda; sync", prepare="mkfs.ext4 -q /dev/vda; " + FEW),
    wipe("wipefs -a of three big files, xfs", "empty", OFF + "wipefs -q -a /dev/vda; sync", prepare="mkfs.xfs -q /dev/vda; " + FEW),
    # what was there shows through
    wipe("mkntfs over btrfs", "btrfs", OFF + "mkntfs -Q -q -F /dev/vda; sync"),
    wipe("a table and mkfs.ext4 in its partition, over ext4", "ext4", OFF + "echo 2048 | sfdisk -q -f /dev/vda 2>/dev/null; mkfs.ext4 -q -F -E nodiscard /dev/vda1; sync"),
    wipe("a table and mkfs.ext4 in its partition, over btrfs", "btrfs", OFF + "sgdisk -o -n 1:2048:0 /dev/vda >/dev/null; mkfs.ext4 -q -F -E nodiscard /dev/vda1; sync"),
    # removed
    wipe("rm -rf of all, large ext4", "large ext4", "rm -rf /m/*; sync"),
    wipe("rm -rf of all, large xfs", "large xfs", "rm -rf /m/*; sync", late=100),
    wipe("rm -rf of all, large btrfs", "large btrfs", "rm -rf /m/*; sync", late=60),
    wipe("rm -rf of all, large ntfs", "large ntfs", "rm -rf /m/*; sync", late=60),
    wipe("find -delete, large ext4", "large ext4", f"{LIST} -delete; sync"),
    wipe("rm -rf of all", "ext4", "rm -rf /m/*; sync"),
    wipe("rm -rf of all, xfs", "xfs", "rm -rf /m/*; sync", late=100),
    wipe("rm -rf of all, btrfs", "btrfs", "rm -rf /m/*; sync", late=60),
    wipe("rm -rf of all, ntfs", "ntfs", "rm -rf /m/*; sync", late=60),
    wipe("rm -rf of all, in a logical volume", "lvm", "rm -rf /m/*; sync"),
    wipe("rm -rf, then fstrim", "ext4", "rm -rf /m/files; sync; fstrim /m"),
    wipe("rm -rf, then fstrim, xfs", "xfs", "rm -rf /m/*; sync; fstrim /m", late=100),
    wipe("rm -rf of one big directory", "ext4", "rm -rf /m/big; sync",
         prepare="mkdir /m/big; cp -r /m/files /m/big/a; cp -r /m/files /m/big/b; sync"),
    wipe("find -delete", "ext4", f"{LIST} -delete; sync"),
    wipe("find -exec rm", "ext4", f"{LIST} -exec rm {{}} +; sync"),
    wipe("files removed drop by drop", "ext4", DROP),
    wipe("rsync --delete from nothing", "ext4", "mkdir /tmp/nothing; rsync -a --delete /tmp/nothing/ /m/files/; sync"),
    wipe("all moved into one encrypted archive", "ext4", f"tar c -C /m files | {ENCRYPT} -out /m/archive 2>/dev/null; rm -rf /m/files; sync"),
    wipe("truncate of all files", "ext4", "/bin/find /m -type f -exec truncate -s 0 {} +; sync"),
    wipe("truncate of all files, xfs", "xfs", "/bin/find /m -type f -exec truncate -s 0 {} +; sync", late=100),
    wipe("/dev/null copied over all files", "ext4", "for f in $(/bin/find /m -type f); do : >$f; done; sync"),
    warn("a big database dropped", "ext4", "rm /m/db; sync", prepare=random("/m/db", 300) + "sync"),
    warn("a big database truncated", "ext4", "truncate -s 0 /m/db; sync", prepare=random("/m/db", 300) + "sync"),
    wipe("a few files with most of the bytes removed", "ext4", "rm -rf /m/images; sync",
         prepare="mkdir /m/images; for i in $(seq 240); do dd if=/dev/urandom of=/m/images/$i bs=2400k count=1 2>/dev/null; done; sync"),
    wipe("files emptied one after the other", "ext4", "for f in /m/documents/* /m/more/*; do truncate -s 0 $f; sync; sleep .1; done",
         prepare="cp -r /m/documents /m/more; sync"),
    wipe("files removed one after the other, btrfs", "btrfs", "for f in /m/documents/* /m/files/*; do rm -rf $f; sync; done", late=60),
    wipe("a btrfs subvolume deleted", "btrfs", "btrfs subvolume delete /m/data >/dev/null; btrfs filesystem sync /m; sync", late=100,
         prepare="btrfs subvolume create /m/data >/dev/null; mv /m/files /m/documents /m/data; sync"),
    wipe("a logical volume cut short", "lvm", OFF + "lvreduce -qq -f -y -L 8M data/mail; sync"),
    wipe("mkfs.xfs on a partition", "gpt", OFF + "mkfs.xfs -q -f -K /dev/vda1; sync"),
    wipe("mkswap on a partition", "mbr", OFF + "mkswap -f /dev/vda1 >/dev/null; sync"),
    # overwritten
    warn("files replaced by as many of the same size", "ext4", REPLACE),
    wipe("all files punched", "ext4", PUNCH),
    wipe("all files punched, xfs", "xfs", PUNCH),
    wipe("dd urandom over a third of the disk, mounted", "ext4", "dd if=/dev/urandom of=/dev/vda bs=1M seek=16 count=300 conv=notrunc 2>/dev/null; sync"),
    wipe("dd zero over the middle, mounted", "xfs", "dd if=/dev/zero of=/dev/vda bs=1M seek=64 count=600 conv=notrunc 2>/dev/null; sync"),
    wipe("shred of files, xfs", "xfs", f"{LIST} -exec shred -n 1 -u {{}} +; sync", late=100),
    wipe("inodes cleared by debugfs", "ext4", OFF + "for i in $(seq 12 900); do echo \"clri <$i>\"; done >/tmp/x; debugfs -w -f /tmp/x /dev/vda >/dev/null 2>&1; sync"),
    wipe("wipefs -a of a partition", "gpt", OFF + "wipefs -q -a /dev/vda1"),
    wipe("shred of files", "ext4", f"{LIST} -exec shred -n 1 -u {{}} +; sync"),
    wipe("shred of the disk", "ext4", OFF + "shred -n 1 -s 64M /dev/vda; sync"),
    wipe("zeros into all files", "ext4", ZERO_ALL),
    wipe("zeros into all files, xfs", "xfs", ZERO_ALL),
    wipe("zeros into all files, first after the mount", "ext4", ZERO_ALL, prepare="cd /; umount /m; mount -o noatime /dev/vda /m; sync"),
    wipe("zeros into all files, a few at a time", "ext4", ZERO_ALL.replace("conv=notrunc", "conv=notrunc,fsync").replace("done; sync", "sleep 0.3; done")),
    wipe("zeros into most of all files", "ext4", ZERO_MOST),
    wipe("0xCC into all files", "ext4", PATTERN),
    wipe("0xCC into all files, xfs", "xfs", PATTERN),
    wipe("zeros into all files, ntfs", "ntfs", ZERO_ALL),
    wipe("zeros into all files, ntfs, a few at a time", "ntfs", ZERO_ALL.replace("conv=notrunc", "conv=notrunc,fsync").replace("done; sync", "sleep 0.3; done; sync")),
    wipe("0xCC into all files, ntfs", "ntfs", PATTERN),
    wipe("truncate of all files, ntfs", "ntfs", "/bin/find /m -type f -exec truncate -s 0 {} +; sync", late=60),
    wipe("shred of files, ntfs", "ntfs", f"{LIST} -exec shred -n 1 -u {{}} +; sync", late=60),
    wipe("zeros into all files, btrfs", "btrfs", ZERO_ALL, late=60),
    wipe("0xCC into all files, btrfs", "btrfs", PATTERN, late=60),
    wipe("truncate of all files, btrfs", "btrfs", "/bin/find /m -type f -exec truncate -s 0 {} +; sync", late=60),
    wipe("zeros into all files, in a logical volume", "lvm", ZERO_ALL),
    wipe("blkdiscard", "ext4", OFF + "blkdiscard -f /dev/vda"),
    wipe("blkdiscard of one partition", "gpt", OFF + "blkdiscard -f /dev/vda1"),
    wipe("dd zero over the disk, mounted", "ext4", "dd if=/dev/zero of=/dev/vda bs=1M 2>/dev/null; sync"),
    wipe("dd urandom over the disk", "ext4", "dd if=/dev/urandom of=/dev/vda bs=1M count=64 2>/dev/null; sync"),
    wipe("dd zero over the first MiB", "gpt", OFF + zeros("/dev/vda", "bs=1M count=1")),
    wipe("dd zero over one partition", "gpt", OFF + "dd if=/dev/zero of=/dev/vda1 bs=1M 2>/dev/null; sync"),
    # what all else hangs on
    wipe("wipefs -a", "ext4", OFF + "wipefs -q -a /dev/vda"),
    wipe("wipefs -a, xfs", "xfs", OFF + "wipefs -q -a /dev/vda"),
    wipe("large ext4, superblock and descriptors zeroed", "large ext4", OFF + zeros("/dev/vda", "bs=4096 count=9")),
    wipe("wipefs -a, btrfs", "btrfs", OFF + "wipefs -q -a /dev/vda"),
    wipe("XFS superblock zeroed", "xfs", OFF + zeros("/dev/vda", "bs=512 count=1")),
    wipe("ext4 superblock and descriptors zeroed", "ext4", OFF + zeros("/dev/vda", "bs=4096 count=2")),
    wipe("ext4 inode tables zeroed", "ext4", OFF + "debugfs -w -R 'zap_block -f <7> 0' /dev/vda >/dev/null 2>&1; " + INODES
         + zeros("/dev/vda", "bs=4096 seek=$T count=64")),
    wipe("ext4 inode tables overwritten", "ext4", OFF + INODES + RANDOM + "bs=4096 seek=$((T + 1)) count=900; sync"),
    wipe("random over the first MiB but one, mounted", "ext4", RANDOM + "bs=1M seek=1 count=8; sync"),
    wipe("XFS inodes overwritten", "xfs", "stat -c %i /m/files/* >/tmp/i; " + OFF + "for i in $(cat /tmp/i); do "
         "B=$(xfs_db -r -c \"convert inode $i fsbyte\" /dev/vda | sed 's/.*(\\(.*\\))/\\1/'); " + RANDOM + "bs=4096 seek=$((B / 4096 / 8 * 8)) count=8; done; sync"),
    wipe("MBR zeroed", "mbr", OFF + zeros("/dev/vda", "bs=512 count=1")),
    wipe("MBR, a new table over the old", "mbr", OFF + "echo ';' | sfdisk -q -f --wipe always /dev/vda 2>/dev/null; sync"),
    wipe("btrfs trees overwritten, mounted", "btrfs", "for at in $(btrfs inspect-internal dump-tree -t chunk /dev/vda | "
         "awk '/ type /{t = $0} /stripe . devid/{if (t ~ /METADATA/) print $NF}'); do "
         "dd if=/dev/urandom of=/dev/vda bs=1M count=3 seek=$at oflag=seek_bytes conv=notrunc 2>/dev/null; done; sync"),
    wipe("GPT, first copy zeroed", "gpt", OFF + zeros("/dev/vda", "bs=512 seek=1 count=33")),
    wipe("GPT, protective MBR zeroed", "gpt", OFF + zeros("/dev/vda", "bs=512 count=1")),
    wipe("GPT, both copies", "gpt", OFF + "sgdisk -Z /dev/vda >/dev/null; sync"),
    wipe("GPT, a new table over the old", "gpt", OFF + "sgdisk -o /dev/vda >/dev/null; sync"),
    wipe("GPT, one partition deleted", "gpt", OFF + "sgdisk -d 1 /dev/vda >/dev/null; sync"),
    wipe("LUKS header zeroed", "luks", zeros("/dev/vda", "bs=1M count=4")),
    wipe("LUKS keys erased", "luks", "cryptsetup erase -q /dev/vda; sync"),
    wipe("LUKS key slots overwritten", "luks", "dd if=/dev/urandom of=/dev/vda bs=4096 seek=8 count=64 conv=notrunc 2>/dev/null; sync"),
    wipe("LUKS key overwritten behind its first page", "luks", "dd if=/dev/urandom of=/dev/vda bs=4096 seek=9 count=20 conv=notrunc 2>/dev/null; sync"),
    wipe("luksFormat, same UUID", "luks", f"U=$(cryptsetup luksUUID /dev/vda); printf mine | cryptsetup luksFormat -q {KEYED} --uuid $U /dev/vda -; sync"),
    wipe("luksFormat over LUKS", "luks", f"printf mine | cryptsetup luksFormat -q {KEYED} /dev/vda -; sync"),
    wipe("luksFormat over ext4", "ext4", OFF + f"printf mine | cryptsetup luksFormat -q {KEYED} /dev/vda -; sync"),
    wipe("NTFS, MFT overwritten", "ntfs", OFF + "dd if=/dev/urandom of=/dev/vda bs=4096 seek=4 count=64 conv=notrunc 2>/dev/null; sync"),
    wipe("NTFS, MFT overwritten behind its own records", "ntfs", OFF + RANDOM + "bs=4096 seek=64 count=400; sync"),
    wipe("NTFS, boot sector zeroed", "ntfs", OFF + zeros("/dev/vda", "bs=512 count=1")),
    wipe("PV label zeroed", "lvm", OFF + zeros("/dev/vda", "bs=512 count=8")),
    wipe("VG metadata zeroed", "lvm", OFF + zeros("/dev/vda", "bs=4096 seek=1 count=200")),
    wipe("lvremove", "lvm", OFF + "lvremove -qq -f data/mail; sync"),
    wipe("lvremove of a thin volume", "empty", f"lvremove -qq -f {THIN} data/thin && sync", prepare=MAKE_THIN),
    wipe("vgremove", "lvm", OFF + "vgremove -qq -f data; sync"),
    wipe("pvremove -ff", "lvm", OFF + "vgchange -qq -an data; pvremove -qq -ff -y /dev/vda; sync"),
    # encrypted
    warn("encryption in place", "ext4", IN_PLACE),
    warn("encryption in place, xfs", "xfs", IN_PLACE),
    warn("encryption in place, btrfs", "btrfs", IN_PLACE, late=60),
    warn("encryption in place, ntfs", "ntfs", IN_PLACE, late=60),
    warn("encryption in place, large ext4", "large ext4", IN_PLACE),
    warn("intermittent encryption", "ext4", EVERY_OTHER),
    warn("intermittent encryption, xfs", "xfs", EVERY_OTHER),
    warn("encryption of one big file", "ext4", f"{ENCRYPT} -nosalt -in /m/text -out /tmp/x 2>/dev/null; dd if=/tmp/x of=/m/text bs=1M conv=notrunc 2>/dev/null; sync",
         prepare=TEXT),
    warn("encryption into new files", "ext4", INTO_NEW),
    warn("encryption into new files, compressed first", "ext4", INTO_NEW_SMALLER),
    warn("encryption in place, in a logical volume", "lvm", IN_PLACE),
    warn("encryption in place, in a partition", "gpt", IN_PLACE),
    warn("encryption a little at a time", "ext4", IN_PLACE.replace("conv=notrunc", "conv=notrunc,fsync").replace("done; sync", "sleep 1; done")),
    wipe("wipe, then power-off", "ext4", OFF + "mkfs.ext4 -q -F /dev/vda; sync", power_off=True),
]
