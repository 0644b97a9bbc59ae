#!/bin/sh
# Installs Tombolo from this folder on a machine with systemd; run as root. `install.sh remove` takes it away again and
# keeps configuration and state; `install.sh purge` takes those too.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
die() { echo "install.sh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "run it as root: sudo $0"
command -v systemctl >/dev/null || die "this machine has no systemd; start bin/tombolo run by hand"

case "${1:-install}" in
install)
    [ ! -e /var/lib/dpkg/info/tombolo.list ] || die "the Debian package is installed: remove it first (apt remove tombolo)"
    install -D -m 755 "$here/bin/tombolo" /usr/bin/.tombolo.new
    # In one step, also while it runs.
    mv -f /usr/bin/.tombolo.new /usr/bin/tombolo
    ln -sf tombolo /usr/bin/tak-inject
    "$here/systemd/install" /
    systemd-sysusers tombolo.conf
    systemd-tmpfiles --create tombolo.conf
    if [ ! -e /etc/tombolo/tombolo.toml ]; then
        install -o tombolo -g tombolo -m 640 "$here/tombolo.toml" /etc/tombolo/tombolo.toml
    fi
    if [ -S /run/udev/control ]; then
        udevadm control --reload || true
        udevadm trigger --action=change --subsystem-match=leds --subsystem-match=gpio || true
    fi
    systemctl enable tombolo.service
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl restart tombolo.service
    fi
    echo "installed; \`tombolo status\` shows how it is, as root"
    ;;
remove | purge)
    [ ! -d /run/systemd/system ] || systemctl stop tombolo.service 'tombolo-*.path' 'tombolo-console@*.service' || true
    systemctl disable tombolo.service || true
    for link in /etc/systemd/system/*.wants/tombolo-*; do
        case "$(readlink "$link")" in
        */tombolo-*) rm -f "$link" ;;
        esac
    done
    # What `install` puts there, and nothing else.
    list=$(mktemp -d)
    "$here/systemd/install" "$list"
    (cd "$list" && find . -type f) | while read -r file; do rm -f "/$file"; done
    rm -rf "$list" /usr/bin/tombolo /usr/bin/tak-inject
    rmdir /usr/lib/tombolo 2>/dev/null || true
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
    if [ "$1" = purge ]; then
        rm -rf /etc/tombolo /var/lib/tombolo /run/tombolo
    fi
    ;;
*) die "unknown word \"$1\"; install.sh, install.sh remove or install.sh purge" ;;
esac
