# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks and deeds of administrators that are more than a script in one guest.

A scene gets the bed and the disks, and returns whether all was as promised, and what was seen.
"""
import time

from bed import Disk
from case import ENCRYPT, INTO_NEW, LIST, OFF, REPLACE

# Of guests whose files are listed by libguestfs, which takes its time
LISTED = """[policy listed]
interval = 5s
keep = 60x5s
inspect = auto
inspect_every = 20s
[policy suspected]
interval = 2s
keep = 300x2s
inspect = auto
inspect_every = 7d
[protect listed*]
policy = listed
[protect all*]
policy = default
[protect back]
policy = default
[protect junk]
policy = default
"""
MOUNT = """mkdir -p /m /run/cryptsetup /run/lock/lvm; ln -sf /proc/mounts /etc/mtab
if head -c 7 /dev/vda | grep -q NTFS; then ntfs-3g -o big_writes /dev/vda /m
elif vgchange -qq -ay data 2>/dev/null && [ -e /dev/data/mail ]; then mount /dev/data/mail /m
else mount /dev/vda /m 2>/dev/null || mount /dev/vda1 /m 2>/dev/null || true; fi; sync"""
LOGS = "auth.log wtmp syslog"
SYSTEM = ("mkdir -p /m/etc /m/bin /m/usr /m/var/log; echo '/dev/sda / ext4 defaults 0 1' >/m/etc/fstab; echo ID=debian >/m/etc/os-release; "
          f"for l in {LOGS}; do cat /m/documents/1 >/m/var/log/$l; done; sync")


def guest_on(bed, golden, name, disk="ext4"):
    image = bed.images / f"{name}.raw"
    golden.copy(disk, image)
    guest = bed.linux_guest(name, [Disk(path=str(image))], full=True, memory_mib=768)
    guest.sh(MOUNT)
    return guest


def verdicts(bed, name):
    return [s for s in bed.sh("snapshot-list", name)["snapshots"] if s["verdict"]]


def alerts(bed, name):
    return [a for a in bed.sh("alert-list")["alerts"] if a["domain"] == name]


def known(bed, name):
    """The newest number, once there are some."""
    bed.wait(lambda: len(verdicts(bed, name)) >= 3, 120, f"{name} to be known")
    return verdicts(bed, name)[-1]["number"]


def at_once(bed, golden):
    """An intruder on the whole host: every guest is formatted in the same second."""
    names = [f"all{number}" for number in (1, 2, 3)]
    guests = {name: guest_on(bed, golden, name) for name in names}
    before = {name: known(bed, name) for name in names}
    for guest in guests.values():
        guest.sh(OFF + "mkfs.ext4 -q -F /dev/vda; sync", timeout=100)
    bed.wait(lambda: all(verdicts(bed, name)[-1]["verdict"] == "critical" for name in names), 60, "all to be found")
    clean = all(bed.sh("snapshot-info", name, "last-good")["number"] >= before[name] for name in names)
    fleet = any("other guests" in alert["summary"] for name in names for alert in alerts(bed, name))
    for guest in guests.values():
        guest.destroy()
    return clean and fleet, (f"{len(names)} critical, last-good {'clean' if clean else 'DIRTY'}, "
                             f"{'told as one attack' if fleet else 'NOT told as one'}")


def logs_wiped(bed, golden):
    """Who cleans up behind himself: too little for any counter, so the files' list has to tell."""
    name = "listed"
    guest = guest_on(bed, golden, name)
    guest.sh(SYSTEM)
    before = known(bed, name)
    bed.wait(lambda: lists(bed, before), 300, "a list with the logs in it")
    guest.sh(f"cd /m/var/log; rm wtmp syslog; : >auth.log; sync")
    bed.wait(lambda: alerts(bed, name), 300, "an alert")
    alert = bed.sh("alert-info", alerts(bed, name)[0]["id"])["alert"]
    guest.destroy()
    rules = sorted(finding["rule"] for finding in alert["findings"])
    clean = alert["snapshot_good"] >= before
    return ("logs-wiped" in rules and alert["level"] == "warn" and clean,
            f"{alert['level']}, last-good {'clean' if clean else 'DIRTY'}, {' '.join(rules)}")


def suspected(bed, golden, name, disk):
    """A guest whose files are listed on suspicion only."""
    guest = guest_on(bed, golden, name, disk)
    bed.sh("protect", name, "--policy", "suspected")
    return guest


def listed(disk, script, rule, levels=("warn", "critical")):
    """Where blocks do not say which files they are of: the files are listed as soon as random content takes the place of other, or files went."""
    def scene(bed, golden):
        name = f"suspected-{disk}-{rule}-{len(script)}"
        guest = suspected(bed, golden, name, disk)
        before = known(bed, name)
        guest.sh(script, timeout=900)
        end = time.monotonic()
        bed.wait(lambda: any(alert["level"] in levels for alert in alerts(bed, name)), 400, f"an alert of {levels}")
        took = time.monotonic() - end
        told = [bed.sh("alert-info", alert["id"])["alert"] for alert in reversed(alerts(bed, name)) if alert["level"] != "blind"]
        guest.destroy()
        rules = sorted(finding["rule"] for finding in told[-1]["findings"])
        # What came in the ten minutes before is under suspicion as well, and this guest is younger.
        clean = all(alert["snapshot_good"] <= before for alert in told)
        one = len({alert["incident"] for alert in told}) == 1
        return (rule in rules and clean and one,
                f"{', then '.join(alert['level'] for alert in told)}, {took:.0f} s after its end, "
                f"last-good {'clean' if clean else 'DIRTY'}, {' '.join(rules)}")
    return scene


def lists(bed, since):
    """Of snapshots after `since`."""
    return [path for path in bed.daemon.pool.glob("*/*/inventory.gz") if int(path.parent.name) > since]


def rolled_back(bed, golden):
    """The operator does what the alert says: that ends the incident, and is no attack itself."""
    name = "back"
    guest = guest_on(bed, golden, name)
    known(bed, name)
    guest.sh(OFF + "mkfs.ext4 -q -F /dev/vda; sync", timeout=100)
    bed.wait(lambda: alerts(bed, name), 60, "an alert")
    alert, = alerts(bed, name)
    bed.sh("rollback", name, "last-good", timeout=300)
    guest.wait_boot()
    guest.sh(MOUNT + "; ls /m/documents/1", timeout=100)
    bed.wait(lambda: bed.sh("alert-info", alert["id"])["resolved"], 60, "the incident to end")
    number = max(s["number"] for s in bed.sh("snapshot-list", name)["snapshots"])
    bed.wait(lambda: verdicts(bed, name)[-1]["number"] >= number + 3, 120, "verdicts on what is back")
    resolved = bed.sh("alert-info", alert["id"])["resolved"]
    after = [s["verdict"] for s in verdicts(bed, name) if s["number"] > number]
    more = len(alerts(bed, name)) - 1
    guest.destroy()
    return resolved == "recovered" and more == 0 and set(after) <= {"ok", "info"}, (
        f"incident {resolved}, then {' '.join(after)}, {more} more alerts")


def covered_up(bed, golden):
    """All is removed little by little and replaced by as much junk: that ends no incident, and last-good has all of it."""
    name = "junk"
    guest = guest_on(bed, golden, name)
    known(bed, name)
    count = int(guest.sh("cd /; /bin/find /m | wc -l"))
    before = verdicts(bed, name)[-1]["number"]
    guest.sh("rm -rf $(ls -d /m/files/* | head -n 5); sync", timeout=100)  # too few for an alarm
    begun = bed.sh("snapshot-list", name)["snapshots"][-1]["number"]
    bed.wait(lambda: verdicts(bed, name)[-1]["number"] > begun, 60, "a look at what is left")
    early = verdicts(bed, name)[-1]["verdict"]
    guest.sh("rm -rf /m/files /m/documents; sync", timeout=100)
    bed.wait(lambda: alerts(bed, name), 60, "an alert")
    guest.sh(f"mkdir /m/junk; dd if=/dev/urandom of=/m/junk/big bs=1M count=120 2>/dev/null; i=0; while [ $i -lt {count} ]; do echo $i >/m/junk/$i; i=$((i + 1)); done; sync",
             timeout=300)
    number = bed.sh("snapshot-list", name)["snapshots"][-1]["number"]
    bed.wait(lambda: verdicts(bed, name)[-1]["number"] >= number + 3, 120, "verdicts on the junk")
    alert, = alerts(bed, name)
    after, good = verdicts(bed, name)[-1]["verdict"], bed.sh("snapshot-info", name, "last-good")["number"]
    guest.destroy()
    return early in ("ok", "info") and not alert["resolved"] and after == "critical" and before <= good <= begun, (
        f"{early}, {after}, incident {alert['resolved'] or 'open'}, last-good {good} (known {before}, begun by {begun})")


SCENES = [
    ("removed, and junk in its place", True, covered_up),
    ("all guests at once", True, at_once),
    ("logs wiped", True, logs_wiped),
    ("encryption into new files, xfs", True, listed("xfs", INTO_NEW, "new-ending")),
    ("encryption into new files, btrfs", True, listed("btrfs", INTO_NEW, "new-ending")),
    ("encryption into new files, ntfs", True, listed("ntfs", INTO_NEW, "new-ending")),
    ("files replaced by as many of the same size, xfs", True, listed("xfs", REPLACE, "new-ending")),
    ("small files removed, btrfs", True, listed("btrfs", "rm -rf /m/files; sync", "files-gone", ["critical"])),
    ("shred of files, btrfs", True, listed("btrfs", f"{LIST} -exec shred -n 1 -u {{}} +; sync", "files-gone", ["critical"])),
    ("snapshot rollback by the operator", False, rolled_back),
]
