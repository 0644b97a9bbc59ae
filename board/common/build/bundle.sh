# Signed update bundles. Sourced by scripts/image.

# A key for development: made once in $keys, accepted by every image built here without --keyring. Never ship it.
development_key() {
    [ ! -s "$keys/development.cert.pem" ] || return 0
    mkdir -p "$keys"
    say "making a development key in target/image/keys: never ship an image that accepts it"
    (
        umask 077
        openssl req -x509 -newkey rsa:3072 -nodes -keyout "$keys/development.key.pem" -out "$keys/development.cert.pem" \
            -days 36500 -subj "/O=Tombolo/CN=DEVELOPMENT ONLY - never ship" \
            -addext keyUsage=critical,digitalSignature,keyCertSign -addext basicConstraints=critical,CA:TRUE 2>/dev/null
    )
}

make_bundle() {
    local input=$work/bundle
    say "bundle"
    rm -rf "$input" "$out/tombolo-$board.raucb"
    mkdir -p "$input"
    cp "$out/slot.img" "$input/slot.img"
    cat >"$input/manifest.raucm" <<-END
	[update]
	compatible=$COMPATIBLE
	version=$version
	build=$commit

	[bundle]
	format=verity

	[image.rootfs]
	filename=slot.img
	END
    rauc bundle --cert="$cert" --key="$key" --keyring="$keyring" --mksquashfs-args="-comp gzip -all-root" \
        "$input" "$out/tombolo-$board.raucb" >/dev/null
}
