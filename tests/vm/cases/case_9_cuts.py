"""Power cuts, at hundreds of moments of one run: all that the machine wrote to the stick and to the daemon's state is kept
in its order; each cut shows both as they were when so much had reached them. The file system's checker repairs the stick,
the daemon starts with what it finds, and afterwards the stick has to hold exactly what the run that was not cut has left.
"""

import hashlib
import pathlib
from collections import Counter

from cases.support import Bench, by_name
from machine import sticks
from machine.guest import Failed
from machine.recorded import RecordedDisks

STATE = "/dev/disk/by-id/virtio-state"
AWAY = "umount /run/looking && blockdev --flushbufs /dev/sda"
LOOK = "mkdir -p /run/looking && mount -o ro /dev/sda /run/looking && cd /run/looking"
# what no kernel and no daemon may touch
OWN = {"mine.txt": b"my own\n", "Music/Band 1/own.mp3": b"my own song" * 5000}

CHANGE = """
import os, pathlib
for number in range(6, 26):
    pathlib.Path("Music", f"Band {number % 3}", f"{number:03} Song.mp3").write_bytes(os.urandom(60_000 + 7_000 * number))
pathlib.Path("Music/Band 1/001 Song.mp3").write_bytes(os.urandom(123_456))
pathlib.Path("Music/Band 2/002 Song.mp3").write_bytes(os.urandom(200_000))
"""

# Repairs without asking; not all that it says is worth a word.
REPAIR = {
    "fat32": "fsck.fat -a /dev/sda >/run/repaired; code=$?; sed -i -e '/^fsck.fat/d' -e '/^.dev.sda/d' /run/repaired",
    "exfat": "fsck.exfat -y /dev/sda >/run/repaired; code=$?; sed -i -e '/^exfatprogs/d' -e '/clean/d' /run/repaired",
}
# Nobody starts the daemon before its state is there: a stick that was repaired is announced anew.
STOP = f"""
systemctl mask --now --runtime tandemd && systemctl stop tandemd 'tandem-library@*' && ! grep ^/dev/sda /proc/mounts
umount /var/lib/tandem && sync && blockdev --flushbufs /dev/sda {STATE}
"""


def _start(bench: Bench, kind: str) -> list[str]:
    """Starts as a machine does that was cut off; what was repaired."""
    shell = f"{REPAIR[kind]}; cat /run/repaired; [ $code -le 1 ] || exit $code"
    repaired = bench.guest.check(shell).splitlines()
    bench.guest.check(f"mount {STATE} /var/lib/tandem && systemctl unmask --runtime tandemd")
    bench.guest.check("systemctl reset-failed tandemd; systemctl start tandemd")
    return [line.strip().rstrip(".") for line in repaired if line.strip()]


def _on_stick(bench: Bench, disks: RecordedDisks, kind: str) -> dict[str, str]:
    """The digests of all files, by path, once the file system has turned out to be sound."""
    path = bench.work / "cut.img"
    path.write_bytes(disks.content("stick"))
    if complaint := sticks.sound(path, kind):
        raise Failed(f"the file system is not sound: {complaint}")
    listed = bench.guest.check(f"{LOOK} && find . -type f -exec sha256sum {{}} +; cd / && {AWAY}")
    return {line[68:]: line[:64] for line in listed.splitlines()}


def _compare(found: dict[str, str], wanted: dict[str, str]) -> None:
    """Exactly the files of the run that was not cut; the mark has times, and what is salvaged is the checker's own."""
    rest = {name: digest for name, digest in found.items() if not name.startswith("FSCK")}
    wrong = {name for name in wanted | rest if rest.get(name) != wanted.get(name)} - {"WMPInfo.xml"}
    if wrong or "WMPInfo.xml" not in rest:
        told = {name: "missing" if name not in rest else "other bytes" if name in wanted else "too much" for name in wrong}
        raise Failed(f"not what the whole run left: {told}; there is {sorted(found)}")


def _synchronise(bench: Bench) -> None:
    device = bench.wait_for("STICK")
    if device["partnership_owner"] != 1000:
        raise Failed(f"the partnership is lost: {device}")
    bench.ctl("sync STICK", limit=120)


def _whole_run(bench: Bench, disks: RecordedDisks, kind: str) -> tuple[int, dict[str, str]]:
    """Partners the stick, changes the library, and keeps all that is written while the change is followed: how many
    entries that are, and what is on the stick then."""
    guest = bench.guest
    guest.check("systemctl mask --now --runtime tandemd")
    guest.plug_served("stick", disks.served_at("stick"), serial="A1")
    guest.until("mkdir -p /run/owner && mount /dev/sda /run/owner", "the stick can be mounted")
    for name, content in OWN.items():
        guest.check(f"mkdir -p '/run/owner/{pathlib.PurePath(name).parent}'; cat >'/run/owner/{name}'", data=content)
    guest.check("umount /run/owner && systemctl unmask --runtime tandemd")
    guest.check(f"mount {STATE} /var/lib/tandem && chown tandem: /var/lib/tandem && systemctl start tandemd")
    bench.wait_for("STICK")
    bench.make_music()
    bench.partner("STICK")
    guest.check(STOP)
    guest.check("python3 -", user="ann", data=CHANGE.encode())
    disks.record()
    _start(bench, kind)
    bench.wait_for("STICK")
    bench.ctl("scan --wait")
    bench.ctl("playlist remove All 'Music/Band 0/003 Song.mp3'")
    guest.check("rm 'Music/Band 0/003 Song.mp3'", user="ann")
    bench.ctl("scan --wait")
    bench.ctl("playlist add All Music/*/02*.mp3 Music/*/01*.mp3 Music/*/006*.mp3")
    _synchronise(bench)
    guest.check(STOP)
    return len(disks.end_record()), _on_stick(bench, disks, kind)


def _cuts(bench: Bench, kind: str, cuts: int) -> None:
    stick = sticks.make(bench.work / "stick.img", kind, "STICK", "64M")
    state = sticks.make(bench.work / "state.img", "ext4", "state", "32M")
    contents = {"stick": stick.read_bytes(), "state": state.read_bytes()}
    with RecordedDisks(bench.work, contents) as disks:
        bench.guest.attach_served("state", disks.served_at("state"))
        count, wanted = _whole_run(bench, disks, kind)
        for name, content in OWN.items():
            assert wanted[name] == hashlib.sha256(content).hexdigest(), name
        if count < cuts:
            raise Failed(f"the run wrote only {count} times")
        repairs: Counter[str] = Counter()
        for cut in (count * (number + 1) // cuts for number in range(cuts)):
            disks.show_cut(cut)
            try:
                repairs.update(_start(bench, kind)[:1])
                _synchronise(bench)
                bench.guest.check(STOP)
                _compare(_on_stick(bench, disks, kind), wanted)
            except Failed as failed:
                raise Failed(f"cut after {cut} of {count} writes: {failed}") from failed
        print(f"       {cuts} power cuts in {count} writes; what was repaired: {dict(repairs)}", flush=True)


@by_name
def case_a_power_cut_at_any_moment_of_a_run(bench: Bench) -> None:
    """See above. `fsck.fat`'s repairs are counted."""
    _cuts(bench, "fat32", 200)


@by_name
def case_a_power_cut_at_any_moment_of_a_run_to_exfat(bench: Bench) -> None:
    """The same with exFAT, whose folders are synced otherwise."""
    _cuts(bench, "exfat", 40)
