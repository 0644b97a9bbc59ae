# The whole card: boot partition, slot state, slots, data. No loop device, no mounting. Sourced by scripts/image.

make_boot_script() {
    sed -e "s|@STATE_0@|$(printf '0x%x' "${STATE_SECTORS% *}")|g" -e "s|@STATE_1@|$(printf '0x%x' "${STATE_SECTORS#* }")|g" \
        -e "s|@SLOT_A@|$(printf '0x%x' $((SLOT_A_START_MIB * 2048)))|g" -e "s|@SLOT_B@|$(printf '0x%x' $((SLOT_B_START_MIB * 2048)))|g" \
        -e "s|@BUFFER@|$ADDRESS_BUFFER|g" -e "s|@STAGE@|$ADDRESS_STAGE|g" -e "s|@RAMDISK@|$ADDRESS_RAMDISK|g" \
        -e "s|@DEVICE_TREES@|$ADDRESS_DEVICE_TREES|g" -e "s|@KERNEL_CONSOLE@|$KERNEL_CONSOLE|g" \
        -e "s|@DISK_SIGNATURE@|${DISK_SIGNATURE#0x}|g" -e "s|@KERNEL_ARGUMENTS@|$KERNEL_ARGUMENTS|g" \
        -e "s|@LED_CONTROLLER@|$LED_CONTROLLER|g" -e "s|@LED_LINE@|$LED_LINE|g" -e "s|@LED_ACTIVE_LOW@|$LED_ACTIVE_LOW|g" \
        -e "/^@BOARD_SCRIPT@$/{ r $([ -f "$board_dir/boot.cmd" ] && echo "$board_dir/boot.cmd" || echo /dev/null)
            d }" "$common/boot.cmd" >"$work/boot.cmd"
    if grep -n '@[A-Z_0-9]*@' "$work/boot.cmd"; then die "board/$BOARD/meta leaves these words of the boot script open"; fi
    mkimage -A "$ARCH" -O linux -T script -C none -n "tombolo" -d "$work/boot.cmd" "$1" >/dev/null
}

# make_boot_partition BOOT_TREE FILE
make_boot_partition() {
    local from=$1 image=$2 fat=$work/fat file
    rm -rf "$fat" "$image"
    mkdir -p "$fat/tombolo"
    if [ "$LOADER" = grub ]; then
        mkdir -p "$fat/EFI/BOOT"
        cp "$work/BOOTX64.EFI" "$fat/EFI/BOOT/"
    else
        make_boot_script "$fat/boot.scr"
        cp "$work/u-boot.bin" "$fat/u-boot.bin"
    fi
    for file in $BOOT_FILES; do cp "$from/$file" "$fat/"; done
    for file in $DEVICE_TREES; do cp "$work/trees/$file.dtb" "$fat/"; done
    [ ! -f "$board_dir/config.txt" ] || cp "$board_dir/config.txt" "$fat/"
    cp "$common/provisioning.txt" "$fat/tombolo/README.txt"
    find "$fat" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
    truncate -s "${BOOT_MIB}M" "$image"
    # --invariant: no time and no chance in it
    mkfs.vfat --invariant -F 32 -s 1 -n TOMBOLO-BT -i 746f6d62 "$image" >/dev/null
    (cd "$fat" && find . -mindepth 1 -maxdepth 1 | LC_ALL=C sort | while read -r file; do
        TZ=UTC mcopy -s -m -i "$image" "$file" ::/
    done)
}

make_data() {
    local image=$1
    rm -f "$image"
    truncate -s "${DATA_MIB}M" "$image"
    # resize: room in the tables to grow up to 128 GiB without moving anything
    E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -b 4096 -m 1 -L TOMBOLO-DATA \
        -U 746f6d62-6f6c-4f00-8000-000064617461 \
        -E hash_seed=746f6d62-6f6c-4f00-8000-000073656564,resize=33554432,lazy_itable_init=0,root_owner=0:0 \
        "$image"
}

# make_card BOOT_TREE SLOT FILE
make_card() {
    local from=$1 slot=$2 card=$3 input=$work/card
    rm -rf "$input"
    mkdir -p "$input" "$work/genimage"
    make_boot_partition "$from" "$input/boot.vfat"
    make_data "$input/data.ext4"
    ln "$slot" "$input/slot-a.img" 2>/dev/null || cp "$slot" "$input/slot-a.img"
    if [ "$LOADER" = grub ]; then
        cp "$work/mbr.img" "$work/core.img" "$input/"
        grub_state "$input"
    else
        environment_block "$input/slot-state.bin" 512 good=A trial=none left=0
    fi
    sed -e "$([ "$LOADER" = grub ] && echo 's| @GRUB@$||; / @U-BOOT@$/d' || echo 's| @U-BOOT@$||; / @GRUB@$/d')" \
        -e "s|@GRUB_CORE@|$((GRUB_CORE_SECTOR * 512))|" -e "s|@GRUB_STATE@|$(((${STATE_SECTORS% *} - 1) * 512))|" -e "s|@BOOT_TYPE@|$([ "$LOADER" = grub ] && echo 0xEF || echo 0xC)|" \
        -e "s|@STATE_0@|$((${STATE_SECTORS% *} * 512))|" -e "s|@STATE_1@|$((${STATE_SECTORS#* } * 512))|" \
        -e "s|@BOOT_START@|${BOOT_START_MIB}M|" -e "s|@SLOT_A_START@|${SLOT_A_START_MIB}M|" -e "s|@SLOT_B_START@|${SLOT_B_START_MIB}M|" \
        -e "s|@SLOT_SIZE@|${SLOT_MIB}M|" -e "s|@DATA_START@|${DATA_START_MIB}M|" -e "s|@DISK_SIGNATURE@|$DISK_SIGNATURE|" \
        "$common/genimage.cfg.in" >"$work/genimage.cfg"
    rm -rf "$work/genimage"
    mkdir -p "$work/genimage/root" "$work/genimage/out"
    genimage --loglevel 0 --rootpath "$work/genimage/root" --tmppath "$work/genimage/tmp" --inputpath "$input" \
        --outputpath "$work/genimage/out" --config "$work/genimage.cfg"
    mv "$work/genimage/out/card.img" "$card"
}

# describe_qemu FILE: how to start the card in QEMU, for those who test it: {dir} = the folder of the results, {card} = a copy of the
# card (QEMU wants a power of two: truncate it to 1 GiB), {forward} = nothing, or ",hostfwd=tcp:127.0.0.1:PORT-:22".
describe_qemu() {
    [ -n "${QEMU:-}" ] || return 0
    python3 - "$1" "$QEMU" "$QEMU_BOOT" "$QEMU_CARD" "$QEMU_NETWORK" "$QEMU_FURTHER" "$QEMU_SERIAL" "$CONSOLE" <<-'END'
	import json, sys
	path, machine, boot, card, network, further, serial, console = sys.argv[1:]
	json.dump({"machine": machine.split(), "boot": boot.split(), "card": card.split(), "network": network.split(),
	           "further": further.split(), "serial": int(serial), "console": console,
	           "direct": ["-kernel", "{dir}/Image", "-initrd", "{dir}/initramfs.img"],
	           "card_bytes": 1 << 30}, open(path, "w"), indent=1)
	END
}
