//! Compiles the protos without `protoc`, and keeps the descriptors for server reflection.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

const PROTOS: [&str; 7] = [
    "proto/tactful/v1/offer_service.proto",
    "proto/tactful/v1/feedback_service.proto",
    "proto/tactful/v1/relationship_service.proto",
    "proto/tactful/v1/catalog_service.proto",
    "proto/tactful/v1/customer_service.proto",
    "proto/tactful/v1/model_service.proto",
    "proto/tactful/v1/policy_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    // tonic's builder emits no rerun-if-changed when it is given descriptors.
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("tactful_descriptor.bin"), descriptors.encode_to_vec())?;
    // Maps come out ordered, so that equal answers have equal bytes.
    let builder = tonic_prost_build::configure().btree_map(".").codec_path("crate::grpc::codec::CountedCodec");
    builder.compile_fds(descriptors)?;
    Ok(())
}
