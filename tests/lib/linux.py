# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Linux guest: Debian's kernel, a busybox userland in memory, a root shell on its second serial port."""
import base64
import re
import secrets
import socket
import time

import initramfs
from guest import Guest, GuestError
from wait import Late, until


class Console:
    """A root shell on a serial port.  Nothing is echoed and the kernel speaks on another port, so all that arrives is
    the output of commands; an end mark that no command can guess says where it ends."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.held = b""

    def close(self):
        self.socket.close()

    def send(self, text):
        self.socket.settimeout(30)
        self.socket.sendall(text.encode() + b"\n")

    def read_until(self, pattern, timeout):
        """(bytes before, match)"""
        end = time.monotonic() + timeout
        start = 0
        while True:
            match = re.compile(pattern).search(self.held, start)
            if match:
                before, self.held = self.held[: match.start()], self.held[match.end() :]
                return before, match
            start = max(0, len(self.held) - 200)
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                raise Late(f"no answer in {timeout} s; so far: {self.held[-300:]!r}") from None
            if not data:
                raise EOFError("the guest is gone")
            self.held += data

    def run(self, command, timeout):
        mark = "end-" + secrets.token_hex(8)
        code = base64.b64encode(command.encode()).decode()
        # The guest's tty takes 4095 bytes at most before it is read.
        pieces = [code[i : i + 2000] for i in range(0, len(code), 2000)]
        # Whatever an earlier command left unread, or said too late, ends here.
        self.send(f": >/tmp/command; echo begin-{mark}")
        self.read_until(f"begin-{mark}\n".encode(), timeout)
        for number, piece in enumerate(pieces):
            self.send(f"printf %s {piece} >>/tmp/command; echo {mark}-{number}")
            self.read_until(f"{mark}-{number}\n".encode(), 60)
        self.send(f"base64 -d /tmp/command >/tmp/script; (. /tmp/script) </dev/null 2>&1; echo {mark} $?")
        output, match = self.read_until(f"{mark} ([0-9]+)\n".encode(), timeout)
        return output.decode(errors="replace"), int(match[1])


class LinuxGuest(Guest):
    def __init__(self, bed, name, disks, memory_mib=256, full=False, **options):
        super().__init__(bed, name, disks, **options)
        self.memory_mib = memory_mib
        self.kernel, self.initrd = initramfs.build(bed.build / "tests", full)
        self.console = None

    @property
    def shell_path(self):
        return self.bed.run / f"{self.name}.shell"

    def os_xml(self):
        return (
            f"<os><type arch='x86_64' machine='{self.machine}'>hvm</type><kernel>{self.kernel}</kernel>"
            f"<initrd>{self.initrd}</initrd><cmdline>console=ttyS0 quiet loglevel=4 panic=-1 tsc=unstable</cmdline></os>"
        )

    def devices_xml(self):
        return super().devices_xml() + (
            f"<serial type='file'><source path='{self.bed.run}/{self.name}-console.log'/><target type='isa-serial' port='0'/></serial>"
            f"<serial type='unix'><source mode='bind' path='{self.shell_path}'/><target type='isa-serial' port='1'/></serial>"
        )

    def start(self, paused=False):
        super().start(paused)
        if not paused:
            self.wait_boot()

    def close(self):
        super().close()
        if self.console:
            self.console.close()
        self.console = None

    def wait_boot(self, timeout=90):
        """Until a shell answers; also for a guest that somebody else (a rollback) started."""
        if self.console:
            self.console.close()
            self.console = None
        end = time.monotonic() + timeout

        def answered():
            # A guest that has not come so far drops what is sent, and one that goes down hangs up: so ask again.
            try:
                if not self.console:
                    self.console = Console(self.shell_path)
                mark = secrets.token_hex(8)
                self.console.send(f"echo up-{mark}")
                self.console.read_until(f"up-{mark}\n".encode(), 0.5)
                return True
            except Late:
                return False
            except (OSError, EOFError):
                if self.console:
                    self.console.close()
                self.console = None
                return False

        until(answered, end - time.monotonic(), f"{self.name} to boot")

    def try_sh(self, command, timeout=60):
        """(output, exit status) of a command of the guest's root; connects again where the guest was started anew."""
        if not self.console:
            self.wait_boot()
        return self.console.run(command, timeout)

    def sh(self, command, timeout=60):
        output, status = self.try_sh(command, timeout)
        if status:
            raise GuestError(f"{self.name}: {command}: exit status {status}: {output.strip()}")
        return output

    def spawn(self, command):
        """In the guest's background; its output goes to the guest's /tmp/spawned."""
        self.sh(f"( {command}\n) </dev/null >/tmp/spawned 2>&1 &")
