# GRUB, for boards with `LOADER=grub` in their meta: for PC BIOS between the partition table and partition 1, for UEFI on the FAT
# partition. Its script (board/common/grub.cfg) is inside both. Sourced by scripts/image.

# What the script calls, and what leads to the disk.
GRUB_MODULES="part_msdos fat squash4 normal linux loadenv test regexp hashsum gcry_sha256 memdisk tar serial terminal echo sleep reboot search search_fs_uuid"
# UEFI: the kernel needs to know where the screen is.
GRUB_EFI_MODULES="efi_gop all_video"

# make_grub BOOT_TREE: mbr.img, core.img and BOOTX64.EFI in $work
make_grub() {
    local from=$1 disk=$work/grub
    rm -rf "$disk"
    mkdir -p "$disk/boot/grub"
    sed -e "s|@STATE_0@|${STATE_SECTORS% *}|g" -e "s|@STATE_1@|${STATE_SECTORS#* }|g" -e "s|@BOOT_UUID@|746F-6D62|" \
        -e "s|@KERNEL_CONSOLE@|$KERNEL_CONSOLE|g" -e "s|@DISK_SIGNATURE@|${DISK_SIGNATURE#0x}|g" \
        -e "s|@KERNEL_ARGUMENTS@|$KERNEL_ARGUMENTS|g" "$common/grub.cfg" >"$disk/boot/grub/grub.cfg"
    if grep -n '@[A-Z_0-9]*@' "$disk/boot/grub/grub.cfg"; then die "board/$BOARD/meta leaves these words of GRUB's script open"; fi
    tar -C "$disk" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf "$work/grub.tar" boot
    grub_image "$from" i386-pc "$work/core.img" "biosdisk $GRUB_MODULES"
    grub_image "$from" x86_64-efi "$work/BOOTX64.EFI" "$GRUB_MODULES $GRUB_EFI_MODULES"
    python3 - "$from/usr/lib/grub/i386-pc/boot.img" "$work/core.img" "$work/mbr.img" "$GRUB_CORE_SECTOR" "$((BOOT_START_MIB * 2048))" <<-'END'
	import struct, sys
	boot, core, target, sector, limit = *sys.argv[1:4], *map(int, sys.argv[4:])
	# What grub-bios-setup writes: where the first sector of the core is, and in that one where the others are.
	first = bytearray(open(boot, "rb").read())
	struct.pack_into("<Q", first, 0x5C, sector)
	first[0x66:0x68] = b"\x90\x90"  # the drive is what the BIOS says
	open(target, "wb").write(first[:440])
	data = bytearray(open(core, "rb").read())
	data += bytes(-len(data) % 512)
	struct.pack_into("<QHH", data, 500, sector + 1, len(data) // 512 - 1, 0x820)
	open(core, "wb").write(data)
	if sector + len(data) // 512 > limit:
	    sys.exit(f"GRUB's core has {len(data)} bytes and does not fit in front of partition 1")
	END
}

# grub_image BOOT_TREE FORMAT FILE MODULES: with a memory disk, where GRUB then looks for /boot/grub/grub.cfg. Its own version of the tool, whatever the building machine has.
grub_image() {
    # shellcheck disable=SC2086 # modules are words
    target "$1" grub-mkimage usr/bin/grub-mkimage -O "$2" -d "$1/usr/lib/grub/$2" -m "$work/grub.tar" -o "$3" $4
}

# What grub.cfg reads in a slot; the root file system is not packed yet.
add_boot_files() { # ROOT KERNEL RAMDISK
    mkdir -p "$1/boot"
    cp "$2" "$1/boot/vmlinuz"
    cp "$3" "$1/boot/initramfs.img"
    chmod 644 "$1/boot/vmlinuz" "$1/boot/initramfs.img"
    (cd "$1/boot" && sha256sum vmlinuz initramfs.img >SHA256SUMS)
}

# One copy of the slot state: slot A is committed.
grub_state() {
    printf '# GRUB Environment Block\nstate=A-0\nagain=A-0\n' >"$1"
    head -c "$((512 - $(stat -c %s "$1")))" /dev/zero | tr '\0' '#' >>"$1"
}
