# SPDX-License-Identifier: GPL-2.0-or-later
"""What those who run guests do, and what guests do by themselves."""
from case import KEYED, LIST, MAKE_THIN, OFF, TEXT, THIN, Case, random


def fine(name, disk, script, level="info", **more):
    return Case(name, disk, script, level, **more)


# Less than `emptying` warns of, since the old one goes first; the new one gets its blocks.
OLD_DUMP = "cat /m/documents/[1-4]* >/m/dump.sql; sync"
NEW_DUMP = "rm /m/dump.sql; sync; dd if=/dev/urandom of=/m/dump.enc bs=1M count=150 2>/dev/null; sync"
TABLE = ("sqlite3 /m/db 'create table t (i integer primary key, x text); insert into t (x) select hex(randomblob(400)) || "
         "\"the quick brown fox\" from generate_series(1,20000)'; sync")
MANY_LOGS = f"mkdir /m/logs; for f in $({LIST} -size +12k | head -200); do cp $f /m/logs/; done; sync"
BACKUPS = "export RESTIC_PASSWORD=x; restic -q -r /m/backup init >/dev/null; restic -q -r /m/backup backup /m/files >/dev/null; sync"
REPOSITORY = ("export HOME=/root GIT_EXEC_PATH=/bin; git config --global user.email a@b; git config --global user.name a; cd /m; git init -q repository; cd repository; "
              "for d in $(ls -d /m/files/* | head -6); do cp -r $d .; git add -A; git commit -qm $d; done; sync")
SMALL = "mkdir -p /m/keys; for i in $(seq 800); do head -c {size} /dev/urandom >/m/keys/$i; done; "
LAYERS = "mkdir /m/overlay; for l in 1 2 3 4 5 6 7; do mkdir /m/overlay/$l; cp -r $(ls -d /m/files/* | head -n 3) /m/overlay/$l; done; sync"

BENIGN = [
    fine("nothing", "ext4", "sync"),
    fine("reboot", "ext4", "cd /; umount /m; sync; mount /dev/vda /m; sync"),
    fine("power cut, then reboot", "ext4", "for i in $(seq 200); do echo $i >/m/n$i; done; sync; for i in $(seq 200); do echo $i >>/m/n$i; done; "
         "umount -l /m; mount /dev/vda /m; sync"),
    # logs, mail, packages
    fine("logs copied and truncated", "ext4", "for f in /m/logs/*; do cp $f $f.1; : >$f; done; sync", prepare=MANY_LOGS),
    fine("log writing", "ext4", "for i in $(seq 2000); do echo line $i; done >>/m/log; sync"),
    fine("logrotate with compression", "ext4", "gzip -k /m/text && mv /m/text /m/text.1; sync", prepare=TEXT),
    fine("many logs compressed", "ext4", "gzip /m/logs/*; sync", prepare=MANY_LOGS),
    fine("many small files compressed", "ext4", f"{LIST} -size +8k -size -60k | head -400 | xargs gzip; sync"),
    fine("journal vacuumed", "ext4", "rm /m/journal/system@1*; sync",
         prepare="mkdir /m/journal; for i in $(seq 10 19) $(seq 20 24); do " + random("/m/journal/system@$i.journal", 3) + "done; sync"),
    fine("mail expunged", "ext4", f"rm $({LIST} | head -100); sync"),
    fine("package upgrade", "debian", "dpkg --root=/m --force-bad-path -i /m/tool_2.deb >/dev/null && sync",
         prepare="dpkg --root=/m --force-bad-path -i /m/tool_1.deb >/dev/null && sync"),
    fine("package purged, apt clean", "debian", "dpkg --root=/m --force-bad-path -P tool >/dev/null && rm /m/*.deb && sync",
         prepare="dpkg --root=/m --force-bad-path -i /m/tool_1.deb >/dev/null && sync"),
    fine("old kernel purged", "ext4", "rm -rf /m/boot/1 /m/modules/1; sync",
         prepare="for k in 1 2; do mkdir -p /m/boot/$k /m/modules/$k; " + random("/m/boot/$k/vmlinuz", 12)
                 + "for i in $(seq 120); do echo $i >/m/modules/$k/$i.ko; done; done; sync"),
    # trim
    fine("fstrim", "ext4", "fstrim /m; sync"),
    fine("fstrim after a deletion", "ext4", "rm /m/tmp; sync; fstrim /m", prepare=random("/m/tmp", 40) + "sync"),
    fine("fstrim after a deletion, xfs", "xfs", "rm /m/tmp; sync; fstrim /m", prepare=random("/m/tmp", 40) + "sync"),
    fine("fstrim after a deletion, btrfs", "btrfs", "rm /m/tmp; sync; fstrim /m", prepare=random("/m/tmp", 40) + "sync"),
    fine("written in place, deleted and trimmed, ntfs", "ntfs",
         "for f in /m/tmp/*; do dd if=/dev/urandom of=$f bs=1M count=2 conv=notrunc 2>/dev/null; done; sync; rm -r /m/tmp; sync; fstrim /m; sync",
         prepare="mkdir /m/tmp; for i in $(seq 20); do " + random("/m/tmp/$i", 2) + "done; sync"),
    fine("fstrim after a deletion, ntfs", "ntfs", "rm /m/tmp; sync; fstrim /m; sync", prepare=random("/m/tmp", 40) + "sync"),
    fine("deletion under discard", "ext4", "rm /m/tmp; sync; sleep 3; sync", prepare="mount -o remount,discard /m; " + random("/m/tmp", 40) + "sync"),
    fine("deletion under discard, xfs", "xfs", "rm /m/tmp; sync; sleep 3; sync", prepare="mount -o remount,discard /m; " + random("/m/tmp", 40) + "sync"),
    fine("sparse file punched", "ext4", "fallocate -p -o 1M -l 30M /m/image; sync", prepare=random("/m/image", 32) + "sync"),
    fine("fstrim of a large ext4", "large ext4", "rm /m/tmp; sync; fstrim /m; sync", prepare=random("/m/tmp", 40) + "sync"),
    fine("fstrim of a large xfs", "large xfs", "rm /m/tmp; sync; fstrim /m; sync", prepare=random("/m/tmp", 40) + "sync"),
    # databases and backups
    fine("database rewritten", "ext4", "cp /m/db /m/db.new; mv /m/db.new /m/db; sync", prepare="cat /m/documents/* >/m/db; sync"),
    fine("database in use", "ext4", "sqlite3 /m/db 'update t set x = x || \"more\" where i % 3 = 0; delete from t where i % 5 = 0'; sync", prepare=TABLE),
    fine("records that grow in a preallocated file", "ext4", "i=0; while [ $i -lt 1200 ]; do "
         "dd if=/m/documents/$((i % 90)) of=/m/table bs=4000 skip=$((i % 200)) count=1 iflag=fullblock oflag=seek_bytes seek=$((i * 4096)) conv=notrunc 2>/dev/null; "
         "i=$((i + 1)); done; sync", prepare="dd if=/dev/zero of=/m/table bs=1M count=8 2>/dev/null; i=0; while [ $i -lt 1200 ]; do "
         "dd if=/m/documents/1 of=/m/table bs=300 count=1 oflag=seek_bytes seek=$((i * 4096)) conv=notrunc 2>/dev/null; i=$((i + 1)); done; sync"),
    fine("database vacuumed", "ext4", "sqlite3 /m/db 'delete from t where i % 4 = 0; vacuum'; sync", prepare=TABLE),
    fine("database dumped into xz", "ext4", "sqlite3 /m/db .dump | xz -0 >/m/dump.xz; sync", prepare=TABLE),
    fine("database dumped into zstd, xfs", "xfs", "sqlite3 /m/db .dump | zstd -q -o /m/dump.zst; sync", prepare=TABLE),
    fine("a dump replaced by an encrypted one", "ext4", NEW_DUMP, prepare=OLD_DUMP),
    fine("a dump replaced by an encrypted one, xfs", "xfs", NEW_DUMP, prepare=OLD_DUMP),
    fine("backup into an archive", "ext4", "tar c -C /m files | zstd -q -o /m/backup.zst; sync"),
    fine("backup by restic", "ext4", "export RESTIC_PASSWORD=x; restic -q -r /m/backup backup /m/documents >/dev/null; sync", prepare=BACKUPS),
    fine("backup forgotten and pruned", "ext4", "export RESTIC_PASSWORD=x; rm /m/documents/*1; restic -q -r /m/backup backup /m/documents >/dev/null; "
         "restic -q -r /m/backup forget --keep-last 1 --prune --group-by '' >/dev/null; sync",
         prepare=BACKUPS + "; restic -q -r /m/backup backup /m/documents >/dev/null; sync"),
    fine("oldest of five backups removed", "ext4", "rm /m/b1; sync", prepare="for i in 1 2 3 4 5; do " + random("/m/b$i", 20) + "done; sync"),
    fine("mirror updated by rsync", "ext4", f"rm $({LIST} | head -60); rsync -a --delete /m/files/ /m/mirror/; sync", prepare="rsync -a /m/files/ /m/mirror/; sync"),
    # builds
    fine("CI workspace wiped", "ext4", "rm -rf /m/work; sync", prepare="mkdir /m/work; cp -r $(ls -d /m/files/* | head -n 8) /m/work; sync"),
    fine("node_modules removed", "ext4", "rm -rf /m/node_modules; sync",
         prepare="mkdir /m/node_modules; for i in $(seq 150); do mkdir /m/node_modules/$i; echo $i >/m/node_modules/$i/index.js; done; sync"),
    fine("git gc", "ext4", "export HOME=/root GIT_EXEC_PATH=/bin; cd /m/repository; git gc -q --prune=now 2>/dev/null; sync", prepare=REPOSITORY),
    fine("container layers pruned", "ext4", "rm -rf /m/overlay/1 /m/overlay/2; sync", prepare=LAYERS),
    fine("built, then cleaned", "ext4", "mkdir /m/obj; for i in $(seq 600); do dd if=/dev/urandom of=/m/obj/$i.o bs=8k count=1 2>/dev/null; done; sync; sleep 3; "
         "rm -rf /m/obj; sync"),
    fine("much unpacked, then removed", "ext4", "mkdir /m/copy; cp -r /m/files /m/copy/a; cp -r /m/files /m/copy/b; sync; sleep 6; rm -rf /m/copy; sync", level="warn",
         why="two thirds of all files, though they had just come"),
    fine("a temporary file of more than all else", "ext4", random("/m/tmp", 260) + "sync; sleep 6; rm /m/tmp; sync"),
    fine("a temporary file of more than all else, btrfs", "btrfs", random("/m/tmp", 260) + "sync; sleep 6; rm /m/tmp; sync; sleep 35; sync"),
    fine("archive unpacked", "xfs", "mkdir /m/new; tar x -C /m/new -f /m/all.tar; sync; rm /m/all.tar; sync", prepare="tar c -C /m -f /m/all.tar files; sync"),
    fine("photos copied", "ext4", "mkdir /m/photos; for i in $(seq 40); do dd if=/dev/urandom of=/m/photos/$i.jpg bs=1M count=3 2>/dev/null; done; sync"),
    # filesystems looked after
    fine("e2fsck -D", "ext4", "umount /m; e2fsck -fyD /dev/vda >/dev/null; mount /dev/vda /m; sync"),
    fine("shrunk to the least", "ext4", "umount /m; e2fsck -fp /dev/vda >/dev/null; resize2fs -M /dev/vda 2>/dev/null; mount /dev/vda /m; sync"),
    fine("btrfs scrub and defragmentation", "btrfs", "btrfs scrub start -B /m >/dev/null; btrfs filesystem defragment -r /m >/dev/null; sync"),
    fine("btrfs snapshot made and an old one deleted", "btrfs", "btrfs subvolume snapshot -r /m /m/new >/dev/null; btrfs subvolume delete /m/old >/dev/null; "
         "btrfs filesystem sync /m; sync", prepare="btrfs subvolume snapshot -r /m /m/old >/dev/null; sync"),
    fine("fstrim in a partition", "gpt", "rm /m/tmp; sync; fstrim /m; sync", prepare=random("/m/tmp", 40) + "sync"),
    fine("fstrim in a logical volume", "lvm", "rm /m/tmp; sync; fstrim /m; sync", prepare=random("/m/tmp", 40) + "sync"),
    fine("xfs log replayed", "xfs", "cp -r /m/files/d1 /m/copy; xfs_io -x -c 'shutdown -f' /m; umount /m; mount /dev/vda /m; sync"),
    fine("resize of the filesystem", "ext4", "umount /m; e2fsck -fp /dev/vda >/dev/null; resize2fs -f /dev/vda 700M 2>/dev/null; resize2fs /dev/vda 2>/dev/null; sync"),
    fine("partition and filesystem grown", "mbr", "umount /m; echo ', +' | sfdisk -q -f -N 1 /dev/vda; sync; e2fsck -fp /dev/vda1 >/dev/null; resize2fs /dev/vda1 2>/dev/null; "
         "mount /dev/vda1 /m; sync"),
    fine("partition and xfs grown", "gpt-xfs", "umount /m; sgdisk -d 2 -d 1 -n 1:2048:0 -u 1:$(sgdisk -i 1 /dev/vda | sed -n 's/.*unique GUID: //p') /dev/vda >/dev/null; "
         "mount /dev/vda1 /m; xfs_growfs /m >/dev/null; sync"),
    fine("fsck and a new label", "ext4", "umount /m; e2fsck -fp /dev/vda >/dev/null; tune2fs -L new -m 1 /dev/vda >/dev/null; mount /dev/vda /m; sync"),
    fine("xfs_repair", "xfs", "umount /m; xfs_repair /dev/vda >/dev/null 2>&1; mount /dev/vda /m; sync"),
    fine("checksums removed", "ext4", "umount /m; e2fsck -fp /dev/vda >/dev/null; tune2fs -O ^metadata_csum /dev/vda >/dev/null; mount /dev/vda /m; sync",
         prepare=f"rm $({LIST} | head -120); sync"),
    fine("checksums brought back", "ext4", "umount /m; e2fsck -fp /dev/vda >/dev/null; tune2fs -O metadata_csum /dev/vda >/dev/null; mount /dev/vda /m; sync",
         prepare="umount /m; e2fsck -fp /dev/vda >/dev/null; tune2fs -O ^metadata_csum /dev/vda >/dev/null; mount /dev/vda /m; sync"),
    fine("new UUID", "ext4", "umount /m; tune2fs -U random /dev/vda >/dev/null; mount /dev/vda /m; sync"),
    fine("journal removed and made again", "ext4", "umount /m; tune2fs -O ^has_journal /dev/vda >/dev/null; tune2fs -j /dev/vda >/dev/null; mount /dev/vda /m; sync"),
    fine("btrfs shrunk and grown", "btrfs", "btrfs -q filesystem resize -100M /m; sync; btrfs -q filesystem resize max /m; sync"),
    fine("defragmentation", "ext4", "e4defrag /m >/dev/null 2>&1; sync"),
    fine("defragmentation, xfs", "xfs", "xfs_fsr /m >/dev/null 2>&1; sync"),
    fine("btrfs balance", "btrfs", "btrfs balance start --full-balance /m >/dev/null 2>&1; sync"),
    fine("reflinked copy, then one removed", "xfs", "cp --reflink=always /m/text /m/text.2; sync; rm /m/text; sync", prepare=TEXT),
    fine("LUKS re-key", "luks", f"printf secret >/tmp/a; printf other >/tmp/b; cryptsetup luksChangeKey -q {KEYED} --key-file /tmp/a /dev/vda /tmp/b; sync"),
    fine("LUKS key added", "luks", f"printf secret >/tmp/a; printf other >/tmp/b; cryptsetup luksAddKey -q {KEYED} --key-file /tmp/a /dev/vda /tmp/b; sync"),
    fine("volume group and logical volume renamed", "lvm", "umount /m; lvm vgrename -qq data store; lvm lvrename -qq store mail post; mount /dev/store/post /m; sync"),
    fine("logical volume and filesystem grown", "lvm", "lvextend -qq -L +60M data/mail; resize2fs /dev/data/mail 2>/dev/null; sync"),
    fine("a new logical volume formatted", "lvm", "lvcreate -qq -y -Wn -Zn -L 100M -n more data; mkfs.ext4 -q /dev/data/more; sync"),
    fine("snapshot of a logical volume made and removed", "lvm", "lvcreate -qq -s -L 60M -n snap data/mail && sync && sleep 10 && lvremove -qq -f data/snap && sync"),
    fine("snapshot of a thin volume made and removed", "empty", f"lvcreate -qq -s {THIN} -n snap data/thin && sync && sleep 10 && lvremove -qq -f {THIN} data/snap && sync",
         prepare=MAKE_THIN),
    fine("a volume group without volumes removed", "empty", "vgremove -qq new; pvremove -qq /dev/vda; sync", prepare="pvcreate -qq /dev/vda; vgcreate -qq new /dev/vda; sync"),
    fine("GPT identifiers made anew", "gpt", "umount /m; sgdisk -G /dev/vda >/dev/null; mount /dev/vda1 /m; sync"),
    fine("MBR converted to GPT", "mbr", "umount /m; sgdisk -g /dev/vda >/dev/null; mount /dev/vda1 /m; sync"),
    fine("another disk identifier", "mbr", "umount /m; sfdisk -q --disk-id /dev/vda 0x12345678; mount /dev/vda1 /m; sync"),
    fine("partition made again, larger", "gpt", "umount /m; sgdisk -d 2 -d 1 -n 1:2048:0 /dev/vda >/dev/null; mount /dev/vda1 /m; sync"),
    fine("hibernated and resumed", "gpt", "printf 'S1SUSPEND\\0' | dd of=/dev/vda2 bs=1 seek=4086 conv=notrunc 2>/dev/null; sync; sleep 8; "
         "printf 'SWAPSPACE2' | dd of=/dev/vda2 bs=1 seek=4086 conv=notrunc 2>/dev/null; sync", prepare="mkswap /dev/vda2 >/dev/null; sync"),
    # small files of random content lie among the inodes, or in the MFT's records
    fine("small encrypted files in inodes", "empty", SMALL.format(size=600) + "sync", prepare="mkfs.ext4 -q -I 1024 -O inline_data /dev/vda; mkdir -p /m; mount /dev/vda /m; "
         + SMALL.format(size=600) + "sync"),
    fine("small encrypted files in the MFT", "ntfs", SMALL.format(size=500) + "sync", prepare=SMALL.format(size=500) + "sync"),
    # new disks
    fine("first format of an empty disk", "empty", "mkfs.ext4 -q /dev/vda; sync"),
    fine("first partitions and format", "empty", "sgdisk -n 1:0:0 /dev/vda >/dev/null; sync; mkfs.xfs -q -f /dev/vda1; sync"),
    fine("fresh install", "empty", "mkfs.ext4 -q /dev/vda; mkdir -p /m; mount /dev/vda /m; cp -r /bin /sbin /etc /m; sync"),
    fine("lazy inode tables", "empty", "mkfs.ext4 -q -E lazy_itable_init=1 /dev/vda; mkdir -p /m; mount /dev/vda /m; sleep 8; sync"),
    fine("first format of a second partition", "gpt", "mkfs.ext4 -q /dev/vda2; sync"),
    fine("luksFormat of an empty disk", "empty", f"printf secret | cryptsetup luksFormat -q {KEYED} /dev/vda -; sync"),
    fine("luksFormat after random bytes", "empty", f"printf secret | cryptsetup luksFormat -q {KEYED} /dev/vda -; sync", prepare="dd if=/dev/urandom of=/dev/vda bs=1M count=200 2>/dev/null; sync"),
    fine("first volume group and volume", "empty", "pvcreate -qq /dev/vda; vgcreate -qq new /dev/vda; lvcreate -qq -y -Wn -Zn -L 200M -n one new; "
         "mkfs.xfs -q /dev/new/one; sync"),
    fine("swap made anew", "empty", "swapoff /dev/vda; mkswap /dev/vda >/dev/null; swapon /dev/vda; sync", prepare="mkswap /dev/vda >/dev/null; swapon /dev/vda; sync"),
    fine("swap made anew in a partition", "gpt", "mkswap -f /dev/vda2 >/dev/null; sync", prepare="mkswap /dev/vda2 >/dev/null; sync"),
    fine("swap becomes a filesystem", "gpt", "wipefs -q -a /dev/vda2; mkfs.ext4 -q /dev/vda2; sync", prepare="mkswap /dev/vda2 >/dev/null; sync"),
    fine("swap used heavily", "gpt", "dd if=/dev/urandom of=/dev/vda2 bs=64k seek=1 count=1600 conv=notrunc 2>/dev/null; sync", prepare="mkswap /dev/vda2 >/dev/null; sync"),
    fine("swap made and used", "empty", "mkswap /dev/vda >/dev/null; swapon /dev/vda; sync; swapoff /dev/vda"),
    fine("an empty filesystem becomes swap", "empty", "mkswap -f /dev/vda >/dev/null; swapon /dev/vda; sync", prepare="mkfs.ext4 -q /dev/vda; sync"),
    # content
    fine("video import", "ext4", random("/m/video", 120) + "sync"),
    fine("xfs in use", "xfs", "cp -r /m/files /m/copy; sync"),
    fine("btrfs in use", "btrfs", "cp -r /m/files /m/copy; rm -rf /m/copy; sync"),
    fine("ntfs in use", "ntfs", "cp -r /m/files/d1 /m/copy; sync; rm -rf /m/copy; sync"),
    fine("large ext4 in use", "large ext4", "mkdir /m/copy; cp -r $(ls -d /m/files/* | head -n 8) /m/copy; sync; rm -rf /m/copy; sync"),
    fine("large ntfs in use", "large ntfs", "cp -r /m/files/d1 /m/copy; sync; rm -rf /m/copy; sync"),
    fine("a disk image with a filesystem in a file", "ext4", "truncate -s 60M /m/vm.img; mkfs.ext4 -q -F /m/vm.img; sync; mkfs.xfs -q -f -d file,size=60m,name=/m/vm2.img 2>/dev/null; "
         "wipefs -q -a /m/vm.img; sync"),
    fine("a database file initialized", "xfs", "fallocate -l 120M /m/ibdata; sync; dd if=/dev/zero of=/m/ibdata bs=1M count=120 conv=notrunc 2>/dev/null; sync"),
    fine("files of zeros", "ext4", "dd if=/dev/zero of=/m/zeros bs=1M count=100 2>/dev/null; fallocate -l 50M /m/pre; sync"),
    fine("a project deleted", "ext4", "rm -rf $(ls -d /m/files/* | head -n $(($(ls /m/files | wc -l) * 3 / 10))); sync", level="warn",
         why="a user who deletes a third of all files is worth a look"),
]
