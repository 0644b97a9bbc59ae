# One slot: squashfs, and behind it the boot area with kernel, ramdisk and device trees. Sourced by scripts/image.

# Puts the chosen modules with what they need from the kernel's tree $1 into the root $2.
copy_modules() {
    local from=$1 root=$2 release name path
    release=$(ls "$from/lib/modules")
    target "$root" depmod usr/bin/kmod -b "$from" "$release"
    mkdir -p "$root/usr/lib/modules/$release"
    words "$common/modules" "$common/initramfs/modules" <(echo "$INITRAMFS_MODULES ${MODULES:-}") | while read -r name; do
        target "$root" modprobe usr/bin/kmod -d "$from" -S "$release" --show-depends "$name" 2>/dev/null || true
    done | sed -n "s|^insmod $from/lib/modules/$release/\([^ ]*\).*|\1|p" | LC_ALL=C sort -u >"$work/modules.list"
    while read -r path; do
        install -D -m 644 "$from/lib/modules/$release/$path" "$root/usr/lib/modules/$release/$path"
    done <"$work/modules.list"
    cp "$from/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$root/usr/lib/modules/$release/"
    target "$root" depmod usr/bin/kmod -b "$root" "$release"
}

# make_initramfs ROOT FILE: busybox, the modules that lead to the root file system, and the script that loads them.
make_initramfs() {
    local root=$1 tree=$work/initramfs release name path
    release=$(ls "$root/usr/lib/modules")
    rm -rf "$tree"
    mkdir -p "$tree"/{bin,dev,proc,sys,root,lib/modules}
    cp "$root/usr/bin/busybox" "$tree/bin/busybox"
    install -m 755 "$common/initramfs/init" "$tree/init"
    words "$common/initramfs/modules" <(echo "$INITRAMFS_MODULES") | while read -r name; do
        target "$root" modprobe usr/bin/kmod -d "$root" -S "$release" --show-depends "$name" |
            sed -n "s|^insmod \([^ ]*\).*|\1|p"
    done | awk '!seen[$0]++' | while read -r path; do
        cp "$path" "$tree/lib/modules/"
        echo "${path##*/}"
    done >"$tree/lib/modules/order"
    find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    (cd "$tree" && find . | LC_ALL=C sort | cpio --quiet --reproducible -R 0:0 -o -H newc | gzip -9n) >"$2"
}

# The LED goes into the device trees here. Those of Debian's kernel carry no symbols for an overlay to refer to, so the
# controller's number is looked up and put into the overlay as it is.
make_device_trees() {
    local from=$1 tree base number
    mkdir -p "$work/trees"
    for tree in $DEVICE_TREES; do
        base=$(find "$from/usr/lib" -path "*/broadcom/$tree.dtb" | head -1)
        [ -n "$base" ] || die "the kernel package has no device tree $tree (board/$BOARD/meta, DEVICE_TREES)"
        number=$(fdtget -t x "$base" "$LED_CONTROLLER" phandle)
        sed -e "s/<LED_CONTROLLER LED_LINE LED_ACTIVE_LOW>/<0x$number $LED_LINE $LED_ACTIVE_LOW>/" \
            "$common/led.dtso" | dtc -q -@ -I dts -O dtb -o "$work/trees/led.dtbo" -
        fdtoverlay -i "$base" -o "$work/trees/$tree.dtb" "$work/trees/led.dtbo"
    done
}

legacy_image() { # TYPE COMPRESSION LOAD SOURCE TARGET
    mkimage -A "$ARCH" -O linux -T "$1" -C "$2" -a "$3" -e "$3" -n "tombolo $1" -d "$4" "$5" >/dev/null
}

pad() { # FILE BLOCK
    truncate -s "$((($(stat -c %s "$1") + $2 - 1) / $2 * $2))" "$1"
}

blocks() { # FILE: its length in blocks of 512 bytes, hexadecimal
    printf '%x' "$((($(stat -c %s "$1") + 511) / 512))"
}

# make_slot ROOT BOOT_TREE FILE
make_slot() {
    local root=$1 from=$2 slot=$3 tree trees=()
    copy_modules "$from" "$root"
    find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    make_initramfs "$root" "$work/initramfs.img"
    cp "$(find "$from/boot" -name 'vmlinuz-*')" "$work/Image"
    if [ "$LOADER" = grub ]; then
        add_boot_files "$root" "$work/Image" "$work/initramfs.img"
        find "$root/boot" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    fi
    make_device_trees "$from"

    rm -f "$slot"
    # All times are SOURCE_DATE_EPOCH's, which it reads itself.
    # shellcheck disable=SC2086 # options are words
    mksquashfs "$root" "$slot" -noappend -quiet -no-progress -all-root \
        -no-exports -no-xattrs -b 256K $SQUASHFS_OPTIONS >/dev/null

    if [ "$LOADER" = grub ]; then
        pad "$slot" 4096
        check_slot_size "$slot"
        return
    fi
    for tree in $DEVICE_TREES; do trees+=("$work/trees/$tree.dtb"); done
    append_boot_area "$slot" "$work/Image" "$work/initramfs.img" "${trees[@]}"
}

# append_boot_area SLOT KERNEL RAMDISK TREE...: behind the squashfs, at the next multiple of 4 KiB, where the boot script looks:
# one block with the lengths, then the parts. A kernel with its drivers built in has an empty RAMDISK.
append_boot_area() {
    local slot=$1 kernel=$2 ramdisk=$3 names=() tree
    shift 3
    gzip -9nc "$kernel" >"$work/Image.gz"
    legacy_image kernel gzip "$ADDRESS_KERNEL" "$work/Image.gz" "$work/kernel.uimg"
    : >"$work/ramdisk.uimg"
    [ -z "$ramdisk" ] || legacy_image ramdisk none 0 "$ramdisk" "$work/ramdisk.uimg"
    : >"$work/trees.bin"
    : >"$work/trees.uimg"
    for tree in "$@"; do
        cp "$tree" "$work/tree.padded"
        truncate -s 64K "$work/tree.padded"
        cat "$work/tree.padded" >>"$work/trees.bin"
        tree=${tree##*/}
        names+=("${tree%.dtb}")
    done
    [ $# -eq 0 ] || legacy_image firmware none 0 "$work/trees.bin" "$work/trees.uimg"
    pad "$work/kernel.uimg" 512
    pad "$work/ramdisk.uimg" 512
    pad "$work/trees.uimg" 512

    pad "$slot" 4096
    environment_block "$work/area.env" 512 "kernel_blocks=$(blocks "$work/kernel.uimg")" "ramdisk_blocks=$(blocks "$work/ramdisk.uimg")" \
        "tree_blocks=$(blocks "$work/trees.uimg")" "trees=${names[*]}"
    pad "$work/area.env" 4096
    cat "$work/area.env" "$work/kernel.uimg" "$work/ramdisk.uimg" "$work/trees.uimg" >>"$slot"
    pad "$slot" 4096
    check_slot_size "$slot"
}

check_slot_size() {
    local slot=$1
    [ "$(stat -c %s "$slot")" -le "$((SLOT_MIB << 20))" ] ||
        die "the slot is $(stat -c %s "$slot") bytes, and its partition has only $SLOT_MIB MiB (board/common/layout)"
}
