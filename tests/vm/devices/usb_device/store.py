"""The files that a made player keeps: in a directory, which stays when the player is unplugged. Each has a number that is
never used again. It knows nothing of USB.
"""

import json
import os
import pathlib
from typing import Any

ROOT, FOLDER, FILE = 0, 1, 2


class Refused(Exception):
    """What a player says no to, with the status that tells why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


GONE, EXISTS, FULL, WRONG = 1, 2, 3, 4


class Store:
    """Objects by their numbers; 0 is the root. `files/` has what they hold under their names, `index.json` the rest."""

    def __init__(self, place: pathlib.Path, size: int) -> None:
        self._files, self._index, self._size = place / "files", place / "index.json", size
        self._files.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, Any] = {"last": 0, "objects": {}, "texts": {}}
        if self._index.exists():
            self._known = json.loads(self._index.read_text())

    def _keep(self) -> None:
        unfinished = self._index.with_suffix(".new")
        unfinished.write_text(json.dumps(self._known))
        unfinished.rename(self._index)

    def _object(self, number: int) -> dict[str, Any]:
        known: dict[str, Any] | None = self._known["objects"].get(str(number))
        if known is None:
            raise Refused(GONE, f"there is no object {number}")
        return known

    def path(self, number: int) -> pathlib.Path:
        """Where an object is."""
        if number == ROOT:
            return self._files
        known = self._object(number)
        return self.path(known["parent"]) / known["name"]

    def entry(self, number: int) -> tuple[int, int, int, int, int, str]:
        """Number, parent, kind, size, modification time and name of an object."""
        if number == ROOT:
            return (ROOT, ROOT, ROOT, 0, 0, "")
        known, path = self._object(number), self.path(number)
        size = path.stat().st_size if known["kind"] == FILE else 0
        return (number, known["parent"], known["kind"], size, known["modified"], known["name"])

    def children(self, folder: int) -> list[int]:
        """What is in a folder."""
        self.path(folder)
        return [int(number) for number, known in self._known["objects"].items() if known["parent"] == folder]

    def _place(self, folder: int, name: str) -> pathlib.Path:
        if self.entry(folder)[2] == FILE and folder != ROOT:
            raise Refused(WRONG, "a file holds no files")
        if not 0 < len(name.encode()) <= 255 or name in (".", "..") or "/" in name:
            raise Refused(WRONG, f"the name {name!r} can't be")
        path = self.path(folder) / name
        if os.path.lexists(path):
            raise Refused(EXISTS, f"{name!r} is taken")
        return path

    def make(self, folder: int, kind: int, name: str, modified: int) -> int:
        """Makes a folder, or an empty file."""
        path = self._place(folder, name)
        path.mkdir() if kind == FOLDER else path.touch()
        self._known["last"] += 1
        made: int = self._known["last"]
        self._known["objects"][str(made)] = {"parent": folder, "kind": kind, "name": name, "modified": modified}
        self._keep()
        return made

    def write(self, number: int, at: int, data: bytes) -> None:
        """Puts bytes into a file."""
        if len(data) > self.space()[1]:
            raise Refused(FULL, "the player is full")
        with open(self.path(number), "r+b") as file:
            file.seek(at)
            file.write(data)

    def end(self, number: int, size: int) -> None:
        """Ends a file after so many bytes."""
        os.truncate(self.path(number), size)

    def read(self, number: int, at: int, count: int) -> bytes:
        """Bytes of a file."""
        with open(self.path(number), "rb") as file:
            file.seek(at)
            return file.read(count)

    def delete(self, number: int) -> None:
        """Deletes a file, or a folder that is empty."""
        path = self.path(number)
        if self.children(number):
            raise Refused(WRONG, "the folder isn't empty")
        path.rmdir() if path.is_dir() else path.unlink()
        del self._known["objects"][str(number)]
        self._keep()

    def place(self, number: int, folder: int, name: str) -> None:
        """Gives an object a folder and a name."""
        self.path(number).rename(self._place(folder, name))
        self._object(number).update(parent=folder, name=name)
        self._keep()

    def text(self, name: str) -> str:
        """A text that the player keeps; empty when there is none."""
        kept: str = self._known["texts"].get(name, "")
        return kept

    def set_text(self, name: str, text: str) -> None:
        """Keeps a text."""
        self._known["texts"][name] = text
        self._keep()

    def space(self) -> tuple[int, int]:
        """All bytes, and those that are free."""
        used = sum(self.entry(int(number))[3] for number in self._known["objects"])
        return self._size, max(self._size - used, 0)
