#!/usr/bin/env bash
# Writes the software bill of materials of the image's program: target/tactful.cdx.json (CycloneDX), every crate with version,
# licence and digest. The same commit gives the same file. Needs cargo-cyclonedx.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${CARGO_TARGET_DIR:-target}/tactful.cdx.json
mkdir -p "$(dirname "$out")"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps \
    --target "$(rustc --print host-tuple)"
# The tool writes next to Cargo.toml, and the file contains the path of this folder.
sed "s|path+file://$PWD|path+file:///tactful|" tactful_bin.cdx.json >"$out"
rm tactful_bin.cdx.json
echo "$(grep -c '"purl": "pkg:cargo/' "$out") crates in $out"
