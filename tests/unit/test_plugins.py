#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Plugins keep the promises of their contract: those of this tree, and those that others build against what is installed."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from receiver import Receiver
from suite import Skip, equal, main

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
CHECK = BUILD / "guardd-plugin-check"
SANITIZED = "asan" in BUILD.name  # what is not sanitized cannot load what is, and the other way round


DETECTORS = ("baseline", "change", "loss", "structure")


def checked(plugin, *params, tool=CHECK, temporary=None):
    """(kept, what it printed)"""
    environment = {**os.environ, **({"TMPDIR": str(temporary)} if temporary else {})}
    done = subprocess.run([str(tool), str(plugin), *params], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200, env=environment)
    return done.returncode == 0, done.stdout


@contextlib.contextmanager
def reflinks(folder):
    """A filesystem with reflinks; it is gone afterwards."""
    image, place = folder / "xfs.img", folder / "xfs"
    place.mkdir()
    subprocess.run(["truncate", "-s", "400M", image], check=True)
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def sources(place):
    """Two disks of guests, one of no whole number of blocks."""
    words = []
    for name, size in (("vda.raw", 10_000_000), ("vdb.raw", 8 << 20)):
        with open(place / name, "wb") as file:
            file.truncate(size)
        words += ["--source", str(place / name)]
    return words


def check(plugin, *params):
    kept, text = checked(BUILD / "plugins" / f"{plugin}.so", *params)
    assert kept and ", 0 broken" in text, text


def test_every_plugin_of_the_tree_is_checked_here(_):
    equal(sorted(path.stem for path in (BUILD / "plugins").glob("*.so")),
          ["alert-exec", "alert-syslog", "alert-webhook", "detector-baseline", "detector-change", "detector-loss", "detector-structure", "storage-lvmthin", "storage-qcow2"])


def test_storage_qcow2(_):
    check("storage-qcow2")


def test_detectors(_):
    for name in DETECTORS:
        check(f"detector-{name}")


def test_every_threshold_is_in_the_manual_with_its_default(_):
    page = (ROOT / "docs/man/guardd.conf.5").read_text()
    for name in DETECTORS:
        _, text = checked(BUILD / "plugins" / f"detector-{name}.so", "nonsense=1")
        known = re.search(r'has no parameter "no-plugin-has-this"; accepted: ([a-z_, ]+)', text).group(1).split(", ")
        source = (ROOT / f"plugins/detector/{name}/plugin.c").read_text()
        section = page.split(f".SS [detector {name}]", 1)[1].split(".S", 1)[0]
        equal(sorted(re.findall(r"LIMIT \((\w+)\)", source)), sorted(known))
        for key in known:
            assert re.search(rf'{key} "? ?"? ?\(', section), f"{name}: {key}"


def test_the_check_of_a_configuration_names_the_line_of_a_threshold_that_is_refused(_):
    with tempfile.TemporaryDirectory(prefix="guardd-config-") as name:
        path = pathlib.Path(name, "guardd.conf")
        path.write_text(f"[daemon]\nplugin_dir = {BUILD}/plugins\n[pool main]\npath = /nowhere\n[detector loss]\nday_percent = 400\n")
        done = subprocess.run([BUILD / "guardd", "-t", "-c", path], stderr=subprocess.PIPE, text=True, timeout=30)
        equal(done.returncode, 1)
        assert f"{path}:6: [detector loss] day_percent: \"400\" cannot be used" in done.stderr, done.stderr


def test_alert_exec(_):
    check("alert-exec", "command=/bin/true")
    check("alert-exec", "command=/bin/false")


def test_alert_webhook(_):
    receiver = Receiver().start()
    check("alert-webhook", f"url=http://127.0.0.1:{receiver.port}/")
    receiver.stop()
    equal([body["id"][-1:] for body in receiver.bodies[:1]], ["1"])


def test_a_key_is_all_of_its_file_but_the_ends_of_lines(_):
    for content, key in ((b"key\r\n\n", b"key"), (b"k" * 64 + b"\0", b"k" * 64 + b"\0"), (b"k" * 4096 + b"\r\n", b"k" * 4096)):
        with tempfile.NamedTemporaryFile(prefix="guardd-key-") as file:
            file.write(content)
            file.flush()
            receiver = Receiver(secret=key).start()
            check("alert-webhook", f"url=http://127.0.0.1:{receiver.port}/", f"secret_file={file.name}")
            receiver.stop()
            assert receiver.alerts and not receiver.refused, content


def test_a_key_that_is_too_long_is_refused(_):
    for content in (b"k" * 4097, b"k" * 4096 + b"\r\nk", b"k" * 9000):
        with tempfile.NamedTemporaryFile(prefix="guardd-key-") as file:
            file.write(content)
            file.flush()
            kept, text = checked(BUILD / "plugins" / "alert-webhook.so", "url=http://127.0.0.1:9/", f"secret_file={file.name}")
            assert not kept and "has more than the 4096 bytes" in text, text


def test_alert_syslog(_):
    check("alert-syslog")


def built(folder, name, edit=None):
    """An example of its own, built against what is installed in `folder`; what is wrong with it is said by `edit`."""
    place = folder / "elsewhere" / name
    shutil.copytree(folder / "usr/share/doc/guardd/examples/plugins" / name, place)
    if edit:
        source, = place.glob("*.c")
        text = source.read_text()
        assert edit[0] in text
        source.write_text(text.replace(*edit))
    environment = {**os.environ, "PKG_CONFIG_PATH": str(folder / "usr/lib/pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(folder),
                   "PATH": f"{folder}/usr/bin:{os.environ['PATH']}"}
    for variable in ("MAKEFLAGS", "MAKELEVEL", "BUILD", "ASAN"):
        environment.pop(variable, None)
    subprocess.run(["make", "-s", "-C", place], check=True, env=environment)
    return place / f"{name}.so"


def installed(folder):
    subprocess.run(["make", "-s", "-C", ROOT, "install", f"DESTDIR={folder}", "PREFIX=/usr"], check=True, stdout=subprocess.DEVNULL)
    return folder / "usr/bin/guardd-plugin-check"


def test_examples_build_against_what_is_installed_and_keep_their_promises(_):
    if SANITIZED:
        raise Skip("a sanitized program and a plain plugin are no pair")
    with tempfile.TemporaryDirectory(prefix="guardd-installed-") as name:
        folder = pathlib.Path(name)
        tool = installed(folder)
        for example, params in (("storage-plain", []), ("detector-resized", []), ("alert-file", [f"path={folder}/alerts"])):
            kept, text = checked(built(folder, example), *params, tool=tool)
            assert kept, text
        equal(len((folder / "alerts").read_text().splitlines()), 4)


def test_a_storage_that_clones_disks_of_guests_keeps_its_promises(_):
    if SANITIZED:
        raise Skip("a sanitized program and a plain plugin are no pair")
    broken = [
        ("ioctl (image->raw, FICLONE, from) < 0", "ftruncate (image->raw, (off_t)spec->size) < 0"),  # a clone of nothing
        ("image->changed += memcmp (image->hashes", "image->changed += 0 * memcmp (image->hashes"),  # not counted
        ("int result = put_in_place (pool, call, path, from, &was);", "int result = 0;"),  # not put back
        (".source_restore = plain_source_restore,", ""),  # not all of them
    ]
    with tempfile.TemporaryDirectory(prefix="guardd-installed-") as name:
        folder = pathlib.Path(name)
        tool = installed(folder)
        with reflinks(folder) as place:
            for edit in [None, *broken]:
                kept, text = checked(built(folder, "storage-plain", edit), *sources(place), tool=tool, temporary=place)
                assert kept == (edit is None), (edit, text)
                assert kept or "not ok" in text, (edit, text)
                shutil.rmtree(folder / "elsewhere")
                shutil.rmtree(next(place.glob("guardd-plugin-check-*"), folder / "none"), ignore_errors=True)


def test_a_plugin_that_breaks_a_promise_is_found(_):
    if SANITIZED:
        raise Skip("a sanitized program and a plain plugin are no pair")
    broken = {
        "storage-plain": [("*count = 0;\n  for (*first", "*count = 1;\n  for (*first"), ("info->index_hash);\n  image_free", "image->hashes);\n  image_free")],
        "detector-resized": [('.rule = "resized"', '.rule = "Resized!"'), ("input->before == NULL || ", "")],
        "alert-file": [('call->error (call->opaque, error, message);', ""), ("GUARDD_PLUGIN_API", "GUARDD_PLUGIN_API + 1")],
    }
    with tempfile.TemporaryDirectory(prefix="guardd-installed-") as name:
        folder = pathlib.Path(name)
        tool = installed(folder)
        for example, edits in broken.items():
            for edit in edits:
                params = [f"path={folder}/alerts"] if example == "alert-file" else []
                kept, text = checked(built(folder, example, edit), *params, tool=tool)
                assert not kept, (edit, text)
                shutil.rmtree(folder / "elsewhere")


def accepted(path):
    """The parameters that a plugin says it knows, which is among the first that is asked."""
    with (tempfile.TemporaryDirectory(prefix="guardd-accepted-") as folder,
          subprocess.Popen([str(CHECK), str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           env={**os.environ, "TMPDIR": folder}) as check_it):
        for line in check_it.stdout:
            found = re.search(r'has no parameter "no-plugin-has-this"; accepted: ([a-z_, ]+|\(none\))', line)
            if found:
                check_it.kill()
                return [] if found[1] == "(none)" else found[1].split(", ")
    raise AssertionError(f"{path} does not say which parameters it has")


HORIZONS = {"last-good", "hour-of-week"}  # of a finding


def defaults(source):
    """Of a detector's thresholds, as a page writes them: {"zeroed_bytes": "16M"}"""
    found = {}
    for key, text in re.findall(r"LIMIT \((\w+)\), ([^,]+),", source):
        text = text.replace("MIB", "(1 << 20)")
        assert re.fullmatch(r"[0-9u*<() ]+", text), text
        value = eval(text.replace("u", ""))  # digits, *, << and parentheses
        found[key] = f"{value >> 20}M" if key.endswith("_bytes") and value >= 1 << 20 else str(value)
    return found


def section(page, name):
    """[(what a paragraph of it is about, what is in parentheses behind it)]"""
    text = re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH)", page, re.MULTILINE | re.DOTALL)[1]
    terms = re.findall(r"^\.T[PQ]\n\.BR? (.+)$", text, re.MULTILINE)
    return [(word, note) for term in terms for word, note in re.findall(r"([a-z][a-z_-]*)(?: \"(?: \(([^)]*)\))?)?", term.replace("\\-", "-"))
            if word not in ("warn", "critical", "info")]


def test_every_plugin_has_a_page_that_says_what_the_code_does(_):
    for path in sorted((BUILD / "plugins").glob("*.so")):
        kind, name = path.stem.split("-", 1)
        folder = ROOT / "plugins" / kind / name
        page = (folder / f"guardd-{path.stem}.7").read_text()
        source = (folder / "plugin.c").read_text()
        everything = "".join(file.read_text() for file in sorted(folder.glob("*.c")))
        description = re.search(r'\.description = "(.*)"', source)[1]
        assert f"guardd-{path.stem} - {description}\n" in page.replace("\\-", "-"), f"{path.stem}: NAME is not \"{description}\""
        known, said = accepted(path), section(page, "PARAMETERS")
        equal((path.stem, sorted(word for word, _ in said)), (path.stem, sorted(known)))
        if kind != "detector":
            continue
        equal((path.stem, dict(said)), (path.stem, defaults(source)))
        rules = {word for word, _ in section(page, "RULES")}
        literals = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', everything)) - HORIZONS
        assert rules <= literals, f"{path.stem}: no rule of the code: {sorted(rules - literals)}"
        left = {word for word in literals - rules if "-" in word}
        assert not left, f"{path.stem}: no rule of the page: {sorted(left)}"


def test_the_manual_names_every_operation(_):
    page = (ROOT / "docs/man/guardd-plugin.3").read_text().replace("\\-", "-")
    for header in ("storage", "detector", "alert"):
        text = (ROOT / f"include/guardd/{header}.h").read_text()
        operations = re.search(r"struct guardd_%s_ops \{(.*?)\n\};" % header, text, re.S).group(1)
        for operation in re.findall(r"\(\*(\w+)\) \(", operations):
            if operation not in ("each", "report"):
                assert operation in page, f"{header}: {operation}"


main(bed=False)
