# What post-build.sh and post-image.sh share: the settings that board/common/build expects. Sourced.
# Buildroot calls both with a directory and the words of BR2_ROOTFS_POST_SCRIPT_ARGS: here the name of the board.
external=$BR2_EXTERNAL_TOMBOLO_PATH
project=$(realpath "$external/..")
common=$project/board/common
board=$2
board_dir=$project/board/$board

say() { printf '== %s\n' "$*"; }
die() { printf 'tombolo: %s\n' "$*" >&2; exit 1; }
words() { sed 's/#.*//' "$@" | tr -s ' \t' '\n' | sed '/^$/d'; }
environment_block() { python3 "$common/build/environment.py" block "$@"; }

KERNEL_ARGUMENTS='loglevel=4 systemd.show_status=no' LOADER=u-boot
# shellcheck source=/dev/null
. "$board_dir/meta"
# shellcheck source=/dev/null
. "$common/layout"
for part in root slot card bundle; do
    # shellcheck source=/dev/null
    . "$common/build/$part.sh"
done

commit=$(git -C "$project" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
version=${TOMBOLO_VERSION:-$(sed -n '0,/^version = "\(.*\)"/s//\1/p' "$project/Cargo.toml")+$commit}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$project" log -1 --format=%ct)}
export LC_ALL=C TZ=UTC
# What bundles are signed with: TOMBOLO_KEYRING (accepted by the box), TOMBOLO_CERT and TOMBOLO_KEY. None: a development key.
cache=$BUILD_DIR/tombolo-image/cache
keys=$BUILD_DIR/tombolo-image/keys
mkdir -p "$cache"
keyring=${TOMBOLO_KEYRING:-} cert=${TOMBOLO_CERT:-} key=${TOMBOLO_KEY:-}
if [ -z "$keyring" ]; then
    development_key
    keyring=$keys/development.cert.pem
    cert=$keyring
    key=$keys/development.key.pem
fi
