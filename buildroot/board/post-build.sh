#!/usr/bin/env bash
# The root file system's last touch: everything that it has in common with the image of Debian's packages.
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/common.sh"

# Read by finish_root
export binary='' extra_overlay=''
export SYSTEMCTL=$HOST_DIR/bin/systemctl
# The account comes from the package (users table), which Buildroot makes after this script.
finish_root "$TARGET_DIR"
