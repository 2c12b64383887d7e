"""The golden state: the guest booted, Tandem installed in it as a package would do it, saved with its memory.

Every group of cases starts from it on a disk of its own, in about two seconds. It is made anew when the guest's image
or one of the installed files is another.
"""

import hashlib
import pathlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from .guest import Guest, GuestError, make_overlay
from .image import CACHE, HERE, Image, pack

ROOT = HERE.parent.parent

# Whether ann sits at the machine.
LOGGED_IN = "loginctl list-sessions --no-legend | grep -q ' ann *seat0' && systemctl is-active --quiet user@1000"


# What `make install` would have put there, from the disk that holds it.
UNPACK = "tar -xf /dev/vdb -C / --no-same-owner --keep-directory-symlink && ldconfig"


def readme_commands() -> list[str]:
    """The README's commands for installing on a real system, in their order."""
    section = (ROOT / "README.md").read_text().partition("\n## Install on a real system\n")[2]
    commands = section.split("```")[1].splitlines()[1:]
    if commands[:2] != ["make build", "sudo make install"]:
        raise GuestError(f"the README doesn't begin with building and installing: {commands}")
    return commands


@dataclass(frozen=True)
class Golden:
    """A saved guest."""

    image: Image
    payload: pathlib.Path
    disk: pathlib.Path
    state: pathlib.Path


def installed_tree(into: pathlib.Path, profile: str) -> None:
    """`make install` into a directory, with programs that are no larger than they need to be."""
    command = ["make", "--no-print-directory", "install", f"DESTDIR={into}", f"PROFILE={profile}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=300)
    programs = ["usr/bin/tandemd", "usr/bin/tandemctl", "usr/libexec/tandem-library-agent"]
    subprocess.run(["strip", "--strip-debug", *(str(into / program) for program in programs)], check=True)


def uninstall_script() -> str:
    """What `make uninstall` would do on the guest, which has no make."""
    command = ["make", "--no-print-directory", "--dry-run", "uninstall"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout


def _digest(image: Image, tree: pathlib.Path) -> str:
    told = hashlib.sha256(image.digest.encode() + repr(readme_commands()).encode())
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        told.update(str(path.relative_to(tree)).encode() + b"\0" + path.read_bytes())
    for source in ("golden.py", "guest.py"):
        told.update((HERE / "machine" / source).read_bytes())
    return told.hexdigest()[:16]


def prepare(image: Image, profile: str) -> Golden:
    """The saved guest that fits what is built now; booted, installed and saved when it isn't in the cache."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        tree = pathlib.Path(folder)
        tree.chmod(0o755)
        installed_tree(tree, profile)
        name = _digest(image, tree)
        place = CACHE / f"golden-{name}"
        golden = Golden(image, place / "payload.tar", place / "disk.qcow2", place / "state")
        if golden.state.exists():
            return golden
        for old in CACHE.glob("golden-*"):
            shutil.rmtree(old)
        place.mkdir()
        pack(tree, golden.payload)
    make_overlay(golden.disk, image.disk, "raw")
    unfinished = place / "state.part"
    with Guest(image, golden.disk, golden.payload, place / "boot") as guest:
        guest.until("systemctl is-system-running --wait", "the guest has booted", limit=300)
        guest.until(LOGGED_IN, "ann has logged in")
        guest.check(UNPACK, limit=180)
        for command in readme_commands()[2:]:
            guest.check(command.removeprefix("sudo "), limit=60)
        guest.check("systemctl stop tandemd && journalctl --sync")
        guest.until("! systemctl list-jobs --no-legend | grep -q .", "systemd is at rest")
        guest.check("sync; echo 3 >/proc/sys/vm/drop_caches")
        guest.save(unfinished)
    unfinished.rename(golden.state)
    return golden


def boot(golden: Golden, work: pathlib.Path) -> Guest:
    """A fresh guest from the golden state; run it with `with`."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    disk = work / "disk.qcow2"
    make_overlay(disk, golden.disk, "qcow2")
    return Guest(golden.image, disk, golden.payload, work).resuming(golden.state)
