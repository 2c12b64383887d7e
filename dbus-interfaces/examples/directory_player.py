#!/usr/bin/python3
"""A service provider whose player is a directory: its files are the player's files. PROVIDERS.md explains how to run it.

What the player has to remember lies in `.player` in the directory, which it never shows. It has no references and takes
no metadata: both are optional.
"""

import asyncio
import ctypes
import os
import stat
import struct
import sys

from dbus_next import Variant
from tandem_provider import MARK, Device, Provider, Refused, need, string

MEMORY = ".player"
LIBC = ctypes.CDLL(None, use_errno=True)


def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lasting_id(path):
    """The inode, and when it was made: an inode alone is used again. Python's stat doesn't tell the latter."""
    facts = ctypes.create_string_buffer(256)
    LIBC.statx(-100, os.fsencode(path), 0x100, 0x800, facts)
    return "%x-%x-%x" % (os.lstat(path).st_ino, *struct.unpack_from("=qI", facts, 80))


class Directory(Device):
    """An open player: handles that were given out, and where each is."""

    def __init__(self, directory):
        self.directory, self.last, self.places, self.ids = directory, 0, {}, {}
        os.makedirs(os.path.join(directory, MEMORY), exist_ok=True)

    def where(self, handle):
        """Where a storage is: places know the folder's handle and the name, so that a folder can be renamed."""
        if handle == 0:
            return self.directory
        need(handle in self.places, "InterfaceDead", f"there is no storage {handle} any more")
        folder, name = self.places[handle]
        path = os.path.join(self.where(folder), name)
        need(self.ids.get(lasting_id(path)) == handle, "InterfaceDead", f"there is no storage {handle} any more")
        return path

    def handle(self, folder, name):
        """Gives what is there a handle; `None` for what is neither file nor folder."""
        path = os.path.join(self.where(folder), name)
        kind = os.lstat(path).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)) or (folder, name) == (0, MEMORY):
            return None
        key = lasting_id(path)
        with self.lock:
            if key not in self.ids:
                self.last += 1
                self.ids[key] = self.last
            self.places[self.ids[key]] = (folder, name)
            return self.ids[key]

    def children(self, folder):
        path = self.where(folder)
        names = os.listdir(path) if os.path.isdir(path) else []
        return sorted(handle for name in names if (handle := self.handle(folder, name)) is not None)

    def search(self, folder, key, deep):
        for handle in self.children(folder):
            if lasting_id(self.where(handle)) == key:
                return handle
            if deep and (found := self.search(handle, key, deep)) is not None:
                return found
        return None

    def place(self, folder, name):
        path = self.where(folder)
        need(0 < len(name.encode()) <= 255 and name not in (".", "..") and not set("/\0") & set(name)
             and (folder, name) != (0, MEMORY), "InvalidArgument", f"the name {name!r} can't be")
        need(os.path.isdir(path), "InvalidArgument", f"{path} is a file")
        return os.path.join(path, name)

    def give_name(self, handle, folder, name):
        old, new = self.where(handle), self.place(folder, name)
        # in one step, and replacing nothing: renameat2 with RENAME_NOREPLACE
        if old != new and LIBC.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), 1) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), new)
        self.places[handle] = (folder, name)
        for changed in {os.path.dirname(old), os.path.dirname(new)}:
            sync(changed)

    def Storage_Properties(self, handle):
        path = self.where(handle)
        facts, space = os.lstat(path), os.statvfs(path) if handle == 0 else None
        is_file = stat.S_ISREG(facts.st_mode)
        return {"Name": Variant("s", os.path.basename(path)), "Size": Variant("t", facts.st_size if is_file else 0),
                "Attributes": Variant("as", ["file" if is_file else "folder"]),
                "TotalSize": Variant("t", space.f_blocks * space.f_frsize if space else 0),
                "TotalFree": Variant("t", space.f_bavail * space.f_frsize if space else 0),
                "PersistentUniqueId": Variant("s", lasting_id(path))}

    def Device_Properties(self):
        texts = {"Name": os.path.basename(self.directory), "Manufacturer": "", "Model": "Python player",
                 "SerialNumber": "", "Version": "", "PowerSource": "unknown"}
        return {**{key: Variant("s", text) for key, text in texts.items()}, "BatteryPercent": Variant("u", 0)}

    def Device_EnumStorage(self):
        return [self.object(0)]

    def Device_GetSupportedProperties(self):
        return [MARK]

    def Device_GetProperty(self, name):
        need(name == MARK, "NotSupported", f"the device has no property {name}")
        file = os.path.join(self.directory, MEMORY, "mark")
        if not os.path.exists(file):
            return Variant("s", "")
        with open(file, encoding="utf-8", newline="") as text:
            return Variant("s", text.read())

    def Device_SetProperty(self, name, value):
        need(name == MARK, "NotSupported", f"the device has no property {name}")
        mark = string(value, name)
        need(len(mark.encode()) <= 255, "InvalidArgument", f"{name} has more than 255 bytes")
        file = os.path.join(self.directory, MEMORY, "mark")
        with open(file + ".new", "w", encoding="utf-8", newline="") as text:
            text.write(mark)
            text.flush()
            os.fsync(text.fileno())
        os.replace(file + ".new", file)
        sync(os.path.dirname(file))

    def Device_FindStorage(self, scope, key):
        if lasting_id(self.directory) == key:
            return self.object(0)
        need(scope == "global", "NotFound" if scope == "immediate-children" else "InvalidArgument", scope)
        return self.Storage_FindStorage(0, scope, key)

    def Storage_EnumStorage(self, handle, first, count):
        return [self.object(child) for child in self.children(handle)[first:first + count if count else None]]

    def Storage_EnumStorageWithMetadata(self, handle, first, count, names):
        children = self.children(handle)[first:first + count if count else None]
        return [[self.object(child), self.Storage_GetSpecifiedMetadata(child, names)] for child in children]

    def Storage_CreateStorageWithMetadata(self, handle, attributes, name, metadata, size):
        kind = {"folder", "file"} & set(attributes)
        need(len(kind) == 1, "InvalidArgument", f"{attributes} must have one of folder and file")
        path, space = self.place(handle, name), os.statvfs(self.directory)
        need(not os.path.lexists(path), "Exists", f"{name!r} is taken")
        need(size <= space.f_bavail * space.f_frsize, "NoSpace", f"{size} bytes are more than is free")
        if kind == {"folder"}:
            os.mkdir(path)
            sync(os.path.dirname(path))
        else:
            with open(path, "xb"):
                pass
            modified = metadata.get("WMDM/LastModifiedDate")
            if modified is not None:
                os.utime(path, (modified.value, modified.value))
        return self.object(self.handle(handle, name))

    def Storage_GetSpecifiedMetadata(self, handle, names):
        told = self.Storage_Properties(handle)
        told = {"WMDM/FileName": told["Name"], "WMDM/FileSize": told["Size"],
                "WMDM/FileAttributes": told["Attributes"], "WMDM/PersistentUniqueID": told["PersistentUniqueId"],
                "WMDM/LastModifiedDate": Variant("t", int(os.lstat(self.where(handle)).st_mtime))}
        return {name: value for name, value in told.items() if not names or name in names}

    def Storage_FindStorage(self, handle, scope, key):
        need(scope in ("global", "immediate-children"), "InvalidArgument", f"{scope!r} is no scope")
        found = self.search(handle, key, scope == "global")
        need(found is not None, "NotFound", f"no storage there has the id {key!r}")
        return self.object(found)

    def Storage_GetParent(self, handle):
        self.where(handle)
        return self.object(self.places[handle][0]) if handle else "/"

    def Storage_SetMetadata(self, handle, metadata):
        self.where(handle)
        raise Refused("NotSupported", "the device takes no metadata")

    def Object_WriteOnClearChannel(self, handle, source, size):
        path = self.where(handle)
        need(os.path.isfile(path), "NotSupported", "a folder has no bytes")
        times = os.stat(path)
        with open(path, "wb", buffering=0) as file:
            for piece in self.source(source, size):
                while piece:
                    piece = piece[file.write(piece):]
            os.utime(file.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))
            os.fsync(file.fileno())
        return size

    def Object_ReadOnClearChannel(self, handle, offset, size, sink):
        path, done = self.where(handle), 0
        need(os.path.isfile(path), "NotSupported", "a folder has no bytes")
        with open(path, "rb") as file:
            file.seek(min(offset, os.path.getsize(path)))
            while piece := file.read(min(1 << 16, size - done)):
                self.sink(sink, piece)
                done += len(piece)
        return done

    def Object_Delete(self, handle, recursive):
        path = self.where(handle)
        for child in self.children(handle) if recursive else []:
            self.Object_Delete(child, True)
        key = lasting_id(path)
        (os.rmdir if os.path.isdir(path) else os.remove)(path)
        del self.places[handle], self.ids[key]
        sync(os.path.dirname(path))

    def Object_Rename(self, handle, name):
        self.where(handle)
        self.give_name(handle, self.places[handle][0], name)

    def Object_Move(self, handle, folder):
        self.where(handle)
        self.give_name(handle, self.storage(folder), self.places[handle][1])


def open_device(name, usb):
    if usb is not None:
        os.close(usb)
    path = name.removeprefix("directory:")
    need(path != name and os.path.isdir(path), "NotFound", f"there is no directory {name!r}")
    return Directory(path)


if __name__ == "__main__":
    if len(sys.argv) < 2 or not os.path.isdir(sys.argv[1]):
        sys.exit("say which directory is the player")
    identity = {"canonical-name": Variant("s", "directory:" + os.path.realpath(sys.argv[1]))}
    provider = Provider("org.example.PythonPlayer", open_device, [identity])
    asyncio.run(provider.run("Python player" if "--register" in sys.argv else None))
