# SPDX-License-Identifier: GPL-2.0-or-later
"""How long QEMU executes a command, by QEMU's own trace: so long its main loop does nothing else, and so long the disks that it
drains wait.  What its caller measures has the reading of the command in it as well, byte by byte in a thread of the
monitor's, while the guest runs."""
import re

EVENTS = ("handle_qmp_command", "monitor_qmp_cmd_in_band", "monitor_qmp_respond")
LINE = re.compile(r"^\d+@(\d+\.\d+):(\w+) (.*)", re.MULTILINE)
ID = re.compile(r'"id": "(libvirt-\d+)"')


class Executed:
    """Of a guest of the bench: libvirt has QEMU write its trace to the guest's log."""

    def __init__(self, guest, *commands):
        self.guest, self.commands = guest, commands
        for event in EVENTS:
            guest.qmp("trace-event-set-state", name=event, enable=True)
        with open(guest.log_path, "rb") as log:
            self.end = log.seek(0, 2)

    def last(self):
        """Milliseconds of the last such command since the last time that this was asked."""
        with open(self.guest.log_path, encoding="utf-8", errors="replace") as log:
            log.seek(self.end)
            text = log.read()
            self.end = log.tell()
        begun, wanted, took = {}, set(), None
        for time, event, rest in LINE.findall(text):
            found = ID.search(rest)
            name = found[1] if found else rest.strip('"')
            if event == "handle_qmp_command" and any(f'"execute": "{command}"' in rest for command in self.commands):
                wanted.add(name)
            elif event == "monitor_qmp_cmd_in_band":
                begun[name] = float(time)
            elif event == "monitor_qmp_respond" and name in wanted and name in begun:
                took = (float(time) - begun[name]) * 1000
        if took is None:
            raise LookupError(f"{self.guest.name}: QEMU's trace has no {' or '.join(self.commands)}")
        return took
