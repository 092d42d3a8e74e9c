# SPDX-License-Identifier: ISC
"""Looks for octets in the memory of processes.  For root: nobody else may read that of a process that guards itself."""
import base64
import re
import subprocess
import sys

PIECE = 16      # octets: a secret that is there in part is there
HOLDER = "import signal, sys; held = sys.stdin.buffer.read(); print(flush=True); signal.pause()"


def regions(pid):
    """(from, to) of all that the process could have written to."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as f:
        for line in f:
            start, end, mode, path = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ \S+\s*(.*)", line).groups()
            if mode[0] == "r" and (mode[1] == "w" or not path):
                yield int(start, 16), int(end, 16)


def contents(pid, most=1 << 28):
    """The octets of each region; the reserved gigabytes of a sanitizer's shadow are nobody's secret."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for start, end in regions(pid):
            if end - start > most:
                continue
            try:
                mem.seek(start)
                yield mem.read(end - start)
            except OSError:     # gone meanwhile, or never there
                continue


def found(pid, needles):
    """The names of those of needles ({name: octets}) that are in the process."""
    seen = set()
    for octets in contents(pid):
        seen.update(name for name, needle in needles.items() if needle in octets)
    return seen


def found_where_all_are(needles):
    """found() of a process that has hardly more than them: the proof of a search that is to find nothing."""
    with subprocess.Popen([sys.executable, "-S", "-c", HOLDER], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        holder.stdin.write(b" ".join(needles.values()))
        holder.stdin.close()
        holder.stdout.readline()
        seen = found(holder.pid, needles)
        holder.kill()
    return seen


def of_key(certificate):
    """{name: octets} by which a private key is seen: pieces of its numbers in both orders, and of its text."""
    with open(certificate.key, encoding="ascii") as f:
        text = "".join(f.read().split("\n")[1:-2])
    der = base64.b64decode(text)
    needles = {}
    for name, number in certificate.secrets().items():
        for order, octets in (("", number), ("-reversed", number[::-1])):
            for at in {0, (len(octets) - PIECE) // 2, len(octets) - PIECE}:
                needles[f"{name}{order}+{at}"] = octets[at:at + PIECE]
        start = der.index(number)
        first, last = -(-start * 8 // 6), (start + len(number)) * 8 // 6
        for line in range(0, len(text), 64):
            at = max(first, line)
            if min(last, line + 64) - at >= PIECE:
                needles[f"{name}-text+{at}"] = text[at:at + PIECE].encode()
    return needles


def of_password(password):
    """{name: octets}: itself, and in base64 at every offset."""
    octets = password.encode()
    needles = {"plain": octets, "utf-16": password.encode("utf-16le")}
    for shift in range(3):
        # What is around it decides about the first and the last letters.
        text = base64.b64encode(b"\0" * shift + octets)
        first = (shift * 8 + 5) // 6
        needles[f"base64+{shift}"] = text[first:(shift + len(octets)) * 8 // 6]
    return needles
