"""Plugs in the device that a description tells of and is it, until it is told to end (SIGTERM) or vanishes.

    usb_device.pyz DESCRIPTION.json LOG

The log has one JSON document on each line: what arrived at endpoint 0, faults that struck, plug and unplug. After
SIGHUP the description's faults are read anew. It loads no module and reads nothing else.
"""

import json
import os
import pathlib
import selectors
import signal
import socket
import sys
import time
from typing import Any

from usb_device import usbip, vhci
from usb_device.device import Device, Vanished


class Log:
    """What happened, for a case to read."""

    def __init__(self, path: pathlib.Path) -> None:
        self._file = open(path, "w", buffering=1)

    def __call__(self, event: str, **more: Any) -> None:
        print(json.dumps({"event": event, "time": round(time.monotonic(), 6)} | more), file=self._file)


def serve(device: Device, connection: socket.socket, signals: socket.socket, description: pathlib.Path) -> None:
    """Answers what arrives until the kernel hangs up or SIGTERM comes."""
    stream = usbip.Stream()
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        selector.register(signals, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is signals:
                    arrived = signals.recv(64)
                    if signal.SIGTERM in arrived:
                        return
                    if signal.SIGHUP in arrived:
                        device.use_faults(json.loads(description.read_text()).get("faults", []))
                    continue
                data = connection.recv(1 << 20)
                if not data:
                    return
                for message in stream.feed(data):
                    for answer in device.handle(message):
                        connection.sendall(answer)


def main() -> int:
    """Runs one device from plug to unplug."""
    description = pathlib.Path(sys.argv[1])
    described = json.loads(description.read_text())
    log = Log(pathlib.Path(sys.argv[2]))
    device = Device(described, log)
    waking, woken = socket.socketpair()
    waking.setblocking(False)
    signal.set_wakeup_fd(waking.fileno())
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    ours, kernels = socket.socketpair()
    port = vhci.attach(kernels, os.getpid(), described.get("speed", "high"))
    kernels.close()
    log("plugged", port=port)
    try:
        serve(device, ours, woken, description)
    except Vanished:
        log("vanished")
    else:
        vhci.detach(port)
        log("unplugged")
    finally:
        ours.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
