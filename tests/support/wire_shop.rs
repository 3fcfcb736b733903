//! Wire messages of a small shop: products, events and offer requests.

use prost_types::Timestamp;
use tactful::grpc::generated::tactful::v1::catalog_service_client::CatalogServiceClient;
use tactful::grpc::generated::tactful::v1::{
    BatchUpsertProductsRequest, CrossSellRequest, CustomerEvent, EventKind, Money, Product, ServingMode, UpSellRequest,
};
use tonic::transport::Channel;

pub fn gbp(units: i64) -> Money {
    Money { currency_code: "GBP".into(), units, nanos: 0 }
}

pub fn product(id: &str) -> Product {
    Product { product_id: id.into(), title: format!("The {id}"), ..Product::default() }
}

pub fn complement(id: &str, of: &str) -> Product {
    Product { compatible_with: vec![of.into()], ..product(id) }
}

pub fn on_ladder(ladder: &str, tier: u32, product: Product) -> Product {
    Product { ladder: ladder.into(), tier, ..product }
}

pub async fn upsert_products(channel: Channel, products: Vec<Product>) {
    let request = BatchUpsertProductsRequest { products };
    CatalogServiceClient::new(channel).batch_upsert_products(request).await.expect("upserts");
}

pub fn event(id: &str, customer: &str, kind: EventKind, at: Timestamp) -> CustomerEvent {
    CustomerEvent {
        event_id: id.into(),
        customer_id: customer.into(),
        kind: kind.into(),
        event_time: Some(at),
        ..CustomerEvent::default()
    }
}

pub fn purchase(id: &str, customer: &str, product: &str, at: Timestamp) -> CustomerEvent {
    CustomerEvent { product_id: product.into(), ..event(id, customer, EventKind::Purchase, at) }
}

pub fn complaint(id: &str, customer: &str, case: &str, at: Timestamp) -> CustomerEvent {
    CustomerEvent { case_id: case.into(), severity: Some(2), ..event(id, customer, EventKind::Complaint, at) }
}

pub fn cross_sell(customer: &str) -> CrossSellRequest {
    CrossSellRequest { customer_id: customer.into(), ..CrossSellRequest::default() }
}

pub fn up_sell(customer: &str) -> UpSellRequest {
    UpSellRequest { customer_id: customer.into(), ..UpSellRequest::default() }
}

pub fn preview(customer: &str) -> CrossSellRequest {
    CrossSellRequest { mode: ServingMode::Preview.into(), ..cross_sell(customer) }
}
