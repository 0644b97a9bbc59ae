"""The same on an emulated PC with BIOS, a SATA disk and Intel's network adapter; GRUB starts it."""

from flowing import boots_to_flowing
from guest import ROUTER

ABOUT = "boots on QEMU's q35 board (x86-64, BIOS) to flowing; times"
NEEDS = [ROUTER]
SECONDS = 60


def run(world):
    boots_to_flowing(world, ROUTER, timeout=150)
