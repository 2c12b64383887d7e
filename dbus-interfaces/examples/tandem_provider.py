"""The bus side of a service provider, on python3-dbus-next: all but the device's own part, which is a `Device`.

Its methods block: each call has a thread of its own. `directory_player.py` beside this file shows how it is used.
"""

import asyncio
import errno
import os
import select
import threading
from concurrent.futures import ThreadPoolExecutor

from dbus_next import BusType, Message, MessageFlag, MessageType, SignatureTree, Variant
from dbus_next.aio import MessageBus

PROVIDER, DAEMON, BUS = "org.tandemd.Provider1", "org.tandemd.Sync1", "org.freedesktop.DBus"
MARK = "WMDM/SyncRelationshipID"
STANDARD = {f"{BUS}.Peer": {"Ping": ("", "")},
            f"{BUS}.Introspectable": {"Introspect": ("", "s")},
            f"{BUS}.Properties": {"Get": ("ss", "v"), "GetAll": ("s", "a{sv}"), "Set": ("ssv", "")}}

# Of each interface: its methods, what they take and what they answer.
METHODS = {
    PROVIDER: {"CreateDevice": ("a{sv}ah", "o"), "ReleaseDevice": ("o", ""), "EnumDevices": ("", "aa{sv}")},
    f"{PROVIDER}.Device": {"EnumStorage": ("", "ao"), "GetProperty": ("s", "v"), "SetProperty": ("sv", ""),
               "GetSupportedProperties": ("", "as"), "FindStorage": ("ss", "o")},
    f"{PROVIDER}.Storage": {"EnumStorage": ("uu", "ao"), "EnumStorageWithMetadata": ("uuas", "a(oa{sv})"),
                "CreateStorageWithMetadata": ("assa{sv}t", "o"),
                "GetSpecifiedMetadata": ("as", "a{sv}"), "SetMetadata": ("a{sv}", ""),
                "FindStorage": ("ss", "o"), "GetParent": ("", "o")},
    f"{PROVIDER}.Object": {"WriteOnClearChannel": ("ht", "t"), "ReadOnClearChannel": ("tth", "t"), "Delete": ("b", ""),
               "Rename": ("s", ""), "Move": ("o", "")},
}
WORDS = {errno.ENOENT: "InterfaceDead", errno.EEXIST: "Exists", errno.ENOSPC: "NoSpace", errno.EFBIG: "NoSpace",
         errno.EDQUOT: "NoSpace", errno.ENAMETOOLONG: "InvalidArgument", errno.EINVAL: "InvalidArgument",
         errno.ENOTEMPTY: "InvalidArgument", errno.ENOTDIR: "InvalidArgument", errno.EBUSY: "Busy"}


class Refused(Exception):
    """An error: a word of the contract, or D-Bus's own with its prefix, and a text."""

    def __init__(self, word, text):
        super().__init__(text)
        self.name = word if "." in word else f"{PROVIDER}.Error.{word}"


def need(holds, word, text):
    if not holds:
        raise Refused(word, text)


def string(value, name):
    need(isinstance(value, Variant) and value.signature == "s", "InvalidArgument", f"{name} has to be a text")
    return value.value


def introspection(*interfaces):
    """What an object has, as D-Bus tells it; the daemon looks at the interfaces' names."""
    def args(signature, direction):
        types = (each.signature for each in SignatureTree(signature).types)
        return "".join(f'<arg type="{each}" direction="{direction}"/>' for each in types)
    told = "<node>"
    for interface in interfaces:
        methods = (f'<method name="{name}">{args(takes, "in")}{args(answers, "out")}</method>'
                   for name, (takes, answers) in METHODS[interface].items())
        told += f'<interface name="{interface}">{"".join(methods)}</interface>'
    return told + "</node>"


class Device:
    """An open device. An author's has methods such as `Storage_EnumStorage`, which get the storage's handle first."""

    def open(self, caller, path):
        self.caller, self.path, self.moving, self.running = caller, path, set(), set()
        self.lock = threading.Lock()
        self.released, self.hold = os.pipe()

    async def close(self):
        os.close(self.hold)
        await asyncio.gather(*self.running, return_exceptions=True)
        os.close(self.released)

    def object(self, handle):
        return f"{self.path}/s{handle}"

    def storage(self, path):
        handle = path.removeprefix(self.path + "/s")
        need(handle.isdigit(), "InvalidArgument", f"{path} is no storage of this device")
        return int(handle)

    def wait(self, descriptor, event):
        poll = select.poll()
        poll.register(descriptor, event)
        poll.register(self.released, 0)
        ready = dict(poll.poll(30_000))
        need(self.released not in ready, "InterfaceDead", "the device was released in the middle")
        need(ready, "Failed", "the other end neither went on nor was closed within 30 seconds")

    def source(self, descriptor, size):
        """Gives the pieces that the daemon sends, and fails unless they come to `size` bytes."""
        done = 0
        while True:
            self.wait(descriptor, select.POLLIN)
            piece = os.read(descriptor, 1 << 18)
            done += len(piece)
            need(done <= size, "InvalidArgument", f"the source gave more than {size} bytes")
            if not piece:
                break
            yield piece
        need(done == size, "InvalidArgument", f"the source ended after {done} of {size} bytes")

    def sink(self, descriptor, piece):
        """Writes a piece to the daemon."""
        os.set_blocking(descriptor, False)
        while piece:
            self.wait(descriptor, select.POLLOUT)
            piece = piece[os.write(descriptor, piece):]


class Provider:
    """A provider on the session bus: `open_device` makes a `Device` of an identity and a descriptor or `None`."""

    def __init__(self, bus_name, open_device, announced):
        self.bus_name, self.open_device, self.announced = bus_name, open_device, announced
        self.root, self.devices, self.last, self.tasks = "/" + bus_name.replace(".", "/"), {}, 0, set()

    async def run(self, title=None):
        """Serves until the bus is gone, and registers with the daemon when it has a title."""
        self.title = title
        self.opening = asyncio.Lock()
        # a thread for each call that may be under way: transfers wait for the daemon
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
        self.bus = await MessageBus(bus_type=BusType.SESSION, negotiate_unix_fd=True).connect()
        self.bus.add_message_handler(self.received)
        watch = f"type='signal',sender='{BUS}',member='NameOwnerChanged'"
        await self.call(BUS, "/org/freedesktop/DBus", BUS, "AddMatch", "s", [watch])
        reply = await self.call(BUS, "/org/freedesktop/DBus", BUS, "RequestName", "su", [self.bus_name, 4])
        need(reply.body == [1], "Busy", f"another process has the bus name {self.bus_name}")
        for identity in self.announced:
            await self.bus.send(Message.new_signal(self.root, PROVIDER, "DeviceArrived", "a{sv}", [identity]))
        await self.register()
        try:
            await self.bus.wait_for_disconnect()
        except EOFError:
            pass  # that is how the end of the bus looks

    def call(self, destination, path, interface, member, signature, body):
        return self.bus.call(Message(destination, path, interface, member, signature=signature, body=body))

    async def register(self):
        if self.title is None:
            return
        body = [self.title, self.root, {"UseExtendedWmdm": Variant("u", 1)}]
        place = "/" + DAEMON.replace(".", "/")
        reply = await self.call(DAEMON, place, f"{DAEMON}.Services", "RegisterProvider", "soa{sv}", body)
        # one that isn't there is told when it is
        if reply.message_type == MessageType.ERROR and not reply.error_name.endswith("ServiceUnknown"):
            print(f"tandemd refuses the provider: {reply.body}", flush=True)

    def spawn(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def received(self, message):
        if message.message_type == MessageType.METHOD_CALL:
            self.spawn(self.answer(message))
            return True
        if message.message_type == MessageType.SIGNAL and message.member == "NameOwnerChanged":
            name, _, owner = message.body
            if not owner:
                self.spawn(self.release(lambda device: device.caller == name))
            elif name == DAEMON:
                self.spawn(self.register())
        return None

    async def release(self, which):
        gone = [path for path, device in self.devices.items() if which(device)]
        for device in [self.devices.pop(path) for path in gone]:
            await device.close()
        return gone

    async def answer(self, message):
        try:
            signature, body = await self.result(message)
            SignatureTree(signature).verify(body)  # or nobody would be answered
            reply = Message.new_method_return(message, signature, body)
        except Refused as refused:
            reply = Message.new_error(message, refused.name, str(refused))
        except OSError as error:
            name = f"{PROVIDER}.Error.{WORDS.get(error.errno, 'Failed')}"
            reply = Message.new_error(message, name, str(error))
        except Exception as error:  # a defect of ours: the caller is told, and others go on
            reply = Message.new_error(message, f"{PROVIDER}.Error.Failed", repr(error))
        finally:
            for descriptor in message.unix_fds:
                os.close(descriptor)
        if not message.flags & MessageFlag.NO_REPLY_EXPECTED:
            await self.bus.send(reply)

    async def result(self, message):
        """What to answer: a signature and a body."""
        device = self.devices.get("/".join(message.path.split("/")[:self.root.count("/") + 2]))
        methods = {**STANDARD, **METHODS}.get(message.interface, {})
        takes, answers = methods.get(message.member, (None, None))
        is_root = message.path == self.root
        need(is_root or device, "InterfaceDead", f"there is nothing at {message.path}")
        need(takes is not None and is_root == (message.interface == PROVIDER) or message.interface in STANDARD,
             f"{BUS}.Error.UnknownMethod", f"{message.path} has no {message.interface}.{message.member}")
        need(takes == message.signature, f"{BUS}.Error.InvalidArgs", f"it takes {takes!r}")
        if message.interface == PROVIDER:
            answer = await getattr(self, message.member)(message, *message.body)
        elif is_root and message.member == "Introspect":
            answer = introspection(PROVIDER)
        elif message.interface == f"{BUS}.Peer" or is_root:
            answer = {} if message.member == "GetAll" else None
        else:
            answer = await self.of_device(device, message)
        return answers, [answer] if answers else []

    async def of_device(self, device, message):
        """Has the device answer, on a thread of its own."""
        handle = None if message.path == device.path else device.storage(message.path)
        arguments = list(message.body)
        if message.member.endswith("ClearChannel"):
            at = METHODS[message.interface][message.member][0].index("h")
            arguments[at] = message.unix_fds[arguments[at]]
        running = asyncio.ensure_future(asyncio.to_thread(self.work, device, message, handle, arguments))
        device.running.add(running)
        running.add_done_callback(device.running.discard)
        return await running

    def work(self, device, message, handle, arguments):
        place, kind = ([] if handle is None else [handle]), message.interface.rpartition(".")[2]
        if kind == "Properties":
            interface = "Device" if handle is None else "Storage"
            need(arguments[0] in (f"{PROVIDER}.{interface}", f"{PROVIDER}.Object"),
                 f"{BUS}.Error.UnknownInterface", arguments[0])
            values = getattr(device, f"{interface}_Properties")(*place)
            if message.member == "GetAll":
                return values
            need(arguments[1] in values, f"{BUS}.Error.UnknownProperty", arguments[1])
            need(message.member == "Get", f"{BUS}.Error.PropertyReadOnly", arguments[1])
            return values[arguments[1]]
        if kind == "Introspectable" and handle is not None:
            device.Storage_Properties(handle)
            return introspection(*(f"{PROVIDER}.{each}" for each in ("Storage", "Object")[:2 if handle else 1]))
        if kind == "Introspectable":
            return introspection(f"{PROVIDER}.Device")
        need((kind == "Device") == (handle is None) and (kind, handle) != ("Object", 0),
             f"{BUS}.Error.UnknownInterface", f"{message.path} has no {message.interface}")
        method = getattr(device, f"{kind}_{message.member}")
        if kind != "Object":
            return method(*place, *arguments)
        with device.lock:
            need(handle not in device.moving, "Busy", "the file is being transferred")
            device.moving.add(handle)
        try:
            return method(*place, *arguments)
        finally:
            device.moving.discard(handle)

    async def CreateDevice(self, message, identity, usb):
        name = string(identity.get("canonical-name"), "canonical-name")
        async with self.opening:
            taken = [device for device in self.devices.values() if device.name == name]
            need(all(device.caller == message.sender for device in taken), "Busy", f"{name} is open for another")
            await self.release(lambda device: device.name == name)
            node = os.dup(message.unix_fds[usb[0]]) if usb else None
            device = await asyncio.to_thread(self.open_device, name, node)
            self.last += 1
            device.name = name
            device.open(message.sender, f"{self.root}/d{self.last}")
            self.devices[device.path] = device
        # one that left while it was opened was told of before there was anything to release
        reply = await self.call(BUS, "/org/freedesktop/DBus", BUS, "NameHasOwner", "s", [message.sender])
        if reply.body != [True]:
            await self.release(lambda other: other is device)
            raise Refused("InterfaceDead", "the caller left while the device was opened")
        return device.path

    async def ReleaseDevice(self, message, path):
        gone = await self.release(lambda device: device.path == path and device.caller == message.sender)
        need(gone, "InvalidArgument", f"{path} is no device that the caller has open")

    async def EnumDevices(self, message):
        return self.announced
