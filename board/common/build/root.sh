# The root file system: Debian's files without what a box never uses, our overlay, the units, the program. Sourced by scripts/image.

# Runs a program of the target's file system, by emulation of one process: its own version does the work, whatever the
# building machine has. target ROOT NAME PATH ARGUMENT...
target() {
    local root=$1 name=$2 path=$3
    shift 3
    "qemu-$QEMU_USER-static" -L "$root" -0 "$name" "$root/$path" "$@"
}

# What Debian packages bring along that nothing in the image reads.
prune() {
    local root=$1
    (
        cd "$root" || exit 1
        find usr/share/doc -mindepth 1 ! -type d ! -name copyright -delete
        find usr/share/doc -mindepth 1 -type d -empty -delete
        # Several packages link their folder of documents to another's
        rm -rf usr/share/{man,locale,info,lintian,bug,bash-completion,zsh,perl5,doc-base,debconf,dict,initramfs-tools,pixmaps,pkgconfig,misc,pam,pam-configs,dpkg,base-passwd/*.md5sum,base-files,polkit-1,libc-bin,gdb,menu,applications,readline,zoneinfo}
        rm -rf usr/lib/*-linux-gnu/{gconv,perl-base,security,audit,e2fsprogs,tc,sasl2,krb5,engines-3,libdb-5.3.so,libperl*} usr/lib/udev/hwdb.* usr/lib/{apt,dpkg,debconf,init,lsb,mime,terminfo,kernel,modprobe.d/fbdev-blacklist.conf}
        rm -rf usr/bin/{perl*,dpkg*,deb*,apt*,update-alternatives,bashbug,systemd-hwdb,localectl,kernel-install,bootctl,systemd-cryptenroll,systemd-creds,systemd-repart,chsh,chfn,newgrp,sg,passwd,gpasswd,chage,faillog,lastlog,su} usr/sbin/{dpkg*,deb*,update-*,pam*,adduser,addgroup,deluser,delgroup,nologin.dpkg,e2scrub*,e4crypt,e4defrag,debugfs,iconvconfig,ldconfig*,tc,rtacct,arpd,fsck.minix,fsck.cramfs,mkfs.minix,mkfs.bfs,mkfs.cramfs,swaplabel,cfdisk}
        rm -rf usr/lib/systemd/{systemd-cryptsetup,systemd-veritysetup,systemd-integritysetup,systemd-pcrphase,systemd-measure,systemd-bless-boot,systemd-boot-check-no-failures,boot,catalog} usr/lib/systemd/system-generators/systemd-{cryptsetup,veritysetup,integritysetup,bless-boot,gpt-auto,hibernate-resume,rc-local,sysv}-generator usr/lib/systemd/system-generators/systemd-bless-boot-generator
        rm -rf etc/{apt,cron.*,init.d,rc?.d,dpkg,debconf.conf,adduser.conf,deluser.conf,alternatives,kernel,initramfs-tools,logrotate.d,bash_completion.d,dhcp,ifplugd,network,update-motd.d,motd,e2scrub.conf,pam.d,security,rmt,default,binfmt.d,selinux}
        rm -rf home media mnt opt srv packages.list boot var usr/{games,include,local,src,lib/debug}
        # Nobody changes identity here: programs run as what systemd started them.
        find . -xdev -type f -perm /6000 -exec chmod a-s {} +
    )
}

# The files that packages would have made in their maintainer scripts.
configure_debian() {
    local root=$1
    cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
    cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
    sed -i 's#^root:.*#root:*:0:0:root:/root:/bin/bash#' "$root/etc/passwd"
    rm -rf "$root/usr/share/base-passwd"
    # The number is fixed: files of the data partition belong to it, whatever system is started on them.
    echo 'tombolo:x:900:900:Tombolo TAK federation bridge:/var/lib/tombolo:/usr/sbin/nologin' >>"$root/etc/passwd"
    echo 'tombolo:x:900:' >>"$root/etc/group"
    cat >"$root/etc/nsswitch.conf" <<-'END'
	passwd:   files
	group:    files
	shadow:   files
	hosts:    files resolve [!UNAVAIL=return] dns
	networks: files
	services: files
	protocols: files
	END
    printf '127.0.0.1 localhost\n127.0.1.1 tombolo\n::1 localhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
    echo tombolo >"$root/etc/hostname"
    printf '/bin/sh\n/bin/bash\n' >"$root/etc/shells"
    # Not busybox: its shell prefers its own commands to the programs of the same name.
    ln -sf dash "$root/usr/bin/sh"
    mv "$root/usr/share/systemd/tmp.mount" "$root/usr/lib/systemd/system/"
    ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
    ln -sf ../proc/self/mounts "$root/etc/mtab"
    ln -sf ../usr/share/zoneinfo/UTC "$root/etc/localtime"
    rm -f "$root/etc/localtime"
    # Empty: systemd puts one in memory for each start. (A file that must be there, or it cannot.)
    : >"$root/etc/machine-id"
}

# busybox gives every command that no other package has.
add_busybox() {
    local root=$1 applet
    target "$root" busybox usr/bin/busybox --list-full | while read -r applet; do
        case $applet in linuxrc | sbin/init | */init | */reboot | */halt | */poweroff | */shutdown) continue ;; esac
        applet=${applet##*/}
        [ -e "$root/usr/bin/$applet" ] || [ -L "$root/usr/bin/$applet" ] ||
            [ -e "$root/usr/sbin/$applet" ] || [ -L "$root/usr/sbin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
    done
}

# make_root TAR ROOT
make_root() {
    rm -rf "$2"
    debian_unpack "$1" "$2"
    prune "$2"
    configure_debian "$2"
    add_busybox "$2"
    finish_root "$2"
    check_root "$2"
}

# Of the firmware packages only what the board's radio loads: WIFI_FIRMWARE, patterns below usr/lib/firmware.
keep_firmware() {
    local firmware=$1/usr/lib/firmware kept=$work/firmware pattern path
    rm -rf "$kept"
    mkdir -p "$kept"
    (
        cd "$firmware" || exit 1
        for pattern in $WIFI_FIRMWARE regulatory.db*; do
            # shellcheck disable=SC2086 # a pattern
            for path in $pattern; do
                [ -e "$path" ] || [ -L "$path" ] || continue
                case $path in */*) mkdir -p "$kept/${path%/*}" ;; esac
                cp -a "$path" "$kept/$path"
            done
        done
    )
    [ -n "$(find "$kept" -mindepth 2 -type f -print -quit)" ] || die "the firmware packages have nothing of: $WIFI_FIRMWARE"
    rm -rf "$firmware"
    mv "$kept" "$firmware"
    # A package's script would choose between the two signers of these.
    ln -sf regulatory.db-debian "$firmware/regulatory.db"
    ln -sf regulatory.db.p7s-debian "$firmware/regulatory.db.p7s"
}

# target_systemctl ROOT ARGUMENT...: Buildroot's scripts set SYSTEMCTL to that of their host tools.
target_systemctl() {
    local root=$1
    shift
    if [ -n "${SYSTEMCTL:-}" ]; then
        "$SYSTEMCTL" --root="$root" "$@"
    else
        target "$root" systemctl usr/bin/systemctl --root="$root" "$@"
    fi >/dev/null 2>&1
}

# finish_root ROOT: what is the same whatever the root file system was made of: directories, overlay, units, program,
# settings of RAUC and of the slots, and which units start.
finish_root() {
    local root=$1 unit
    mkdir -p "$root"/{data,boot/firmware,var,tmp,run,proc,sys,dev,home,srv,root,etc/tombolo,etc/rauc,usr/lib/tombolo}
    rm -rf "$root/root/.ssh"
    ln -s ../data/system/ssh "$root/root/.ssh"
    chmod 0700 "$root/root"
    cp -R "$common/overlay/." "$root/"
    if [ "${wifi:-no}" = yes ]; then
        cp -R "$common/wifi/overlay/." "$root/"
        keep_firmware "$root"
    fi
    [ ! -d "$board_dir/overlay" ] || cp -R "$board_dir/overlay/." "$root/"
    "$project/systemd/install" --box "$root"
    [ -z "$binary" ] || install -m 755 "$binary" "$root/usr/bin/tombolo"
    [ -z "$extra_overlay" ] || cp -R "$extra_overlay/." "$root/"

    printf 'device=/dev/tombolo/disk\nformat=%s\n' "${LOADER:-u-boot}" >"$root/usr/lib/tombolo/slot.conf"
    cat >"$root/usr/lib/tombolo/image-release" <<-END
	VERSION=$version
	BOARD=$BOARD
	BUILD_DATE=$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)
	COMMIT=$commit
	END
    # A box without a battery-backed clock starts no earlier than its system was built.
    : >"$root/usr/lib/clock-epoch"
    sed "s|@COMPATIBLE@|$COMPATIBLE|" "$common/rauc/system.conf.in" >"$root/etc/rauc/system.conf"
    cp "$keyring" "$root/etc/rauc/keyring.pem"

    if [ -z "${SYSTEMCTL:-}" ]; then
        target "$root" systemd-sysusers usr/bin/systemd-sysusers --root="$root" >/dev/null 2>&1
        rm -f "$root"/etc/{passwd-,group-,shadow-,gshadow-,.pwd.lock}
    fi
    target_systemctl "$root" preset-all || die "systemctl preset-all failed in the image"
    target_systemctl "$root" enable "tombolo-console@$CONSOLE.service" || die "the console cannot be enabled on $CONSOLE"
    # Units that start without being enabled, and that a box with a read-only root and no users does not need. The console
    # takes the place of a login.
    while read -r unit; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done < <(words "$common/masked-units")
    ln -sf multi-user.target "$root/usr/lib/systemd/system/default.target"
}
