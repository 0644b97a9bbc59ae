"""A card with a provisioning folder, a second box on the host: switched on, the link flows, within the sizes promised."""

from flowing import boots_to_flowing
from guest import VIRT

ABOUT = "boots on QEMU's virt board to flowing; times, RAM, sizes"
NEEDS = [VIRT]
SECONDS = 50


def run(world):
    boots_to_flowing(world, VIRT, timeout=120)
