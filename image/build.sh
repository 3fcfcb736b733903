#!/usr/bin/env bash
# Builds the image without a daemon: a static program, and an image of nothing else around it.
#
# The same commit gives the same digest wherever the folder lies, with the same compiler, linker and C library. Needs
# what a build needs, and buildah; target/container/context with image/Dockerfile is what docker takes instead.
set -euo pipefail
cd "$(dirname "$0")/.."

# The machine's own: nothing is compiled for another one.
platform=$(rustc --print host-tuple)
version=$(cargo pkgid)
version=${version##*[#@]}
# Not --always alone: a tag would stand in for the commit.
revision=$(git describe --always --dirty --abbrev=40 --exclude '*')
out=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$out"
out=$(realpath "$out")
# Every time in the image is the commit's.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

compile() {
    # Panics name their source files: by these names, and not by where this machine keeps them.
    local flags=(
        -C target-feature=+crt-static
        # Not through the C library, which a static program does not ask by name; then it would need /dev/urandom.
        --cfg 'getrandom_backend="linux_getrandom"'
        # 600 kB of addresses to set at the start, packed into 20.
        "-Clink-arg=-Wl,-z,pack-relative-relocs"
        "--remap-path-prefix=$(rustc --print sysroot)=/rust"
        "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
        "--remap-path-prefix=$PWD=/tactful"
        "--remap-path-prefix=$out=/tactful/target"
    )
    # Separated so that a path may have a space.
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")
    export CARGO_ENCODED_RUSTFLAGS
    # The last step optimises all crates together, by the level of the one that it compiles; without this it would be the
    # level of our own crate for all of them. And Cargo forgets to strip a crate that has a level of its own.
    cargo rustc --locked --profile image --bin tactful --target "$platform" -- -C opt-level=2 -C strip=symbols
}

stage() {
    # Not target/image, where Cargo keeps what it builds for the profile of that name.
    rm -rf "$out/container"
    mkdir -p "$out/container/context/data"
    cp "$out/$platform/image/tactful" "$out/container/context/"
    # Whatever the umask is.
    chmod 755 "$out/container/context"/*
}

pack() {
    local name=tactful:$version
    if ! command -v buildah >/dev/null; then
        echo "buildah is not installed. Docker takes the same:" >&2
        echo "docker build -f image/Dockerfile --build-arg VERSION=$version --build-arg REVISION=$revision -t $name $out/container/context" >&2
        return 1
    fi
    # Neither overlays nor namespaces, so that it works inside a container too; and a store that goes with the target.
    local store=(--root "$out/container/store" --runroot "$out/container/run" --storage-driver vfs)
    buildah "${store[@]}" bud --isolation chroot --quiet --file image/Dockerfile --tag "$name" \
        --build-arg VERSION="$version" --build-arg REVISION="$revision" \
        --timestamp "$SOURCE_DATE_EPOCH" --identity-label=false "$out/container/context" >/dev/null
    buildah "${store[@]}" push --quiet --format oci --digestfile "$out/container/digest" \
        "$name" "oci:$out/container/oci:$version"
    echo "$name@$(cat "$out/container/digest") in $out/container/oci"
}

compile
stage
pack
