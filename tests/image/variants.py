"""Updates made for tests: a good one, and ones that fail in a way of their own. Made once and kept beside the image."""

import fcntl
import shutil
from pathlib import Path

from card import call
from slots import SlotImage, Tree, bundle

# How long a box on probation waits for its peer in the variants that fail, seconds. The box itself waits five minutes.
PROBATION = 8

HEALTH = "usr/lib/systemd/system/tombolo-health.service.d/test.conf"
WAIT_LESS = f"[Service]\nExecStart=\nExecStart=/usr/bin/tombolo update confirm --wait {PROBATION}\n"

CRASHES = """#!/bin/sh
# A release whose daemon crashes at its start; the other commands work.
for word in "$@"; do
    case $word in -*) continue ;; run) kill -SEGV $$ ;; esac
    break
done
exec /usr/bin/tombolo.whole "$@"
"""

# The daemon's own traffic has nowhere to go; the rest of the box has its network.
DEAF = """[Unit]
Description=Test: the daemon reaches nobody
After=systemd-networkd.service
Before=tombolo.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'u=$(id -u tombolo); ip rule add priority 10 uidrange $u-$u prohibit'
"""


def good(tree):
    """Nothing but the mark."""


def crashes(tree):
    """The daemon crashes at its start."""
    program = (tree.folder / "usr/bin/tombolo").read_bytes()
    tree.put("usr/bin/tombolo.whole", program, 0o755)
    tree.put("usr/bin/tombolo", CRASHES, 0o755)
    tree.put(HEALTH, WAIT_LESS)


def panics(tree):
    """The first process ends at once: the kernel panics."""
    init = "usr/sbin/init" if (tree.folder / "sbin").is_symlink() else "sbin/init"
    tree.put(init, "#!/bin/sh\necho 'test: the first process ends'\nexit 1\n", 0o755)


def deaf(tree):
    """The daemon runs, and reaches no peer."""
    tree.put("usr/lib/systemd/system/test-deaf.service", DEAF)
    link = tree.folder / "etc/systemd/system/tombolo.service.wants/test-deaf.service"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("/usr/lib/systemd/system/test-deaf.service")
    tree.put(HEALTH, WAIT_LESS)


# Name -> (what is changed, version, by whom it is signed).
VARIANTS = {
    "good": (good, "90.0.0", "ours"),
    "better": (good, "90.0.1", "ours"),
    "crashes": (crashes, "91.0.0", "ours"),
    "panics": (panics, "92.0.0", "ours"),
    "deaf": (deaf, "93.0.0", "ours"),
    "older": (good, "0.0.1", "ours"),
    "foreign": (good, "94.0.0", "a stranger"),
}


def stranger(folder):
    """(certificate, key) of somebody whom no box trusts."""
    certificate, key = folder / "stranger.cert.pem", folder / "stranger.key.pem"
    if not key.exists():
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=stranger"]
        words += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign", "-addext", "basicConstraints=critical,CA:TRUE"]
        call(*words, "-keyout", key, "-out", certificate)
    return certificate, key


def variant(name, build, cache):
    """The bundle of that name for a board; made when it is not there or the image is newer."""
    folder = Path(cache) / f"variants-{build.board}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / f"{name}.raucb"
        newest = max(build.slot.stat().st_mtime, Path(__file__).stat().st_mtime)
        if not path.exists() or path.stat().st_mtime < newest:
            _make(name, build, folder, path)
        return path


def _damage(path, good):
    """One byte of the payload differs."""
    shutil.copyfile(good, path)
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def _make(name, build, folder, path):
    if name == "damaged":
        _make("good", build, folder, folder / "whole.raucb")
        _damage(path, folder / "whole.raucb")
        return
    change, version, signer = VARIANTS[name]
    work = folder / "tree-work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    slot = SlotImage(build.slot)
    tree = Tree(slot, work / "root")
    tree.put("usr/lib/tombolo/test-variant", name + "\n")
    tree.version(version)
    change(tree)
    slot_image = slot.write(tree.squashfs(work / "root.squashfs"), work / "slot.img")
    keys = stranger(folder) if signer == "a stranger" else build.development_keys()
    bundle(slot_image, path, f"tombolo-{build.board}", version, *keys, work)
    shutil.rmtree(work)
