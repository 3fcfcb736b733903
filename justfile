# Recipes for developers; `just` alone lists them.

[private]
default:
    @just --list --unsorted

# Type-check everything
check:
    cargo check --all-targets

# Run all tests
test *arguments:
    cargo test {{ arguments }}

# Format check, clippy and proto lint (buf on the path)
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    buf lint

# Build the documentation; a broken link is an error
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# Run the server on a data directory
serve data_dir="data" *arguments:
    cargo run --release -- serve --data-dir {{ data_dir }} {{ arguments }}

# Run the server with the demo data
demo:
    cargo run -- serve --demo

# Regenerate the demo data
demo-files:
    python3 demo/make.py

# Run the benchmarks
bench *arguments:
    cargo bench {{ arguments }}

# Build the image without a daemon, into target/container (needs buildah)
image:
    image/build.sh

# Write the software bill of materials of the image, as CycloneDX (needs cargo-cyclonedx)
sbom:
    image/sbom.sh

# Check licences, sources and advisories of all dependencies (needs cargo-deny, and fetches the advisories)
audit:
    cargo deny check

# Deploy the dev overlay to the current cluster
deploy-dev:
    kubectl apply -k k8s/overlays/dev

# Run the long forms: generated histories, attacks, malformed calls, restarts, rotations, kill -9, damaged files (about an hour)
long:
    PROPTEST_CASES=10000 cargo test --test decision
    TACTFUL_LONG=1 cargo test --test threats -- --nocapture
    TACTFUL_LONG=1 cargo test --test server restarts -- --nocapture
    TACTFUL_LONG=1 cargo test --test api rotation -- --nocapture
    TACTFUL_KILL_ROUNDS=1000 cargo test --test server kill -- --nocapture
    TACTFUL_FLIPS=10000 cargo test --test store damage -- --nocapture
    TACTFUL_LONG=1 cargo test --test promises power_loss -- --nocapture
    TACTFUL_LONG=1 cargo test --features postgres --test model moved_shop -- --nocapture

# Run all checks that a change must pass
ci:
    .ci/run
