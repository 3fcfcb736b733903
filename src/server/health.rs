//! The health service (`grpc.health.v1`), on the main port and on a port of its own.
//!
//! The separate port is for the probes of a cluster, which do not speak TLS. It serves before the store opens, and shares no
//! limit with calls. It has small limits of its own, because other clients may reach it.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

use super::accept::accept;
use super::readiness::Readiness;
use super::transport::transport;
use crate::config::settings::{CallLimits, ConnectionLimits};
use crate::grpc::completion::DetachedCalls;
use crate::grpc::layers::call_layers;
use crate::grpc::services::SERVICE_NAMES;

/// Maximum number of connections to the health port: some probes, and operators who query it by hand.
const CONNECTIONS_MAX: usize = 64;
/// Maximum number of concurrent calls on one of these connections.
const STREAMS_MAX: u32 = 16;

/// Name of the service that is `SERVING` as long as the process responds.
const LIVENESS: &str = "liveness";

/// Names of all services, and the empty name of the server as a whole.
fn service_names() -> impl Iterator<Item = &'static str> {
    SERVICE_NAMES.into_iter().chain([""])
}

/// Reporter for a server that is starting: no service is ready.
pub(super) async fn starting() -> HealthReporter {
    let health = HealthReporter::new();
    set_all(&health, ServingStatus::NotServing).await;
    health.set_service_status(LIVENESS, ServingStatus::Serving).await;
    health
}

/// Sets the status of all services, but not of the process (`liveness`).
pub(super) async fn set_all(health: &HealthReporter, status: ServingStatus) {
    for name in service_names() {
        set_status(health, name, status).await;
    }
}

/// Sets the status of one service, in the health service and in the metrics.
async fn set_status(health: &HealthReporter, name: &'static str, status: ServingStatus) {
    health.set_service_status(name, status).await;
    let ready = if status == ServingStatus::Serving { 1.0 } else { 0.0 };
    metrics::gauge!("tactful_ready", "service" => if name.is_empty() { "server" } else { name }).set(ready);
}

/// Sets the status of each service according to its readiness.
pub(super) async fn set_each(health: &HealthReporter, readiness: &Readiness) {
    for name in service_names() {
        let status = if readiness.is_ready(name) { ServingStatus::Serving } else { ServingStatus::NotServing };
        set_status(health, name, status).await;
    }
}

/// Sets all services to `NOT_SERVING` for shutdown, and ends the streams of watching clients, which would otherwise delay the
/// drain until its timeout.
pub(super) async fn shut_down(health: &HealthReporter) {
    set_all(health, ServingStatus::NotServing).await;
    let mut health = health.clone();
    for name in service_names() {
        health.clear_service_status(name).await;
    }
    // For clients that check rather than watch.
    set_all(&health, ServingStatus::NotServing).await;
}

/// Returns the health service.
pub(super) fn service(health: &HealthReporter) -> HealthServer<impl Health> {
    HealthServer::new(HealthService::from_health_reporter(health.clone()))
}

/// Serves only the health service, until the returned task is dropped.
///
/// # Errors
/// If the address cannot be bound.
pub(super) async fn serve_separately(
    address: SocketAddr,
    health: &HealthReporter,
) -> std::io::Result<(SocketAddr, JoinSet<()>)> {
    let listener = TcpListener::bind(address).await?;
    let local_addr = listener.local_addr()?;
    let limits = ConnectionLimits {
        connections_max: CONNECTIONS_MAX,
        streams_per_connection_max: STREAMS_MAX,
        ..ConnectionLimits::default()
    };
    let incoming = accept(listener, limits.clone(), None);
    let router = transport(&limits)
        .max_connection_age(limits.connection_age_max)
        .layer(call_layers(&CallLimits::default(), None, DetachedCalls::default()))
        .add_service(service(health));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        if let Err(error) = router.serve_with_incoming(incoming).await {
            tracing::error!(%error, "serving the health port failed");
        }
    });
    Ok((local_addr, serving))
}
