"""The status LED, read from outside the guest.

The host reads the GPIO block's data register from the guest's physical memory, by the control socket, many times a
second. Nothing in the guest takes part in that. On the virt machine QEMU also logs each change of an output; the two
records are compared in one scenario.
"""

import re
import time

# Board: address of the register that tells the level of the pins, and the LED's bit in it.
LINES = {
    "qemu-aarch64": (0x0903_03FC, 5),  # PL061 GPIODATA, all lines unmasked
    "rpi3-64": (0x3F20_0034, 17),  # BCM2837 GPLEV0
}


class Lamp:
    """The LED of a machine."""

    def __init__(self, machine, board):
        self.machine = machine
        self.address, self.bit = LINES[board]

    def lit(self):
        """Is it lit now?"""
        return bool(self.machine.control.word(self.address) >> self.bit & 1)

    def watch(self, seconds, pause=0.008):
        """Samples for that long: a list of (seconds since the first sample, lit)."""
        samples = []
        begin = time.monotonic()
        while True:
            now = time.monotonic() - begin
            if now > seconds:
                return samples
            samples.append((now, self.lit()))
            time.sleep(pause)


def phases(samples):
    """Stretches of the same level: a list of (lit, milliseconds). The first and the last are cut off by the watch."""
    stretches = []
    for seconds, lit in samples:
        if not stretches or stretches[-1][0] != lit:
            stretches.append([lit, seconds, seconds])
        else:
            stretches[-1][2] = seconds
    ends = [begin for _, begin, _ in stretches[1:]] + [stretches[-1][2]] if stretches else []
    return [(lit, round((end - begin) * 1000)) for (lit, begin, _), end in zip(stretches, ends)]


def traced_edges(path):
    """What QEMU logged of the PL061's outputs: a list of (host seconds, line, level)."""
    pattern = re.compile(r"(\d+)@(\d+)\.(\d+):pl061_set_output .* setting output (\d+) to (\d)\s*$")
    edges = []
    for text in open(path, encoding="utf-8", errors="replace"):
        if found := pattern.search(text.strip()):
            edges.append((int(found[2]) + int(found[3]) / 1e6, int(found[4]), bool(int(found[5]))))
    return edges
