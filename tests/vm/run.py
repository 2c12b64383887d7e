#!/usr/bin/env python3
"""Runs the cases against a real machine, each in a fresh guest, and says how each went.

    tests/vm/run.py [--profile release|debug] [--all] [PATTERN…]

A pattern is a part of a case's name, or a shell pattern for all of it. Without one the core cases run, and with `--all`
those that take longer too, but for the few that take so long that they have to be named. Of a case that fails, journal,
console and QEMU's messages stay below `tests/vm/cache/failed/CASE/`.
"""

import argparse
import fnmatch
import importlib
import inspect
import pathlib
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable

from cases.support import Bench
from machine import golden, image
from machine.guest import Failed, GuestError

HERE = pathlib.Path(__file__).resolve().parent
Case = Callable[[Bench], None]


def all_cases() -> list[tuple[str, Case]]:
    """Every function `case_…` of the modules in `cases`, as `module.name`, in the order of the files."""
    found: list[tuple[str, Case]] = []
    for path in sorted((HERE / "cases").glob("case_*.py")):
        module = importlib.import_module(f"cases.{path.stem}")
        functions = [value for _, value in inspect.getmembers(module, inspect.isfunction)]
        own = [value for value in functions if value.__module__ == module.__name__ and value.__name__.startswith("case_")]
        own.sort(key=lambda function: function.__code__.co_firstlineno)
        found += [(f"{path.stem[5:]}.{function.__name__[5:]}", function) for function in own]
    return found


def chosen(patterns: list[str], thorough: bool) -> list[tuple[str, Case]]:
    """The cases that fit one of the patterns; without a pattern the core cases, and with `thorough` those that take
    longer."""
    cases = all_cases()
    if not patterns:
        slow = {"by_name"} if thorough else {"by_name", "thorough"}
        return [case for case in cases if not slow & vars(case[1]).keys()]
    return [case for case in cases if any(fnmatch.fnmatch(case[0], p) or p in case[0] for p in patterns)]


def run_one(name: str, case: Case, saved: golden.Golden) -> str | None:
    """Runs one case in a guest of its own; what went wrong, if anything did."""
    work = image.CACHE / "work"
    problem = None
    try:
        with golden.boot(saved, work) as guest:
            bench = Bench(guest, saved, work)
            try:
                case(bench)
            except (Failed, GuestError, AssertionError, LookupError, subprocess.SubprocessError) as error:
                problem = f"{type(error).__name__}: {error}" if str(error) else traceback.format_exc(limit=-2)
                keep_journal(bench, work)
    except GuestError as error:
        problem = problem or f"the machine: {error}"
    kept = image.CACHE / "failed" / name
    shutil.rmtree(kept, ignore_errors=True)
    if problem:
        kept.mkdir(parents=True)
        (kept / "problem.txt").write_text(problem + "\n")
        for log in work.glob("*.log"):
            shutil.copy(log, kept)
    shutil.rmtree(work, ignore_errors=True)
    return problem


def keep_journal(bench: Bench, work: pathlib.Path) -> None:
    """Copies the guest's journal and the daemon's messages with all their fields."""
    for file, shell in (
        ("journal.log", "journalctl --no-pager -o short-precise -n 3000"),
        ("tandemd.log", "journalctl --no-pager -o verbose -u tandemd -u 'tandem-library@*' -n 3000"),
        ("kernel.log", "dmesg"),
    ):
        try:
            (work / file).write_text(bench.guest.run(shell).text)
        except (GuestError, OSError) as error:
            (work / file).write_text(f"not to be had: {error}\n")


def main() -> int:
    """Prepares the guest, runs what was asked for, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    parser.add_argument("--profile", default="release", choices=["release", "debug"])
    parser.add_argument("--all", action="store_true", help="also the cases that take longer")
    parser.add_argument("--list", action="store_true", help="only list the cases")
    arguments = parser.parse_args()
    cases = chosen(arguments.patterns or ["*"] * arguments.list, arguments.all)
    if not cases:
        print(f"no case fits {' '.join(arguments.patterns)}; --list lists them", file=sys.stderr)
        return 2
    if arguments.list:
        print("\n".join(name for name, _ in cases))
        return 0
    began = time.monotonic()
    saved = golden.prepare(image.build(), arguments.profile)
    print(f"the machine is ready after {time.monotonic() - began:.0f} s", flush=True)
    failed = []
    for name, case in cases:
        start = time.monotonic()
        problem = run_one(name, case, saved)
        print(f"{'FAILED' if problem else 'ok':6} {time.monotonic() - start:6.1f} s  {name}", flush=True)
        if problem:
            failed.append(name)
            print("       " + problem.replace("\n", "\n       "), flush=True)
    print(f"{len(cases) - len(failed)} of {len(cases)} cases passed in {time.monotonic() - began:.0f} s")
    if failed:
        print(f"what is left of the others: {image.CACHE / 'failed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
