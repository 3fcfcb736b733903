//! Explicit offers: `CatalogService`, and their use in decisions.

use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::create_policy_request::Source;
use tactful::grpc::generated::tactful::v1::explain_decision_request::About;
use tactful::grpc::generated::tactful::v1::{
    ActivatePolicyRequest, BatchUpsertCustomersRequest, BatchUpsertOffersRequest, BatchUpsertProductsRequest,
    CreatePolicyRequest, CrossSellOffer, CrossSellRequest, CustomerProfile, DeleteOfferRequest, EntryResult,
    ExplainDecisionRequest, ExplicitOffer, GetOfferRequest, ListOffersRequest, Money, OfferKind, Product,
    ReleaseOffersRequest, ServingMode, UpSellRequest, Warning, WhatIf,
};
use tonic::Code;

use super::faults::{bad_fields, entry_refusal, is_ok, kind, refusal};
use super::harness::TestServer;
use super::shop::{in_future, now, open_shop};
use crate::support::wire_shop::{cross_sell, gbp, product, up_sell};

const ATTRIBUTES: &str = "version = 'attributes'\n[conditions]\nattributes = { segment = 'text', age = 'number' }\n";

/// An offer of the big toaster, to which Ada could upgrade.
fn sale(id: &str) -> ExplicitOffer {
    ExplicitOffer {
        offer_id: id.into(),
        product_id: "big-toaster".into(),
        price: Some(gbp(45)),
        ..ExplicitOffer::default()
    }
}

async fn upsert(shop: &TestServer, offers: Vec<ExplicitOffer>) -> Vec<EntryResult> {
    let request = BatchUpsertOffersRequest { offers };
    shop.catalog().batch_upsert_offers(request).await.expect("answers").into_inner().results
}

async fn put(shop: &TestServer, offers: Vec<ExplicitOffer>) {
    let results = upsert(shop, offers).await;
    assert!(results.iter().all(is_ok), "{results:?}");
}

/// The offer of the big toaster that a customer who has the small one in the basket gets, under a request of its own.
async fn up_sold(shop: &TestServer, customer: &str, channel: &str) -> (String, i64) {
    let owned_product_ids = vec!["small-toaster".into()];
    let mode = ServingMode::Preview.into();
    let request = UpSellRequest { owned_product_ids, channel: channel.into(), mode, ..up_sell(customer) };
    let answer = shop.offers().up_sell(request).await.expect("answers").into_inner();
    let offer = answer.offers.into_iter().find(|offer| offer.product_id == "big-toaster").expect("offered");
    (offer.offer_id, offer.price.expect("a price").units)
}

async fn declare_attributes(shop: &TestServer) {
    let request = CreatePolicyRequest { source: Some(Source::Toml(ATTRIBUTES.to_owned())), validate_only: false };
    shop.policies().create_policy(request).await.expect("stored");
    shop.policies().activate_policy(ActivatePolicyRequest { version: "attributes".into() }).await.expect("activates");
}

/// At the catalogue's price.
fn implicit() -> (String, i64) {
    ("product/big-toaster".into(), 60)
}

/// At the price of a sale.
fn explicit(id: &str) -> (String, i64) {
    (id.into(), 45)
}

#[tokio::test]
async fn an_offer_is_made_under_its_terms_where_they_apply() {
    let shop = open_shop().await;
    assert_eq!(up_sold(&shop, "eve", "").await, implicit());
    put(&shop, vec![ExplicitOffer { channels: vec!["web".into()], ..sale("web-sale") }]).await;
    assert_eq!(up_sold(&shop, "eve", "").await, implicit());
    assert_eq!(up_sold(&shop, "eve", "email").await, implicit());
    assert_eq!(up_sold(&shop, "eve", "web").await, explicit("web-sale"));

    // Validity, to the millisecond.
    let (from, until) = (in_future(&shop.clock, DAY), in_future(&shop.clock, DAY * 2));
    let dated = ExplicitOffer { valid_from: Some(from), valid_until: Some(until), ..sale("dated") };
    put(&shop, vec![dated]).await;
    let ms = std::time::Duration::from_millis(1);
    shop.clock.advance(DAY.saturating_sub(ms));
    assert_eq!(up_sold(&shop, "eve", "").await, implicit());
    shop.clock.advance(ms);
    assert_eq!(up_sold(&shop, "eve", "").await, explicit("dated"));
    shop.clock.advance(DAY);
    assert_eq!(up_sold(&shop, "eve", "").await, implicit());

    // Of several offers, the one with the highest lever, then the cheapest; only for its kind of request.
    let lever = |id: &str, lever| ExplicitOffer { lever: Some(lever), ..sale(id) };
    let cheap = ExplicitOffer { price: Some(gbp(40)), ..sale("cheap") };
    let elsewhere = ExplicitOffer { kind: OfferKind::CrossSell.into(), ..lever("elsewhere", 9.0) };
    put(&shop, vec![sale("plain"), cheap, elsewhere]).await;
    assert_eq!(up_sold(&shop, "eve", "").await, ("cheap".into(), 40));
    put(&shop, vec![lever("first", 2.0)]).await;
    assert_eq!(up_sold(&shop, "eve", "").await, explicit("first"));
    let gone = DeleteOfferRequest { offer_id: "first".into() };
    shop.catalog().delete_offer(gone.clone()).await.expect("deletes");
    assert_eq!(up_sold(&shop, "eve", "").await, ("cheap".into(), 40));
    let missing = refusal(shop.catalog().delete_offer(gone).await);
    assert_eq!(kind(&missing), (Code::NotFound, "OFFER_NOT_FOUND".into()));
}

/// Broken by: a condition that holds for a customer who lacks the attribute.
#[tokio::test]
async fn conditions_ask_for_declared_attributes() {
    let shop = open_shop().await;
    let gold = ExplicitOffer { condition: "segment == 'gold' && age >= 30".into(), ..sale("gold") };
    let undeclared = upsert(&shop, vec![gold.clone()]).await;
    assert_eq!(bad_fields(&entry_refusal(&undeclared[0])), ["offers[0].condition"]);
    declare_attributes(&shop).await;
    put(&shop, vec![gold]).await;
    for (name, attributes) in [
        ("gil", vec![("segment", "gold"), ("age", "30")]),
        ("kim", vec![("segment", "gold"), ("age", "29")]),
        ("lee", vec![("segment", "gold")]),
    ] {
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let customer = CustomerProfile { customer_id: name.into(), attributes, ..CustomerProfile::default() };
        let request = BatchUpsertCustomersRequest { customers: vec![customer] };
        shop.customers().batch_upsert_customers(request).await.expect("upserts");
    }
    assert_eq!(up_sold(&shop, "gil", "").await, explicit("gold"));
    for name in ["kim", "lee", "eve"] {
        assert_eq!(up_sold(&shop, name, "").await, implicit(), "{name}");
    }
    // The response gives the reason, and what would change it.
    let about = Some(About::WhatIf(WhatIf {
        kind: OfferKind::UpSell.into(),
        product_id: "big-toaster".into(),
        product_ids: vec!["small-toaster".into()],
        ..WhatIf::default()
    }));
    let request = ExplainDecisionRequest { customer_id: "kim".into(), about };
    let explained = shop.offers().explain_decision(request).await.expect("explains").into_inner();
    let reasons: Vec<(&str, &str)> =
        explained.candidates.iter().map(|it| (it.offer_id.as_str(), it.rule.as_str())).collect();
    assert_eq!(reasons, [("", ""), ("gold", "offer_condition_unmet")]);
}

/// Upserts and activations answer with warnings about valid settings that are probably a mistake; nothing is refused.
/// Broken by: an answer without the lint; a lint that sees the catalogue from before the upsert.
#[tokio::test]
async fn mistakes_that_are_valid_are_answered_with_warnings() {
    let shop = open_shop().await;
    let codes = |warnings: Vec<Warning>| -> Vec<(String, String)> {
        warnings.into_iter().map(|warning| (warning.code, warning.subject)).collect()
    };
    let found = |code: &str, subject: &str| (code.to_owned(), subject.to_owned());
    let circle = vec![
        Product { requires: vec!["lid".into()], ..product("pot") },
        Product { requires: vec!["pot".into()], ladder: "lids".into(), tier: 1, ..product("lid") },
        Product { ladder: "lids".into(), tier: 1, excludes: vec!["ghost".into()], ..product("cover") },
    ];
    let request = BatchUpsertProductsRequest { products: circle };
    let answer = shop.catalog().batch_upsert_products(request).await.expect("answers").into_inner();
    let expected =
        [found("UNKNOWN_RELATED_PRODUCT", "cover"), found("REQUIRES_CYCLE", "lid"), found("DUPLICATE_RUNG", "lids")];
    assert_eq!(codes(answer.warnings), expected);

    let request = BatchUpsertOffersRequest { offers: vec![ExplicitOffer { price: Some(gbp(61)), ..sale("dear") }] };
    let answer = shop.catalog().batch_upsert_offers(request).await.expect("answers").into_inner();
    let [warning] = answer.warnings.as_slice() else { panic!("one warning: {:?}", answer.warnings) };
    assert_eq!(warning.code, "OFFER_PRICE_ABOVE_LIST_PRICE");
    assert_eq!(warning.message, "dear costs 61.00 GBP, more than the price of the product, 60.00 GBP");

    declare_attributes(&shop).await;
    put(&shop, vec![ExplicitOffer { condition: "age >= 30".into(), ..sale("thirty") }]).await;
    let other = "version = 'other'\n[contact.rules]\nonly_after = [['lid', 'spoon']]\n";
    let request = CreatePolicyRequest { source: Some(Source::Toml(other.to_owned())), validate_only: true };
    let expected = [
        found("UNKNOWN_PRODUCT_IN_POLICY", "contact.rules.only_after"),
        found("UNUSABLE_CONDITION", "thirty"),
        found("REQUIRES_CYCLE", "lid"),
    ];
    let answer = shop.policies().create_policy(request.clone()).await.expect("valid").into_inner();
    assert_eq!(codes(answer.warnings), expected);
    let request = CreatePolicyRequest { validate_only: false, ..request };
    shop.policies().create_policy(request).await.expect("stored");
    let request = ActivatePolicyRequest { version: "other".into() };
    let answer = shop.policies().activate_policy(request).await.expect("activates").into_inner();
    assert_eq!(codes(answer.warnings), expected);
}

/// A policy that declares an attribute otherwise makes conditions invalid; the policy before makes them valid again.
/// Broken by: conditions that are compiled under the policy of the moment when the offers were published last.
#[tokio::test]
async fn a_condition_that_the_policy_makes_invalid_applies_to_no_customer() {
    let shop = open_shop().await;
    declare_attributes(&shop).await;
    put(&shop, vec![ExplicitOffer { condition: "age >= 30".into(), ..sale("thirty") }]).await;
    let attributes = [("age".to_owned(), "30".to_owned())].into();
    let customer = CustomerProfile { customer_id: "gil".into(), attributes, ..CustomerProfile::default() };
    let request = BatchUpsertCustomersRequest { customers: vec![customer] };
    shop.customers().batch_upsert_customers(request).await.expect("upserts");
    assert_eq!(up_sold(&shop, "gil", "").await, explicit("thirty"));

    let other = ATTRIBUTES.replace("'attributes'", "'other'").replace("'number'", "'text'");
    let request = CreatePolicyRequest { source: Some(Source::Toml(other)), validate_only: false };
    shop.policies().create_policy(request).await.expect("stored");
    shop.policies().activate_policy(ActivatePolicyRequest { version: "other".into() }).await.expect("activates");
    assert_eq!(up_sold(&shop, "gil", "").await, implicit());
    // Publishes all offers under this policy.
    put(&shop, vec![ExplicitOffer { condition: "age == '30'".into(), channels: vec!["web".into()], ..sale("web") }])
        .await;
    assert_eq!(up_sold(&shop, "gil", "web").await, explicit("web"));

    shop.policies().activate_policy(ActivatePolicyRequest { version: "attributes".into() }).await.expect("activates");
    assert_eq!(up_sold(&shop, "gil", "web").await, explicit("thirty"));
}

#[tokio::test]
async fn an_open_offer_is_served_again_under_its_own_terms_or_not_at_all() {
    let shop = open_shop().await;
    let until = in_future(&shop.clock, DAY * 3);
    let teapot = ExplicitOffer {
        offer_id: "teapot-week".into(),
        product_id: "teapot".into(),
        valid_until: Some(until),
        volume_cap: Some(1),
        ..ExplicitOffer::default()
    };
    put(&shop, vec![teapot]).await;
    let request = |exclude: &[&str]| CrossSellRequest {
        exclude_product_ids: exclude.iter().map(|it| (*it).to_owned()).collect(),
        ..cross_sell("ada")
    };
    let ask = async |customer: CrossSellRequest| -> Option<CrossSellOffer> {
        let answer = shop.offers().cross_sell(customer).await.expect("answers").into_inner();
        answer.offers.into_iter().find(|offer| offer.product_id == "teapot")
    };
    let others = ["infuser", "descaler", "tea", "mug"];
    let first = ask(request(&others)).await.expect("offered");
    assert_eq!((first.offer_id.as_str(), first.valid_until), ("teapot-week", Some(until)));
    let used = async || {
        let request = GetOfferRequest { offer_id: "teapot-week".into() };
        shop.catalog().get_offer(request).await.expect("found").into_inner().offer.expect("set").volume_used
    };
    assert_eq!(used().await, 1);
    // A better offer is added, and the volume is used up: the open offer is still served.
    let better = ExplicitOffer {
        offer_id: "better".into(),
        product_id: "teapot".into(),
        lever: Some(5.0),
        ..ExplicitOffer::default()
    };
    put(&shop, vec![better]).await;
    let again = ask(request(&others)).await.expect("offered");
    assert_eq!((again.offer_id.as_str(), again.already_granted), ("teapot-week", true));
    assert_eq!(used().await, 1);
    shop.clock.advance(DAY * 3);
    assert_eq!(ask(request(&others)).await, None, "its terms ended while it was open");
}

#[tokio::test]
async fn a_released_offer_releases_its_volume() {
    let shop = open_shop().await;
    put(&shop, vec![ExplicitOffer { volume_cap: Some(1), ..sale("one") }]).await;
    let answer = shop.offers().up_sell(up_sell("ada")).await.expect("answers").into_inner();
    assert_eq!(answer.offers[0].offer_id, "one");
    let owner = UpSellRequest { owned_product_ids: vec!["small-toaster".into()], ..up_sell("eve") };
    let other = shop.offers().up_sell(owner.clone()).await.expect("answers").into_inner();
    assert_eq!(other.offers[0].offer_id, "product/big-toaster");
    let request =
        ReleaseOffersRequest { customer_id: "ada".into(), decision_id: answer.decision_id, ..Default::default() };
    shop.offers().release_offers(request).await.expect("released");
    let owner = UpSellRequest { customer_id: "kim".into(), ..owner };
    let third = shop.offers().up_sell(owner).await.expect("answers").into_inner();
    assert_eq!(third.offers[0].offer_id, "one");
}

#[tokio::test]
async fn bad_offers_name_every_bad_field_and_the_list_is_paged() {
    let shop = open_shop().await;
    let bad = ExplicitOffer {
        offer_id: "product/x".into(),
        kind: 77,
        price: Some(gbp(-1)),
        valid_from: Some(now(&shop.clock)),
        valid_until: Some(now(&shop.clock)),
        channels: vec![String::new()],
        lever: Some(f64::NAN),
        volume_cap: Some(u64::MAX),
        condition: "x".repeat(600),
        ..ExplicitOffer::default()
    };
    let euros = Money { currency_code: "EUR".into(), ..gbp(1) };
    let foreign = ExplicitOffer { price: Some(euros), ..sale("foreign") };
    let unknown = ExplicitOffer { product_id: "nothing".into(), ..sale("unknown") };
    let good: Vec<ExplicitOffer> = (0..5).map(|number| sale(&format!("sale-{number}"))).collect();
    let results = upsert(&shop, [vec![bad, foreign, unknown], good].concat()).await;
    let names =
        ["offer_id", "product_id", "kind", "price", "valid_until", "channels[0]", "lever", "volume_cap", "condition"];
    let mut found = bad_fields(&entry_refusal(&results[0]));
    found.sort();
    let mut expected = names.map(|name| format!("offers[0].{name}"));
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(bad_fields(&entry_refusal(&results[1])), ["offers[1].price"]);
    assert_eq!(bad_fields(&entry_refusal(&results[2])), ["offers[2].product_id"]);
    assert!(results[3..].iter().all(is_ok));

    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListOffersRequest { page_size: 2, page_token };
        let page = shop.catalog().list_offers(request).await.expect("lists").into_inner();
        seen.extend(page.offers.into_iter().map(|offer| offer.offer_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["sale-0", "sale-1", "sale-2", "sale-3", "sale-4"]);
    let request = ListOffersRequest { page_size: -1, page_token: "x".into() };
    assert_eq!(bad_fields(&refusal(shop.catalog().list_offers(request).await)), ["page_size", "page_token"]);
}
