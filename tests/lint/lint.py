#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What the compiler does not check: layers, lengths, words that may not be written.

One line a finding, `file:line: text`; the last line counts.  --full also builds
everything with gcc and clang, warnings as errors, and computes the system-call
table of tests/lint/syscalls.txt anew; that takes a minute or two.
"""
import argparse
import os
import py_compile
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ALLOW = "tests/lint/lengths.allow"
SYSCALLS = "tests/lint/syscalls.txt"

FUNCTION_MEDIAN, FUNCTION_P95, FUNCTION_MAX = 20, 65, 100
FILE_MAX, FILE_LIMIT = 500, 900          # above the first an exception is needed; above the second none helps
PARAMETERS_MAX, DEPTH_MAX = 5, 4
FIRST_COMMENT_MAX = 14                   # lines of text that open a .c file

LIBRARIES = ("base", "mail", "conf", "ipc", "key", "net", "role", "secret", "service", "sqlite")
PROGRAMS = ("smtpd", "session", "queue", "lookup", "delivery", "vault", "table", "fetch", "control")
# What a library may include besides lib/base and itself.
ABOVE = {"service": ("ipc", "conf", "role"), "key": ("ipc",), "net": ("key",),
         "sqlite": ("conf",)}

# word, the files outside tests/ that may have it (None: none may), why
WORDS = (
    (r"\b(system|popen|wordexp)\s*\(", None, "starts a shell"),
    (r"\b(strcpy|strcat|stpcpy|sprintf|vsprintf|gets|strtok)\s*\(", None, "knows no bound"),
    (r"\b(alloca|setjmp|longjmp)\s*\(", None, "is not used here"),
    (r"\b(atoi|atol|atoll)\s*\(", None, "takes rubbish for zero"),
    (r"\bsqlite3\w*", r"(queue/spool|lib/sqlite/)\w*\.[ch]$",
     "SQL is spoken by queue/spool*.c and lib/sqlite alone"),
    (r"\bPQ[a-z]\w*", r"table/postgres\w*\.[ch]$", "servers are asked by table/ alone"),
    # A private key is in the vault, or nowhere.
    (r"\b(EVP_DigestSign|EVP_PKEY_sign|PEM_read_bio_PrivateKey|d2i_AutoPrivateKey)\w*\s*\(",
     r"vault/(keys|certificate|jwt)\w*\.c$", "only the vault signs"),
    (r"\b(set(res|re|e|fs)?[ug]id|setgroups|initgroups|chroot)\s*\(", r"(smtpd|lib/role)/",
     "rights change in smtpd/ and lib/role alone"),
    # smtpctl has no event loop, and a signature is waited for in the middle of a handshake: these two
    # read whole frames themselves and have lib/ipc take them apart.
    (r"\b(message_(encode|decode|header)|MSG_HEADER_SIZE)\b", r"lib/ipc/|control/client\.c$|lib/key/keyclient\.c$",
     "only lib/ipc sees wire bytes"),
)
# Bytes in, values out.
PURE = re.compile(r"lib/(mail|conf)/")
IMPURE = (
    (r"#include <(sys/stat|sys/time|netdb|fcntl|unistd|event2/.*)\.?h?>",
     "a pure library has no sockets, files or clock"),
    (r"(?<![\w.>])(time|clock_gettime|gettimeofday|open|fopen|socket|connect|getenv)\s*\(",
     "a pure library has no sockets, files or clock"),
)


class Findings:
    def __init__(self):
        self.n = 0

    def add(self, path, line, text):
        self.n += 1
        print(f"{path}:{line}: {text}")


def sources(*suffixes):
    """The files git knows or would take, with one of these suffixes."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, check=True,
                            capture_output=True, text=True).stdout.split("\n")
    return sorted(f for f in set(listed) if f.endswith(suffixes) and os.path.isfile(os.path.join(TOP, f)))


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def code_of(text):
    """The text with comments, strings and characters blanked, lines kept."""
    text = re.sub(r"/\*.*?\*/", blank, text, flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])*\'',
                  lambda m: m.group()[0] + " " * (len(m.group()) - 2) + m.group()[0], text)


# -- layers -------------------------------------------------------------------

def may_include(path, header):
    """None, or why not."""
    if path.startswith("tests/") or path.startswith("man/"):
        return None
    here, there = os.path.dirname(path), os.path.dirname(header)
    if here == there:
        return None
    if not there.startswith("lib/"):
        return "a program's header is its own business"
    wanted = there.removeprefix("lib/")
    if not here.startswith("lib/"):
        return None if wanted in LIBRARIES else "no such library"
    if wanted == "base" or wanted in ABOVE.get(here.removeprefix("lib/"), ()):
        return None
    return f"{here} stands below or beside {there}"


def check_layers(out, path, lines):
    for n, line in enumerate(lines, 1):
        m = re.match(r'\s*#\s*include "([^"]+)"', line)
        if not m:
            continue
        header = m.group(1)
        if not os.path.exists(os.path.join(TOP, header)):
            out.add(path, n, f"include by the full path from the top, not \"{header}\"")
        elif why := may_include(path, header):
            out.add(path, n, f"includes {header}: {why}")


def check_words(out, path, code, lines):
    for n, line in enumerate([] if path.startswith("tests/") else code, 1):
        for pattern, where, why in WORDS:
            m = re.search(pattern, line)
            if m and not (where and re.match(where, path)):
                out.add(path, n, f"{m.group().rstrip('( ')}: {why}")
    for n, line in enumerate(lines, 1):
        if re.search(r"\b(TODO|XXX|FIXME)\b", line):
            out.add(path, n, "comments have no plans")
    if PURE.match(path):
        for n, line in enumerate(code, 1):
            for pattern, why in IMPURE:
                if re.search(pattern, line):
                    out.add(path, n, why)


# -- form ---------------------------------------------------------------------

def check_head(out, path, text):
    if not text.startswith("/* SPDX-License-Identifier: ISC */\n"):
        out.add(path, 1, "the first line is the licence: /* SPDX-License-Identifier: ISC */")
        return
    rest = text.split("\n", 1)[1]
    if path.endswith(".h"):
        guard = re.sub(r"\W", "_", path).upper()
        if not re.match(rf"#ifndef {guard}\n#define {guard}\n", rest):
            out.add(path, 2, f"the header guard is {guard}")
        return
    m = re.match(r"/\*(.*?)\*/", rest, re.S)
    if m is None:
        out.add(path, 2, "opens without a comment: its part, its invariant, what is fatal")
    elif m.group(1).strip().count("\n") >= FIRST_COMMENT_MAX:
        out.add(path, 2, f"opens with more than {FIRST_COMMENT_MAX} lines of comment")


class Function:
    def __init__(self, name, line, length, parameters, depth):
        self.name, self.line, self.length = name, line, length
        self.parameters, self.depth = parameters, depth


def parameters_of(signature):
    inner = signature[signature.index("(") + 1:signature.rindex(")")]
    depth, n = 0, 1
    for c in inner:
        depth += (c == "(") - (c == ")")
        n += c == "," and depth == 0
    return 0 if inner.strip() in ("", "void") else n


def depth_of(body):
    """The deepest level of a statement; a function's own statements are at 1."""
    deepest = 0
    for line in body:
        m = re.match(r"(\t+)(?=(if|for|while|do|switch|return|goto|break|continue|TAILQ_FOREACH)\b)", line)
        if m:
            deepest = max(deepest, len(m.group(1)))
    return deepest


def functions_of(code):
    """KNF: a name at the margin, its body between braces at the margin."""
    start = None
    for n, line in enumerate(code):
        if re.match(r"\w+\(", line) and not line.rstrip().endswith(";"):
            start = n
        elif line.startswith("{") and start is not None:
            opened = n
            end = next((k for k in range(n, len(code)) if code[k].startswith("}")), None)
            if end is None:
                return
            signature = " ".join(code[start:opened])
            if re.match(r"\w+\(.*\)\s*$", signature):
                yield Function(re.match(r"\w+", signature).group(), start + 1, end - start + 1,
                               parameters_of(signature), depth_of(code[opened:end]))
            start = None
        elif line.startswith("}") or (line.strip() == "" and start is not None):
            start = None


def read_allowed(out):
    """path or path:function -> why it may be longer; the line it stands in."""
    allowed = {}
    for n, line in enumerate(read(ALLOW).split("\n"), 1):
        if line.strip() == "" or line.startswith("#"):
            continue
        what, _, why = line.partition(" ")
        if len(why.split()) < 3:
            out.add(ALLOW, n, f"{what} has no reason")
        allowed[what] = n
    return allowed


def check_sizes(out, path, code, allowed, used):
    """Returns the functions; what is over an aim needs a line in the list of exceptions."""
    found = list(functions_of(code))
    n = len(code) - 1
    if n > FILE_LIMIT:
        out.add(path, n, f"{n} lines; {FILE_LIMIT} is the end")
    elif n > FILE_MAX and not note(path, allowed, used):
        out.add(path, n, f"{n} lines; {FILE_MAX} is the aim")
    for f in found:
        wrong = []
        if f.length > FUNCTION_MAX:
            wrong.append(f"{f.length} lines; {FUNCTION_MAX} is the end")
        if f.parameters > PARAMETERS_MAX:
            wrong.append(f"{f.parameters} parameters; {PARAMETERS_MAX} is the end")
        if f.depth > DEPTH_MAX:
            wrong.append(f"{f.depth} levels deep; {DEPTH_MAX} is the end")
        if wrong and not note(f"{path}:{f.name}", allowed, used):
            out.add(path, f.line, f"{f.name}(): " + "; ".join(wrong))
    return found


def note(what, allowed, used):
    used.add(what)
    return what in allowed


def check_distribution(out, lengths):
    if not lengths:
        return ""
    lengths.sort()
    median, p95 = statistics.median(lengths), lengths[int(len(lengths) * 0.95)]
    if median > FUNCTION_MEDIAN:
        out.add(".", 1, f"the median function has {median} lines; {FUNCTION_MEDIAN} is the aim")
    if p95 > FUNCTION_P95:
        out.add(".", 1, f"95 % of the functions have up to {p95} lines; {FUNCTION_P95} is the aim")
    return f"{len(lengths)} functions, median {median:.0f}, p95 {p95}, longest {lengths[-1]}"


# -- other tools --------------------------------------------------------------

def tool(out, argv, pattern, **more):
    """Runs a checker; its lines that match (file, line, text) are findings."""
    if shutil.which(argv[0]) is None:
        out.add(argv[0], 0, "is not installed")
        return
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, **more)
    found = set()
    for line in (done.stdout + done.stderr).split("\n"):
        m = re.search(pattern, line)
        if m:
            found.add((os.path.relpath(os.path.join(TOP, m.group(1)), TOP), int(m.group(2)), m.group(3)))
    for path, n, text in sorted(found):
        out.add(path, n, text)
    if done.returncode != 0 and not found:
        out.add(argv[0], 0, (done.stdout + done.stderr).strip()[-300:] or f"exit {done.returncode}")


def check_format(out, files):
    for path in files:
        done = subprocess.run(["clang-format", "--dry-run", "-Werror", path], cwd=TOP, capture_output=True,
                              text=True)
        lines = re.findall(r"^\S+?:(\d+):\d+: error", done.stderr, re.M)
        if lines:
            out.add(path, int(lines[0]), f"is not formatted ({len(lines)} places): clang-format -i {path}")


def check_scripts(out):
    for path in sources(".sh"):
        tool(out, ["sh", "-n", path], r"^(\S+?): (\d+): (.*)")
    for path in sources(".ci/run"):
        tool(out, ["bash", "-n", path], r"^(\S+?): line (\d+): (.*)")
    for path in sources(".py"):
        try:
            with tempfile.NamedTemporaryFile(suffix=".pyc") as f:
                py_compile.compile(os.path.join(TOP, path), cfile=f.name, doraise=True)
        except py_compile.PyCompileError as e:
            out.add(path, getattr(e.exc_value, "lineno", 1) or 1, str(e.exc_value))
    for path in sources(".sh", ".py", ".ci/run"):
        if "# SPDX-License-Identifier: ISC\n" not in read(path)[:200]:
            out.add(path, 1, "has no licence line")


# -- the long checks ----------------------------------------------------------

def build_with(out, compiler, build):
    argv = ["make", "--no-print-directory", "-j2", f"CC={compiler}", f"BUILD={build}", "WERROR=-Werror",
            "EXTRA=-Wstack-usage=65536" if compiler == "gcc" else "EXTRA=", "all"]
    before = out.n
    tool(out, argv, r"^(\S+?):(\d+):\d+: (?:error|warning): (.*)")
    return out.n == before


def check_syscalls(out, build):
    argv = ["make", "--no-print-directory", f"BUILD={build}", "EXTRA=-DTEST_HOOKS", f"{build}/unit/test_role"]
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True)
    if done.returncode != 0:
        out.add("tests/unit/test_role.c", 1, "does not build: " + done.stderr[-200:])
        return
    now = subprocess.run([f"{build}/unit/test_role", "--syscalls"], cwd=TOP, capture_output=True, text=True)
    for n, (a, b) in enumerate(zip(read(SYSCALLS).split("\n"), now.stdout.split("\n")), 1):
        if a != b:
            out.add(SYSCALLS, n, "is not what the role table computes: test_role --syscalls prints it anew")


def check_builds(out):
    with tempfile.TemporaryDirectory(prefix="postern-lint-") as top:
        for compiler in ("gcc", "clang"):
            build_with(out, compiler, f"{top}/{compiler}")
        check_syscalls(out, f"{top}/hooks")


# -- all ----------------------------------------------------------------------

def check_c(out, files):
    allowed, used, lengths = read_allowed(out), set(), []
    for path in files:
        text = read(path)
        lines, code = text.split("\n"), code_of(text).split("\n")
        check_head(out, path, text)
        check_layers(out, path, lines)
        check_words(out, path, code, lines)
        found = check_sizes(out, path, code, allowed, used)
        if not path.startswith("tests/"):
            lengths += [f.length for f in found]
    for what in sorted(set(allowed) - used):
        out.add(ALLOW, allowed[what], f"{what} needs no exception any more")
    return check_distribution(out, lengths)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--full", action="store_true", help="also build with both compilers")
    full = parser.parse_args().full
    out, files = Findings(), sources(".c", ".h")
    summary = check_c(out, files)
    check_format(out, files)
    pages = sources(*(f".{n}" for n in range(1, 9)))
    if pages:
        tool(out, ["mandoc", "-Tlint", "-W", "warning", *pages], r"^mandoc: (\S+?):(\d+):\d+: (.*)")
    check_scripts(out)
    if full:
        check_builds(out)
    print(f"{len(files)} files, {summary}; {out.n} findings")
    return 1 if out.n else 0


if __name__ == "__main__":
    sys.exit(main())
