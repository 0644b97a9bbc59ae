"""The same on an emulated Raspberry Pi 3, from the SD image that would be flashed."""

from flowing import boots_to_flowing
from guest import RASPI

ABOUT = "boots on QEMU's raspi3b board to flowing; times, RAM, sizes"
NEEDS = [RASPI]
SECONDS = 200


def run(world):
    # Four emulated processors on two real ones spend their time waiting for each other.
    boots_to_flowing(world, RASPI, timeout=400, kernel_arguments="maxcpus=2")
