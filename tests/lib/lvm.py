# SPDX-License-Identifier: GPL-2.0-or-later
"""Volume groups for tests inside the appliance (appliance.py), and guardd-lvm asked as guardd asks it."""
import json
import os
import pathlib
import subprocess

DISK = "/dev/vdc"
BUILD = pathlib.Path(os.environ.get("BUILD", "build"))


def run(*argv, check=True, timeout=100):
    done = subprocess.run(
        [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        timeout=timeout, check=False,
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit status {done.returncode}: {done.stderr}{done.stdout}")
    return done.stdout


class Group:
    """A volume group on /dev/vdc with a thin pool.  Its name and the pool's have what LVM allows and few expect."""

    def __init__(self, name="v-g.0+x", pool="thin-p.1", size="2G", metadata="16M", chunk="64k", zero="y"):
        self.name, self.pool = name, pool
        self.clear()
        run("vgcreate", "-q", "-A", "n", name, DISK)
        run("lvcreate", "-q", "-A", "n", "-y", "-L", size, "--poolmetadatasize", metadata, "--poolmetadataspare", "n",
            "--chunksize", chunk, "-Z", zero, "-T", f"{name}/{pool}")

    @staticmethod
    def clear():
        for name in run("vgs", "--noheadings", "-o", "vg_name").split():
            for device in run("dmsetup", "ls", "--target", "thin").splitlines():
                if device.split() and device.split()[0] != "No":
                    run("dmsetup", "resume", device.split()[0], check=False)
            run("vgremove", "-q", "-f", "-y", name)
        run("wipefs", "-qa", DISK)

    def volume(self, name, size="64M", tag=None):
        """A thin volume of the operator's, active."""
        run("lvcreate", "-q", "-A", "n", "-y", "-W", "n", "-V", size, "-T", f"{self.name}/{self.pool}", "-n", name,
            *(["--addtag", tag] if tag else []))
        return f"/dev/{self.name}/{name}"

    def volumes(self):
        """{name: {attr, tags, origin}}"""
        rows = json.loads(run("lvs", "--reportformat", "json", "-o", "lv_name,lv_attr,lv_tags,origin,lv_size", "--units", "b",
                              "--nosuffix", self.name))["report"][0]["lv"]
        return {row["lv_name"]: {"attr": row["lv_attr"], "tags": set(filter(None, row["lv_tags"].split(","))),
                                 "origin": row["origin"], "size": int(row["lv_size"])}
                for row in rows if row["lv_name"] != self.pool}

    def ours(self):
        return {name: facts for name, facts in self.volumes().items() if name.startswith("guardd-")}

    def suspended(self):
        """Names of devices that are."""
        rows = run("dmsetup", "info", "-c", "--noheadings", "--separator", "|", "-o", "name,suspended").splitlines()
        return [row.split("|")[0] for row in rows if row.endswith("Suspended")]


class Helper:
    """guardd-lvm behind guardd's client."""

    def __init__(self, group, folder="/tmp"):
        self.group = group
        self.process = subprocess.Popen(
            [BUILD / "tests/lib/lvm-ask", BUILD / "guardd-lvm", group.name, folder], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(60)

    def send(self, op, **arguments):
        self.process.stdin.write(json.dumps({"op": op, "pool": self.group.pool, **arguments}) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line.startswith("{") else line.strip()

    def ask(self, op, **arguments):
        self.send(op, **arguments)
        answer = self.answer()
        assert isinstance(answer, dict), f"{op}: {answer}"
        return answer

    def pid(self):
        """Of guardd-lvm."""
        found = run("pgrep", "-x", "guardd-lvm", "-P", self.process.pid, check=False).split()
        return int(found[0]) if found else None
