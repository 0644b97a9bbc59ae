"""What a scenario has at hand: its folder, the built images, cards, keys, and a way to say what it saw."""

import random
import shutil
import subprocess
import time
from pathlib import Path

from card import MEBIBYTE, Card, call
from guest import RASPI, ROUTER, VIRT, Guest
from host import HostBox, Identity
from machine import Trouble
from variants import variant

ROOT = Path(__file__).resolve().parent.parent.parent
BIG = ("*.card", "*.raw", "*.ext2", "*.squashfs", "*.raucb", "tree-*")


class Skipped(Exception):
    """The scenario cannot run here; why, in words."""


class Built:
    """What `scripts/image BOARD` left."""

    def __init__(self, board):
        self.board = board
        self.folder = ROOT / "target/image" / board

    def file(self, name):
        path = self.folder / name
        if not path.exists():
            raise Trouble(f"{path} is not there: `scripts/image {self.board}` makes it")
        return path

    @property
    def card(self):
        """The image of the card."""
        return self.file(f"tombolo-{self.board}.img")

    @property
    def compressed(self):
        """The same, as people download it."""
        return self.file(f"tombolo-{self.board}.img.xz")

    @property
    def slot(self):
        """The slot image."""
        return self.file("slot.img")

    def development_keys(self):
        """(certificate, key) that an image for development accepts bundles from."""
        keys = self.folder.parent / "keys"
        return keys / "development.cert.pem", keys / "development.key.pem"


class World:
    """Of one scenario."""

    def __init__(self, name, folder, options):
        self.name, self.folder, self.options = name, Path(folder), options
        self.folder.mkdir(parents=True, exist_ok=True)
        self.random = random.Random(f"{options.seed}/{name}")
        self.program = ROOT / "target/debug/tombolo"
        self.cache = options.folder / "cache"
        self.cache.mkdir(exist_ok=True)
        self.begin = time.monotonic()
        self.here = Path(__file__).resolve().parent

    def say(self, text):
        """A line of the transcript."""
        print(f"[{time.monotonic() - self.begin:7.1f}] {text}", flush=True)

    def note(self, text):
        """A line for the summary."""
        print(f"-- {text}", flush=True)

    def check(self, truth, text):
        """A finding that must hold."""
        if not truth:
            raise Trouble(text)
        self.say(f"holds: {text}")

    def build(self, board):
        return Built(board)

    def card(self, board, name="box", size=1024 * MEBIBYTE):
        """A card with the image of that board, as it comes from the shop."""
        return Card.copy_of(self.build(board).card, self.folder / f"{name}.card", size)

    def guest(self, board, card, name="guest", **more):
        return Guest(self, board, card, name, **more)

    def host_box(self, name="bravo"):
        return HostBox(self.program, self.folder / name, name)

    def identity(self, name):
        return Identity(self.program, self.folder / name, name)

    def ssh_key(self):
        """A throwaway key of the operator."""
        key = self.folder / "operator"
        if not key.exists():
            call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        return key

    def provision(self, card, name, host, extra="", keys=True):
        """Puts onto the card's FAT partition what makes it a box called `name` that dials `host`; gives its identity."""
        identity = self.identity(name)
        # As a text editor of another system writes it.
        toml = f"\ufeff[node]\r\nname = \"{name}\"\r\n" + extra.replace("\n", "\r\n")
        files = {
            "Tombolo.TOML": toml,
            "certs/node.pem": identity.chain,
            "certs/node.key": identity.key,
            f"peers/{host.name}.pem": host.ca,
            f"peers/{host.name}.toml": f'address = "{host.address}"\n',
        }
        if keys:
            files["authorized_keys"] = self.ssh_key().with_suffix(".pub").read_text()
        for path, text in files.items():
            card.put_text(text, f"tombolo/{path}", self.folder)
        return identity

    def bundle(self, name, board=VIRT):
        """A signed update for tests; see variants.py."""
        return variant(name, self.build(board), self.cache)

    def package(self, architecture):
        """The newest .deb for it that `scripts/package` made."""
        found = sorted((ROOT / "target").glob(f"**/tombolo_*_{architecture}.deb"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise Trouble(f"no tombolo_*_{architecture}.deb below target: `scripts/package` makes it")
        return found[-1]

    def tidy(self):
        """Takes away what is big, unless it is to be kept."""
        if self.options.keep:
            return
        for pattern in BIG:
            for path in self.folder.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def build(options, needs):
    """Builds what the scenarios need; rows for the table."""
    steps = {"program": ["cargo", "build", "--locked", "--quiet"]}
    for board in (VIRT, RASPI):
        if board in needs:
            steps[f"scripts/image {board}"] = [ROOT / "scripts/image", board]
    if ROUTER in needs:
        # The program of the tests, without its symbols: one less to be built for size. Quickly packed.
        program = options.folder / "cache/tombolo-x86-64"
        program.parent.mkdir(parents=True, exist_ok=True)
        steps["program without symbols"] = ["strip", "-o", program, ROOT / "target/debug/tombolo"]
        steps[f"scripts/image {ROUTER}"] = ["env", "SQUASHFS_OPTIONS=-comp gzip", ROOT / "scripts/image", ROUTER, "--no-compress", "--binary", program]
    if "package" in needs:
        # The program of the image, so that it is built once.
        program = ROOT / "target/image" / VIRT / "tombolo"
        steps["scripts/package"] = [ROOT / "scripts/package", "--arch", "arm64", "--binary", program]
    rows = []
    for name, command in {} if options.no_build else steps.items():
        print(f"== building: {name}", flush=True)
        begin = time.monotonic()
        log = options.folder / f"build-{len(rows)}.log"
        with open(log, "wb") as output:
            try:
                code = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT).returncode
            except OSError as why:
                output.write(str(why).encode())
                code = 1
        if code:
            print(f"   | {log.read_text(errors='replace')[-3000:]}\n   transcript: {log}", flush=True)
        rows.append((f"building: {name}", "FAILED" if code else "ok", time.monotonic() - begin, []))
    return rows
