//! The built-in demo: its files, the loading of them, and calls to try.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{anyhow, bail};

use super::output::outln;
use crate::domain::event::Event;
use crate::ingest::mapping::Mapping;
use crate::ingest::row_outcome::{CustomerProfile, RowOutcome};
use crate::ingest::row_reader::{self, RowReader};
use crate::ingest::source::RowSource;
use crate::use_cases::app::App;
use crate::use_cases::catalog::{publish_catalog, upsert_products};
use crate::use_cases::customers::{ConsentsChange, ProfileUpdate, upsert_customers};
use crate::use_cases::record_events::record_events;
use crate::use_cases::train_model::train_model;

const PRODUCTS: &[u8] = include_bytes!("../../demo/products.csv");
const CUSTOMERS: &[u8] = include_bytes!("../../demo/customers.csv");
/// Compressed by the build script.
const EVENTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo_events.csv.gz"));

/// Loads the demo and trains on it. Times in the demo are relative to now.
pub async fn load(app: &Arc<App>) -> anyhow::Result<()> {
    let now = app.now();
    let days_ago = Mapping::from_toml("[time]\nformat = \"days_ago\"")
        .map_err(|faults| anyhow!(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let products = accepted(row_reader::read_products(source("products.csv", PRODUCTS)?, &Mapping::canonical(), now)?)?;
    upsert_products(app, &products).await?;
    publish_catalog(app).await?;

    let customers =
        accepted(row_reader::read_customers(source("customers.csv", CUSTOMERS)?, &Mapping::canonical(), now)?)?;
    let profiles: Vec<ProfileUpdate> = customers
        .into_iter()
        .map(|CustomerProfile { id, attributes, consents }| {
            let consents = consents.map(ConsentsChange::Add);
            ProfileUpdate { customer: id, attributes, consents }
        })
        .collect();
    upsert_customers(app, &profiles).await?;

    let mut events: Vec<Event> = accepted(row_reader::read_events(source("events.csv", EVENTS)?, &days_ago, now)?)?;
    events.sort_by_key(|event| event.at);
    record_events(app, &events).await?;
    train_model(app).await?;
    Ok(())
}

fn source(name: &str, content: &'static [u8]) -> anyhow::Result<RowSource> {
    Ok(RowSource::from_reader(&format!("demo/{name}"), Cursor::new(content), Some(content.len() as u64))?)
}

/// Collects all rows. The demo has no invalid ones, so the first is an error.
fn accepted<T>(rows: RowReader<T>) -> anyhow::Result<Vec<T>> {
    let mut accepted = Vec::new();
    for row in rows {
        match row? {
            RowOutcome::Accepted { line: _, value } => accepted.push(value),
            RowOutcome::Filtered { line: _ } => {}
            RowOutcome::Rejected(rejected_row) => bail!("{rejected_row}"),
        }
    }
    Ok(accepted)
}

/// Call to try.
#[derive(Debug, Clone, Copy)]
pub struct DemoCall {
    /// Sentence that says what the call demonstrates.
    pub description: &'static str,
    /// Full name of the method: service and method.
    pub method: &'static str,
    /// The request message as JSON.
    pub body: &'static str,
}

/// Calls to try: previews, which change nothing, and then a call that reserves, which is safe to repeat because of its
/// `request_id`. They return the same answers in any order, however often they are repeated.
pub const CALLS: &[DemoCall] = &[
    DemoCall {
        description: "Cross-sell to a customer with a telephone line: voice mail and other add-ons.",
        method: "tactful.v1.OfferService/CrossSell",
        body: r#"{"customer_id":"ada-local-line","mode":"SERVING_MODE_PREVIEW"}"#,
    },
    DemoCall {
        description: "Up-sell from a two-slot toaster: a four-slot one.",
        method: "tactful.v1.OfferService/UpSell",
        body: r#"{"customer_id":"tom-two-slot","mode":"SERVING_MODE_PREVIEW"}"#,
    },
    DemoCall {
        description: "A customer with an open complaint: no offers, the reason, and the date from which offers are possible again.",
        method: "tactful.v1.OfferService/CrossSell",
        body: r#"{"customer_id":"cora-complaint","mode":"SERVING_MODE_PREVIEW"}"#,
    },
    DemoCall {
        description: "The relationship health of that customer.",
        method: "tactful.v1.RelationshipService/GetRelationshipHealth",
        body: r#"{"customer_id":"cora-complaint"}"#,
    },
    DemoCall {
        description: "Cross-sell to a basket.",
        method: "tactful.v1.OfferService/CrossSell",
        body: r#"{"customer_id":"newt-new","context_product_ids":["toaster-two-slot"],"mode":"SERVING_MODE_PREVIEW"}"#,
    },
    DemoCall {
        description: "A bigger plan for a customer who uses nearly all of the smaller one.",
        method: "tactful.v1.OfferService/UpSell",
        body: r#"{"customer_id":"uma-usage","mode":"SERVING_MODE_PREVIEW"}"#,
    },
    DemoCall {
        description: "Offers that are reserved: they count against the caps. The request_id makes the call safe to repeat.",
        method: "tactful.v1.OfferService/CrossSell",
        body: r#"{"customer_id":"gus-guarded","request_id":"6f1c1f0e-6a0b-4d6c-9d6e-0d2b8a1f4c11"}"#,
    },
];

/// Prints [`CALLS`] for grpcurl.
pub fn print_calls(address: SocketAddr) {
    outln!("Serving the demo on {address}. Calls to try, in any order and as often as you like:\n");
    for DemoCall { description, method, body } in CALLS {
        outln!("# {description}\ngrpcurl -plaintext -d '{body}' {address} {method}\n");
    }
}
