"""Players that advertise Windows Media Player's interface for portable players and are served by a service provider,
installed as PROVIDERS.md says. What may be asked, and what gets no request, is `case_6_devices.py`'s matter as well.
"""

import re
from typing import Any

from cases.story import change, check_complete, check_in_step, pull_within_a_file
from cases.support import Bench
from machine import players
from machine.guest import Failed
from machine.players import ROOT, MadePlayer, ProviderPlayer, carried
from machine.traffic import Traffic

PLAYER_INTERFACE = "{F33FDC04-D1AC-4E8E-9A30-19BBD4B108AE}"
OTHER_INTERFACE = "{DEE824EF-729B-4A0E-9C14-B7117D33A817}"
PROVIDER = "Example players"
GUIDE = ROOT / "dbus-interfaces/PROVIDERS.md"
# a file's path in the guide's text
PATH = re.compile(r"`(/\S+)`")
# larger than what is under way at any time
LARGE = 12_000_000


def _described(serial: str, microsoft: int, guid: str = PLAYER_INTERFACE) -> dict[str, Any]:
    """A player of the vendor that the guide's example is for, with Microsoft's descriptors 1.0 or 2.0."""
    endpoints = [{"address": 0x81}, {"address": 0x01}]
    interface = {"class": [0xFF, 0, 0], "name": "Files", "endpoints": endpoints}
    own: dict[str, Any] = {"vendor": 0x1209, "product": 0x7A10, "manufacturer": "Acme", "name": "Walker", "serial": serial}
    own["configurations"] = [{"interfaces": [interface]}]
    if microsoft == 1:
        guids = [{"name": "DeviceInterfaceGUID", "value": guid}]
        features = {"interface": 0, "compatible": "WINUSB", "properties": guids}
        return own | {"microsoft_1": {"code": 0x21, "features": [features]}}
    guids = [{"name": "DeviceInterfaceGUIDs", "value": [guid]}]
    features = {"compatible": "WINUSB", "properties": guids}
    return own | {"usb": 0x0210, "microsoft_2": {"code": 0x42, "features": [features]}}


def _installation() -> tuple[dict[str, str], list[str]]:
    """The files that the guide has its reader install, and the commands that follow."""
    section = GUIDE.read_text().partition(": install it\n")[2]
    texts_and_blocks = section.split("```")
    files, commands = {}, []
    for text, block in zip(texts_and_blocks[::2], texts_and_blocks[1::2]):
        kind, _, content = block.partition("\n")
        if kind == "sh":
            commands += content.splitlines()
        else:
            # each file's content follows its name
            files[PATH.findall(text)[-1]] = content
    if len(files) != 5 or len(commands) != 3:
        raise Failed(f"the guide's section about installing has {list(files)} and {commands}")
    return files, commands


def _install(bench: Bench, changes: dict[str, str] | None = None) -> None:
    """Installs the provider as the guide says, with these changes to its files."""
    files, commands = _installation()
    carried(bench.guest, "usb_provider", "/usr/libexec/example-players")
    for place, content in files.items():
        for old, new in (changes or {}).items():
            content = content.replace(old, new)
        bench.guest.check(f"mkdir -p $(dirname {place}) && cat >{place}", data=content.encode())
    for command in commands:
        bench.guest.check(command)


def _manual(bench: Bench, player: ProviderPlayer, *wanted: str) -> None:
    """The player is for manual transfer only, and whoever wants more is told why, as is the log."""
    bench.wait_for(player.id, status="manual-device")
    said = bench.try_ctl(f"partner {player.id}")
    logged = bench.guest.check("journalctl --sync; journalctl -q -o cat --no-pager -u tandemd")
    for text in wanted:
        assert said.code != 0 and text in said.err, said
        assert text in logged, logged
    assert not player.files(), player.files()


def _serve(bench: Bench, described: dict[str, Any]) -> None:
    """The whole story of a player: what it is called for is that it is in step at the end."""
    _install(bench)
    bench.make_music(count=6, size=200_000)
    assert bench.guest.run("pidof example-players").code != 0
    player = ProviderPlayer(bench.guest, described)
    bench.wait_for(player.id, status="new-device", kind="provider")
    runs_as = bench.guest.check("ps -o user:20= -p $(pidof example-players)").strip()
    assert runs_as == "example-players", runs_as
    bench.partner(player.id)
    check_complete(bench, player)
    check_in_step(bench, player)
    change(bench, LARGE)
    pull_within_a_file(bench, player, LARGE)
    again = ProviderPlayer(bench.guest, described)
    bench.wait_for(again.id)
    bench.ctl(f"sync {again.id}", limit=300)
    check_complete(bench, again)
    check_in_step(bench, again)


def case_a_player_with_descriptors_1_0(bench: Bench) -> None:
    """Its interface is in the extended properties 1.0."""
    _serve(bench, _described("P1", 1))


def case_a_player_with_descriptors_2_0(bench: Bench) -> None:
    """Its interface is in the registry properties 2.0."""
    _serve(bench, _described("P2", 2))


def case_a_provider_without_use_extended_wmdm(bench: Bench) -> None:
    """Its players are for manual transfer only, which is said with the reason; they are served when its file changes."""
    _install(bench, {"UseExtendedWmdm = 1": "UseExtendedWmdm = 0"})
    player = ProviderPlayer(bench.guest, _described("P3", 1))
    _manual(bench, player, PROVIDER, "UseExtendedWmdm is not 1")
    assert bench.guest.run("pidof example-players").code != 0, "a provider was started for nothing"
    _install(bench)
    bench.wait_for(player.id, status="new-device")


def case_a_player_without_a_provider(bench: Bench) -> None:
    """What is missing is said; it is served as soon as a provider is installed. One whose program is missing is told too."""
    player = ProviderPlayer(bench.guest, _described("P4", 2))
    _manual(bench, player, "no service provider for USB 1209:7a10", "providers.d")
    _install(bench, {"[[match]]\nvendor_id = 0x1209": "[[match]]\nvendor_id = 0x120a"})
    _manual(bench, player, "no service provider for USB 1209:7a10")
    _install(bench)
    bench.wait_for(player.id, status="new-device")


def case_a_device_with_another_interface(bench: Bench) -> None:
    """It is asked for its descriptors once, as any that only they can tell of, and is nobody's; then nothing reaches it."""
    _install(bench)
    bench.guest.check("systemctl start tandemd")
    for number, microsoft in enumerate((1, 2)):
        described = _described(f"O{number}", microsoft, OTHER_INTERFACE) | {"product": 0x7A11 + number}
        other = MadePlayer(bench.guest, f"other{number}", described)
        own = players.properties(bench.guest, other.serial)
        code = described[f"microsoft_{microsoft}"]["code"]
        other.wait_for(lambda entry, code=code: entry.get("request") == code, "its descriptors are asked for")
        player = ProviderPlayer(bench.guest, _described(f"P5{number}", microsoft))
        bench.wait_for(player.id, status="new-device")
        assert {device["id"] for device in bench.devices() if device["connected"]} == {player.id}, bench.devices()
        traffic = Traffic(bench.guest)
        bench.guest.check("systemctl restart tandemd")
        bench.wait_for(player.id, status="new-device")
        assert traffic.of(own) == [], traffic.of(own)
        traffic.end()
        for device in (other, player):
            device.unplug()
            players.gone(bench.guest, device.serial)
