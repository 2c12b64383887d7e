"""Devices on USB that are no sticks: players come and go, and what isn't a player's is left alone. How a player is served
is `case_8_mtp.py`'s matter.

A device's log and usbmon tell what arrives, not who sent it. The kernel's and udev's part is told from the daemon's by
when it comes: it is over when udev has settled, and it is the same while the daemon is masked. What the daemon does it
does again when it starts anew, and then nothing may arrive at a device that it must not touch; but what it asks a device that
only its own descriptors can tell of, it asks once ever.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from cases.support import Bench, thorough
from machine import players
from machine.guest import Failed
from machine.players import MadePlayer, QemuPlayer, UmtpPlayer
from machine.traffic import Traffic, do

Player = QemuPlayer | UmtpPlayer | MadePlayer

PLAYER_INTERFACE = "{F33FDC04-D1AC-4E8E-9A30-19BBD4B108AE}"
ENDPOINTS = [{"address": 0x81}, {"address": 0x01}, {"address": 0x82, "type": "interrupt"}]
# the product's string
NAME_ALONE = {"type": 0x80, "request": 6, "value": 0x0302}
ASK_NAME = NAME_ALONE | {"do": "control", "index": 0x0409, "length": 255, "timeout": 500}
NAME = "Walker"
CLAIM = {"do": "claim", "interface": 0}
SEND = {"do": "bulk", "endpoint": 0x01, "data": "0102"}
READ = {"do": "bulk", "endpoint": 0x81, "length": 4096, "timeout": 500}


def _described(serial: str, **more: Any) -> dict[str, Any]:
    """A player with an interface of its vendor's own and the endpoints of an MTP device."""
    interface = {"class": [0xFF, 0, 0], "name": "Player", "endpoints": ENDPOINTS}
    own = {"vendor": 0x1209, "product": 0x7A01, "manufacturer": "Acme", "name": NAME, "serial": serial}
    return own | {"configurations": [{"interfaces": [interface]}]} | more


def _microsoft_1(compatible: str = "MTP") -> dict[str, Any]:
    """Microsoft's descriptors 1.0 with a compatible ID and the interface that Windows Media Player looks for."""
    guid = {"name": "DeviceInterfaceGUID", "value": PLAYER_INTERFACE}
    return {"code": 0x21, "features": [{"interface": 0, "compatible": compatible, "properties": [guid]}]}


def _microsoft_2() -> dict[str, Any]:
    """Microsoft's descriptors 2.0 with the same interface, as a list."""
    guids = {"name": "DeviceInterfaceGUIDs", "value": [PLAYER_INTERFACE]}
    return {"code": 0x42, "features": [{"compatible": "WINUSB", "properties": [guids]}]}


def _for_a_provider(made: MadePlayer) -> MadePlayer:
    """The player under the id that it has as one for a service provider."""
    made.id = made.id.replace("mtp-", "pap-", 1)
    return made


def _count(requests: list[dict[str, Any]]) -> Counter[str]:
    """How often each request arrived; kernel and probe may overtake each other."""
    return Counter(
        f"{own['type']:02X}{own['request']:02X} {own['value']:04X} {own['index']:04X} {own['length']:04X}"
        for own in requests
    )


def _process(bench: Bench) -> str:
    """Which process the daemon is; it must have had nothing to complain of."""
    said = bench.guest.check("journalctl --sync; journalctl -q -o cat --no-pager -u tandemd -p warning")
    if said.strip():
        raise Failed(f"the daemon complains: {said}")
    return bench.guest.check("systemctl show -p ActiveState -p MainPID tandemd")


def _listed(bench: Bench) -> set[str]:
    """The ids of the devices that are connected."""
    return {device["id"] for device in bench.devices() if device["connected"]}


def _seen(bench: Bench, player: Player, *, mtp: bool) -> dict[str, str]:
    """Looks at a player as kernel and udev see it; who sits at the machine may use an MTP player, others may not."""
    own = players.properties(bench.guest, player.serial)
    assert own["ID_SERIAL_SHORT"] == player.serial and own["DRIVER"] == "usb", own
    assert (own.get("ID_MTP_DEVICE"), own.get("ID_MEDIA_PLAYER")) == (("1", "1") if mtp else (None, None)), own
    assert (bench.guest.run(f"test -w {own['DEVNAME']}", user="ann").code == 0) is mtp, own
    assert bench.guest.run(f"test -w {own['DEVNAME']}", user="ben").code != 0, own
    return own


def _come_and_go(
    bench: Bench, plug: Callable[[int], Player], *, mtp: bool = True
) -> list[dict[str, str]]:
    """Two at once, unplugged one after the other, and one again; on the bus while they are there. Their properties."""
    bench.guest.check("systemctl start tandemd")
    before = _process(bench)

    def is_listed(*there: Player) -> None:
        wanted = {player.id for player in there}
        end = time.monotonic() + 60
        while (listed := _listed(bench)) != wanted:
            if time.monotonic() > end:
                raise Failed(f"{wanted} should be on the bus, and {listed} are")
            time.sleep(0.1)

    first, second = plug(0), plug(1)
    seen = [_seen(bench, first, mtp=mtp), _seen(bench, second, mtp=mtp)]
    assert seen[0]["SYSFS"] != seen[1]["SYSFS"], seen
    is_listed(first, second)
    first.unplug()
    players.gone(bench.guest, first.serial)
    assert players.find(bench.guest, second.serial) == seen[1]["SYSFS"]
    is_listed(second)
    second.unplug()
    players.gone(bench.guest, second.serial)
    is_listed()
    again = plug(2)
    _seen(bench, again, mtp=mtp)
    is_listed(again)
    again.unplug()
    players.gone(bench.guest, again.serial)
    is_listed()
    left = bench.guest.run("ls /dev/libmtp-*")
    assert left.code != 0, left
    assert _process(bench) == before
    return seen


def _qemu_player(bench: Bench, number: int) -> QemuPlayer:
    name, port = f"qemu{number}", ("usb.0/9", "more.0/9")[number % 2]
    return QemuPlayer(bench.guest, name, bench.work / name, port=port, serial=f"Q{number}")


def _umtp_player(bench: Bench, number: int) -> UmtpPlayer:
    return UmtpPlayer(bench.guest, number % 2, f"Player {number}", serial=f"U{number}")


def case_qemu_players(bench: Bench) -> None:
    """QEMU's MTP device."""
    seen = _come_and_go(bench, lambda number: _qemu_player(bench, number))
    assert [own["ID_USB_INTERFACES"] for own in seen] == [":060101:"] * 2, seen


def case_umtp_players(bench: Bench) -> None:
    """An MTP player that is independent of QEMU and of us."""
    seen = _come_and_go(bench, lambda number: _umtp_player(bench, number))
    assert [own["ID_MODEL"] for own in seen] == ["Player_0", "Player_1"], seen
    left = bench.guest.check("ls /sys/kernel/config/usb_gadget; findmnt -rn -t functionfs || true")
    assert not left.strip(), left


def case_a_player_that_says_nothing(bench: Bench) -> None:
    """It is found by Microsoft's descriptors 1.0, which libmtp's probe asks for, and then doesn't answer: others are
    served meanwhile, and it can be pulled at any time."""
    bench.guest.check("systemctl start tandemd")
    silent = MadePlayer(bench.guest, "silent", _described("M0", microsoft_1=_microsoft_1()))
    own = _seen(bench, silent, mtp=True)
    assert own["ID_SERIAL"] == f"Acme_{NAME}_M0", own
    umtp = _umtp_player(bench, 0)
    bench.wait_for(umtp.id)
    silent.unplug()
    players.gone(bench.guest, silent.serial)
    bench.guest.until(f"! tandemctl list | grep -q {NAME}", "the silent one is gone")
    assert _listed(bench) == {umtp.id}, bench.devices()


def case_players_of_all_speeds(bench: Bench) -> None:
    """Players with the descriptors 2.0, which libmtp doesn't know: any device of its vendor's, to udev; to the daemon they
    are for a service provider, and for manual transfer as long as there is none."""
    speeds = (("full", 0x0201, "12"), ("super", 0x0320, "5000"), ("high", 0x0210, "480"))

    def plug(number: int) -> MadePlayer:
        speed, usb, _ = speeds[number]
        described = _described(f"S{number}", speed=speed, usb=usb, microsoft_2=_microsoft_2())
        made = _for_a_provider(MadePlayer(bench.guest, f"made{number}", described))
        own = players.properties(bench.guest, made.serial)
        told = bench.guest.check(f"cat {own['SYSFS']}/speed").strip()
        assert told == speeds[number][2], (told, speeds[number])
        found = bench.wait_for(made.id, status="manual-device")
        assert found["kind"] == "provider", found
        fetch = {"do": "control", "type": 0xC0, "request": 0x42, "value": 0, "index": 7, "length": 1024}
        (answer,) = do(bench.guest, own, fetch)
        assert PLAYER_INTERFACE.encode("utf-16-le").hex() in answer, answer
        # one model, asked when the first came; the other request is this case's own
        asked = sum(request["request"] == 0x42 for request in made.requests())
        assert asked == (2 if number == 0 else 1), made.requests()
        return made

    _come_and_go(bench, plug, mtp=False)


def case_a_device_is_asked_once(bench: Bench) -> None:
    """One that only its descriptors 1.0 can tell of: with the daemon exactly the documented requests arrive, once; another of
    the same model gets none, nor does either when the daemon starts again."""
    described = _described("A0", microsoft_1=_microsoft_1("WINUSB"))

    def plug(number: int) -> MadePlayer:
        made = MadePlayer(bench.guest, f"asked{number}", described | {"serial": f"A{number}"})
        players.properties(bench.guest, made.serial)
        return _for_a_provider(made)

    bench.guest.check("systemctl mask --now --runtime tandemd")
    without = plug(0)
    others = _count(without.requests())
    without.unplug()
    players.gone(bench.guest, without.serial)
    bench.guest.check("systemctl unmask --runtime tandemd && systemctl start tandemd")
    first = plug(1)
    bench.wait_for(first.id, status="manual-device")
    # GET_CONFIGURATION comes with the opening
    asked = ["8008 0000 0000 0001", "8006 03EE 0000 0012"]
    asked += ["C021 0000 0004 0010", "C021 0000 0004 0028", "C121 0000 0005 000A", "C121 0000 0005 008E"]
    if (came := _count(first.requests()) - others) != Counter(asked):
        raise Failed(f"other requests than the documented ones arrived: {came}; without the daemon: {others}")
    second = plug(2)
    bench.wait_for(second.id, status="manual-device")
    assert _count(second.requests()) == others, (second.requests(), others)

    both = [players.properties(bench.guest, made.serial) for made in (first, second)]
    traffic = Traffic(bench.guest)
    bench.guest.check("systemctl restart tandemd")
    for made in (first, second):
        bench.wait_for(made.id, status="manual-device")
    for own in both:
        assert traffic.of(own) == [], (own["ID_SERIAL"], traffic.of(own))


def case_what_is_no_player_is_left_alone(bench: Bench) -> None:
    """A camera, a device that other software owns, one that is for something else: nothing is sent to them, neither when
    they are plugged in, nor when the daemon starts and they are there, nor when a stick comes."""
    still_image = {"class": [6, 1, 1], "name": "PTP", "endpoints": ENDPOINTS}
    named = {"class": [0xFF, 0xFF, 0], "name": "MTP", "endpoints": ENDPOINTS}
    described = {
        "camera": _described("C1", configurations=[{"interfaces": [still_image]}]),
        # a programmer, which may not be asked anything
        "instrument": _described("I1", vendor=0x03EB, configurations=[{"interfaces": [named]}]),
        "reader": _untouchable()[14],
    }

    def arrive(suffix: str) -> dict[str, MadePlayer]:
        made = {name: MadePlayer(bench.guest, name + suffix, own) for name, own in described.items()}
        for one in made.values():
            players.properties(bench.guest, one.serial)
        return made

    def requests(made: dict[str, MadePlayer]) -> dict[str, list[str]]:
        # the kernel and the probe may overtake each other
        return {name: sorted(map(str, one.requests())) for name, one in made.items()}

    bench.guest.check("systemctl mask --now --runtime tandemd")
    without = arrive("-without")
    expected = requests(without)
    for one in without.values():
        one.unplug()
        players.gone(bench.guest, one.serial)
    bench.guest.check("systemctl unmask --runtime tandemd && systemctl start tandemd")
    made = arrive("-with")
    if (arrived := requests(made)) != expected:
        raise Failed(f"with the daemon running other requests arrive:\n{arrived}\nand without:\n{expected}")

    all_of_them = [players.properties(bench.guest, one.serial) for one in made.values()]
    logged = {name: one.log() for name, one in made.items()}
    traffic = Traffic(bench.guest)
    bench.guest.check("systemctl restart tandemd")
    bench.guest.plug("stick", bench.stick("stick"), serial="A1")
    stick = bench.wait_for("STICK", total_space=bench.wait_for("STICK")["total_space"])
    for own in all_of_them:
        assert traffic.of(own) == [], (own["ID_SERIAL"], traffic.of(own))
    assert {name: one.log() for name, one in made.items()} == logged
    assert _listed(bench) == {stick["id"]}, bench.devices()
    opened = bench.guest.check("ls -l /proc/$(pidof tandemd)/fd")
    assert "/dev/bus/usb" not in opened, opened
    # and what isn't there would have been seen
    for own in all_of_them:
        do(bench.guest, own, ASK_NAME)
        assert traffic.of(own), own["ID_SERIAL"]


def _untouchable() -> list[dict[str, Any]]:
    """Devices that may not be asked what they are, though they would tell that they are players."""
    own = {"class": [0xFF, 0, 0], "name": "Player", "endpoints": ENDPOINTS}
    one_way = own | {"endpoints": ENDPOINTS[:1]}
    of_others = [(0x0670, 1), (0x0765, 0x5020), (0x085C, 0x0300), (0x0971, 0x2000), (0x04A9, 0x2206), (0x04A9, 0x22FF)]
    of_others += [(0x04A9, 0x3113), (0x03F0, 0xC511), (0x0CF3, 0x9271), (0x03EB, 0x2104), (0x0471, 0x083F)]
    of_others += [(0x1DB2, 0x0600), (0x1395, 0x0280)]
    described = [{"vendor": vendor, "product": product} for vendor, product in of_others]
    # for something else by one of several interfaces
    for number in (0x0B, 0x0D, 0x0E, 0x0F, 0xDC, 0xE0, 0xFE):
        other = {"class": [number, 0, 0], "number": 1, "endpoints": []}
        described.append({"configurations": [{"interfaces": [own, other]}]})
    described += [{"class": [number, 0, 0]} for number in (0x01, 0x03, 0x05, 0x07, 0x0B, 0x0E, 0x0F, 0xDC, 0xE0, 0xFE)]
    # with nothing that a player could be served over
    for number in (0x01, 0x02, 0x05, 0x06, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x12, 0xDC, 0xE0, 0xEF, 0xFE, 0xFF):
        described.append({"configurations": [{"interfaces": [one_way | {"class": [number, 0, 0]}]}]})
    described += [{"configurations": [{"interfaces": [{"class": [3, 0, n], "endpoints": ENDPOINTS[:1]}]}]} for n in range(3)]
    return [
        _described(f"N{n}", usb=0x0210, microsoft_1=_microsoft_1("WINUSB"), microsoft_2=_microsoft_2()) | own
        for n, own in enumerate(described)
    ]


@thorough
def case_fifty_that_may_not_be_asked(bench: Bench) -> None:
    """None of fifty devices gets a request when the daemon starts and they are there."""
    described = _untouchable()
    assert len(described) == 50, len(described)
    for first in range(0, len(described), 7):
        bench.guest.check("systemctl stop tandemd")
        made = [MadePlayer(bench.guest, f"no{first}-{n}", own) for n, own in enumerate(described[first : first + 7])]
        all_of_them = [players.properties(bench.guest, one.serial) for one in made]
        bench.guest.check("udevadm settle")
        logged = [one.log() for one in made]
        traffic = Traffic(bench.guest)
        bench.guest.check("systemctl start tandemd")
        umtp = _umtp_player(bench, 0)
        bench.wait_for(umtp.id)
        for own in all_of_them:
            assert traffic.of(own) == [], (own["ID_SERIAL"], traffic.of(own))
        assert [one.log() for one in made] == logged
        assert _listed(bench) == {umtp.id}, bench.devices()
        traffic.end()
        for player in [*made, umtp]:
            player.unplug()
            players.gone(bench.guest, player.serial)


@thorough
def case_a_stick_beside_them(bench: Bench) -> None:
    """A stick synchronises while players of each kind are there, are pulled and come back."""
    stick = bench.stick("stick", size="512M")
    made = MadePlayer(bench.guest, "made", _described("M1"))
    qemu, umtp = _qemu_player(bench, 0), _umtp_player(bench, 0)
    for player in (qemu, umtp):
        _seen(bench, player, mtp=True)
    bench.guest.plug("stick", stick, serial="A1")
    for name in ("STICK", qemu.id, umtp.id):
        bench.wait_for(name)
    assert len(bench.devices()) == 3, bench.devices()
    before = _process(bench)
    bench.make_music(count=4, size=30_000_000)
    bench.ctl("partner STICK --playlist All")
    bench.ctl("sync STICK --no-wait")
    bench.guest.until("tandemctl --json list | grep -q '\"sync_state\": *\"synchronizing\"'", "the run begins")
    made.unplug()
    assert bench.device("STICK")["sync_state"] == "synchronizing", bench.device("STICK")
    qemu.unplug()
    umtp.unplug()
    for player in (made, qemu, umtp):
        players.gone(bench.guest, player.serial)
    again = _umtp_player(bench, 1)
    bench.wait_for(again.id)
    device = bench.wait_for("STICK", sync_state="stopped", safe_to_remove=True, limit=300)
    assert device["sync_item_count"] == 4, device
    assert _process(bench) == before
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick)


def case_made_devices_are_as_described(bench: Bench) -> None:
    """The framework's own proof, without the daemon: a host gets Microsoft's descriptors byte for byte, and back what it sends."""
    bench.guest.check("systemctl mask --now --runtime tandemd")
    described = _described("M1", usb=0x0210, function={"kind": "loopback"}, microsoft_1=_microsoft_1())
    made = MadePlayer(bench.guest, "made", described)
    own = players.properties(bench.guest, made.serial)
    asked = {"do": "control", "type": 0xC0, "request": 0x21, "value": 0, "length": 255}
    string, ids, device, interface = do(
        bench.guest,
        own,
        ASK_NAME | {"value": 0x03EE, "index": 0},
        asked | {"index": 4},
        asked | {"index": 5},
        asked | {"index": 5, "type": 0xC1},
    )
    assert string == "12034d005300460054003100300030002100", string
    assert ids == "2800000000010400010000000000000000014d5450" + "00" * 19, ids
    assert device == interface and len(device) == 2 * 0x8E, (device, interface)
    assert device.startswith("8e0000000001050001008400000001000000280044006500"), device
    assert device.endswith(PLAYER_INTERFACE.encode("utf-16-le").hex() + "0000"), device

    packets, rest = "a5" * 1024, "5a" * 1400
    # usbfs sends no empty packet by itself; one that follows a transfer of whole packets ends it
    steps = (CLAIM, SEND | {"data": rest}, READ, SEND | {"data": packets}, READ, SEND | {"data": ""})
    came = do(bench.guest, own, *steps, READ | {"length": 1024}, READ, READ)
    assert came == [0, 1400, rest, 1024, "ETIMEDOUT", 0, packets, "", "ETIMEDOUT"], came

    script_steps = [{"expect": SEND["data"], "answers": [[0x81, "0a0b"], [0x82, "0c"]]}]
    status = {"type": 0xA1, "request": 0x67, "value": 0, "index": 0}
    script = {"kind": "script", "steps": script_steps, "requests": [status | {"answer": "04000120"}]}
    scripted = MadePlayer(bench.guest, "scripted", _described("M2", function=script))
    own = players.properties(bench.guest, scripted.serial)
    ask = status | {"do": "control", "length": 8}
    event = READ | {"endpoint": 0x82, "length": 64}
    came = do(bench.guest, own, CLAIM, ask, ask | {"request": 0x65}, SEND, event, READ)
    assert came == [0, "04000120", "EPIPE", 2, "0c", "0a0b"], came


def case_made_devices_fail_as_told(bench: Bench) -> None:
    """The framework's own proof, without the daemon: each fault strikes where and as often as it should, and nothing else fails."""
    bench.guest.check("systemctl mask --now --runtime tandemd")
    made = MadePlayer(bench.guest, "made", _described("M1", function={"kind": "loopback"}))
    own = players.properties(bench.guest, made.serial)
    name = f"{2 + 2 * len(NAME):02x}03" + NAME.encode("utf-16-le").hex()
    once = {"when": NAME_ALONE, "times": 1}
    plain = [once | {"do": kind} for kind in ("stall", "long", "silent")]
    made.use_faults([*plain, once | {"do": "short", "bytes": 3}, once | {"do": "replace", "hex": "ff"}])
    came = do(bench.guest, own, *[ASK_NAME] * 6)
    assert came == ["EPIPE", "EOVERFLOW", "ETIMEDOUT", name[:6], "ff", name], came

    made.use_faults([once | {"do": "stall", "skip": 1}])
    came = do(bench.guest, own, *[ASK_NAME] * 3)
    assert came == [name, "EPIPE", name], came

    # an endpoint that stalled stays so until it is cleared
    made.use_faults([{"when": {"endpoint": 0x81}, "do": "stall", "times": 1}])
    clear = {"do": "clear", "endpoint": 0x81}
    came = do(bench.guest, own, CLAIM, SEND, READ, READ, clear, SEND, READ, {"do": "reset"}, ASK_NAME)
    assert came == [0, 2, "EPIPE", "EPIPE", 0, 2, "0102", 0, name], came

    made.use_faults([{"when": {"endpoint": 0x01}, "do": "vanish"}])
    came = do(bench.guest, own, CLAIM, SEND)
    assert came[1] in ("ESHUTDOWN", "ENODEV", "EPROTO"), came
    players.gone(bench.guest, made.serial)
    assert made.log()[-1]["event"] == "vanished", made.log()[-1]
