//! Arrival of a call: its method, and its position among all calls.
//!
//! [`super::shedding::SheddingLayer`] stores it in the extensions of the request, for the layers inside it.

use std::time::Instant;

use http::Request;

use crate::grpc::method::Method;

/// Time and sequence number at which the headers of a request were read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArrivalStamp {
    pub(crate) time: Instant,
    /// Sequence number among all requests and connections.
    pub(crate) sequence: u64,
}

/// Arrival of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) method: &'static Method,
    pub(crate) stamp: ArrivalStamp,
}

/// Returns the method that a request calls.
pub(crate) fn method_of<B>(request: &Request<B>) -> &'static Method {
    match request.extensions().get::<Arrival>() {
        Some(arrival) => arrival.method,
        None => Method::by_path(request.uri().path()),
    }
}
