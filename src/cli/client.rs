//! Calls a running server, and tells in one line what it refused.

use std::time::Duration;

use clap::Args;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::failure::Failure;
use crate::grpc::generated::tactful::v1 as wire;

/// Which server to ask.
#[derive(Debug, Args)]
pub struct ServerAddress {
    /// The server to ask
    #[arg(long, env = "TACTFUL_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    server: String,
}

impl ServerAddress {
    /// Connects, or says that nobody answers.
    pub async fn connect(&self) -> Result<Channel, Failure> {
        let url = if self.server.contains("://") { self.server.clone() } else { format!("http://{}", self.server) };
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|_| Failure(format!("{:?} is not a URL such as http://127.0.0.1:50051", self.server)))?;
        let connected = endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true).connect().await;
        connected.map_err(|_| {
            Failure(format!(
                "no server answers at {url}; start one with `tactful serve`, or name another with --server"
            ))
        })
    }
}

/// What the server refused, every bad field named.
#[must_use]
pub fn refused(status: &Status) -> Failure {
    let details = status.get_error_details();
    let fields = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    if fields.is_empty() {
        let what = if status.code() == Code::Unavailable {
            "the server cannot answer now".to_owned()
        } else {
            format!("{:?}", status.code())
        };
        return Failure(format!("{what}: {}", status.message()));
    }
    let told: Vec<String> = fields.iter().map(|fault| format!("{}: {}", fault.field, fault.description)).collect();
    Failure(told.join("\n       "))
}

/// A moment as RFC 3339; a dash for none.
#[must_use]
pub fn time_text(at: Option<&prost_types::Timestamp>) -> String {
    let Some(at) = at else { return "-".to_owned() };
    let read = jiff::Timestamp::new(at.seconds, at.nanos);
    read.map_or_else(|_| "?".to_owned(), |at| at.round(jiff::Unit::Second).unwrap_or(at).to_string())
}

/// An amount as people write it; a dash for none.
#[must_use]
pub fn money_text(money: Option<&wire::Money>) -> String {
    let Some(money) = money else { return "-".to_owned() };
    let currency = crate::domain::money::Currency::new(&money.currency_code).ok();
    let read = currency.and_then(|currency| crate::domain::money::Money::new(currency, money.units, money.nanos).ok());
    read.map_or_else(|| "?".to_owned(), |money| money.to_string())
}

/// A name of an enum of the wire in words: `CAP_KIND_UP_SELL` becomes `up-sell`.
#[must_use]
pub fn words(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', "-")
}
