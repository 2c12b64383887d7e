"""What cases have in common: the owner's library, sticks, `tandemctl` as a user, and looking at what came of it."""

import hashlib
import json
import pathlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from machine import sticks
from machine.golden import Golden
from machine.guest import Failed, Guest, Ran

# ann's music: made in the guest, no two tracks alike
MAKE_MUSIC = """
import os, pathlib
for number in range({count}):
    path = pathlib.Path("Music", f"Band {{number % 3}}", f"{{number:03}} Song.mp3")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom({size}))
"""

Case = TypeVar("Case", bound=Callable[..., None])


def thorough(case: Case) -> Case:
    """Marks a case that takes longer: `make test-vm-all` runs it, and whoever names it."""
    case.thorough = True  # type: ignore[attr-defined]
    return case


def by_name(case: Case) -> Case:
    """Marks a case that takes so long that only those run it who name it."""
    case.by_name = True  # type: ignore[attr-defined]
    return case


@dataclass
class Bench:
    """A guest and the folder of this case on the host."""

    guest: Guest
    golden: Golden
    work: pathlib.Path

    def stick(self, name: str, kind: str = "fat32", size: str = "128M", label: str = "") -> pathlib.Path:
        """A fresh stick; FAT ones already hold a file of the user's own."""
        path = sticks.make(self.work / f"{name}.img", kind, label or name.upper(), size)
        if kind == "fat32":
            sticks.put(path, "mine.txt", b"my own\n")
        return path

    def try_ctl(self, arguments: str, *, user: str = "ann", session: bool = True, limit: float = 120) -> Ran:
        """`tandemctl` as ann in her session, or as someone else; whatever comes of it."""
        return self.guest.run(f"tandemctl {arguments}", user=user, session=session, limit=limit)

    def ctl(self, arguments: str, *, user: str = "ann", session: bool = True, limit: float = 120) -> str:
        """`tandemctl`, which has to succeed; what it printed."""
        return self.guest.check(f"tandemctl {arguments}", user=user, session=session, limit=limit)

    def devices(self) -> list[dict[str, Any]]:
        """What `tandemctl list` tells."""
        listed: list[dict[str, Any]] = json.loads(self.ctl("--json list"))
        return listed

    def device(self, name: str) -> dict[str, Any]:
        """The one device of this name or id."""
        fitting = [device for device in self.devices() if name in (device["friendly_name"], device["id"])]
        if len(fitting) != 1:
            raise Failed(f"{len(fitting)} devices are called {name}: {self.devices()}")
        return fitting[0]

    def wait_for(self, name: str, limit: float = 120, **wanted: Any) -> dict[str, Any]:
        """Waits until a device is connected and has these values."""
        wanted = {"connected": True} | wanted
        end = time.monotonic() + limit
        while True:
            fitting = [d for d in self.devices() if name in (d["friendly_name"], d["name"], d["id"])]
            for device in fitting:
                if all(device[key] == value for key, value in wanted.items()):
                    return device
            if time.monotonic() > end:
                raise Failed(f"{name} has not become {wanted} within {limit:.0f} s: {fitting}")
            time.sleep(0.1)

    def make_music(self, count: int = 6, size: int = 200_000) -> None:
        """Fills ann's library and makes the playlist `All` of it."""
        script = MAKE_MUSIC.format(count=count, size=size)
        self.guest.check("python3 -", user="ann", data=script.encode(), limit=120)
        self.ctl("folders /home/ann/Music")
        self.ctl("scan --wait")
        self.ctl("playlist create All Music/*/*.mp3")

    def partner(self, device: str) -> None:
        """Partners a device with ann's library and brings it in step."""
        self.ctl(f"partner {device} --playlist All")
        self.ctl(f"sync {device}", limit=300)

    def music(self) -> dict[str, str]:
        """The digests of ann's tracks, by file name."""
        listed = self.guest.check("find Music -name '*.mp3' -exec sha256sum {} +", user="ann")
        return {pathlib.PurePath(line[66:]).name: line[:64] for line in listed.splitlines()}

    def on_stick(self, path: pathlib.Path, kind: str = "fat32") -> dict[str, str]:
        """The digests of all files of a stick that isn't plugged in, by path; those it takes a kernel for are read in
        the guest."""
        if kind == "fat32":
            into = self.work / f"content-{time.monotonic_ns()}"
            found = sticks.files(path, into)
            return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
        self.guest.check("systemctl stop tandemd udisks2")
        self.guest.plug("looking", path, port="more.0/15", read_only=True)
        shell = "mkdir -p /run/looking && mount -o ro /dev/disk/by-id/usb-QEMU* /run/looking"
        self.guest.until(shell, "the stick can be looked at")
        listed = self.guest.check("cd /run/looking && find . -type f -exec sha256sum {} +; cd /; umount /run/looking")
        self.guest.unplug("looking")
        return {line[68:]: line[:64] for line in listed.splitlines()}

    def check_in_step(self, path: pathlib.Path, kind: str = "fat32", *, pulled: bool = False, playlist: str = "All") -> None:
        """Every track of ann's is on the stick with identical bytes, the playlist resolves, and nothing else is there
        but what was before; the file system is sound, but for FAT's mark of one that was once pulled while mounted."""
        music = self.music()
        content = self.on_stick(path, kind)
        tracks = {pathlib.PurePath(name).name: digest for name, digest in content.items() if name.endswith(".mp3")}
        if tracks != music:
            missing = sorted(set(music) - set(tracks))
            wrong = sorted(name for name in tracks if music.get(name) != tracks[name])
            raise Failed(f"the stick is not in step: missing {missing}, wrong {wrong}")
        rest = {name for name in content if not name.endswith(".mp3")}
        expected = {"WMPInfo.xml", f"Playlists/{playlist}.m3u8"} | ({"mine.txt"} if kind == "fat32" else set())
        if rest != expected:
            raise Failed(f"besides tracks the stick holds {sorted(rest)}, not {sorted(expected)}")
        if pulled:
            sticks.clear_dirty(path)
        if kind != "ntfs" and (complaint := sticks.sound(path, kind)):
            raise Failed(f"the file system of the stick is not sound:\n{complaint}")

    def mounts(self) -> str:
        """What is mounted of sticks."""
        return self.guest.run("findmnt -rn -o SOURCE,TARGET,OPTIONS | grep ^/dev/sd").out

    def log(self) -> str:
        """The daemon's messages, with their fields."""
        return self.guest.check("journalctl --no-pager -o verbose -u tandemd")
