# What can be found wrong with a root file system without starting it. Sourced by scripts/image.

check_root() {
    local root=$1 missing
    if command -v readelf >/dev/null; then
        missing=$(comm -23 \
            <(find "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" -path "$root/usr/lib/modules" -prune -o -type f \( -perm /111 -o -name '*.so*' \) -print0 |
                xargs -0 readelf -d 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u) \
            <(find "$root/usr/lib" -name '*.so*' -printf '%f\n' | sort -u))
        [ -z "$missing" ] || die "programs of the image need libraries that it does not have: $(echo "$missing" | tr '\n' ' ')"
    fi
    # A command that systemd starts and that is not there
    missing=$(find "$root/usr/lib/systemd/system" -name 'tombolo*' -type f -exec sed -n 's/^Exec[A-Za-z]*=[-+!@:]*\(\/[^ ]*\).*/\1/p' {} + | sort -u |
        while read -r path; do [ -e "$root$path" ] || [ -L "$root$path" ] || echo "$path"; done)
    [ -z "$missing" ] || die "our units start programs that the image does not have: $(echo "$missing" | tr '\n' ' ')"
    missing=$(cd "$root" && find usr/bin usr/sbin usr/lib/systemd usr/lib/*-linux-gnu -type l -printf '%p %l\n' | while read -r path to; do
        case $to in /dev/null | /run/* | /proc/*) continue ;; /*) to=.$to ;; *) to=${path%/*}/$to ;; esac
        [ -e "$to" ] || [ -L "$to" ] || echo "$path"
    done)
    [ -z "$missing" ] || say "links that lead nowhere: $(echo "$missing" | tr '\n' ' ')"
    # Who may do what
    missing=$(find "$root" -xdev -type f -perm /6000)
    [ -z "$missing" ] || die "programs with special rights in the image: $missing"
}
