//! `CatalogService`.

use tactful::grpc::generated::tactful::v1 as wire;
use tonic::Code;

use crate::harness::{
    Api, HandClock, bad_fields, bought, entry_status, feature, on_disk, product, reason, up_sell, usd, written,
};

fn full_product() -> wire::Product {
    wire::Product {
        category: vec!["Kitchen".to_owned(), "Toast".to_owned()],
        price: Some(usd(60)),
        margin: Some(usd(20)),
        ladder: "toasters".to_owned(),
        tier: 2,
        features: [("slots".to_owned(), feature(4.0))].into(),
        requires: vec!["kitchen".to_owned()],
        excludes: vec!["grill".to_owned()],
        compatible_with: vec!["bread".to_owned()],
        repeatable: true,
        available_from: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        available_until: Some(prost_types::Timestamp { seconds: 2, nanos: 0 }),
        attributes: [("colour".to_owned(), "red".to_owned())].into(),
        ..product("toaster", "Toaster")
    }
}

async fn get(api: &Api, id: &str) -> Result<wire::Product, tonic::Status> {
    let request = wire::GetProductRequest { product_id: id.to_owned() };
    let answer = api.catalog().get_product(request).await?.into_inner();
    Ok(answer.product.expect("a product"))
}

async fn upsert(api: &Api, products: Vec<wire::Product>) -> Vec<wire::EntryResult> {
    let request = wire::BatchUpsertProductsRequest { products };
    api.catalog().batch_upsert_products(request).await.expect("an answer").into_inner().results
}

#[tokio::test]
async fn a_product_is_read_back_as_it_was_written_also_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let api = Api::start_with(on_disk(directory.path()), HandClock::new()).await;
    upsert(&api, vec![full_product()]).await;
    assert_eq!(get(&api, "toaster").await.expect("known"), full_product());
    api.stop().await.expect("stops");
    let api = Api::start_with(on_disk(directory.path()), HandClock::new()).await;
    assert_eq!(get(&api, "toaster").await.expect("known"), full_product());
    api.stop().await.expect("stops");
}

#[tokio::test]
async fn an_unchanged_product_is_a_duplicate_and_a_bad_one_is_told() {
    let api = Api::start_with(written(), HandClock::new()).await;
    let results = upsert(&api, vec![product("a", "A"), product("b", ""), product("c", "C")]).await;
    assert_eq!(bad_fields(&entry_status(&results[1])), ["products[1].title"]);
    let again = upsert(&api, vec![product("a", "A"), product("c", "Changed")]).await;
    assert_eq!([again[0].duplicate, again[1].duplicate], [true, false]);
    assert_eq!(get(&api, "c").await.expect("known").title, "Changed");
}

#[tokio::test]
async fn pages_hold_every_product_once() {
    let api = Api::start_with(written(), HandClock::new()).await;
    let products = (0..250).map(|number| product(&format!("p{number:03}"), "P")).collect();
    upsert(&api, products).await;
    let mut request = wire::ListProductsRequest { page_size: 60, page_token: String::new() };
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        let page = api.catalog().list_products(request.clone()).await.expect("a page").into_inner();
        ids.extend(page.products.into_iter().map(|product| product.product_id));
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!((pages, ids.len()), (5, 250));
    assert!(ids.is_sorted());
    let unset = api.catalog().list_products(wire::ListProductsRequest::default()).await.expect("a page").into_inner();
    assert_eq!(unset.products.len(), 100);
}

#[tokio::test]
async fn a_deleted_product_is_gone_and_not_offered() {
    let api = Api::start().await;
    api.record(vec![bought("b", "bob", "two-slot", 5)]).await;
    let delete = wire::DeleteProductRequest { product_id: "four-slot".to_owned() };
    api.catalog().delete_product(delete.clone()).await.expect("deleted");
    let gone = get(&api, "four-slot").await.expect_err("gone");
    assert_eq!((gone.code(), reason(&gone).as_str()), (Code::NotFound, "PRODUCT_NOT_FOUND"));
    assert_eq!(api.catalog().delete_product(delete).await.expect_err("gone").code(), Code::NotFound);
    let answer = api.offers().up_sell(up_sell("bob")).await.expect("an answer").into_inner();
    assert!(answer.offers.is_empty());
}

#[tokio::test]
async fn a_stream_of_products_is_tallied() {
    let api = Api::start_with(written(), HandClock::new()).await;
    let part = |products| wire::StreamProductsRequest { products };
    let parts = [
        part(vec![product("a", "A"), product("b", "B")]),
        part(Vec::new()),
        part(vec![product("a", "A"), product("", "nameless")]),
    ];
    let tally = api.catalog().stream_products(tokio_stream::iter(parts)).await.expect("an answer").into_inner();
    assert_eq!((tally.upserted, tally.unchanged, tally.rejected), (2, 1, 1));
    assert_eq!(tally.rejections[0].index, 3);
    assert_eq!(get(&api, "b").await.expect("served at once").title, "B");
}
