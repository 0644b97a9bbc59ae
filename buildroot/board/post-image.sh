#!/usr/bin/env bash
# Slot, card and bundle out of what Buildroot built, in the same layout as the image of Debian's packages.
set -euo pipefail
board=$2
# shellcheck source=/dev/null
. "$(dirname "$0")/common.sh"

out=$BINARIES_DIR
work=$BUILD_DIR/tombolo-image/work
rm -rf "$work"
mkdir -p "$work"
PATH=$HOST_DIR/bin:$HOST_DIR/sbin:$PATH

[ "$LOADER" = u-boot ] || die "cards for $board are put together by scripts/image only: Buildroot's GRUB was not tried (buildroot/README.md)"
say "slot"
cp "$BINARIES_DIR/rootfs.squashfs" "$out/slot.img"
kernel=$BINARIES_DIR/Image
[ -f "$kernel" ] || die "there is no kernel at $kernel"
# The LED goes into the device trees of the kernel; make_device_trees looks for them where a kernel package has them.
from=$work/boot
mkdir -p "$from/usr/lib/linux/broadcom"
for tree in $DEVICE_TREES; do
    cp "$BINARIES_DIR/$tree.dtb" "$from/usr/lib/linux/broadcom/" || die "the kernel was built without the device tree $tree"
done
make_device_trees "$from"
trees=()
for tree in $DEVICE_TREES; do trees+=("$work/trees/$tree.dtb"); done
append_boot_area "$out/slot.img" "$kernel" "" "${trees[@]}"

say "card"
cp "$BINARIES_DIR/u-boot.bin" "$work/u-boot.bin"
if [ -d "$BINARIES_DIR/rpi-firmware" ]; then
    from=$BINARIES_DIR/rpi-firmware
    BOOT_FILES=$(cd "$from" && find . -maxdepth 1 -type f \( -name '*.bin' -o -name '*.elf' -o -name '*.dat' \) -printf '%P ')
    export BOOT_FILES
fi
make_card "$from" "$out/slot.img" "$out/tombolo-$board.img"

make_bundle
