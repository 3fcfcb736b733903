//! Health: what each service says of itself, on the port of the calls and on one of its own.
//!
//! The port of its own is for the probes of a cluster, which speak no TLS; it is up before the store opens and shares no
//! limit with the calls. It has small ones of its own, because it may be open to more than probes.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

use super::accept::accept;
use super::limits;
use super::readiness::Readiness;
use crate::config::Limits;
use crate::grpc::layers::call_layers;
use crate::grpc::services::SERVICE_NAMES;

/// Connections to the health port at once: some probes, and who looks at it by hand.
const CONNECTIONS_MAX: usize = 64;
/// Calls at once on one of them.
const STREAMS_MAX: u32 = 16;

/// Says `SERVING` as long as the process answers.
pub const LIVENESS: &str = "liveness";

/// Every service, and the server as a whole.
fn names() -> impl Iterator<Item = &'static str> {
    SERVICE_NAMES.into_iter().chain([""])
}

/// What all services say, before anything is served.
pub async fn loading() -> HealthReporter {
    let health = HealthReporter::new();
    tell(&health, ServingStatus::NotServing).await;
    health.set_service_status(LIVENESS, ServingStatus::Serving).await;
    health
}

/// Says the same of all services; of the process itself nothing.
pub async fn tell(health: &HealthReporter, status: ServingStatus) {
    for name in names() {
        tell_of(health, name, status).await;
    }
}

/// Says it of one service, to who asks and in the metrics.
async fn tell_of(health: &HealthReporter, name: &'static str, status: ServingStatus) {
    health.set_service_status(name, status).await;
    let ready = if status == ServingStatus::Serving { 1.0 } else { 0.0 };
    metrics::gauge!("tactful_ready", "service" => if name.is_empty() { "server" } else { name }).set(ready);
}

/// Says of each service what it is.
pub async fn tell_each(health: &HealthReporter, readiness: &Readiness) {
    for name in names() {
        let status = if readiness.is_ready(name) { ServingStatus::Serving } else { ServingStatus::NotServing };
        tell_of(health, name, status).await;
    }
}

/// Says of all services, for the last time, that they do not serve, and ends the streams of those who watch: they would hold up
/// the drain for as long as it may take.
pub async fn tell_the_end(health: &HealthReporter) {
    tell(health, ServingStatus::NotServing).await;
    let mut health = health.clone();
    for name in names() {
        health.clear_service_status(name).await;
    }
    // For those who ask.
    tell(&health, ServingStatus::NotServing).await;
}

/// The service that tells.
pub fn service(health: &HealthReporter) -> HealthServer<impl Health> {
    HealthServer::new(HealthService::from_health_reporter(health.clone()))
}

/// Serves it alone, until the task is dropped.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve_alone(address: SocketAddr, health: &HealthReporter) -> std::io::Result<(SocketAddr, JoinSet<()>)> {
    let listener = TcpListener::bind(address).await?;
    let local_addr = listener.local_addr()?;
    let limits = Limits { connections_max: CONNECTIONS_MAX, streams_max: STREAMS_MAX, ..Limits::default() };
    let incoming = accept(listener, limits, None);
    let router = limits::transport(&limits)
        .max_connection_age(limits.connection_age)
        .layer(call_layers(&limits::of_calls(&limits), None))
        .add_service(service(health));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        if let Err(error) = router.serve_with_incoming(incoming).await {
            tracing::error!(%error, "the health port is closed");
        }
    });
    Ok((local_addr, serving))
}
