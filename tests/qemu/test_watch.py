#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What guardd makes of what it sees on a guest's disks, and what it does then."""
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from receiver import Receiver
from suite import Disk, equal, main, timeout, until

MIB = 1 << 20
SECRET = b"a key that nobody guesses"


def snapshots(bed, name="web01"):
    return bed.sh("snapshot-list", name)["snapshots"]


def filesystem(bed, guest, target="vda"):
    """Formats the disk of a paused guest with files on it; through QEMU, as the guest would."""
    image = bed.images / "content.raw"
    image.unlink(missing_ok=True)
    with open(image, "wb") as file:
        file.truncate(256 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-d", "/usr/share/doc", image], check=True)
    put(guest, target, image)


def put(guest, target, image):
    """Writes those stretches of an image that are not zero."""
    with open(image, "rb") as file:
        for at in range(0, os.path.getsize(image), MIB):
            data = file.read(MIB)
            guest.put(target, at, data) if any(data) else guest.zero(target, at, MIB)


def verdict(bed, number, name="web01"):
    return next(s for s in snapshots(bed, name) if s["number"] == number)["verdict"]


def judged(bed, number, name="web01"):
    until(lambda: verdict(bed, number, name) is not None, 20, f"a verdict on snapshot {number}")
    return verdict(bed, number, name)


def test_a_big_filesystem_is_looked_at_as_a_small_one(bed):
    """What grows with a disk may meet a limit of the worker's: its memory, its calls, its time."""
    makers = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q"], "ntfs": ["mkntfs", "-Q", "-q", "-F"], "btrfs": ["mkfs.btrfs", "-q"]}
    for kind, command in makers.items():
        with open(bed.images / kind, "wb") as file:
            file.truncate(2 << 40)
        subprocess.run([*command, bed.images / kind], check=True, capture_output=True)
    guests = {kind: bed.paused_guest(kind, [Disk(path=str(bed.images / kind))]) for kind in makers}
    bed.guardd(interval="7d")
    for kind, guest in guests.items():
        until(lambda name=kind: snapshots(bed, name), 60, f"the first snapshot of {kind}")
        equal((kind, judged(bed, 1, kind)), (kind, "ok"))
        guest.write("vda", "10300M", "64k", 7)
        equal((kind, judged(bed, bed.sh("snapshot-create", kind)["number"], kind)), (kind, "ok"))


@contextlib.contextmanager
def looks(bed):
    """A function that takes a snapshot, and says what was read to judge it, and how it was judged."""
    command = [bed.build / "guardsh", "--json", "events", "--timeout", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "GUARDD_RUN_DIR": bed.daemon.run_dir}) as events:

        def look():
            number = bed.sh("snapshot-create", "web01")["number"]
            for line in events.stdout:
                event = json.loads(line)
                if event["event"] == "VERDICT" and event["data"]["number"] == number:
                    return event["data"]["look_bytes"], event["data"]["level"]
            raise AssertionError(f"no verdict on {number}")

        yield look
        events.kill()


def test_what_does_not_change_is_looked_at_once(bed):
    guest = bed.paused_guest("web01", [Disk("256M", "raw")])
    filesystem(bed, guest)
    bed.guardd(interval="7d")
    until(lambda: snapshots(bed), 30, "the first snapshot")
    equal(judged(bed, 1), "ok")
    with looks(bed) as look:
        first, level = look()
        assert first > 0 and level == "ok", (first, level)
        equal([look(), look()], [(0, "ok"), (0, "ok")])
        guest.write("vda", "255M", "64k", 7)
        changed, level = look()
        assert changed > 0 and level == "ok", (changed, level)
        guest.zero("vda", 0, MIB)
        wiped, level = look()
        assert wiped > 0 and level == "critical", (wiped, level)
        equal(look()[1], "critical")
        equal(look(), (0, "critical"))


def test_a_format_is_critical_and_the_snapshot_before_is_held(bed):
    guest = bed.paused_guest("web01", [Disk("256M", "raw")])
    filesystem(bed, guest)
    bed.guardd(interval="7d")
    until(lambda: snapshots(bed), 30, "the first snapshot")
    equal(judged(bed, 1), "ok")
    empty = bed.images / "empty.raw"
    with open(empty, "wb") as file:
        file.truncate(256 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", empty], check=True)
    with open(empty, "rb") as file:
        guest.put("vda", 0, file.read(MIB))
    bad = bed.sh("snapshot-create", "web01")["number"]
    equal(judged(bed, bad), "critical")
    good, = [s for s in snapshots(bed) if s["held"]]
    equal(good["number"], bad - 1)
    assert "formatted" in good["held"], good
    later = bed.sh("snapshot-create", "web01")["number"]
    equal(judged(bed, later), "critical")
    equal(bed.sh("snapshot-info", "web01", "last-good")["number"], bad - 1)


def test_an_open_alert_keeps_all_from_being_pruned_after_a_restart_too(bed):
    guest = bed.paused_guest("web01", [Disk("256M", "raw")])
    filesystem(bed, guest)
    bed.guardd(interval="7d", keep="1x1min")
    until(lambda: snapshots(bed), 30, "the first snapshot")
    equal(judged(bed, 1), "ok")
    wipe(guest)
    for _ in range(3):
        equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "critical")
    bed.daemon.restart()
    # Before anything has been looked at again.
    info = bed.sh("dominfo", "web01")
    equal((info["incident"]["level"], info["incident"]["snapshot_good"]), ("critical", 1))
    equal([s["number"] for s in snapshots(bed)], [1, 2, 3, 4])


def alarmed(bed, extra_xml="", **more):
    """guardd with a webhook, a guest whose first snapshot was found to be good, and the receiver."""
    receiver = Receiver(secret=SECRET)
    key = bed.images / "secret"
    key.write_bytes(SECRET + b"\n")
    guest = bed.paused_guest("web01", [Disk("256M", "raw")], extra_xml=extra_xml)
    filesystem(bed, guest)
    hook = f"[alert hook]\ntype = webhook\nurl = http://127.0.0.1:{receiver.port}/\nsecret_file = {key}\n"
    bed.guardd(interval="7d", alert=hook, **more)
    until(lambda: snapshots(bed), 30, "the first snapshot")
    equal(judged(bed, 1), "ok")
    return guest, receiver


def wipe(guest, target="vda"):
    guest.zero(target, 0, MIB)


def test_a_wipe_reaches_a_webhook_with_its_signature_and_the_way_back(bed):
    guest, receiver = alarmed(bed)
    receiver.start()
    wipe(guest)
    number = bed.sh("snapshot-create", "web01")["number"]
    until(lambda: receiver.alerts, 20, "the alert")
    (_, headers, body), = receiver.alerts
    equal(body["level"], "critical")
    equal(body["findings"][0]["rule"], "structure-gone")
    equal((body["snapshot_bad"], body["snapshot_good"]), (number, 1))
    equal(body["rollback"], "guardsh rollback web01 1")
    equal(headers["X-Guardd-Id"], body["id"])
    listed, = bed.sh("alert-list")["alerts"]
    until(lambda: bed.sh("alert-info", body["id"][:8])["undelivered"] == 0, 10, "it to be taken off the queue")
    equal(listed["id"], body["id"])
    assert "ALERT" in bed.daemon.log.read_text()


AWAY = float(os.environ.get("GUARDD_RECEIVER_AWAY", "0"))  # seconds; 0: no longer than a restart of guardd takes


@timeout(120 + 2 * int(AWAY))  # the last waiting time of a delivery may be as long again
def test_alerts_wait_for_their_receiver_over_a_restart_and_arrive_once_in_order(bed):
    away = AWAY
    guest, receiver = alarmed(bed)
    down = time.monotonic()
    wipe(guest)
    bad = bed.sh("snapshot-create", "web01")["number"]
    judged(bed, bad)
    for _ in range(5):
        bed.sh("alert-test")
    sent = [alert["id"] for alert in bed.sh("alert-list")["alerts"]][::-1]
    equal(len(sent), 6)
    if away:  # half of it before the restart, half after
        until(lambda: time.monotonic() - down > away / 2, away, "half of the time to pass")
    bed.daemon.restart()
    if away:
        until(lambda: time.monotonic() - down > away, away, "the rest of it to pass")
        equal(bed.sh("alert-info", sent[0])["undelivered"], 1)
    receiver.start()
    back = time.monotonic()
    until(lambda: len(receiver.alerts) >= 6, 60 + away, "all alerts")
    print(f"# away for {back - down:.0f} s; all had arrived {time.monotonic() - back:.0f} s after that")
    bed.sh("alert-test")
    until(lambda: len(receiver.alerts) >= 7, 60, "the last alert")
    equal([body["id"] for body in receiver.bodies][:6], sent)
    equal(len({body["id"] for body in receiver.bodies}), 7)
    equal(receiver.refused, [])


def test_after_a_rollback_all_is_well_by_itself(bed):
    guest, receiver = alarmed(bed)
    receiver.start()
    wipe(guest)
    judged(bed, bed.sh("snapshot-create", "web01")["number"])
    bed.sh("rollback", "web01", "--no-start")
    equal(bed.sh("snapshot-info", "web01", "last-good")["number"], 1)
    again = bed.sh("snapshot-create", "web01")["number"]
    equal(judged(bed, again), "ok")
    equal(len(receiver.alerts), 1)
    alert, = bed.sh("alert-list")["alerts"]
    equal(alert["resolved"], "recovered")
    for said in "real", "false-positive":  # the first counts
        bed.sh("alert-ack", alert["id"], "--as", said, "--reason", f"it was {said}")
    alert, = bed.sh("alert-list")["alerts"]
    equal((alert["resolved"], alert["reason"]), ("real", "it was real"))


def test_a_false_positive_makes_what_is_there_normal(bed):
    guest, receiver = alarmed(bed)
    wipe(guest)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "critical")
    alert, = bed.sh("alert-list")["alerts"]
    bed.sh("alert-ack", alert["id"], "--as", "false-positive", "--reason", "planned")
    equal(bed.sh("alert-info", alert["id"])["resolved"], "false-positive")
    guest.write("vda", "4M", "1M", 1)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "ok")
    assert any(s["held"] for s in snapshots(bed)), "what was held stays held"


def test_what_a_person_says_is_not_left_out_when_too_many_looks_wait(bed):
    folder = bed.run / "slow"
    folder.mkdir()
    program, works = folder / "guardd-sentinel", bed.build / "guardd-sentinel"
    program.symlink_to(works)
    guest, _ = alarmed(bed, libexec_dir=folder)
    wipe(guest)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "critical")
    alert, = bed.sh("alert-list")["alerts"]
    program.unlink()
    program.write_text("#!/bin/sh\nexec sleep 1234\n")
    program.chmod(0o755)
    for _ in range(18):
        bed.sh("snapshot-create", "web01", "--wait")
    assert "to be looked at: that one is left out" in bed.daemon.log.read_text()
    program.unlink()
    program.symlink_to(works)
    bed.sh("alert-ack", alert["id"], "--as", "false-positive")
    equal(bed.sh("dominfo", "web01")["incident"], None)


def test_a_hold_of_a_person_survives_the_look_that_comes_after_it(bed):
    guest, _ = alarmed(bed)
    wipe(guest)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "critical")
    for n in range(3):
        guest.write("vda", f"{8 + n}M", "1M", 1 + n)
        number = bed.sh("snapshot-create", "web01")["number"]
        bed.sh("snapshot-hold", "web01", number, "--reason", "for the police")
        equal(judged(bed, number), "critical")
        equal(bed.sh("snapshot-info", "web01", number)["held"], "for the police")


def mail(bed, files):
    """An ext4 image with so many files in it."""
    folder, image = bed.images / "mail", bed.images / "mail.raw"
    folder.mkdir()
    for number in range(files):
        (folder / f"m{number}").write_text(f"message {number}")
    with open(image, "wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-N", "4096", "-d", folder, image], check=True)
    return image


def delete(image, numbers):
    commands = "".join(f"rm m{number}\n" for number in numbers)
    subprocess.run(["debugfs", "-w", "-f", "-", image], input=commands, text=True, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_false_positive_relieves_its_soft_rule_on_its_guest_and_says_so(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "raw")])
    image = mail(bed, 2000)
    put(guest, "vda", image)
    bed.guardd(interval="7d")
    until(lambda: snapshots(bed), 30, "the first snapshot")
    equal(judged(bed, 1), "ok")
    delete(image, range(500))
    put(guest, "vda", image)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "warn")
    alert, = bed.sh("alert-list")["alerts"]
    finding, = bed.sh("alert-info", alert["id"])["alert"]["findings"]
    equal((finding["rule"], finding["soft"], finding["horizon"]), ("deletion", True, "last-good"))
    assert any("not another filesystem in its place" in text for text in finding["considered"]), finding
    shown = bed.daemon.guardsh("alert-info", alert["id"]).stdout
    assert "Considered and rejected:" in shown and "not a resize" in shown, shown
    equal(bed.sh("dominfo", "web01")["reliefs"], [])
    bed.sh("alert-ack", alert["id"], "--as", "false-positive")
    bed.sh("alert-ack", alert["id"], "--as", "false-positive")  # said twice, it counts once
    relief, = bed.sh("dominfo", "web01")["reliefs"]
    equal((relief["rule"], relief["percent"]), ("deletion", 5))
    bed.daemon.restart()
    delete(image, range(500, 830))  # 22 %: a fifth would have been enough
    put(guest, "vda", image)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "ok")
    relief, = bed.sh("dominfo", "web01")["reliefs"]
    assert "Relieved by false positives:" in bed.daemon.guardsh("dominfo", "web01").stdout
    delete(image, range(830, 1200))  # 31 %
    put(guest, "vda", image)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "warn")


def test_what_cannot_be_seen_of_a_disk_is_said_and_told_with_an_alert(bed):
    receiver = Receiver().start()
    guest = bed.paused_guest("web01", [Disk("256M", "raw"), Disk("64M", "raw")])
    filesystem(bed, guest)
    secret = bed.images / "secret.raw"
    with open(secret, "wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["cryptsetup", "luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", secret, "-"],
                   input=b"a key", check=True)
    put(guest, "vdb", secret)
    bed.guardd(interval="7d", alert=f"[alert hook]\ntype = webhook\nurl = http://127.0.0.1:{receiver.port}/\n")
    until(lambda: snapshots(bed), 30, "the first snapshot")
    judged(bed, 1)
    guest.write("vda", "200M", "1M", 1)
    judged(bed, bed.sh("snapshot-create", "web01")["number"])
    disks = {disk["target"]: disk["blind"] for disk in bed.sh("dominfo", "web01")["disks"]}
    hidden = {rule for spot in disks["vdb"] if "encrypted by the guest" in spot["why"] for rule in spot["rules"]}
    assert {"mass-deletion", "slow-deletion", "encryption", "in-use-zeroed", "formatted"} <= hidden, disks
    assert not any("encrypted" in spot["why"] for spot in disks["vda"]), disks
    assert any("unusual" in spot["rules"] and "learnt" in spot["why"] for spot in disks["vda"]), disks
    shown = bed.daemon.guardsh("dominfo", "web01").stdout
    assert "Rules that are blind here:" in shown and "encrypted by the guest" in shown, shown
    wipe(guest)
    judged(bed, bed.sh("snapshot-create", "web01")["number"])
    until(lambda: receiver.alerts, 20, "the alert")
    assert any(spot["disk"] == "vdb" and "encrypted" in spot["why"] for spot in receiver.bodies[0]["blind"]), receiver.bodies


def test_a_threshold_of_the_configuration_counts(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "raw")])
    image = mail(bed, 2000)
    put(guest, "vda", image)
    bed.guardd(interval="7d", alert="[detector loss]\nwarn_percent = 5\nwarn_inodes = 100\n")
    until(lambda: snapshots(bed), 30, "the first snapshot")
    equal(judged(bed, 1), "ok")
    delete(image, range(150))
    put(guest, "vda", image)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "warn")


def test_an_incident_outlives_a_restart(bed):
    guest, receiver = alarmed(bed)
    wipe(guest)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "critical")
    bed.daemon.restart()
    guest.write("vda", "8M", "1M", 1)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "critical")
    equal(len(bed.sh("alert-list")["alerts"]), 1)
    equal(bed.sh("snapshot-info", "web01", "last-good")["number"], 1)


def alerts_sql(bed, statement):
    with contextlib.closing(sqlite3.connect(bed.state / "alerts.sqlite", isolation_level=None, timeout=30)) as store:
        store.execute(statement)


def wiped_untold(bed, guest):
    """The store takes no alert until accept_alerts()."""
    alerts_sql(bed, "CREATE TRIGGER broken BEFORE INSERT ON alerts BEGIN SELECT RAISE (ABORT, 'broken'); END")
    wipe(guest)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "critical")
    until(lambda: "could not be stored" in bed.daemon.log.read_text(), 20, "the alert to fail")


def accept_alerts(bed):
    alerts_sql(bed, "DROP TRIGGER broken")


def test_an_alert_that_could_not_be_stored_is_stored_later(bed):
    guest, receiver = alarmed(bed)
    receiver.start()
    wiped_untold(bed, guest)
    accept_alerts(bed)
    until(lambda: receiver.alerts, 30, "the alert")
    equal(receiver.bodies[0]["findings"][0]["rule"], "structure-gone")
    equal(len(bed.sh("alert-list")["alerts"]), 1)


def test_an_incident_that_nobody_was_told_of_is_told_at_the_next_start_and_once(bed):
    guest, receiver = alarmed(bed)
    receiver.start()
    wiped_untold(bed, guest)
    incident = bed.sh("dominfo", "web01")["incident"]["id"]
    bed.daemon.kill()
    accept_alerts(bed)
    bed.daemon.start()
    until(lambda: receiver.alerts, 20, "the alert")
    equal(receiver.bodies[0]["incident"], incident)
    bed.daemon.restart()
    equal(len(bed.sh("alert-list")["alerts"]), 1)
    assert incident in bed.daemon.guardsh("dominfo", "web01").stdout
    line, = [line for line in bed.daemon.guardsh("list").stdout.splitlines() if "web01" in line]
    assert "critical" in line, line


def test_a_sentinel_that_cannot_look_is_blind_and_after_a_while_an_alert(bed):
    guest = bed.paused_guest("web01", [Disk("64M", "raw")])
    bed.guardd(interval="7d", libexec_dir="/nowhere")
    until(lambda: snapshots(bed), 30, "the first snapshot")
    equal(judged(bed, 1), "blind")
    for _ in range(2):
        number = bed.sh("snapshot-create", "web01")["number"]
        equal(judged(bed, number), "blind")
    until(lambda: bed.sh("alert-list")["alerts"], 10, "an alert")
    alert, = bed.sh("alert-list")["alerts"]
    equal(alert["level"], "blind")
    bed.sh("alert-ack", alert["id"], "--as", "real")
    equal(bed.sh("alert-info", alert["id"])["resolved"], "real")


def test_a_policy_pauses_a_guest_that_is_being_destroyed(bed):
    guest, receiver = alarmed(bed, policy="on_critical = pause\n")
    bed.virsh("resume", "web01")
    until(lambda: bed.sh("dominfo", "web01")["state"] == "running", 10, "guardd to see it run")
    wipe(guest)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "critical")
    until(lambda: guest.state() == "paused", 20, "the guest to be paused")
    receiver.start()
    until(lambda: len(receiver.alerts) == 2, 60, "both alerts")
    assert "on_critical: paused" in receiver.bodies[1]["summary"] and receiver.bodies[1]["rollback"], receiver.bodies[1]


def test_the_same_on_two_guests_is_told_as_an_attack_on_the_host(bed):
    guest, receiver = alarmed(bed)
    receiver.start()
    other = bed.paused_guest("web02", [Disk("256M", "raw")])
    filesystem(bed, other)
    until(lambda: snapshots(bed, "web02"), 30, "its first snapshot")
    equal(judged(bed, bed.sh("snapshot-create", "web02")["number"], "web02"), "info")  # formatted for the first time
    for name, victim in (("web01", guest), ("web02", other)):
        wipe(victim)
        judged(bed, bed.sh("snapshot-create", name)["number"], name)
    until(lambda: len(receiver.alerts) == 2, 20, "both alerts")
    assert "other guests within an hour" in receiver.bodies[1]["summary"], receiver.bodies


MISBEHAVING = {
    "dies": "kill -SEGV $$",
    "ends": "exit 0",
    "asks for what there is not": "printf aaaaaaaaaaaaaaaa >&3; exec cat",
    "hangs": "exec sleep 1234",
}


def test_a_sentinel_that_misbehaves_is_blind_and_the_daemon_goes_on(bed):
    folder = bed.run / "libexec"
    folder.mkdir()
    program = folder / "guardd-sentinel"
    bed.paused_guest("web01", [Disk("64M", "raw")])
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    bed.guardd(interval="7d", libexec_dir=folder)
    until(lambda: snapshots(bed), 30, "the first snapshot")
    for how, script in MISBEHAVING.items():
        program.write_text(f"#!/bin/sh\n{script}\n")
        number = bed.sh("snapshot-create", "web01")["number"]
        equal((how, judged(bed, number)), (how, "blind"))
    left = subprocess.run(["pgrep", "-f", "^sleep 1234"], stdout=subprocess.PIPE, text=True).stdout
    equal(left, "")
    program.unlink()
    program.symlink_to(bed.build / "guardd-sentinel")
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "ok")


NETWORK = "<interface type='user'><mac address='52:54:00:00:00:0{}'/><model type='virtio'/></interface>"


def test_a_policy_cuts_a_guest_from_its_networks(bed):
    guest, _ = alarmed(bed, policy="on_critical = isolate\n", extra_xml=NETWORK.format(1) + NETWORK.format(2))
    bed.virsh("resume", "web01")
    until(lambda: bed.sh("dominfo", "web01")["state"] == "running", 10, "guardd to see it run")
    wipe(guest)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "critical")
    for link in ("52:54:00:00:00:01", "52:54:00:00:00:02"):
        until(lambda: "down" in bed.virsh("domif-getlink", "web01", link), 20, "the link to be down")
    until(lambda: any("2 network links" in alert["summary"] for alert in bed.sh("alert-list")["alerts"]), 20, "a person to be told")
    equal(guest.state(), "running")


def test_a_program_is_run_for_an_alert_with_nothing_of_it_in_its_arguments(bed):
    out, program = bed.run / "told", bed.run / "tell"
    program.write_text(f"#!/bin/sh\n[ $# = 0 ] || exit 1\n[ -e {out} ] || {{ : >{out}; exit 7; }}\n"
                       f"echo $GUARDD_LEVEL $GUARDD_ID >>{out}; cat >>{out}\n")
    program.chmod(0o755)
    bed.guardd(interval="7d", alert=f"[alert pager]\ntype = exec\ncommand = {program}\n")
    alert = bed.sh("alert-test", "pager")
    until(lambda: bed.sh("alert-info", alert["id"])["undelivered"] == 0, 30, "the second attempt")
    first, rest = out.read_text().split("\n", 1)
    equal(first, f"info {alert['id']}")
    equal(json.loads(rest)["id"], alert["id"])


def test_slack_and_alertmanager_get_what_they_read(bed):
    slack, manager = Receiver().start(), Receiver().start()
    bed.guardd(interval="7d", alert="".join(
        f"[alert {name}]\ntype = webhook\nurl = http://127.0.0.1:{receiver.port}/\ntemplate = {name}\n"
        for name, receiver in (("slack", slack), ("alertmanager", manager))))
    alert = bed.sh("alert-test")
    until(lambda: slack.alerts and manager.alerts, 20, "both")
    assert "nothing has happened" in slack.bodies[0]["text"], slack.bodies
    entry, = manager.bodies[0]
    equal((entry["labels"]["alertname"], entry["labels"]["alert_id"]), ("GuarddAlert", alert["id"]))


def test_a_channel_that_cannot_be_used_is_left_out_and_said(bed):
    bed.guardd(interval="7d", alert="[alert bad]\ntype = webhook\n[alert worse]\ntype = pigeon\n")
    log = bed.daemon.log.read_text()
    assert "[alert bad]: url is missing" in log and "[alert worse]: cannot load alert plugin" in log, log
    failed = bed.daemon.guardsh("alert-test")
    equal(failed.returncode, 1)
    assert "no [alert] that works" in failed.stderr, failed.stderr


def test_what_is_raised_while_a_channel_cannot_be_used_is_told_once_it_can(bed):
    receiver = Receiver(secret=SECRET).start()
    key = bed.images / "later"
    guest = bed.paused_guest("web01", [Disk("256M", "raw")])
    filesystem(bed, guest)
    bed.guardd(interval="7d", alert=f"[alert hook]\ntype = webhook\nurl = http://127.0.0.1:{receiver.port}/\nsecret_file = {key}\n")
    until(lambda: snapshots(bed), 30, "the first snapshot")
    equal(judged(bed, 1), "ok")
    wipe(guest)
    equal(judged(bed, bed.sh("snapshot-create", "web01")["number"]), "critical")
    alert, = bed.sh("alert-list")["alerts"]
    equal(alert["undelivered"], 1)
    key.write_bytes(SECRET + b"\n")
    bed.daemon.restart()
    until(lambda: receiver.bodies, 30, "the alert")
    equal([body["id"] for body in receiver.bodies], [alert["id"]])


main()
