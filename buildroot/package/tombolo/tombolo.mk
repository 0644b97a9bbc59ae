################################################################################
#
# tombolo
#
################################################################################

# The source is the repository that this tree is part of, at its commit. The
# method is git and not local on purpose: only a downloaded source has its
# crates vendored, and the build itself is offline.
TOMBOLO_CHECKOUT = $(realpath $(BR2_EXTERNAL_TOMBOLO_PATH)/..)
TOMBOLO_VERSION = $(shell git -C $(TOMBOLO_CHECKOUT) rev-parse HEAD)
TOMBOLO_SITE = file://$(TOMBOLO_CHECKOUT)
TOMBOLO_SITE_METHOD = git
BR_NO_CHECK_HASH_FOR += $(TOMBOLO_SOURCE)
TOMBOLO_LICENSE = Apache-2.0 or MIT
TOMBOLO_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT

# What Cargo.toml calls the firmware profile, said through the environment:
# the infrastructure builds with --release, and cargo takes no second profile.
TOMBOLO_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL="z" \
	CARGO_PROFILE_RELEASE_LTO="fat" \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS="1" \
	CARGO_PROFILE_RELEASE_PANIC="abort" \
	CARGO_PROFILE_RELEASE_STRIP="symbols" \
	CARGO_PROFILE_RELEASE_DEBUG="false"

# Completion scripts and the manual are for a desk.
TOMBOLO_CARGO_BUILD_OPTS = --no-default-features
TOMBOLO_CARGO_INSTALL_OPTS = --no-default-features

TOMBOLO_DEPENDENCIES = systemd

define TOMBOLO_USERS
	tombolo -1 tombolo -1 * /var/lib/tombolo - dialout,tty Tombolo federation bridge
endef

define TOMBOLO_INSTALL_INIT_SYSTEMD
	$(@D)/systemd/install --box $(TARGET_DIR)
endef

define TOMBOLO_LINK_TAK_INJECT
	ln -sf tombolo $(TARGET_DIR)/usr/bin/tak-inject
endef
TOMBOLO_POST_INSTALL_TARGET_HOOKS += TOMBOLO_LINK_TAK_INJECT

$(eval $(cargo-package))
