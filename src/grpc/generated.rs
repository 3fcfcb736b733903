//! What the build script makes of the protos. Nothing is written here by hand.

/// The descriptors of all protos, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tactful_descriptor.bin"));

/// Package `tactful`.
pub mod tactful {
    /// Package `tactful.v1`.
    #[allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, reason = "generated")]
    pub mod v1 {
        tonic::include_proto!("tactful.v1");
    }
}

/// Package `google`.
pub mod google {
    /// Package `google.rpc`.
    #[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}
