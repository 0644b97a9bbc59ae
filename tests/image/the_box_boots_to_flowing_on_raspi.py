"""The same on an emulated Raspberry Pi 3, from the SD image that would be flashed."""

from flowing import boots_to_flowing
from guest import RASPI

ABOUT = "boots on QEMU's raspi3b board to flowing; times, RAM, sizes"
NEEDS = [RASPI]
SECONDS = 150


def run(world):
    boots_to_flowing(world, RASPI, timeout=300)
