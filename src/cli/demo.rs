//! The built-in demo: its files, how they get into a server, and calls to try.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;

use super::failure::Failure;
use super::say::say;
use crate::domain::event::Event;
use crate::ingest::mapping::Mapping;
use crate::ingest::read::{self, Rows};
use crate::ingest::row::{CustomerProfile, Row};
use crate::ingest::source::Source;
use crate::use_cases::app::App;
use crate::use_cases::catalog::{publish_catalog, upsert_products};
use crate::use_cases::customers::{ProfileUpdate, upsert_customers};
use crate::use_cases::record_events::record_events;
use crate::use_cases::train_model::train_model;

const PRODUCTS: &[u8] = include_bytes!("../../demo/products.csv");
const CUSTOMERS: &[u8] = include_bytes!("../../demo/customers.csv");
/// Packed by the build script.
const EVENTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo_events.csv.gz"));

/// Loads the demo and trains on it. Times of the demo count back from now.
pub async fn load(app: &Arc<App>) -> Result<(), Failure> {
    let now = app.now();
    let days_ago = Mapping::from_toml("[time]\nformat = \"days_ago\"")
        .map_err(|faults| Failure(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let products = accepted(read::products(source("products.csv", PRODUCTS)?, &Mapping::canonical(), now)?)?;
    upsert_products(app, &products).await?;
    publish_catalog(app).await?;

    let customers = accepted(read::customers(source("customers.csv", CUSTOMERS)?, &Mapping::canonical(), now)?)?;
    let profiles: Vec<ProfileUpdate> = customers
        .into_iter()
        .map(|CustomerProfile { id, attributes }| ProfileUpdate { customer: id, attributes, consents: None })
        .collect();
    upsert_customers(app, &profiles).await?;

    let mut events: Vec<Event> = accepted(read::events(source("events.csv", EVENTS)?, &days_ago, now)?)?;
    events.sort_by_key(|event| event.at);
    record_events(app, &events).await?;
    train_model(app).await?;
    Ok(())
}

fn source(name: &str, content: &'static [u8]) -> Result<Source, Failure> {
    Ok(Source::from_reader(&format!("demo/{name}"), Cursor::new(content), Some(content.len() as u64))?)
}

/// Every row; the demo has no bad ones, so the first is a mistake of ours.
fn accepted<T>(rows: Rows<T>) -> Result<Vec<T>, Failure> {
    let mut accepted = Vec::new();
    for row in rows {
        match row? {
            Row::Accepted { line: _, value } => accepted.push(value),
            Row::Filtered { line: _ } => {}
            Row::Rejected(rejection) => return Err(Failure(rejection.to_string())),
        }
    }
    Ok(accepted)
}

/// A call to try.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// What it shows.
    pub shows: &'static str,
    /// Service and method.
    pub method: &'static str,
    /// The request in JSON.
    pub body: &'static str,
}

/// Calls to try: previews first, which change nothing, and one reserve last, which its `request_id` makes safe to
/// repeat. In any order and however often, they answer alike.
pub const CALLS: &[Call] = &[
    Call {
        shows: "What goes with a telephone line: voice mail and its kin.",
        method: "tactful.v1.OfferService/CrossSell",
        body: r#"{"customer_id":"ada-local-line","mode":"SERVING_MODE_PREVIEW"}"#,
    },
    Call {
        shows: "What is better than a two-slot toaster: four slots.",
        method: "tactful.v1.OfferService/UpSell",
        body: r#"{"customer_id":"tom-two-slot","mode":"SERVING_MODE_PREVIEW"}"#,
    },
    Call {
        shows: "A customer with an open complaint: nothing, and why, and until when.",
        method: "tactful.v1.OfferService/CrossSell",
        body: r#"{"customer_id":"cora-complaint","mode":"SERVING_MODE_PREVIEW"}"#,
    },
    Call {
        shows: "How that relationship stands.",
        method: "tactful.v1.RelationshipService/GetRelationshipHealth",
        body: r#"{"customer_id":"cora-complaint"}"#,
    },
    Call {
        shows: "What goes with what is in the basket now.",
        method: "tactful.v1.OfferService/CrossSell",
        body: r#"{"customer_id":"newt-new","context_product_ids":["toaster-two-slot"],"mode":"SERVING_MODE_PREVIEW"}"#,
    },
    Call {
        shows: "A bigger plan for a customer who has used nearly all of the smaller one.",
        method: "tactful.v1.OfferService/UpSell",
        body: r#"{"customer_id":"uma-usage","mode":"SERVING_MODE_PREVIEW"}"#,
    },
    Call {
        shows: "For good: these offers count against the caps. The request_id makes the call safe to repeat.",
        method: "tactful.v1.OfferService/CrossSell",
        body: r#"{"customer_id":"gus-guarded","request_id":"6f1c1f0e-6a0b-4d6c-9d6e-0d2b8a1f4c11"}"#,
    },
];

/// Prints [`CALLS`] for grpcurl.
pub fn print_calls(address: SocketAddr) {
    say!("Serving the demo on {address}. Calls to try, in any order and as often as you like:\n");
    for Call { shows, method, body } in CALLS {
        say!("# {shows}\ngrpcurl -plaintext -d '{body}' {address} {method}\n");
    }
}
