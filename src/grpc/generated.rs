//! Code that the build script generates from the protos.

/// Encoded descriptors of all protos, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tactful_descriptor.bin"));

/// Messages and services of the package `tactful`.
pub mod tactful {
    #[allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, reason = "generated")]
    pub mod v1 {
        tonic::include_proto!("tactful.v1");
    }
}

/// Messages of the package `google`.
pub mod google {
    #[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}
