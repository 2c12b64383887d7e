"""Disks whose writes are kept in one order over all of them, so that they can be shown as a power cut at any moment would
leave them. They are served to QEMU over NBD (the protocol's fixed newstyle handshake, simple replies).

It knows no file system and no device.
"""

import pathlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# of the NBD protocol
MAGIC, OPTION, REPLY, REQUEST, ANSWER = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9, 0x25609513, 0x67446698
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
EXPORT_NAME, ABORT, GO = 1, 2, 7
ACKNOWLEDGED, INFORMATION, UNSUPPORTED = 1, 3, 0x80000001
HAS_FLAGS, SENDS_FLUSH = 1, 4
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
INVALID = 22


@dataclass(frozen=True)
class Written:
    """One write to a disk; without bytes it is the order to keep all that came before."""

    disk: str
    offset: int
    data: bytes | None


class RecordedDisks:
    """Disks by their names, served as long as the `with` lasts. Each has a socket of its name in the folder."""

    def __init__(self, folder: pathlib.Path, contents: dict[str, bytes]) -> None:
        self._folder = folder
        self._contents = {name: bytearray(content) for name, content in contents.items()}
        self._begun: dict[str, bytes] = {}
        self._log: list[Written] = []
        self._records = False
        self._lock = threading.Lock()
        self._listeners: list[socket.socket] = []

    def __enter__(self) -> "RecordedDisks":
        for name in self._contents:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.served_at(name)))
            listener.listen()
            self._listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener, name), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.close()

    def served_at(self, name: str) -> pathlib.Path:
        """Where a disk is served."""
        return self._folder / f"{name}.nbd"

    def content(self, name: str) -> bytes:
        """What is on a disk now."""
        with self._lock:
            return bytes(self._contents[name])

    def record(self) -> None:
        """Keeps all writes from now on."""
        with self._lock:
            self._begun = {name: bytes(content) for name, content in self._contents.items()}
            self._log = []
            self._records = True

    def end_record(self) -> list[Written]:
        """Keeps no more, and returns what was written, in its order."""
        with self._lock:
            self._records = False
            return list(self._log)

    def show_cut(self, count: int) -> None:
        """Makes the disks what they were when the first `count` entries of the record had come to them. Nobody may use the
        disks meanwhile."""
        with self._lock:
            self._contents = {name: bytearray(content) for name, content in self._begun.items()}
            for entry in self._log[:count]:
                if entry.data is not None:
                    self._contents[entry.disk][entry.offset : entry.offset + len(entry.data)] = entry.data

    # The protocol

    def _accept(self, listener: socket.socket, name: str) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, name), daemon=True).start()

    def _serve(self, connection: socket.socket, name: str) -> None:
        with connection, connection.makefile("rb") as stream:

            def take(count: int) -> bytes:
                data = stream.read(count)
                if len(data) != count:
                    raise EOFError
                return data

            try:
                if self._agree(connection, take, name):
                    for answer in self._answers(take, name):
                        connection.sendall(answer)
            except (EOFError, OSError):
                # the guest has ended
                return

    def _agree(self, connection: socket.socket, take: Callable[[int], bytes], name: str) -> bool:
        """Whether the client goes on to the disk."""
        connection.sendall(struct.pack(">QQH", MAGIC, OPTION, FIXED_NEWSTYLE | NO_ZEROES))
        take(4)
        size = len(self._contents[name])
        while True:
            _, option, length = struct.unpack(">QII", take(16))
            take(length)
            if option == EXPORT_NAME:
                connection.sendall(struct.pack(">QH", size, HAS_FLAGS | SENDS_FLUSH))
                return True
            replies = [(UNSUPPORTED, b"")]
            if option == GO:
                replies = [(INFORMATION, struct.pack(">HQH", 0, size, HAS_FLAGS | SENDS_FLUSH)), (ACKNOWLEDGED, b"")]
            for kind, data in replies:
                connection.sendall(struct.pack(">QIII", REPLY, option, kind, len(data)) + data)
            if option in (GO, ABORT):
                return option == GO

    def _answers(self, take: Callable[[int], bytes], name: str) -> Iterator[bytes]:
        while True:
            _, _, command, handle, offset, length = struct.unpack(">IHHQQI", take(28))
            if command == DISCONNECT:
                return
            data = take(length) if command == WRITE else None
            error, back = 0, b""
            with self._lock:
                content = self._contents[name]
                if command in (READ, WRITE) and offset + length > len(content):
                    error = INVALID
                elif command == READ:
                    back = bytes(content[offset : offset + length])
                elif command in (WRITE, FLUSH):
                    if data is not None:
                        content[offset : offset + length] = data
                    if self._records:
                        self._log.append(Written(name, offset, data))
                else:
                    error = INVALID
            yield struct.pack(">IIQ", ANSWER, error, handle) + back
