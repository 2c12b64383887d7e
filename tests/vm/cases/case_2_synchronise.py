"""The main job on each file system, and who may do it."""

import json

from cases.support import Bench, thorough


def _whole_life(bench: Bench, kind: str) -> None:
    stick = bench.stick("stick", kind, size="192M")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music()
    bench.partner("STICK")
    device = bench.device("STICK")
    assert device["status"] == "partnership-exists" and device["partnership_owner"] == 1000, device
    assert device["safe_to_remove"] and device["sync_item_count"] == 6, device
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick, kind)
    # in another socket it is the same device and in step
    bench.guest.plug("again", stick, port="more.0/2", serial="A1")
    again = bench.wait_for("STICK", sync_state="stopped", safe_to_remove=True)
    assert again["id"] == device["id"], (again["id"], device["id"])
    bench.ctl("sync STICK")
    assert bench.device("STICK")["last_sync_change_count"] == 0
    bench.guest.unplug("again")
    bench.wait_for("STICK", connected=False)
    bench.check_in_step(stick, kind)


def case_fat32(bench: Bench) -> None:
    """A stick as it is sold."""
    _whole_life(bench, "fat32")


def case_exfat(bench: Bench) -> None:
    """A large stick as it is sold."""
    _whole_life(bench, "exfat")


def case_ext4(bench: Bench) -> None:
    """A file system with owners: its root belongs to root, and the daemon may write to it all the same."""
    _whole_life(bench, "ext4")


@thorough
def case_ntfs(bench: Bench) -> None:
    """A stick that was formatted on Windows."""
    _whole_life(bench, "ntfs")


def case_a_change_follows(bench: Bench) -> None:
    """A file that changes, and one that goes, reach the connected stick without a call."""
    stick = bench.stick("stick")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music()
    bench.partner("STICK")
    before = bench.device("STICK")["last_sync_time"]
    bench.guest.until(f"test $(date +%s) -gt {before}", "the next run has a time of its own")
    bench.guest.check("head -c 150000 /dev/urandom >'Music/Band 0/000 Song.mp3'", user="ann")
    bench.guest.until(
        f"tandemctl --json list | python3 -c 'import json,sys; d=json.load(sys.stdin)[0];"
        f" sys.exit(not (d[\"last_sync_time\"] > {before} and d[\"safe_to_remove\"]))'",
        "the change is followed",
    )
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick)


def case_only_active_sessions(bench: Bench) -> None:
    """Without a session polkit says no; reading is for everyone, another user's names are not."""
    bench.guest.plug("stick", bench.stick("stick"), serial="A1")
    bench.wait_for("STICK")
    for command in ("partner STICK", "sync STICK", "eject STICK", "set STICK FriendlyName Mine"):
        refused = bench.try_ctl(command, user="ben", session=False)
        assert refused.code in (1, 4) and "tandemctl:" in refused.err, (command, refused)
    outside = bench.try_ctl("partner STICK", session=False)
    assert outside.code == 4, outside
    bench.make_music()
    bench.partner("STICK")
    assert bench.device("STICK")["partnership_owner"] == 1000
    shown = bench.try_ctl("show STICK", user="ben", session=False)
    assert shown.code == 0 and "Song" not in shown.out and "All" not in shown.out, shown
    for command in ("partner STICK", "unpartner STICK", "stop STICK", "eject STICK", "preview STICK"):
        refused = bench.try_ctl(command, user="ben", session=False)
        assert refused.code != 0, (command, refused)
    results = bench.try_ctl("--json results STICK", user="ben", session=False)
    assert "Song" not in results.text, results
    theirs = bench.guest.run(
        "busctl --system call org.tandemd.Sync1 /org/tandemd/Sync1/libraries/u1000 org.tandemd.Sync1.Library GetPlaylists",
        user="ben",
    )
    assert theirs.code != 0, theirs
    assert bench.device("STICK")["status"] == "partnership-exists"


def case_root_may(bench: Bench) -> None:
    """Root ends another user's partnership."""
    bench.guest.plug("stick", bench.stick("stick"), serial="A1")
    bench.wait_for("STICK")
    bench.make_music(count=2)
    bench.partner("STICK")
    bench.ctl("unpartner STICK", user="root", session=False)
    device = json.loads(bench.ctl("--json list"))[0]
    assert device["status"] == "partnership-declined", device
