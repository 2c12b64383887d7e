"""MTP players over a kernel's USB: QEMU's device, umtprd, and our own responder. Each is filled, changed, pulled in the
middle of a file and plugged in again; then another program reads back what is on it.

What a player must be like for the daemon to leave it alone is `case_6_devices.py`'s matter.
"""

import re
from collections.abc import Callable

from cases.story import change, check_complete, check_in_step, pull_within_a_file
from cases.support import Bench, thorough
from machine import players
from machine.players import QemuPlayer, SimulatedPlayer, UmtpPlayer
from machine.traffic import hold

Player = QemuPlayer | UmtpPlayer | SimulatedPlayer
Plug = Callable[[], Player]

ENTRY = re.compile(r"File ID: (\d+)\n\s+Filename: (.*)\n\s+File size (\d+)")

def _read_back(bench: Bench, player: Player) -> None:
    """What is on the player is listed by libmtp's tools, and comes back identical."""
    bench.guest.check("systemctl stop tandemd")
    try:
        listed = bench.guest.check("mtp-files", limit=180)
        there = {name: (number, int(size)) for number, name, size in ENTRY.findall(listed)}
        music = bench.music()
        assert set(music) <= set(there), (listed, music)
        for name, digest in music.items():
            number, size = there[name]
            bench.guest.check(f"rm -f /tmp/back && mtp-getfile {number} /tmp/back >/dev/null", limit=500)
            told = bench.guest.check("stat -c %s /tmp/back; sha256sum </tmp/back").split()
            assert told[:2] == [str(size), digest], (name, size, told)
    finally:
        bench.guest.check("systemctl start tandemd")


def _serve(bench: Bench, plug: Plug) -> None:
    """The whole story of a player."""
    bench.make_music(count=6, size=200_000)
    player = plug()
    bench.wait_for(player.id, limit=120)
    bench.ctl(f"partner {player.id} --playlist All", limit=180)
    bench.ctl(f"sync {player.id}", limit=300)
    check_complete(bench, player)
    check_in_step(bench, player)
    change(bench)
    pull_within_a_file(bench, player)
    player = plug()
    bench.wait_for(player.id, limit=120)
    bench.ctl(f"sync {player.id}", limit=600)
    check_complete(bench, player)
    check_in_step(bench, player)
    _read_back(bench, player)


def case_qemus_player_is_served(bench: Bench) -> None:
    """QEMU's MTP device: no property lists, no names that can be changed, one level of listing."""
    plugs = iter(range(9))

    def plug() -> QemuPlayer:
        return QemuPlayer(bench.guest, f"qemu{next(plugs)}", bench.work / "store", port="usb.0/9", serial="Q1")

    _serve(bench, plug)


def case_umtprd_is_served(bench: Bench) -> None:
    """A player that is independent of QEMU and of us, and wants a session before it says what it is."""
    _serve(bench, lambda: UmtpPlayer(bench.guest, 0, "Player", serial="U1"))


def case_a_simulated_phone_is_served(bench: Bench) -> None:
    """Our own responder as an Android phone, over USB."""
    _serve(bench, lambda: SimulatedPlayer(bench.guest, "phone", serial="S1"))


@thorough
def case_a_simulated_classic_player_is_served(bench: Bench) -> None:
    """Our own responder as a player with playlists that are references, at its own packet size."""
    _serve(bench, lambda: SimulatedPlayer(bench.guest, "classic", serial="S2"))


def case_a_player_in_use_is_waited_for(bench: Bench) -> None:
    """A program of ann's holds the interface: it is told, waited for, and not disturbed."""
    bench.make_music(count=2)
    bench.guest.check("systemctl mask --now --runtime tandemd")
    player = SimulatedPlayer(bench.guest, "phone", serial="B1")
    own = players.properties(bench.guest, player.serial)
    held = hold(bench.guest, own)
    bench.guest.check("systemctl unmask --runtime tandemd && systemctl start tandemd")
    told = "journalctl -q -o cat --no-pager -u tandemd | grep 'the player is in use by'"
    said = bench.guest.until(told, "the daemon tells that the player is in use")
    assert "waiting until it is let go" in said, said
    assert bench.guest.run(f"systemctl is-active {held}").code == 0
    bench.guest.check(f"systemctl stop {held}")
    bench.wait_for(player.id)
    bench.partner(player.id)
    check_in_step(bench, player)
