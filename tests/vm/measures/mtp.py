"""Measures of MTP players: what each tool takes to send, read back and list, on the same player in the same guest.

`Tandem` is the daemon's run from `sync` to complete, its initiator is `devices/mtp_device`'s `mtp_host`, and the bare loop
only writes the bytes to the endpoint. A tool that speaks to the player anew for each file gets the first files of many
alone, and its time is scaled. A tool that fails has no figure.
"""

import re
from collections.abc import Callable
from typing import Any

from cases.support import Bench
from machine import players
from machine.guest import Failed
from machine.players import QemuPlayer, SimulatedPlayer, UmtpPlayer
from measures.timing import timed

TOOLS = ("Tandem", "its initiator", "bare loop", "mtp-tools", "gvfs", "aft-mtp-cli", "go-mtpfs")
Player = QemuPlayer | UmtpPlayer | SimulatedPlayer
Rows = dict[str, dict[str, float | None]]

SMALL = 400_000
# what tools get that take seconds for each file
FEW = 20
LISTED = 10_000
BUFFER, DEPTH = 256 * 1024, 4

MAKE_FILES = """
import os, pathlib
for folder, count, size in (("Big", 1, {big}), ("Small", {count}, 400_000)):
    for number in range(count):
        path = pathlib.Path("Music", folder, f"{{number:03}}.mp3")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
"""


class Measured:
    """One player and what the tools did with it."""

    def __init__(self, bench: Bench, player: Player, big: int, count: int) -> None:
        self.bench = bench
        self.player = player
        self.big, self.count = big, count
        self.memory = 0.0
        self.send_big, self.send_small = f"send 1 file of {big / 1e6:.0f} MB", f"send {count} files of 400 KB"
        self.get_small = f"read back {count} files of 400 KB"
        self.rows: Rows = {self.send_big: {}, self.send_small: {}, self.get_small: {}}

    def take(self, row: str, tool: str, shell: str, *, user: str = "root", scale: float = 1) -> None:
        """Times a command; one that fails leaves no figure."""
        try:
            self.rows.setdefault(row, {})[tool] = timed(self.bench, shell, user, limit=600) * scale
        except Failed as failed:
            print(f"{tool} can't {row}: {str(failed)[-300:]}", flush=True)

    def node(self) -> tuple[str, str]:
        """The device node, and the ids as `mtp_host` takes them."""
        own = players.properties(self.bench.guest, self.player.serial)
        return own["DEVNAME"], f"{own['ID_VENDOR_ID']}:{own['ID_MODEL_ID']}"

    def with_daemon(self) -> None:
        """The daemon's runs: the clock doesn't run while it looks, partners and indexes."""
        bench, name = self.bench, self.player.id
        bench.guest.check("systemctl start tandemd")
        script = MAKE_FILES.format(big=self.big, count=self.count)
        bench.guest.check("python3 -", user="ann", data=script.encode(), limit=300)
        bench.ctl("folders /home/ann/Music")
        bench.ctl("scan --wait")
        bench.ctl("playlist create Later")
        bench.wait_for(name)
        bench.ctl(f"partner {name} --playlist Later")
        bench.ctl(f"sync {name}")
        for row, folder in ((self.send_big, "Big"), (self.send_small, "Small")):
            bench.ctl(f"playlist add Later Music/{folder}/*.mp3")
            self.take(row, "Tandem", f"tandemctl sync {name}", user="ann")
        memory = bench.guest.check("grep VmHWM /proc/$(pidof tandemd)/status").split()[1]
        self.memory = int(memory) / 1024
        bench.guest.check("systemctl mask --now --runtime tandemd")

    def with_initiator(self, *steps: str) -> dict[str, float]:
        """Runs steps of `mtp_host`; the seconds of each, by its name."""
        host = players.carried(self.bench.guest, "mtp_host")
        node, ids = self.node()
        try:
            told = self.bench.guest.check(f"{host} {node} {ids} 0 {' '.join(steps)}", limit=600)
        except Failed as failed:
            print(f"mtp_host: {str(failed)[-300:]}", flush=True)
            return {}
        return {line.split()[0].split("=")[0]: float(line.split()[1]) for line in told.splitlines()}

    def send_and_get(self) -> None:
        """Every tool but the daemon."""
        small = self.with_initiator(f"send={self.count}*{SMALL}", "get")
        self.rows[self.send_small]["its initiator"] = small.get("send")
        self.rows[self.get_small]["its initiator"] = small.get("get")
        self.rows[self.send_big]["its initiator"] = self.with_initiator(f"send=1*{self.big}").get("send")
        self.rows[self.send_big]["bare loop"] = self.with_initiator(f"bare={self.big}/{BUFFER}*{DEPTH}").get("bare")
        self.with_mtp_tools()
        self.with_gvfs()
        self.take(self.send_big, "aft-mtp-cli", "cd /home/ann/Music/Big && aft-mtp-cli 'put 000.mp3 aft.mp3'")
        self.take(self.send_small, "aft-mtp-cli", "cd /home/ann/Music && aft-mtp-cli 'put Small'")
        get = "rm -rf /tmp/back && mkdir /tmp/back && cd /tmp/back && aft-mtp-cli 'get Small' && test -s Small/000.mp3"
        self.take(self.get_small, "aft-mtp-cli", get)

    def with_mtp_tools(self) -> None:
        """A process and a session for each file."""
        scale = self.count / FEW
        self.take(self.send_big, "mtp-tools", "mtp-sendfile /home/ann/Music/Big/000.mp3 tools.mp3")
        few = f"for n in $(seq -f %03.0f 0 {FEW - 1}); do mtp-sendfile /home/ann/Music/Small/$n.mp3 tools-$n.mp3; done"
        self.take(self.send_small, "mtp-tools", few, scale=scale)
        listed = self.bench.guest.run("mtp-files", limit=300).out
        handles = re.findall(r"File ID: (\d+)\n\s+Filename: tools-", listed)[:FEW]
        if len(handles) == FEW:
            get = f"for n in {' '.join(handles)}; do mtp-getfile $n /tmp/back-$n; done"
            self.take(self.get_small, "mtp-tools", get, scale=scale)

    def mount(self) -> str:
        """Mounts the player for ann by gvfs, and returns where its storage is."""
        bench = self.bench
        find = "gio mount -li | grep -o 'mtp://.*' | head -1 | grep ."
        address = bench.guest.until(find, "gvfs sees the player", user="ann", session=True).strip()
        bench.guest.until(f"gio mount {address}", "gvfs mounts the player", user="ann", session=True)
        storage = bench.guest.check(f"gio list {address} | head -1", user="ann", session=True).strip()
        return f"'{address}{storage}'"

    def with_gvfs(self) -> None:
        """One session for all, and a copy of several files at once."""
        scale = self.count / FEW
        try:
            place = self.mount()
        except Failed as failed:
            print(f"gvfs: {str(failed)[-300:]}", flush=True)
            return
        self.take(self.send_big, "gvfs", f"gio copy Music/Big/000.mp3 {place}/gvfs.mp3", user="ann")
        few = f"cd Music/Small; gio copy $(ls | head -{FEW}) {place}"
        self.take(self.send_small, "gvfs", few, user="ann", scale=scale)
        names = " ".join(f"{place}/{number:03}.mp3" for number in range(FEW))
        self.take(
            self.get_small, "gvfs", f"mkdir -p /tmp/gvfs; gio copy {names} /tmp/gvfs", user="ann", scale=scale
        )
        self.bench.guest.check(f"gio mount -u {place}", user="ann", session=True)

    def with_go_mtpfs(self) -> None:
        """Through FUSE."""
        go = "mkdir -p /run/go; systemd-run --quiet --collect --unit=go-mtpfs go-mtpfs /run/go"
        try:
            self.bench.guest.check(go)
            self.bench.guest.until("ls /run/go/* >/dev/null && mountpoint -q /run/go", "go-mtpfs has mounted it")
        except Failed as failed:
            print(f"go-mtpfs: {str(failed)[-300:]}", flush=True)
            return
        store = "cd /run/go/*; "
        self.take(self.send_big, "go-mtpfs", f"{store} cp /home/ann/Music/Big/000.mp3 go.mp3; sync -f .")
        self.take(self.send_small, "go-mtpfs", f"{store} mkdir go; cp /home/ann/Music/Small/* go; sync -f .")
        self.take(self.get_small, "go-mtpfs", f"{store} cp -r go /tmp/go-back")
        self.bench.guest.check("fusermount -u /run/go; systemctl stop go-mtpfs || true")

    def result(self) -> dict[str, Any]:
        """The rows, and the daemon's peak of resident memory in megabytes."""
        return {"rows": self.rows, "memory": self.memory}


def with_qemu(bench: Bench) -> dict[str, Any]:
    """QEMU's device; go-mtpfs aborts it."""
    player = QemuPlayer(bench.guest, "q1", bench.work / "store", port="usb.0/9", serial="Q1")
    measured = Measured(bench, player, 256_000_000, 500)
    measured.with_daemon()
    measured.send_and_get()
    return measured.result()


def with_umtprd(bench: Bench) -> dict[str, Any]:
    """umtprd, which takes so long for a megabyte that it gets fewer of them."""
    measured = Measured(bench, UmtpPlayer(bench.guest, 0, "Player", serial="U1"), 64_000_000, 100)
    measured.with_daemon()
    measured.send_and_get()
    measured.with_go_mtpfs()
    return measured.result()


def with_phone(bench: Bench) -> dict[str, Any]:
    """Our responder as an Android phone with 10,000 files."""
    guest = bench.guest
    guest.check("systemctl mask --now --runtime tandemd")
    player = SimulatedPlayer(guest, "phone", serial="P1")
    players.properties(guest, player.serial)
    player.unplug()
    players.gone(guest, player.serial)
    fill = f"mkdir -p {player.store}/bench && cd {player.store}/bench && seq -f '%05.0f.mp3' 1 {LISTED} | xargs touch"
    guest.check(fill, limit=300)
    player = SimulatedPlayer(guest, "phone", serial="P1")
    measured = Measured(bench, player, 0, FEW)
    row = f"list {LISTED:,} files"
    measured.rows = {row: {}}
    measured.rows[row]["its initiator"] = measured.with_initiator("list").get("list")
    measured.take(row, "mtp-tools", "mtp-files >/run/listed; grep -c Filename /run/listed | grep -qx 10000")
    try:
        place = measured.mount()
        listed = f"gio list -l {place}/bench >/tmp/listed; grep -c mp3 /tmp/listed | grep -qx 10000"
        measured.take(row, "gvfs", listed, user="ann")
        guest.check(f"gio mount -u {place}", user="ann", session=True)
    except Failed as failed:
        print(f"gvfs: {str(failed)[-300:]}", flush=True)
    measured.take(row, "aft-mtp-cli", "aft-mtp-cli 'cd bench' 'ls' >/run/listed; grep -c mp3 /run/listed | grep -qx 10000")
    return measured.result()


PLAYERS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "QEMU's `usb-mtp`": with_qemu,
    "`umtprd`": with_umtprd,
    "our responder as a phone": with_phone,
}
