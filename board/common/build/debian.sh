# Trees of files out of Debian packages. Sourced by scripts/image.
#
# Packages are fetched and unpacked by mmdebstrap, and none of their maintainer scripts is run ("extract"): no emulation of the
# target's processor is needed for that, and what comes out depends on the packages alone.

# The sources of the machine this runs on, so that no mirror's name is written here: those whose Release file says Debian.
# TOMBOLO_APT_SOURCES=FILE takes another list (for example a dated snapshot).
debian_sources() {
    local areas="main non-free-firmware"
    if [ -n "${TOMBOLO_APT_SOURCES:-}" ]; then
        cat "$TOMBOLO_APT_SOURCES"
        return
    fi
    # shellcheck disable=SC2016 # the $(...) are apt's
    apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(REPO_URI) $(RELEASE)' 2>/dev/null |
        awk -v areas="$areas" '$1 == "Packages" && $2 == "Debian" && !seen[$3 $4]++ { print "deb", $3, $4, areas }'
}

debian_suite() {
    debian_sources | awk '$1 == "deb" && $3 !~ /-(updates|security|backports)/ { print $3; exit }'
}

# The machine's proxy, if it has one: mmdebstrap does not read apt's configuration.
debian_proxy() {
    apt-config dump 2>/dev/null | sed -n 's/^\(Acquire::https\?::Proxy\) \("..*"\);$/--aptopt=\1 \2/p'
}

# debian_tree NAME PACKAGE...: prints the path of a tar with these packages and what they depend on, made anew once a day.
debian_tree() {
    local name=$1 sources key file options
    shift
    sources=$(debian_sources)
    [ -n "$sources" ] || die "apt knows no Debian sources (no lists yet?): run apt-get update, or name a list by TOMBOLO_APT_SOURCES"
    key=$(printf '%s\n' "$ARCH" "$*" "$sources" "$(date -u +%F)" "$(sha256sum <"$common/build/debian.sh")" | sha256sum | cut -c1-16)
    file=$cache/$name-$ARCH-$key.tar
    if [ ! -s "$file" ] || [ "$fresh" = yes ]; then
        say "fetching $name: $*" >&2
        mapfile -t options < <(debian_proxy)
        # shellcheck disable=SC2016 # $1 is the hook's
        mmdebstrap --quiet --variant=extract --architectures="$ARCH" --mode="$([ "$(id -u)" = 0 ] && echo root || echo unshare)" \
            --aptopt='APT::Install-Recommends "false"' "${options[@]}" \
            --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
            --extract-hook='for p in "$1"/var/cache/apt/archives/*.deb; do dpkg-deb -W --showformat="\${Package} \${Version} \${Architecture} \${source:Package} \${source:Version}\n" "$p"; done | LC_ALL=C sort >"$1/packages.list"' \
            --include="$(echo "$*" | tr ' ' ',')" "$(debian_suite)" "${file%.tar}.new.tar" - <<<"$sources" >&2 ||
            die "fetching Debian packages failed"
        mv "${file%.tar}.new.tar" "$file"
    fi
    echo "$file"
}

# debian_unpack TAR DIRECTORY: without device nodes, all files our own; the image gives all of them to root.
debian_unpack() {
    mkdir -p "$2"
    tar -C "$2" -x --no-same-owner -p --exclude='./dev/*' -f "$1"
    chmod -R u+rwX "$2"
}
