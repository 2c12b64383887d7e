"""Who may do what: the contract's table against the real polkit, with users in active, inactive and no sessions."""

from cases.support import Bench, thorough
from machine.guest import Failed

ROOT = "/org/tandemd/Sync1"

# polkit says what it is asked, and decides as without this rule
LOGGING = """
polkit.addRule(function(action, subject) {
    if (action.id.indexOf("org.tandemd.") === 0) {
        var line = action.id.substring(18) + " " + subject.user + " " + subject.active;
        polkit.spawn(["/bin/sh", "-c", "echo '" + line + "' >>/run/asked"]);
    }
    return polkit.Result.NOT_HANDLED;
});
"""

# a second user, who logs in at the same seat
SECOND_LOGIN = """
set -e
mkdir -p /run/systemd/system/getty@tty2.service.d
printf '[Service]\\nExecStart=\\nExecStart=-/sbin/agetty --autologin ben --noclear %%I linux\\n' \
    >/run/systemd/system/getty@tty2.service.d/autologin.conf
systemctl daemon-reload
systemctl start getty@tty2
"""


def _seat_of(user: str) -> str:
    return f"loginctl list-sessions --no-legend | awk '$3 == \"{user}\" && $4 == \"seat0\" {{print $1}}'"


def _log_questions(bench: Bench) -> None:
    bench.guest.check("install -m 644 /dev/stdin /etc/polkit-1/rules.d/10-log.rules", data=LOGGING.encode())
    bench.guest.check("systemctl restart polkit")


def _asked(bench: Bench, shell: str, user: str, session: bool) -> list[str]:
    """Which of our actions polkit is asked for in the course of a command, and about whom."""
    bench.guest.check("install -m 666 /dev/null /run/asked")
    bench.guest.run(shell, user=user, session=session)
    return bench.guest.check("cat /run/asked").splitlines()


def _switch_to(bench: Bench, user: str) -> None:
    """Brings a user's session to the front of the seat."""
    bench.guest.until(f"test -n \"$({_seat_of(user)})\"", f"{user} has logged in")
    bench.guest.check(f"loginctl activate $({_seat_of(user)})")
    active = f"test \"$(loginctl show-session $({_seat_of(user)}) -p Active --value)\" = yes"
    bench.guest.until(active, f"{user} sits at the machine")


def _busctl(path: str, interface: str, member: str) -> str:
    return f"busctl --system call org.tandemd.Sync1 {path} org.tandemd.Sync1.{interface} {member}"


def _set(path: str, what: str) -> str:
    return f"busctl --system set-property org.tandemd.Sync1 {path} org.tandemd.Sync1.Device {what}"


def case_polkit_is_asked_as_the_contract_says(bench: Bench) -> None:
    """Each row of the table: reading asks nothing, using asks `use-device`, another's player asks `manage-others`."""
    bench.guest.plug("stick", bench.stick("stick"), serial="A1")
    bench.wait_for("STICK")
    bench.make_music(count=2)
    device = bench.guest.check(_busctl(ROOT, "Services", "GetDevices")).split('"')[1]
    _log_questions(bench)
    use, manage, provide = "use-device", "manage-others", "register-provider"
    register = 'RegisterProvider "soa{sv}" me /p 0'
    unpartnered = [
        (_busctl(device, "Device", "GetStatus"), None),
        (f"busctl --system introspect org.tandemd.Sync1 {device}", None),
        ("tandemctl list && tandemctl show STICK", None),
        (_set(device, "FriendlyName s STICK"), use),
        (_set(device, "SyncOnConnect b false"), use),
        (_busctl(device, "Device", "Eject"), use),
        (_busctl(ROOT, "Services", register), provide),
    ]
    own = [
        (_busctl(device, "Device", "Start"), use),
        (_busctl(device, "Device", "Stop"), use),
        (_set(device, "PercentSpaceReserved u 0"), use),
        (_busctl(device, "Device", "EstimateSyncSize"), use),
        (_busctl(device, "Device", "Preview"), None),
        (_busctl(device, "Device", "GetSyncResults"), None),
        ("tandemctl playlists", None),
    ]
    others = [
        (_busctl(device, "Device", "Stop"), manage),
        (_busctl(device, "Device", "DeletePartnership b false"), manage),
        (_busctl(device, "Device", "Eject"), manage),
        # nobody but the owner has it synchronised: refused whatever polkit would say
        (_busctl(device, "Device", "Start"), None),
        (_busctl(device, "Device", "GetStatus"), None),
    ]
    for shell, action in unpartnered:
        expect = [f"{action} ann true"] if action else []
        got = _asked(bench, shell, "ann", True)
        assert got == expect, (shell, got, expect)
    bench.guest.unplug("stick")
    bench.guest.plug("again", bench.work / "stick.img", serial="A1")
    bench.wait_for("STICK")
    bench.partner("STICK")
    for shell, action in own:
        expect = [f"{action} ann true"] if action else []
        got = _asked(bench, shell, "ann", True)
        assert got == expect, (shell, got, expect)
    for shell, action in others:
        expect = [f"{action} ben false"] if action else []
        got = _asked(bench, shell, "ben", False)
        assert got == expect, (shell, got, expect)
    assert _asked(bench, _busctl(device, "Device", "Stop"), "root", False) == [], "root may do everything"
    assert bench.device("STICK")["partnership_owner"] == 1000


@thorough
def case_a_second_user_at_the_machine(bench: Bench) -> None:
    """Fast user switching: who sits there may use players, but not another's; who is away may not use his own."""
    stick = bench.stick("stick", size="512M")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.guest.plug("free", bench.stick("free"), port="usb.0/2", serial="A2")
    bench.wait_for("FREE")
    bench.make_music(count=5, size=40_000_000)
    bench.guest.check(SECOND_LOGIN)
    _switch_to(bench, "ben")
    away = bench.try_ctl("partner FREE")
    assert away.code == 4, away
    _switch_to(bench, "ann")
    bench.ctl("partner STICK --playlist All")
    bench.ctl("sync STICK --no-wait")
    _switch_to(bench, "ben")
    for command in ("stop STICK", "unpartner STICK", "partner STICK", "eject STICK", "sync STICK"):
        refused = bench.try_ctl(command, user="ben")
        assert refused.code != 0 and refused.err.startswith("tandemctl:"), (command, refused)
    for command in ("show STICK", "--json list", "--json results STICK", "--json status STICK"):
        seen = bench.try_ctl(command, user="ben").text
        assert "Song" not in seen and "Band" not in seen and "All" not in seen, (command, seen)
    bench.ctl("partner FREE", user="ben")
    assert bench.device("FREE")["partnership_owner"] == 1001
    _switch_to(bench, "ann")
    bench.ctl("sync STICK", limit=300)
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick)


# A desktop: a graphical session at the seat, in which a program mounts what is plugged in.
DESKTOP = """
systemd-run --quiet --unit=desktop -p PAMName=login -p User=ann -p TTYPath=/dev/tty3 -p StandardInput=tty \
    -p Environment='XDG_SESSION_TYPE=wayland XDG_SEAT=seat0 XDG_VTNR=3' \
    sh -c 'while :; do udisksctl mount -b /dev/sda && exec sleep 600; sleep 0.2; done'
"""
GRAPHICAL = (
    "for s in $(loginctl list-sessions --no-legend | awk '{print $1}'); do"
    " loginctl show-session $s -p Type -p Active --value | tr '\\n' ' ' | grep -qx 'wayland yes ' && exit 0; done; exit 1"
)


def case_a_desktop_comes_first(bench: Bench) -> None:
    """With somebody at a desktop, a stick that arrives is the desktop's to mount, and its user can look into it."""
    bench.guest.check("systemctl start tandemd")
    bench.guest.check(DESKTOP)
    bench.guest.check("chvt 3")
    bench.guest.until(GRAPHICAL, "ann has a desktop")
    stick = bench.stick("stick")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.guest.until("grep -q /media/ann/STICK /proc/mounts", "the desktop mounts the stick")
    if "/media/tandem" in bench.mounts():
        raise Failed(f"the daemon was in the desktop's way: {bench.mounts()}")
    bench.make_music()
    bench.partner("STICK")
    bench.guest.check("test -f '/media/ann/STICK/Playlists/All.m3u8'", user="ann")
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick)
