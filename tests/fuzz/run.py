#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""`make fuzz`: every target for FUZZ_SECONDS (30), two at a time, under ASan and UBSan.

New inputs that reach new code land in build-fuzz/corpus; an input that broke
something in build-fuzz/findings, and its name is printed.  An argument that is a
word picks the targets whose name contains it.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECONDS = int(os.environ.get("FUZZ_SECONDS", "30"))


def fuzz(name):
    word = name.removeprefix("fuzz_")
    grown = os.path.join(TOP, "build-fuzz/corpus", word)
    findings = os.path.join(TOP, "build-fuzz/findings", word)
    os.makedirs(grown, exist_ok=True)
    os.makedirs(findings, exist_ok=True)
    argv = [os.path.join(TOP, "build-fuzz/fuzz", name), f"-max_total_time={SECONDS}", "-timeout=10",
            "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={findings}/",
            grown, os.path.join(TOP, "tests/fuzz/corpus", word)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, cwd=TOP)
    text = done.stdout.decode(errors="replace")
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    return name, done.returncode, int(runs.group(1)) if runs else 0, text


def main():
    picked = sys.argv[1] if len(sys.argv) > 1 else ""
    names = sorted(n for n in os.listdir(os.path.join(TOP, "build-fuzz/fuzz")) if picked in n)
    print(f"{len(names)} targets, {SECONDS} s each")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for name, status, runs, text in pool.map(fuzz, names):
            print(f"{'clean' if status == 0 else 'BROKEN':7} {name}  {runs} runs", flush=True)
            if status != 0:
                failed += 1
                print("\n".join("    | " + line for line in text.splitlines()[-40:]))
    print(f"{len(names) - failed} clean, {failed} broken")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
