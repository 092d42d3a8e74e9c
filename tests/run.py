#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Runs every test and counts: the last line is `N passed, N failed, N skipped`.

One line a test, with the command that runs it again when it failed.  The kinds:
  unit     cmocka programs of the sanitizer build
  corpus   fuzz targets over their stored inputs, in the sanitizer build
  pytest   tests/system, tests/hostile, tests/crash, tests/graveyard
An argument that is a word picks the tests whose name contains it.
"""
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ASAN = os.path.join(TOP, "build-asan")
UNIT_TIMEOUT = 600
SLOW = 10    # seconds from which a test's time is shown


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def add(self, outcome, name, note=""):
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome == "failed":
            self.failures.append([name])
        print(f"{outcome:7} {name}{'  ' + note if note else ''}", flush=True)


def run(argv):
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", ASAN_OPTIONS="detect_leaks=1")
    try:
        done = subprocess.run(argv, cwd=TOP, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=UNIT_TIMEOUT)
    except subprocess.TimeoutExpired as late:
        return -1, (late.output or b"").decode(errors="replace") + "\ntimed out"
    return done.returncode, done.stdout.decode(errors="replace")


def show(tally, text):
    """What a failed test said: at its place, and its last lines again at the end."""
    lines = [line[:400] for line in text.splitlines()[-60:]]
    tally.failures[-1] += lines[-12:]
    for line in lines:
        print("    | " + line)


def unit(tally, picked):
    folder = os.path.join(ASAN, "unit")
    for name in sorted(os.listdir(folder)):
        if picked and picked not in name:
            continue
        status, text = run([os.path.join(folder, name)])
        rerun = f"build-asan/unit/{name}"
        bad = 0
        for line in text.splitlines():
            m = re.match(r"(not ok|ok) \d+ - (\S+)(.*)", line)
            if not m:
                continue
            if "# SKIP" in m.group(3):
                tally.add("skipped", f"unit {name} {m.group(2)}", m.group(3).strip())
            elif m.group(1) == "ok":
                tally.add("passed", f"unit {name} {m.group(2)}")
            else:
                bad += 1
                tally.add("failed", f"unit {name} {m.group(2)}", f"again: {rerun}")
        if status != 0 and not bad:
            tally.add("failed", f"unit {name}", f"exit {status}; again: {rerun}")
        if status != 0:
            show(tally, text)


def corpus(tally, picked):
    folder = os.path.join(ASAN, "replay")
    for name in sorted(os.listdir(folder)):
        if picked and picked not in name:
            continue
        inputs = os.path.join("tests/fuzz/corpus", name.removeprefix("fuzz_"))
        argv = [os.path.join("build-asan/replay", name), inputs]
        status, text = run(argv)
        if status == 0:
            tally.add("passed", f"corpus {name}", text.strip().splitlines()[-1])
        else:
            tally.add("failed", f"corpus {name}", "again: " + " ".join(argv))
            show(tally, text)


def pytest_case(tally, case):
    seconds = float(case.get("time") or 0)
    name = f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}"
    for child in case:
        if child.tag == "skipped":
            return tally.add("skipped", name, child.get("message") or "")
        if child.tag in ("failure", "error"):
            tally.add("failed", name, f"again: /usr/bin/python3 -m pytest '{name}'")
            return show(tally, child.text or "")
    return tally.add("passed", name, f"{seconds:.0f} s" if seconds >= SLOW else "")


def pytest(tally, picked):
    folders = [f"tests/{k}" for k in ("system", "hostile", "crash", "graveyard")
               if os.path.isdir(os.path.join(TOP, "tests", k))]
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "4",
                "--dist", "worksteal" if has_worksteal() else "load",
                f"--junitxml={report.name}"] + (["-k", picked] if picked else []) + folders
        done = subprocess.run(argv, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        text = done.stdout.decode(errors="replace")
        try:
            cases = list(xml.parse(report.name).getroot().iter("testcase"))
        except xml.ParseError:
            cases = []
    for case in cases:
        pytest_case(tally, case)
    if done.returncode not in (0, 1, 5) or not cases and done.returncode != 5:
        tally.add("failed", "pytest", f"exit {done.returncode}")
        show(tally, text)


def has_worksteal():
    import xdist
    return tuple(int(x) for x in xdist.__version__.split(".")[:2]) >= (3, 2)


def main():
    picked = sys.argv[1] if len(sys.argv) > 1 else ""
    tally, started = Tally(), time.monotonic()
    unit(tally, picked)
    corpus(tally, picked)
    pytest(tally, picked)
    for name, *said in tally.failures:
        print(f"FAILED  {name}")
        for line in said:
            print("    | " + line)
    print(f"in {time.monotonic() - started:.0f} s")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
