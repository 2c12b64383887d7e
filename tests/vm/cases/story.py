"""The story of a player that is no stick: filled, changed, pulled in the middle of a file, plugged in again. It must not
know how a player is served.
"""

import pathlib
import time
from typing import Protocol

from cases.support import Bench
from machine import players
from machine.guest import Failed

# larger than what is under way at any time, so that the plug is pulled within it
LARGE = 60_000_000


class Player(Protocol):
    """What the story wants of a player."""

    id: str
    serial: str

    def unplug(self) -> None:
        """Pulls it."""

    def files(self) -> dict[str, str]:
        """The digests of all files on it, by path."""

    def stored(self) -> int:
        """How many bytes are on it."""


def check_in_step(bench: Bench, player: Player) -> None:
    """Every track of ann's is on the player with identical bytes, and nothing that isn't ours to put there."""
    content = player.files()
    tracks = {pathlib.PurePath(name).name: digest for name, digest in content.items() if name.endswith(".mp3")}
    music = bench.music()
    if tracks != music:
        missing = sorted(set(music) - set(tracks))
        wrong = sorted(name for name in tracks if music.get(name) != tracks[name])
        raise Failed(f"the player is not in step: missing {missing}, wrong {wrong}")
    rest = {name for name in content if not name.endswith(".mp3")}
    if not rest <= {"WMPInfo.xml", "Playlists/All.m3u8", "Playlists/All.m3u", "Playlists/All.pla"}:
        raise Failed(f"besides tracks the player holds {sorted(rest)}")


def check_complete(bench: Bench, player: Player) -> None:
    """The last run left nothing undone."""
    device = bench.wait_for(player.id, limit=300, sync_state="stopped", safe_to_remove=True)
    if device["sync_item_count"] != len(bench.music()) or device["last_sync_error_count"]:
        raise Failed(f"{device}: {bench.ctl(f'results {player.id}')}")


def change(bench: Bench, large: int = LARGE) -> None:
    """A track is gone, one has other bytes, and two are new, one of them large."""
    bench.ctl("playlist remove All 'Music/Band 0/003 Song.mp3'")
    bench.guest.check("rm 'Music/Band 0/003 Song.mp3'", user="ann")
    bench.guest.check("head -c 123456 /dev/urandom >'Music/Band 1/001 Song.mp3'", user="ann")
    bench.guest.check("head -c 345678 /dev/urandom >'Music/Band 2/006 Song.mp3'", user="ann")
    bench.guest.check(f"head -c {large} /dev/urandom >'Music/Band 2/007 Song.mp3'", user="ann")
    bench.ctl("scan --wait")
    bench.ctl("playlist add All 'Music/Band 2/006 Song.mp3' 'Music/Band 2/007 Song.mp3'")


def pull_within_a_file(bench: Bench, player: Player, large: int = LARGE) -> None:
    """Starts a run and pulls the plug when a part of the large file is there."""
    before = player.stored()
    bench.ctl(f"sync {player.id} --no-wait")
    end = time.monotonic() + 180
    while not before + 3_000_000 < player.stored():
        if time.monotonic() > end:
            raise Failed(f"no part of the large file is there: {bench.device(player.id)}")
        time.sleep(0.02)
    player.unplug()
    assert player.stored() < before + large, "the plug was pulled too late"
    players.gone(bench.guest, player.serial)
    bench.wait_for(player.id, connected=False)
