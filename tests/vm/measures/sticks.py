"""Measures of sticks: how soon they are served, how fast they are filled, and sixteen of them at once."""

from cases.support import Bench
from measures.timing import start_watching, timed, watched

# the same bytes as few files, as albums have them, and as many
LOADS = {"files of 5 MB": (30, 5_000_000), "files of 400 KB": (375, 400_000)}
# how fast a stick writes: as fast as the machine goes, where the processor is what is measured, and as a real one does
SPEEDS = {"the machine's speed": None, "20 MB/s": 20_000_000}
# of each player, when sixteen are filled at the same time
SMALL_FILES, SMALL_SIZE = 5, 4_000_000
IDLE = "all(d['SyncState'] == 'stopped' and d['SafeToRemove'] for d in devices)"


def _plugged_at(bench: Bench) -> float:
    """When the kernel saw the last stick arrive, in seconds since boot."""
    line = bench.guest.check("dmesg | grep -E 'new (high|Super)[^ ]* ?[Ss]peed.* USB device' | tail -1")
    return float(line.split("]")[0].lstrip("[ "))


def arrival(bench: Bench) -> tuple[float, float, float]:
    """Seconds from a plug until udev is done with it, until the player is on the bus; and, partnered, until its first
    byte is copied."""
    bench.guest.check("systemctl start tandemd")
    # the first plug loads modules and programs from the disk
    bench.guest.plug("first", bench.stick("first"), serial="A0")
    bench.wait_for("FIRST")
    bench.guest.unplug("first")
    stick = bench.stick("stick", size="256M")
    bench.guest.until("! tandemctl list | grep -q FIRST", "the first is forgotten")
    start_watching(bench, "len(devices) == 1")
    bench.guest.plug("stick", stick, serial="A1")
    on_bus = watched(bench) - _plugged_at(bench)
    known = "journalctl -b -o short-monotonic --no-pager -u tandemd | grep 'a device came' | tail -1"
    known_at = float(bench.guest.check(known).split("]")[0].lstrip("[ ")) - _plugged_at(bench)
    bench.make_music(count=3)
    bench.partner("STICK")
    bench.guest.unplug("stick")
    bench.wait_for("STICK", connected=False)
    bench.guest.check("head -c 3000000 /dev/urandom >'Music/Band 0/000 Song.mp3'", user="ann")
    bench.ctl("scan --wait")
    start_watching(bench, "any(d['BytesDone'] > 0 and d['SyncState'] == 'synchronizing' for d in devices)")
    bench.guest.plug("again", stick, serial="A1")
    first_byte = watched(bench) - _plugged_at(bench)
    return known_at, on_bus, first_byte


def copying(bench: Bench, kind: str, load: str, speed: int | None) -> dict[str, float]:
    """Megabytes in a second that reach a fresh stick of this speed, by each tool, from a stick that isn't mounted to one
    that can be pulled: Tandem mounts and unmounts it in each run, and so the others' clocks have both too."""
    count, size = LOADS[load]
    megabytes = count * size / 1e6
    bench.guest.check("systemctl start tandemd")
    bench.make_music(count=count, size=size)
    bench.guest.check("systemctl stop tandemd && systemctl mask --runtime tandemd")
    rates = {}
    tools = {"rsync -a": "rsync -a Music/ /media/ann/STICK/Music/", "cp -r": "cp -r Music /media/ann/STICK/"}
    for name, shell in tools.items():
        bench.guest.plug("stick", bench.stick("stick", kind, size="256M"), serial="A1", speed=speed)
        bench.guest.until("udisksctl mount -b /dev/sda", "it can be mounted", user="ann", session=True)
        bench.guest.check("udisksctl unmount -b /dev/sda", user="ann", session=True)
        whole = f"udisksctl mount -b /dev/sda && {shell} && sync -f /media/ann/STICK && udisksctl unmount -b /dev/sda"
        rates[name] = megabytes / timed(bench, whole, "ann")
        bench.guest.unplug("stick")
    bench.guest.check("systemctl unmask --runtime tandemd && systemctl start tandemd")
    bench.guest.plug("stick", bench.stick("stick", kind, size="256M"), serial="A2", speed=speed)
    bench.wait_for("STICK")
    bench.ctl("playlist create Later")
    bench.ctl("partner STICK --playlist Later")
    bench.ctl("sync STICK")
    bench.ctl("playlist add Later Music/*/*.mp3")
    assert bench.device("STICK")["sync_item_count"] == 0, bench.devices()
    rates["tandem"] = megabytes / timed(bench, "tandemctl sync STICK", "ann")
    assert bench.device("STICK")["sync_item_count"] == count, bench.devices()
    return rates


def sixteen(bench: Bench) -> dict[str, float]:
    """One stick behind a hub filled, then sixteen behind two at the same time: rates, the daemon's memory, and the bus's
    answers meanwhile."""
    bench.guest.check("systemctl start tandemd")
    bench.make_music(count=SMALL_FILES, size=SMALL_SIZE)
    megabytes = SMALL_FILES * SMALL_SIZE / 1e6

    for bus in ("usb", "more"):
        bench.guest.qmp("device_add", driver="usb-hub", id=f"hub-{bus}", bus=f"{bus}.0", port="1")

    def plug(numbers: range, playlist: str) -> None:
        bench.ctl(f"playlist create {playlist}")
        for number in numbers:
            stick = bench.stick(f"s{number:02}", size="64M", label=f"S{number:02}")
            bus = "usb" if number % 2 else "more"
            port = f"{bus}.0/1.{number % 16 // 2 + 1}"
            bench.guest.plug(f"s{number:02}", stick, port=port, serial=f"N{number:02}")
        for number in numbers:
            bench.wait_for(f"S{number:02}", limit=300)
            bench.ctl(f"partner S{number:02} --playlist {playlist}")
        bench.ctl("sync --all")

    def fill(playlist: str) -> float:
        return timed(bench, f"tandemctl playlist add {playlist} Music/*/*.mp3 && tandemctl sync --all", "ann")

    plug(range(1), "One")
    one = megabytes / fill("One")
    bench.ctl("unpartner S00")
    bench.ctl("eject S00")
    bench.guest.unplug("s00")
    plug(range(1, 17), "Many")
    full = f"{IDLE} and sum(d['SyncItemCount'] for d in devices) >= {16 * SMALL_FILES}"
    bench.guest.check(
        f'systemd-run --quiet --unit=latency -p StandardOutput=file:/run/latency python3 /run/watch.py latency "{full}"'
    )
    all_of_them = 16 * megabytes / fill("Many")
    bench.guest.until("test -s /run/latency", "the answers are counted", limit=120)
    count, median, most, longest, *machine = map(float, bench.guest.check("cat /run/latency").split())
    memory = bench.guest.check("grep VmHWM /proc/$(pidof tandemd)/status").split()[1]
    return {
        "one": one, "sixteen": all_of_them, "memory": int(memory) / 1024,
        "answers": count, "median": median, "p99": most, "longest": longest, "machine": machine[2],
    }  # fmt: skip


