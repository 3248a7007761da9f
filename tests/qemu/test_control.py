#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What guardd takes from those that talk to it: clients that do not behave, and signals."""
import os
import pathlib
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from bed import Disk
from qmp import Qmp
from soak import status
from suite import equal, main, until

MIB = 1 << 20
SOCKET, READ_ONLY = "guardd.sock", "guardd-ro.sock"


def connect(bed, name=READ_ONLY):
    return Qmp(pathlib.Path(bed.daemon.run_dir) / name)


def answer(client):
    """The next answer; events come whenever they come."""
    while "id" not in (message := client._read()):
        pass
    return message


def test_a_client_that_does_not_read_waits_and_costs_no_memory(bed):
    bed.guardd()
    command = b'{"execute":"query-commands"}\n'
    flood, sent = command * 50000, 0
    before = status(bed.daemon.pid, "VmRSS")
    with connect(bed) as client, connect(bed) as other:
        client.socket.setblocking(False)

        def is_held_up():
            """Nothing more goes in, though guardd has had the time to read."""
            nonlocal sent
            start = sent
            try:
                while sent < len(flood):
                    sent += client.socket.send(flood[sent:sent + 65536])
            except BlockingIOError:
                other.execute("query-version")
            return sent in (start, len(flood))

        until(is_held_up, 60, "guardd to read no more")
        assert sent < MIB, f"{sent} bytes of commands were read"
        grown = (status(bed.daemon.pid, "VmRSS") - before) / 1024
        assert grown < 24, f"{grown:.0f} MiB"
        client.socket.settimeout(60)
        for _ in range(sent // len(command)):
            assert "return" in client._read()


def test_a_full_socket_to_read_from_keeps_root_out_of_nothing(bed):
    bed.guardd()
    idle = [connect(bed) for _ in range(64)]
    with socket.socket(socket.AF_UNIX) as late:
        late.connect(f"{bed.daemon.run_dir}/{READ_ONLY}")
        late.settimeout(10)
        equal(late.recv(1), b"")
    with connect(bed, SOCKET) as root:
        root.execute("query-version")
    for client in idle:
        client.close()


def test_a_hang_up_ends_nothing_and_says_what_to_do(bed):
    bed.guardd()
    os.kill(bed.daemon.pid, signal.SIGHUP)
    until(lambda: "restart guardd to have it read again" in bed.daemon.log.read_text(), 10, "a line in the log")
    bed.sh("list")


def test_a_line_that_guardsh_cannot_read_is_wrong_usage(bed):
    bed.guardd()
    for lines, status in (("snapshot-list 'web01\n", 2), ("list\n# a comment\n", 0)):
        done = subprocess.run([bed.build / "guardsh"], input=lines, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "GUARDD_RUN_DIR": bed.daemon.run_dir, "XDG_DATA_HOME": str(bed.run)})
        equal((lines, done.returncode), (lines, status))


def test_one_doctor_at_a_time(bed):
    bed.guardd(daemon="accelerator = tcg\n", protect="nothing")
    guest = bed.paused_guest("web01", [Disk("64M")])
    bed.wait(lambda: [domain["state"] for domain in bed.sh("list")["domains"]] == ["paused"], what="guardd to know the guest")
    with connect(bed) as client, connect(bed) as other:
        os.kill(guest.pid(), signal.SIGSTOP)  # whose monitor the doctor asks
        try:
            client.socket.sendall(b'{"execute": "doctor", "id": 1} {"execute": "doctor", "id": 2}')
            busy = answer(client)
            assert other.execute("query-version")
        finally:
            os.kill(guest.pid(), signal.SIGCONT)
        equal((busy["id"], busy["error"]["class"]), (2, "Busy"))
        first = answer(client)
        assert first["id"] == 1 and first["return"]["findings"], first
        assert client.execute("doctor")["findings"]


def test_an_alert_that_cannot_be_used_is_found_before_it_is_needed(bed):
    secret = bed.run / "secret"
    bed.guardd(daemon="accelerator = tcg\n",
               alert=f"[alert good]\ntype = syslog\n[alert hook]\ntype = webhook\nurl = http://127.0.0.1:9/\nsecret_file = {secret}\n")

    def doctor(name="hook"):
        with connect(bed) as client:
            finding, = [finding for finding in client.execute("doctor")["findings"] if finding["check"] == f"alert {name}"]
        return finding

    def check():
        return subprocess.run([bed.build / "guardd", "-t", "-c", bed.daemon.config_path], capture_output=True, text=True, timeout=60, check=False)

    failed = check()
    assert failed.returncode == 1 and "[alert hook]: " in failed.stderr and str(secret) in failed.stderr, failed
    equal((doctor("good")["level"], doctor()["level"]), ("ok", "error"))
    assert str(secret) in doctor()["message"], doctor()
    secret.write_text("key")
    equal((check().returncode, doctor()["level"], doctor()["advice"]), (0, "error", "restart guardd"))
    bed.daemon.restart()
    equal(doctor()["level"], "ok")
    secret.unlink()
    equal(doctor()["level"], "warning")  # it is in use all the same, until guardd ends


main()
