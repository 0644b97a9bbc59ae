# The tools the build needs, and the program itself. Sourced by scripts/image.

install_tools() {
    local missing=() pair
    QEMU_USER=$([ "$ARCH" = arm64 ] && echo aarch64 || echo x86_64)
    for pair in mmdebstrap:mmdebstrap "qemu-$QEMU_USER-static:qemu-user-static" mksquashfs:squashfs-tools mkimage:u-boot-tools \
        genimage:genimage mcopy:mtools mkfs.vfat:dosfstools mke2fs:e2fsprogs cpio:cpio fdtget:device-tree-compiler \
        dtc:device-tree-compiler xz:xz-utils openssl:openssl python3:python3 rauc:rauc readelf:binutils; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    machine=${RUST_TARGET%%-*} compiler=$machine-linux-gnu-gcc
    [ -n "$binary" ] || command -v "$compiler" >/dev/null ||
        if [ "$machine" = "$(uname -m)" ]; then missing+=(gcc libc6-dev); else missing+=("gcc-${machine/_/-}-linux-gnu" "libc6-dev-$ARCH-cross"); fi
    export PATH=$PATH:/usr/sbin:/sbin
    [ ${#missing[@]} -eq 0 ] && return
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "missing: ${missing[*]}. Install them as root (apt-get install ${missing[*]}), then run scripts/image again."
        root=(sudo)
    fi
    say "installing ${missing[*]}"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The standard library for the board's processor comes from rustup, or from Debian's packages where rustup has none. Those
# must be of the very version of their compiler.
build_program() {
    local cargo=(cargo) newest upper lld
    command -v cargo >/dev/null || die "no Rust: install it from https://rustup.rs, or give a built program with --binary"
    if ! rustup target list --installed 2>/dev/null | grep -qx "$RUST_TARGET" && ! rustup target add "$RUST_TARGET" >/dev/null 2>&1; then
        newest=$(debian_rust) || die "no Rust for $RUST_TARGET: neither rustup nor apt (rustc-web) has one. Give a built program with --binary."
        say "Rust $newest from Debian"
        [ "$(id -u)" -eq 0 ] || die "install as root: apt-get install rustc-web=$newest libstd-rust-web-dev:$ARCH=$newest; or give a built program with --binary"
        apt-get install -y -qq --no-install-recommends "rustc-web=$newest" "libstd-rust-web-dev:$ARCH=$newest" >/dev/null
        export RUSTC=/usr/bin/rustc
    fi
    say "building the program for $RUST_TARGET"
    (
        cd "$project"
        upper=${RUST_TARGET//-/_}
        export "CARGO_TARGET_${upper^^}_LINKER=$compiler" "CC_$upper=$compiler" "AR_$upper=${compiler%gcc}ar"
        # No path of this machine in the program, and no tables for unwinding: the firmware profile aborts.
        export RUSTFLAGS="--remap-path-prefix=$project=/tombolo --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo -C force-unwind-tables=no"
        RUSTFLAGS+=" -C link-arg=-Wl,-T,$project/board/common/build/no-unwinding.ld -C link-arg=-Wl,--no-eh-frame-hdr"
        # What functions have in common is moved out of all of them, the standard library's too: 0.22 of 5.6 MB.
        RUSTFLAGS+=" -C llvm-args=-enable-machine-outliner=always"
        # LLVM's linker, which rustup's Rust brings along, packs the relocations (glibc 2.36 and later read them: Debian 12) and
        # keeps functions with the same code once: 0.27 of 4.85 MB.
        lld=$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/$("${RUSTC:-rustc}" -vV | sed -n 's/^host: //p')/bin/gcc-ld
        if [ -x "$lld/ld.lld" ]; then
            RUSTFLAGS+=" -C link-arg=-B$lld -C link-arg=-fuse-ld=lld -C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--icf=all"
        fi
        "${cargo[@]}" build --locked --no-default-features --profile firmware --target "$RUST_TARGET" --bin tombolo
    )
    binary=$project/target/$RUST_TARGET/firmware/tombolo
}

debian_rust() {
    local version
    dpkg --print-foreign-architectures | grep -qx "$ARCH" || { dpkg --add-architecture "$ARCH" && apt-get update -qq; } || return 1
    for version in $(apt-cache madison rustc-web | awk '{ print $3 }'); do
        if apt-cache madison "libstd-rust-web-dev:$ARCH" | awk '{ print $3 }' | grep -qxF "$version"; then
            echo "$version"
            return
        fi
    done
    return 1
}
