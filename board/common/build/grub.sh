# GRUB, for boards with `LOADER=grub` in their meta: for PC BIOS between the partition table and partition 1, for UEFI on the FAT
# partition. Its script (board/common/grub.cfg) is inside both. Sourced by scripts/image.

# What the script calls, and what leads to the disk.
GRUB_MODULES="part_msdos part_plan fat squash4 normal linux loadenv test regexp hashsum gcry_sha256 memdisk tar serial terminal echo sleep reboot search search_fs_uuid"
# UEFI: the kernel needs to know where the screen is.
GRUB_EFI_MODULES="efi_gop all_video"

# make_grub BOOT_TREE: mbr.img, core.img and BOOTX64.EFI in $work
make_grub() {
    local from=$1 disk=$work/grub
    rm -rf "$disk"
    mkdir -p "$disk/boot/grub"
    sed -e "s|@BOOT_UUID@|746F-6D62|" \
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

# grub_state DIRECTORY: state.img, an archive whose files copy0 and copy1 are the two sectors of the slot state (slot A is
# committed), and plan.img, the table in sector 1 that shows it to GRUB as a partition.
grub_state() {
    python3 - "$1" "${STATE_SECTORS% *}" "${STATE_SECTORS#* }" <<-'END'
	import io, sys, tarfile
	place, first, second = sys.argv[1], *map(int, sys.argv[2:])
	state = b"# GRUB Environment Block\nstate=A-0\nagain=A-0\n".ljust(512, b"#")
	files = {"copy0": state, "gap": bytes(512 * (second - first - 3)), "copy1": state}
	with tarfile.open(f"{place}/state.img", "w", format=tarfile.USTAR_FORMAT) as archive:
	    for name, data in files.items():
	        entry = tarfile.TarInfo(name)
	        entry.size = len(data)
	        archive.addfile(entry, io.BytesIO(data))
	with open(f"{place}/state.img", "r+b") as file:
	    data = file.read()
	    end = second - first + 4
	    assert data[512:1024] == state and data[(end - 3) * 512:(end - 2) * 512] == state and not any(data[end * 512 - 1024:])
	    file.truncate(end * 512)
	with open(f"{place}/plan.img", "wb") as file:
	    file.write(f"part tombolo {first - 1} {first - 1 + end}\n".encode().ljust(512, b"\0"))
	END
}
