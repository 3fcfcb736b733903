//! Compiles the protos without `protoc`, and keeps the descriptors for server reflection. Packs the demo's events.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

/// The demo is in every binary, and most of it is this file: a fifth of its size when packed.
const DEMO_EVENTS: &str = "demo/events.csv";

const PROTOS: [&str; 9] = [
    "proto/tactful/v1/offer_service.proto",
    "proto/tactful/v1/feedback_service.proto",
    "proto/tactful/v1/relationship_service.proto",
    "proto/tactful/v1/catalog_service.proto",
    "proto/tactful/v1/customer_service.proto",
    "proto/tactful/v1/model_service.proto",
    "proto/tactful/v1/policy_service.proto",
    "proto/tactful/v1/backup_service.proto",
    // Of no message; for server reflection, with which tools decode the details of errors.
    "proto/google/rpc/error_details.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    // tonic's builder emits no rerun-if-changed when it is given descriptors.
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("tactful_descriptor.bin"), descriptors.encode_to_vec())?;
    // Maps come out ordered, so that equal responses have equal bytes.
    let builder =
        tonic_prost_build::configure().btree_map(".").codec_path("crate::grpc::field_limits::FieldLimitedCodec");
    builder.compile_fds(descriptors)?;

    println!("cargo::rerun-if-changed={DEMO_EVENTS}");
    pack(DEMO_EVENTS.as_ref(), &out_dir.join("demo_events.csv.gz"))
}

fn pack(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let mut packed = GzEncoder::new(fs::File::create(to)?, Compression::best());
    packed.write_all(&fs::read(from)?)?;
    packed.finish()?;
    Ok(())
}
