# SPDX-License-Identifier: ISC
"""The message table and the role table, as the compiler and smtpd/roles.c know them, and frames that break them."""
import functools
import json
import os
import re
import struct
import subprocess
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADER = struct.Struct("<IHBBI")
WIDTH = {"U8": 1, "BOOL": 1, "U16": 2, "U32": 4, "U64": 8, "I64": 8, "STR": 2, "BYTES": 4}


@functools.lru_cache(maxsize=None)
def generator(*flags):
    """What man/postern-messages.c prints; flags are the compiler's and, after "--", its own."""
    at = flags.index("--") if "--" in flags else len(flags)
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "postern-messages")
        base = [f"lib/base/{n}" for n in sorted(os.listdir(f"{TOP}/lib/base")) if n.endswith(".c")]
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-I.", *flags[:at], "-o", program,
                        "man/postern-messages.c", "lib/ipc/message.c", *base], cwd=TOP, check=True)
        return subprocess.run([program, *flags[at + 1:]], check=True, capture_output=True, text=True).stdout


def messages():
    """Rows of {name, fd, routes: [[from, to]...], fields: [[kind, name, bound]...]}, by their numbers."""
    return json.loads(generator("-DTEST_HOOKS", "--", "--json"))["messages"]


def frame_max():
    return json.loads(generator("-DTEST_HOOKS", "--", "--json"))["frame_max"]


def number(name):
    return next(i for i, m in enumerate(messages()) if m["name"] == name)


def allowed(sender, receiver):
    """The names of what one role may send to another."""
    return [m["name"] for m in messages() if [sender, receiver] in m["routes"]]


def peers(role):
    """The roles, the parent and smtpctl aside, that this one has a socket to."""
    return sorted({r for m in messages() for a, b in m["routes"] for r in (a, b)
                   if role in (a, b)} - {role, "parent", "admin"})


def raw(kind, length, body=b"", fd=0, pad=0, req=1):
    return HEADER.pack(length, kind, fd, pad, req) + body


def field(kind, value):
    if kind in ("STR", "BYTES"):
        octets = value if isinstance(value, bytes) else b"x" * value
        return len(octets).to_bytes(WIDTH[kind], "little") + octets + (b"\0" if kind == "STR" else b"")
    return (value % (1 << (8 * WIDTH[kind]))).to_bytes(WIDTH[kind], "little")


def frame(name, /, high=False, odd=None, req=1, **values):
    """All fields at a bound (texts of 60 at most), those in values as told, field `odd` one over its bound."""
    row = messages()[number(name)]
    body = b""
    for kind, what, bound in row["fields"]:
        if what in values:
            body += field(kind, values[what])
        elif what == odd:
            body += field(kind, bound + 1)
        elif kind in ("STR", "BYTES"):
            body += field(kind, min(bound, 60) if high else 0)
        else:
            body += field(kind, bound if high else 0)
    return raw(number(name), HEADER.size + len(body), body, fd=row["fd"], req=req)


def can_exceed(kind, bound):
    return kind != "I64" and bound < (1 << (8 * WIDTH[kind])) - 1


def broken_frames(sender, receiver):
    """(what is wrong, octets, descriptors, does it end there) for every way a peer can break the protocol."""
    rows = messages()
    mine = allowed(sender, receiver)
    plain = next(n for n in mine if not rows[number(n)]["fd"])
    for length in (0, 1, HEADER.size - 1, frame_max() + 1, 2**31, 2**32 - 1):
        yield f"length {length}", raw(number(plain), length), 0, False
    yield "type beyond the table", raw(len(rows) + 8, HEADER.size), 0, False
    yield "type 65535", raw(0xFFFF, HEADER.size), 0, False
    yield "padding", raw(number(plain), HEADER.size, pad=1), 0, False
    yield "descriptor flag 2", raw(number(plain), HEADER.size, fd=2), 0, False
    yield "descriptor flag on a message without", raw(number(plain), HEADER.size, fd=1), 1, False
    yield "one descriptor unasked", frame(plain), 1, False
    yield "fifty descriptors", frame(plain), 50, False
    yield "half a frame", frame(plain)[:7], 0, True
    yield "half a body", raw(number(plain), 4000, b"x" * 100), 0, True
    yield "half a frame with a descriptor", frame(plain)[:7], 1, True
    for row in rows:
        if row["name"] not in mine:
            yield f"{row['name']} is not its to send", frame(row["name"]), int(row["fd"]), False
    for name in mine:
        whole = frame(name)
        row = rows[number(name)]
        if row["fd"]:
            yield f"{name} without its descriptor", whole, 0, False
        yield f"{name} and an octet", raw(number(name), len(whole) + 1, whole[HEADER.size:] + b"\0", row["fd"]), \
            int(row["fd"]), False
        if len(whole) > HEADER.size:
            yield f"{name} less an octet", raw(number(name), len(whole) - 1, whole[HEADER.size:-1], row["fd"]), \
                int(row["fd"]), False
        for kind, what, bound in row["fields"]:
            if can_exceed(kind, bound):
                yield f"{name}.{what} over {bound}", frame(name, odd=what), int(row["fd"]), False
            if kind == "STR":
                yield f"{name}.{what} with a NUL", frame(name, **{what: b"a\0b"}), int(row["fd"]), False


# -- the role table -----------------------------------------------------------

@functools.lru_cache(maxsize=None)
def role_row(role):
    """{rights, descriptors, address_space, file_bytes} of smtpd/roles.c."""
    with open(f"{TOP}/smtpd/roles.c", encoding="utf-8") as f:
        row = re.search(r"\.role = ROLE_%s,.*?\n\t\}" % role.upper(), f.read(), re.S).group()
    with open(f"{TOP}/lib/role/role.h", encoding="utf-8") as f:
        bits = {n: int(v, 16) for n, v in re.findall(r"(RIGHT_\w+)[\s\\]+0x([0-9a-f]+)U", f.read())}
    rights = sum(bits[n] for n in re.findall(r"RIGHT_\w+", re.search(r"\.rights = ([^,]*),", row).group(1)))
    units = {"MB": 1 << 20, "GB": 1 << 30, "UNLIMITED": 2**64 - 1}

    def limit(name):
        m = re.search(r"\.%s = ([\w ]+(?:\* \w+)?)" % name, row)
        return eval(m.group(1), {}, units) if m else 0  # a product of numbers out of our own source
    return {"rights": rights, "descriptors": limit("descriptors"),
            "address_space": limit("address_space_bytes"), "file_bytes": limit("file_bytes")}
