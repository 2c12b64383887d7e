"""The installed system: its sandboxes, its units, services that restart under it, sixteen sticks, a power cut."""

import pathlib
import time

from cases.support import Bench
from machine import golden, sticks
from machine.guest import Failed, Guest

WATCH = pathlib.Path(__file__).resolve().parent.parent / "guest/watch.py"

# what the agent's unit lets a program do, tried by a program in its place
PROBE = """
import os, socket
def outcome(action):
    try:
        action()
        return "done"
    except OSError as error:
        return type(error).__name__
print("uid", os.getuid())
print("own", outcome(lambda: open("/home/ann/Music/Band 0/000 Song.mp3", "rb").read()))
print("write", outcome(lambda: open("/home/ann/Music/new", "wb")))
print("other", outcome(lambda: os.listdir("/home/ben")))
print("inet", outcome(lambda: socket.socket(socket.AF_INET)))
print("netlink", outcome(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)))
print("usb", outcome(lambda: os.open("/dev/bus/usb/001/001", os.O_RDONLY)))
print("disk", outcome(lambda: os.open("/dev/sda", os.O_RDONLY)))
print("bus", outcome(lambda: socket.socket(socket.AF_UNIX).connect("/run/dbus/system_bus_socket")))
print("state", outcome(lambda: os.listdir("/var/lib/tandem")))
"""


def _probe(bench: Bench, unit: str) -> dict[str, str]:
    """Runs the probe under a unit's own settings, in place of its program."""
    bench.guest.check("cat >/usr/local/libexec/probe.py", data=PROBE.encode())
    probe = f"probe-{unit.rstrip('@')}.service"
    bench.guest.check(
        f"systemctl cat {unit}.service | sed -e 's|^ExecStart=.*|ExecStart=/usr/bin/python3 /usr/local/libexec/probe.py|'"
        " -e 's|^Type=.*|Type=oneshot|' -e '/^BusName=/d' -e '/^Restart/d' -e '/^WatchdogSec/d' -e '/^CollectMode/d'"
        f" -e 's|%i|1000|g' -e 's|^StateDirectory=.*|StateDirectory=probe|' -e 's|^RuntimeDirectory=.*||' >/run/systemd/system/{probe}"
        " && systemctl daemon-reload"
    )
    bench.guest.run(f"systemctl start {probe}")
    printed = bench.guest.check(f"journalctl --sync; journalctl -o cat --no-pager -u {probe}")
    if "uid " not in printed:
        raise Failed(f"the probe did not run under {unit}: {printed}")
    return dict(line.split(" ", 1) for line in printed.splitlines() if " " in line)


def case_the_agent_is_confined(bench: Bench) -> None:
    """It runs as the owner, reads his files, and reaches nothing else."""
    stick = bench.stick("stick")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music(count=2)
    bench.partner("STICK")
    agents = bench.guest.check("ps -o user= -C tandem-library-agent || ps -eo user,comm | grep tandem-lib").split()
    assert agents[0] == "ann", agents
    tried = _probe(bench, "tandem-library@")
    assert tried["uid"] == "1000" and tried["own"] == "done", tried
    for what in ("write", "other", "inet", "netlink", "usb", "disk", "state"):
        assert tried[what].endswith("Error"), (what, tried)


def case_the_daemon_sees_no_home(bench: Bench) -> None:
    """Although it may write wherever the desktop mounts a stick, and speaks to players over USB."""
    bench.make_music(count=2)
    tried = _probe(bench, "tandemd")
    for what in ("own", "write", "other", "inet", "disk"):
        assert tried[what].endswith("Error"), (what, tried)
    assert tried["uid"] != "0" and tried["state"] == "done", tried


def case_units_and_policies(bench: Bench) -> None:
    """systemd and D-Bus have nothing to say about what was installed; the sandboxes are as tight as they should be."""
    units = "tandemd.service tandem-library@1000.service"
    said = bench.guest.run(f"systemd-analyze verify --man=no {units}")
    assert said.code == 0 and not said.text.strip(), said
    for unit, most in (("tandemd.service", 1.5), ("tandem-library@1000.service", 1.0)):
        overall = bench.guest.check(f"systemd-analyze security --no-pager {unit} | grep Overall").split()
        level = next(float(word) for word in overall if word.replace(".", "").isdigit())
        assert level <= most, (unit, level)
    bench.guest.check("pkaction --action-id org.tandemd.Sync1.use-device --verbose")
    # the one complaint that is right: between unpacking and systemd-sysusers the daemon's user isn't there
    shell = "journalctl -b -o cat --no-pager -u dbus -u polkit | grep -i -e tandem | grep -v -e Unknown.username -e Activating"
    complaints = bench.guest.run(f"{shell} -e Successfully")
    assert complaints.code == 1, complaints


def case_services_restart_in_the_middle(bench: Bench) -> None:
    """udev, UDisks2, polkit and the daemon itself start anew while a run goes on, and who asked for it is killed; the stick
    comes in step."""
    stick = bench.stick("stick", size="512M")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music(count=10, size=40_000_000)
    bench.ctl("partner STICK --playlist All")
    killed = bench.guest.run("timeout -s KILL 1 tandemctl sync STICK", user="ann", session=True)
    assert killed.code in (137, -9), killed
    for service in ("systemd-udevd", "udisks2", "polkit"):
        bench.guest.check(f"systemctl restart {service}")
        assert bench.device("STICK")["sync_state"] == "synchronizing", service
    bench.guest.check("systemctl restart tandemd")
    bench.wait_for("STICK")
    bench.ctl("sync STICK", limit=300)
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick)


def case_the_daemon_is_killed(bench: Bench) -> None:
    """systemd starts it again, and it goes on with what it finds, the mount of its former life included."""
    stick = bench.stick("stick", size="512M")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music(count=5, size=40_000_000)
    bench.ctl("partner STICK --playlist All")
    bench.ctl("sync STICK --no-wait")
    while bench.device("STICK")["bytes_done"] < 20_000_000:
        pass
    bench.guest.check("systemctl kill -s KILL tandemd")
    bench.guest.until("systemctl is-active --quiet tandemd", "systemd starts it again")
    bench.wait_for("STICK")
    bench.ctl("sync STICK", limit=300)
    bench.ctl("eject STICK")
    assert bench.mounts() == "", bench.mounts()
    bench.guest.unplug("stick")
    bench.check_in_step(stick)


def case_sixteen_sticks(bench: Bench) -> None:
    """Behind two hubs: all found, all partnered, all in step; a seventeenth partnership is refused with its reason. While
    all are filled, the bus answers within 50 ms, or as soon as the machine's other services do, and the daemon stays
    small."""
    for bus in ("usb", "more"):
        bench.guest.qmp("device_add", driver="usb-hub", id=f"hub-{bus}", bus=f"{bus}.0", port="1")
    for number in range(17):
        stick = bench.stick(f"s{number:02}", size="40M", label=f"S{number:02}")
        # a hub of QEMU's has eight ports
        port = "more.0/2" if number == 16 else f"{('usb', 'more')[number % 2]}.0/1.{number // 2 + 1}"
        bench.guest.plug(f"s{number:02}", stick, port=port, serial=f"N{number:02}")
    end = time.monotonic() + 180
    while len([device for device in bench.devices() if device["total_space"]]) < 17:
        if time.monotonic() > end:
            raise Failed(f"not all sticks are there: {[device['name'] for device in bench.devices()]}")
    bench.make_music(count=4, size=1_000_000)
    bench.ctl("playlist create Later")
    for number in range(16):
        bench.ctl(f"partner S{number:02} --playlist Later")
    refused = bench.try_ctl("partner S16 --playlist Later")
    assert refused.code != 0 and "16" in refused.err, refused
    bench.ctl("sync --all", limit=500)
    started = bench.guest.check("systemctl show -p ExecMainStartTimestampMonotonic tandemd")
    bench.guest.check("cat >/run/watch.py", data=WATCH.read_bytes())
    in_step = "sum(d['SyncItemCount'] for d in devices) == 64 and all(d['SyncState'] == 'stopped' for d in devices)"
    bench.guest.check(
        f'systemd-run --quiet --unit=latency -p StandardOutput=file:/run/latency python3 /run/watch.py latency "{in_step}"'
    )
    bench.ctl("playlist add Later Music/*/*.mp3")
    bench.ctl("sync --all", limit=500)
    bench.guest.until("test -s /run/latency", "the answers are counted", limit=120)
    ours, machine = (list(map(float, line.split())) for line in bench.guest.check("cat /run/latency").splitlines())
    told = f"{ours[0]:.0f} answers: 99 of 100 within {ours[2]:.0f} ms, those of logind within {machine[2]:.0f} ms"
    print(f"       {told}", flush=True)
    assert ours[2] <= max(50, 1.5 * machine[2]), told
    assert bench.guest.check("systemctl show -p ExecMainStartTimestampMonotonic tandemd") == started, "it was restarted"
    status = bench.guest.check("grep VmHWM /proc/$(pidof tandemd)/status")
    assert int(status.split()[1]) <= 64 * 1024, status
    for number in range(16):
        bench.ctl(f"eject S{number:02}")
    for number in range(17):
        bench.guest.unplug(f"s{number:02}")
    for number in range(16):
        bench.check_in_step(bench.work / f"s{number:02}.img", playlist="Later")


def case_power_cut(bench: Bench) -> None:
    """The machine loses its power in the middle of a run: after the next boot the stick comes in step, the
    partnership is kept, and the user's own file is untouched."""
    stick = bench.stick("stick", size="512M")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music(count=5, size=40_000_000)
    bench.guest.check("sync")
    bench.ctl("partner STICK --playlist All")
    bench.ctl("sync STICK --no-wait")
    while bench.device("STICK")["bytes_done"] < 60_000_000:
        pass
    bench.guest.kill()
    with Guest(bench.golden.image, bench.work / "disk.qcow2", bench.golden.payload, bench.work / "again") as guest:
        guest.until("systemctl is-system-running --wait", "the guest has booted", limit=300)
        again = Bench(guest, bench.golden, bench.work)
        guest.until("tandemctl list", "ann is back", user="ann", session=True)
        guest.plug("stick", stick, serial="A1")
        device = again.wait_for("STICK")
        assert device["partnership_owner"] == 1000, device
        again.ctl("sync STICK", limit=300)
        again.ctl("eject STICK")
        guest.unplug("stick")
        music = again.music()
    content = sticks.files(stick, bench.work / "content")
    assert content["mine.txt"] == b"my own\n"
    names = sorted(name.rpartition("/")[2] for name in content if name.endswith(".mp3"))
    assert names == sorted(music), names
    rest = {name for name in content if not name.endswith(".mp3")} - {"WMPInfo.xml", "Playlists/All.m3u8", "mine.txt"}
    assert not {name for name in rest if not name.startswith("FSCK")}, rest


def case_uninstall(bench: Bench) -> None:
    """What `make install` brought goes, by what `make uninstall` does; state stays."""
    bench.guest.check("systemctl start tandemd && systemctl disable --now tandemd")
    bench.guest.check(golden.uninstall_script() + "systemctl daemon-reload")
    left = bench.guest.check("tar -tf /dev/vdb | sed 's|^|/|' | while read -r file; do test ! -e \"$file\" || echo \"$file\"; done")
    assert left == "", left
    bench.guest.check("test -d /var/lib/tandem && ! test -e /usr/lib/tandem && ! test -e /usr/share/doc/tandem")
    assert bench.try_ctl("list").code != 0
