#!/usr/bin/env bash
# Builds the image without a daemon: a static program, and an image that contains nothing else.
#
# Reproducible: the same commit gives the same digest in any folder, with the same compiler, linker and C library. Needs the
# build tools and buildah; with docker, build image/Dockerfile in target/container/context.
set -euo pipefail
cd "$(dirname "$0")/.."

# The platform of this machine; there is no cross-compilation.
platform=$(rustc --print host-tuple)
version=$(cargo pkgid)
version=${version##*[#@]}
# With --exclude, because a tag would replace the commit.
revision=$(git describe --always --dirty --abbrev=40 --exclude '*')
out=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$out"
out=$(realpath "$out")
# All timestamps in the image are those of the commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

compile() {
    # Panic messages contain source paths; these replace the paths of this machine.
    local flags=(
        -C target-feature=+crt-static
        # Calls getrandom directly: in a static program, lookup through the C library fails, and /dev/urandom would be needed.
        --cfg 'getrandom_backend="linux_getrandom"'
        # Packs 600 kB of relocations into 20 kB.
        "-Clink-arg=-Wl,-z,pack-relative-relocs"
        "--remap-path-prefix=$(rustc --print sysroot)=/rust"
        "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
        "--remap-path-prefix=$PWD=/tactful"
        "--remap-path-prefix=$out=/tactful/target"
    )
    # This separator allows spaces in paths.
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")
    export CARGO_ENCODED_RUSTFLAGS
    # Fat LTO optimises all crates at the level of the last one; without this, all would get the level of our own crate. And
    # Cargo does not strip a crate that has an optimisation level of its own.
    cargo rustc --locked --profile image --bin tactful --target "$platform" -- -C opt-level=2 -C strip=symbols
}

stage() {
    # Not target/image, where Cargo puts the output of the profile of that name.
    rm -rf "$out/container"
    mkdir -p "$out/container/context/data"
    cp "$out/$platform/image/tactful" "$out/container/context/"
    # Independent of the umask.
    chmod 755 "$out/container/context"/*
}

pack() {
    local name=tactful:$version
    if ! command -v buildah >/dev/null; then
        echo "buildah is not installed. With docker:" >&2
        echo "docker build -f image/Dockerfile --build-arg VERSION=$version --build-arg REVISION=$revision -t $name $out/container/context" >&2
        return 1
    fi
    # Without overlays and namespaces, so that it works inside a container; the store is in the target folder.
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
