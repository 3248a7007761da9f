# SPDX-License-Identifier: GPL-2.0-or-later
"""A small blocking QMP client, so that tests drive QEMU without libvirt's or guardd's help (or locks)."""
import json
import socket


class QmpError(Exception):
    def __init__(self, command, error):
        super().__init__(f"{command}: {error.get('desc')}")
        self.error_class = error.get("class")


class Qmp:
    """One connection.  Events that arrive meanwhile are kept in .events, newest last."""

    def __init__(self, path, timeout=30):
        self.events = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rwb")
        self.greeting = self._read()
        self.execute("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.lines.close()
        except OSError:
            pass  # what was never sent to a QEMU that is gone
        self.socket.close()

    def _read(self):
        line = self.lines.readline()
        if not line:
            raise EOFError("QMP: the other end hung up")
        return json.loads(line)

    def execute(self, command, **arguments):
        """Underscores in argument names stand for QMP's dashes."""
        message = {"execute": command}
        if arguments:
            message["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        self.lines.write(json.dumps(message).encode() + b"\n")
        self.lines.flush()
        while True:
            reply = self._read()
            if "event" in reply:
                self.events.append(reply)
            elif "error" in reply:
                raise QmpError(command, reply["error"])
            else:
                return reply["return"]

    def hmp(self, line):
        return self.execute("human-monitor-command", command_line=line)
