"""A writable Debian under emulation: our image's own kernel, modules and busybox start it, so nothing is downloaded twice."""

import itertools
import re
import shutil
from pathlib import Path

from card import call
from machine import Machine, Trouble
from slots import initramfs

MODULES = ["virtio_mmio", "virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "squashfs", "overlay"]

INIT = """#!/busybox sh
b=/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
for module in ORDER; do $b insmod /modules/$module; done
tries=0
while [ ! -b /dev/vdb ] && [ $tries -lt 100 ]; do $b sleep 0.1; tries=$((tries + 1)); done
for disk in vda vdb; do
    [ -d /sys/block/$disk ] && case $($b cat /sys/block/$disk/serial) in root) root=$disk ;; packages) packages=$disk ;; esac
done
$b mount -t squashfs -o ro /dev/$root /lower
$b mount -t tmpfs -o size=256m memory /memory
$b mkdir /memory/upper /memory/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/memory/upper,workdir=/memory/work overlay /root
$b mount -t ext4 -o ro /dev/$packages /root/media/packages
$b mount --move /dev /root/dev
$b umount /sys
$b umount /proc
exec $b switch_root /root /sbin/init
"""


def in_order(modules, wanted):
    """Files of the modules, each behind what it depends on. `modules` is /lib/modules/RELEASE."""
    depends = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        depends[Path(path).name.split(".")[0].replace("-", "_")] = (path, others.split())
    order = []
    for name in wanted:
        if name not in depends:
            continue
        path, others = depends[name]
        order += [other for other in [*reversed(others), path] if other not in order]
    return [modules / path for path in order]


def make_initramfs(modules, busybox):
    """A ramdisk that finds the disk called `root`, lays memory over it and hands over."""
    files = {name: (0o40755, b"") for name in ("dev", "proc", "sys", "root", "modules", "lower", "memory")}
    order = in_order(modules, MODULES)
    for name in ("ext4", "squashfs", "overlay"):
        if not any(path.name.startswith(f"{name}.ko") for path in order):
            raise Trouble(f"{modules} has no {name}")
    for path in order:
        files[f"modules/{path.name}"] = (0o100644, path.read_bytes())
    files["busybox"] = (0o100755, Path(busybox).read_bytes())
    files["init"] = (0o100755, INIT.replace("ORDER", " ".join(path.name for path in order)).encode())
    return initramfs(files)


def boot_files(build, folder):
    """(kernel, ramdisk) for the Debian guest out of what was built for a board."""
    slot = build.slot
    tree = folder / "tree-boot"
    shutil.rmtree(tree, ignore_errors=True)
    call("unsquashfs", "-q", "-n", "-d", tree, slot, "usr/lib/modules", "usr/bin/busybox", "bin/busybox", "lib/modules")
    busybox = next(path for path in (tree / "usr/bin/busybox", tree / "bin/busybox") if path.exists())
    releases = [path.parent for path in tree.glob("**/modules.dep")]
    if len(releases) != 1:
        raise Trouble(f"{slot} has modules of {len(releases)} kernels")
    ramdisk = folder / "ramdisk.raw"
    ramdisk.write_bytes(make_initramfs(releases[0], busybox))
    return build.file("Image"), ramdisk


class DebianGuest:
    """A Debian with root logged in on the serial line. Use it with `with`."""

    def __init__(self, folder, kernel, ramdisk, root, packages):
        command = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "512"]
        command += ["-accel", "tcg,thread=multi", "-kernel", kernel, "-initrd", ramdisk]
        command += ["-append", "console=ttyAMA0 quiet panic=-1 systemd.show_status=no"]
        for name, path in (("root", root), ("packages", packages)):
            command += ["-drive", f"if=none,id={name},format=raw,readonly=on,file={path}"]
            command += ["-device", f"virtio-blk-device,drive={name},serial={name}"]
        command += ["-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net"]
        self.machine = Machine(folder, command, "debian")
        self.counter = itertools.count(1)

    def __enter__(self):
        self.machine.start()
        self.machine.expect(r"root@debian:~# ", 240)
        self.run("stty -echo cols 400; PS1=; unset PROMPT_COMMAND; export PAGER=cat SYSTEMD_PAGER=cat TERM=dumb")
        return self

    def __exit__(self, *_):
        self.machine.kill()

    def run(self, command, timeout=60, check=True):
        """Runs a command; its output. The mark at its end cannot be mistaken for the echo of the command."""
        mark = f"END-{next(self.counter)}"
        self.machine.serial.skip()
        begin = self.machine.serial.position
        self.machine.serial.send_slowly(f"{command}; echo {mark[:2]}''{mark[2:]}=$?\n")
        found = self.machine.expect(mark + r"=(\d+)\r?\n", timeout)
        output = self.machine.serial.text[begin : found.start()].replace("\r", "")
        if check and found[1] != "0":
            raise Trouble(f"in Debian, {command!r}: exit code {found[1]}: {output.strip()}")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
