#!/usr/bin/env bash
# Lists every crate in the image's program, with version, licence and digest: target/tactful.cdx.json (CycloneDX). The
# same commit gives the same list. Needs cargo-cyclonedx.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${CARGO_TARGET_DIR:-target}/tactful.cdx.json
mkdir -p "$(dirname "$out")"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps \
    --target "$(rustc --print host-tuple)"
# It writes beside Cargo.toml, and says where that lies.
sed "s|path+file://$PWD|path+file:///tactful|" tactful_bin.cdx.json >"$out"
rm tactful_bin.cdx.json
echo "$(grep -c '"purl": "pkg:cargo/' "$out") crates in $out"
