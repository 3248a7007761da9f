# SPDX-License-Identifier: GPL-2.0-or-later
"""guardd and guardsh inside a test bed."""
import json
import os
import signal
import subprocess

from wait import until

CONFIG = """\
[daemon]
run_dir = {run_dir}
state_dir = {state_dir}
plugin_dir = {plugin_dir}
libexec_dir = {libexec_dir}
appliance_dir = {appliance_dir}
{daemon}
[pool main]
path = {pool}
[policy default]
interval = {interval}
inspect = {inspect}
{policy}
[protect {protect}]
policy = default
{alert}"""


class GuardshError(Exception):
    def __init__(self, words, status, message):
        super().__init__(f"guardsh {' '.join(words)}: exit status {status}: {message.strip()}")
        self.status, self.message = status, message


class Guardd:
    """One guardd with its configuration.  `daemon` and `policy` are further lines of those sections."""

    run_dir = "/run/guardd"

    def __init__(self, bed, config=None, interval="1s", keep=None, protect="*", daemon="", policy="", make_pool=True, environment=None,
                 alert="", libexec_dir=None, inspect="never", wrapper=()):
        self.bed = bed
        self.wrapper = list(wrapper)
        self.pool = bed.state / "pool"
        self.config_path = bed.run / "guardd.conf"
        self.log = bed.run / "guardd.log"
        self.environment = environment or {}  # added to what guardd inherits
        self.make_pool = make_pool and config is None
        self.process = None
        if keep:
            policy = f"keep = {keep}\n{policy}"
        if config is None:
            config = CONFIG.format(
                run_dir=self.run_dir, state_dir=bed.state, plugin_dir=bed.build / "plugins", libexec_dir=libexec_dir or bed.build, appliance_dir=bed.build / "appliance", inspect=inspect, alert=alert, pool=self.pool,
                interval=interval, protect=protect, daemon=daemon, policy=policy,
            )
        self.config_path.write_text(config)

    def start(self, wait=True):
        if self.make_pool and not (self.pool / "pool.json").exists():
            self.sh("pool-create", self.pool)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, self.bed.build / "guardd", "-c", self.config_path], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, env={**os.environ, **self.environment},
            )
        if wait:
            until(self.answers, 30, "guardd to answer")
        return self

    def answers(self):
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"guardd ended with {self.process.returncode}: {tail}")
        return self.guardsh("--json", "version").returncode == 0

    @property
    def pid(self):
        return self.process.pid

    def _end(self, how, timeout):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout)

    def stop(self, timeout=30):
        """Returns its exit status; a clean stop is 0."""
        return self._end(signal.SIGTERM, timeout)

    def kill(self):
        return self._end(signal.SIGKILL, 30)

    def restart(self):
        self.stop()
        return self.start()

    def guardsh(self, *words, timeout=120):
        """The finished process, whatever its status."""
        words = [str(word) for word in words]
        environment = {**os.environ, "GUARDD_RUN_DIR": self.run_dir}
        return subprocess.run(
            [self.bed.build / "guardsh", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", timeout=timeout, env=environment,
        )

    def sh(self, *words, timeout=120):
        """guardsh --json WORDS → the document; GuardshError, with its message, when it fails."""
        words = [str(word) for word in words]
        done = self.guardsh("--json", *words, timeout=timeout)
        if done.returncode:
            raise GuardshError(words, done.returncode, done.stderr + done.stdout)
        return json.loads(done.stdout) if done.stdout.strip() else None
