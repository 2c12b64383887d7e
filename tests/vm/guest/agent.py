"""Runs in the guest: takes commands over a virtio-serial port, one JSON document on each line, and answers each.

A command runs as root, as a user without a session, or as a user inside the login session on tty1 (`session`). It
holds nothing between commands and knows nothing of the cases.
"""

import base64
import json
import os
import pathlib
import pwd
import subprocess
import time
from typing import Any

PORT = "/dev/virtio-ports/tandem.agent"


def session_scope(uid: int) -> pathlib.Path | None:
    """The control group of the user's session on a seat, as logind made it."""
    listed = subprocess.run(["loginctl", "list-sessions", "--no-legend"], capture_output=True, text=True, check=False)
    for line in listed.stdout.splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[1] == str(uid) and fields[3] == "seat0":
            scope = pathlib.Path(f"/sys/fs/cgroup/user.slice/user-{uid}.slice/session-{fields[0]}.scope")
            if scope.is_dir():
                return scope
    return None


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Runs one command to its end, or to its limit."""
    account = pwd.getpwnam(request.get("user", "root"))
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": f"/run/user/{account.pw_uid}",
    }
    scope = None
    if request.get("session"):
        scope = session_scope(account.pw_uid)
        if scope is None:
            return {"code": 125, "out": "", "err": f"{account.pw_name} has no session on a seat"}

    def become() -> None:
        os.setsid()
        if scope is not None:
            (scope / "cgroup.procs").write_text(str(os.getpid()))
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)

    try:
        ended = subprocess.run(
            ["/bin/sh", "-c", request["shell"]],
            input=base64.b64decode(request.get("input", "")),
            capture_output=True,
            env=environment,
            cwd=account.pw_dir,
            preexec_fn=become,
            timeout=request.get("limit", 60),
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"") + (late.stderr or b"")
        return {"code": 124, "out": text.decode(errors="replace"), "err": f"still running after {late.timeout} s"}
    return {
        "code": ended.returncode,
        "out": ended.stdout.decode(errors="surrogateescape"),
        "err": ended.stderr.decode(errors="replace"),
    }


def main() -> None:
    """Answers for as long as the machine runs."""
    with open(PORT, "r+b", buffering=0) as port:
        pending = b""
        while True:
            chunk = port.read(65536)
            if not chunk:
                # nobody is connected on the host's side
                time.sleep(0.05)
                continue
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                if not line.strip():
                    continue
                try:
                    request = json.loads(line)
                    answer = run(request) | {"id": request.get("id")}
                except (ValueError, KeyError, OSError, subprocess.SubprocessError) as error:
                    answer = {"id": None, "code": 126, "out": "", "err": f"{type(error).__name__}: {error}"}
                data = json.dumps(answer).encode() + b"\n"
                while data:
                    data = data[port.write(data) :]


if __name__ == "__main__":
    main()
