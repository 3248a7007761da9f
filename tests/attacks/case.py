# SPDX-License-Identifier: GPL-2.0-or-later
"""A case: something that is done to a guest, by an intruder or by those who run it.

Its name, the disk that the guest has (golden.py; mounted at /m where it can be), what is done, and for attacks the least
that must be found, for benign ones the most that may be.  Scripts run as the guest's root; /m is on /dev/vda (or on its
first partition, or volume).  `prepare` runs before guardd takes snapshots of it.
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


OFF = "cd /; umount -l /m; "
ENCRYPT = "openssl enc -aes-256-ctr -pass pass:x -pbkdf2 -iter 1"
LIST = "/bin/find /m/files -type f"
INTO_NEW = f"for f in $({LIST} -size +8k | head -400); do {ENCRYPT} -in $f -out $f.locked 2>/dev/null; rm $f; done; sync"
REPLACE = (f"for f in $({LIST}); do s=$(stat -c %s $f); dd if=/dev/urandom of=$f.x bs=$s count=1 2>/dev/null; rm $f; done; sync")
TEXT = f"cat $({LIST}) >/m/text; sync"
OPEN = "printf secret | cryptsetup open /dev/vda data -; mount /dev/mapper/data /m; "
KEYED = "--pbkdf pbkdf2 --pbkdf-force-iterations 1000"
# Of LVM's commands on thin volumes: the tools that check a pool are not in the guest.
THIN = "--config 'global { thin_check_executable=\"\" }'"
MAKE_THIN = (f"pvcreate -qq /dev/vda && vgcreate -qq data /dev/vda && lvcreate -qq -y {THIN} -L 300M -T data/pool && "
             f"lvcreate -qq -y {THIN} -V 200M -T data/pool -n thin && mkfs.ext4 -q /dev/data/thin && sync")


def random(path, mib):
    return f"dd if=/dev/urandom of={path} bs=1M count={mib} 2>/dev/null; "


def zeros(path, more):
    return f"dd if=/dev/zero of={path} conv=notrunc {more} 2>/dev/null; sync"
