"""A running guest: QEMU as a process, its control socket (QMP), the agent in it, and sticks that come and go.

It decides nothing about what is tested. Every wait has a limit.
"""

import base64
import itertools
import json
import pathlib
import shlex
import socket
import subprocess
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from .image import Image

MEMORY = "1024"


class GuestError(Exception):
    """The machine itself doesn't do what it should: nothing about the system under test."""


class Failed(Exception):
    """What was expected of the system under test didn't happen."""


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both outputs."""
        return self.out + self.err


def make_overlay(disk: pathlib.Path, backing: pathlib.Path, backing_format: str) -> None:
    """A disk that holds only what differs from another."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(backing.resolve()), "-F", backing_format, str(disk)]
    subprocess.run(command, check=True)


class Guest:
    """A machine that runs from entering to leaving a `with`."""

    def __init__(self, image: Image, disk: pathlib.Path, payload: pathlib.Path, work: pathlib.Path) -> None:
        self.work = work
        self.console = work / "console.log"
        self._image = image
        self._disk = disk
        self._payload = payload
        self._state: pathlib.Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: socket.socket | None = None
        self._qmp_input: Any = None
        self._agent: socket.socket | None = None
        self._agent_input: Any = None
        self._next = 0
        self._throttles = itertools.count()

    def resuming(self, state: pathlib.Path) -> Self:
        """Starts from a saved state in place of booting."""
        self._state = state
        return self

    def _command(self) -> list[str]:
        sockets = {name: self.work / f"{name}.sock" for name in ("qmp", "agent")}
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"]
        command += ["-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", MEMORY]
        command += ["-kernel", str(self._image.kernel), "-initrd", str(self._image.initramfs)]
        command += ["-append", "console=ttyS0 mitigations=off quiet loglevel=4 systemd.show_status=0 panic=-1"]
        command += ["-serial", f"file:{self.console}", "-rtc", "base=utc", "-no-reboot"]
        command += ["-qmp", f"unix:{sockets['qmp']},server=on,wait=off"]
        command += ["-drive", f"if=virtio,format=qcow2,file={self._disk},cache=unsafe"]
        command += ["-drive", f"if=virtio,format=raw,file={self._payload},read-only=on"]
        command += ["-device", "virtio-serial-pci"]
        command += ["-chardev", f"socket,id=agent,path={sockets['agent']},server=on,wait=off"]
        command += ["-device", "virtserialport,chardev=agent,name=tandem.agent"]
        for name in ("usb", "more"):
            command += ["-device", f"qemu-xhci,id={name},p2=15,p3=15"]
        if self._state is not None:
            command += ["-incoming", f"exec:cat {shlex.quote(str(self._state))}"]
        return command

    def __enter__(self) -> Self:
        self.work.mkdir(parents=True, exist_ok=True)
        for name in ("qmp", "agent"):
            (self.work / f"{name}.sock").unlink(missing_ok=True)
        with open(self.work / "qemu.log", "wb") as log:
            self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._qmp = self._connect("qmp", 20)
            self._qmp_input = self._qmp.makefile("rb")
            self._qmp_message()
            self.qmp("qmp_capabilities")
            self._agent = self._connect("agent", 20)
            self._agent_input = self._agent.makefile("rb")
            if self._state is not None:
                self._wait_for_status("paused", 60)
                self.qmp("cont")
                self.check(f"date -u -s @{int(time.time())}")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """A power cut."""
        for connection in (self._qmp, self._agent):
            if connection is not None:
                connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=20)

    def _connect(self, name: str, limit: float) -> socket.socket:
        path = self.work / f"{name}.sock"
        end = time.monotonic() + limit
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(path))
                return connection
            except OSError as error:
                connection.close()
                if self._process is None or self._process.poll() is not None or time.monotonic() > end:
                    said = (self.work / "qemu.log").read_text(errors="replace")
                    raise GuestError(f"QEMU gives no {name} socket: {error}; it said: {said}") from error
                time.sleep(0.05)

    # The control socket

    def _qmp_message(self) -> dict[str, Any]:
        assert self._qmp is not None
        self._qmp.settimeout(60)
        line = self._qmp_input.readline()
        if not line:
            raise GuestError(f"QEMU has ended: {(self.work / 'qemu.log').read_text(errors='replace')}")
        message: dict[str, Any] = json.loads(line)
        return message

    def qmp(self, command: str, awaiting: str = "", **arguments: Any) -> Any:
        """Has QEMU do something, and waits for its answer and, with `awaiting`, for that event."""
        assert self._qmp is not None
        self._qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        answer = None
        seen = not awaiting
        while answer is None or not seen:
            message = self._qmp_message()
            if "error" in message:
                raise GuestError(f"QEMU refuses {command}: {message['error']}")
            if "return" in message:
                answer = message
            seen = seen or message.get("event") == awaiting
        return answer["return"]

    def _wait_for_status(self, wanted: str, limit: float) -> None:
        end = time.monotonic() + limit
        while (status := self.qmp("query-status")["status"]) != wanted:
            if time.monotonic() > end:
                raise GuestError(f"the guest is {status}, not {wanted}, after {limit} s")
            time.sleep(0.05)

    def save(self, state: pathlib.Path) -> None:
        """Writes memory and devices to a file and leaves the guest stopped: its disk belongs to that state now."""
        self.qmp("stop")
        self.qmp("migrate", uri=f"exec:cat > {shlex.quote(str(state))}")
        end = time.monotonic() + 120
        while (status := self.qmp("query-migrate").get("status")) != "completed":
            if status == "failed" or time.monotonic() > end:
                raise GuestError(f"the guest's state can't be saved: {status}")
            time.sleep(0.1)

    # Commands in the guest

    def run(
        self, shell: str, *, user: str = "root", session: bool = False, data: bytes = b"", limit: float = 60
    ) -> Ran:
        """Runs a shell command as root, as a user, or as a user in the login session on tty1."""
        assert self._agent is not None
        self._next += 1
        request = {"id": self._next, "shell": shell, "user": user, "session": session, "limit": limit}
        request["input"] = base64.b64encode(data).decode()
        self._agent.settimeout(limit + 120)
        self._agent.sendall(json.dumps(request).encode() + b"\n")
        try:
            while (answer := json.loads(self._agent_input.readline() or b"null")) is not None:
                if answer["id"] in (self._next, None):
                    return Ran(answer["code"], answer["out"], answer["err"])
        except TimeoutError as error:
            raise GuestError(f"the agent in the guest does not answer to `{shell}`") from error
        raise GuestError(f"the agent in the guest is gone; it was asked for `{shell}`")

    def check(
        self, shell: str, *, user: str = "root", session: bool = False, data: bytes = b"", limit: float = 60
    ) -> str:
        """Runs a command that has to succeed; returns what it printed."""
        ran = self.run(shell, user=user, session=session, data=data, limit=limit)
        if ran.code != 0:
            raise Failed(f"`{shell}` as {user} ended with {ran.code}:\n{ran.text.strip()}")
        return ran.out

    def until(self, shell: str, what: str, *, limit: float = 60, user: str = "root", session: bool = False) -> str:
        """Runs a command again and again until it succeeds."""
        end = time.monotonic() + limit
        while True:
            ran = self.run(shell, user=user, session=session)
            if ran.code == 0:
                return ran.out
            if time.monotonic() > end:
                raise Failed(f"{what}: not within {limit:.0f} s; `{shell}` says:\n{ran.text.strip()}")
            time.sleep(0.1)

    # Sticks

    def plug(
        self,
        name: str,
        image: pathlib.Path,
        *,
        port: str = "usb.0/1",
        serial: str = "",
        read_only: bool = False,
        speed: int | None = None,
    ) -> None:
        """Plugs a stick with this content into a port (`controller.0/number`), one that takes so many bytes a second."""
        file: dict[str, Any] = {"driver": "file", "filename": str(image.resolve()), "read-only": read_only}
        if speed is not None:
            # each has its own: a group is kept as long as what it slows down
            group = f"{name}-at-{next(self._throttles)}"
            self.qmp("object-add", **{"qom-type": "throttle-group", "id": group, "limits": {"bps-write": speed}})
            file = {"driver": "throttle", "throttle-group": group, "file": file, "read-only": read_only}
        self._plug(name, {"file": file, "read-only": read_only}, port, serial)

    def plug_served(self, name: str, server: pathlib.Path, *, port: str = "usb.0/1", serial: str = "") -> None:
        """Plugs a stick whose content another program serves over NBD."""
        self._plug(name, {"file": _served(server)}, port, serial)

    def attach_served(self, name: str, server: pathlib.Path) -> None:
        """Adds a disk of the machine's own that another program serves over NBD; it is `/dev/disk/by-id/virtio-NAME`."""
        self.qmp("blockdev-add", **{"node-name": name, "driver": "raw", "file": _served(server)})
        self.qmp("device_add", driver="virtio-blk-pci", id=name, drive=name, serial=name)
        self.until(f"test -b /dev/disk/by-id/virtio-{name}", "the kernel sees the disk")

    def _plug(self, name: str, block: dict[str, Any], port: str, serial: str) -> None:
        self.qmp("blockdev-add", **{"node-name": name, "driver": "raw"} | block)
        bus, _, number = port.partition("/")
        options = {"driver": "usb-storage", "id": name, "drive": name, "bus": bus, "port": number, "removable": True}
        self.qmp("device_add", **options, **({"serial": serial} if serial else {}))

    def unplug(self, name: str) -> None:
        """Pulls a stick, whatever goes on with it."""
        self.qmp("device_del", awaiting="DEVICE_DELETED", id=name)
        end = time.monotonic() + 20
        while True:
            try:
                self.qmp("blockdev-del", **{"node-name": name})
                return
            except GuestError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)


def _served(server: pathlib.Path) -> dict[str, Any]:
    return {"driver": "nbd", "server": {"type": "unix", "path": str(server)}}
