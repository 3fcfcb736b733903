//! Channels and consents through the API: opt-outs hold in every spelling, an unknown channel is refused, and an activation
//! drops no channel that is in use.

use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::create_policy_request::Source;
use tactful::grpc::generated::tactful::v1::explain_decision_request::About;
use tactful::grpc::generated::tactful::v1::simulate_policy_request::Source as SimulateSource;
use tactful::grpc::generated::tactful::v1::{
    ActivatePolicyRequest, BatchCrossSellRequest, BatchUpsertCustomersRequest, BatchUpsertOffersRequest, CapKind,
    ChannelConsent, ConsentKind, Consents, ConsentsUpdate, CreatePolicyRequest, CrossSellRequest, CrossSellResponse,
    CustomerProfile, EntryResult, ExplainDecisionRequest, ExplicitOffer, OfferKind, RollBackPolicyRequest,
    SimulatePolicyRequest, WhatIf,
};
use tonic::Code;

use super::faults::{bad_fields, entry_refusal, is_ok, kind, refusal};
use super::harness::TestServer;
use super::shop::{in_future, now, open_shop, stored_customer};
use crate::support::wire_shop::{cross_sell, preview};

const KNOWN: &str = "app, email, phone, post, sms, store, web";

fn opted_out_of(channels: &[&str]) -> Consents {
    Consents { opted_out_channels: channels.iter().map(|name| (*name).to_owned()).collect(), ..Consents::default() }
}

async fn upsert(server: &TestServer, customers: Vec<CustomerProfile>) -> Vec<EntryResult> {
    let request = BatchUpsertCustomersRequest { customers };
    server.customers().batch_upsert_customers(request).await.expect("answers").into_inner().results
}

async fn set_consents(server: &TestServer, customer: &str, consents: Consents, update: ConsentsUpdate) {
    let profile = CustomerProfile {
        customer_id: customer.into(),
        consents: Some(consents),
        consents_update: update.into(),
        ..CustomerProfile::default()
    };
    let results = upsert(server, vec![profile]).await;
    assert!(is_ok(&results[0]), "{results:?}");
}

async fn stored_consents(server: &TestServer, customer: &str) -> Consents {
    stored_customer(server, customer).await.and_then(|stored| stored.customer?.consents).expect("stored")
}

async fn ask(server: &TestServer, customer: &str, channel: &str) -> CrossSellResponse {
    let request = CrossSellRequest { channel: channel.into(), ..preview(customer) };
    server.offers().cross_sell(request).await.expect("answers").into_inner()
}

async fn create(server: &TestServer, toml: &str) -> Vec<String> {
    let request = CreatePolicyRequest { source: Some(Source::Toml(toml.to_owned())), validate_only: false };
    let warnings = server.policies().create_policy(request).await.expect("stored").into_inner().warnings;
    warnings.into_iter().filter(|it| it.code == "UNRESOLVED_OPT_OUT").map(|it| it.message).collect()
}

async fn activate(server: &TestServer, version: &str) -> Result<(), tonic::Status> {
    let request = ActivatePolicyRequest { version: version.into() };
    server.policies().activate_policy(request).await.map(drop)
}

/// The requests of `06-channel-opt-out-spelling` and their kind. Broken by: comparing channels as they are written.
#[tokio::test]
async fn an_opt_out_of_a_channel_holds_in_every_spelling_and_is_stored_as_written() {
    let shop = open_shop().await;
    set_consents(&shop, "ada", opted_out_of(&["Email"]), ConsentsUpdate::Unspecified).await;
    for channel in ["email", "Email", "EMAIL", "e-mail", ""] {
        let answer = ask(&shop, "ada", channel).await;
        let cap = answer.cap.expect("the opt-out");
        assert_eq!((answer.offers.len(), cap.kind()), (0, CapKind::ChannelOptOut), "{channel}");
    }
    // Nothing is reserved either, and the answer names the remedy.
    let reserved = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    assert_eq!(reserved.offers.len(), 0);
    assert!(reserved.message.contains("name the channel of the request"), "{}", reserved.message);
    assert_eq!(ask(&shop, "ada", "Web").await.offers.len(), 3);
    assert_eq!(stored_consents(&shop, "ada").await.opted_out_channels, ["Email"]);

    // White space does not cost an opt-out, and one that means nothing to the policy blocks every channel.
    set_consents(&shop, "ada", opted_out_of(&[" fax "]), ConsentsUpdate::Replace).await;
    assert_eq!(stored_consents(&shop, "ada").await.opted_out_channels, ["fax"]);
    for channel in ["email", "web", ""] {
        let answer = ask(&shop, "ada", channel).await;
        assert_eq!((answer.offers.len(), answer.cap.expect("the opt-out").kind()), (0, CapKind::ChannelOptOut));
        assert!(answer.message.contains("a channel that the policy does not have"), "{}", answer.message);
    }
}

/// Broken by: offers on a channel that the policy does not have.
#[tokio::test]
async fn a_request_on_an_unknown_channel_is_refused_and_names_the_known_ones() {
    let shop = open_shop().await;
    let request = CrossSellRequest { channel: "fax".into(), ..cross_sell("ada") };
    let status = refusal(shop.offers().cross_sell(request.clone()).await);
    assert_eq!(bad_fields(&status), ["channel"]);
    assert!(status.message().contains(KNOWN), "{status:?}");
    let batch = BatchCrossSellRequest { requests: vec![request, cross_sell("eve")] };
    let entries = shop.offers().batch_cross_sell(batch).await.expect("answers").into_inner().entries;
    assert_eq!(entries.iter().map(|entry| entry.answer.is_some()).collect::<Vec<_>>(), [false, true]);
    let about =
        Some(About::WhatIf(WhatIf { kind: OfferKind::CrossSell.into(), channel: "fax".into(), ..WhatIf::default() }));
    let request = ExplainDecisionRequest { customer_id: "ada".into(), about };
    assert_eq!(bad_fields(&refusal(shop.offers().explain_decision(request).await)), ["what_if.channel"]);
    let offer = ExplicitOffer {
        offer_id: "sale".into(),
        product_id: "teapot".into(),
        channels: vec!["E-Mail".into(), "fax".into()],
        ..ExplicitOffer::default()
    };
    let request = BatchUpsertOffersRequest { offers: vec![offer] };
    let results = shop.catalog().batch_upsert_offers(request).await.expect("answers").into_inner().results;
    assert_eq!(bad_fields(&entry_refusal(&results[0])), ["offers[0].channels"]);
}

/// Broken by: an explicit offer whose channel is compared as it is written.
#[tokio::test]
async fn the_channels_of_an_explicit_offer_are_resolved() {
    let shop = open_shop().await;
    let offer = ExplicitOffer {
        offer_id: "sale".into(),
        product_id: "teapot".into(),
        channels: vec!["E-Mail".into()],
        lever: Some(9.0),
        ..ExplicitOffer::default()
    };
    let request = BatchUpsertOffersRequest { offers: vec![offer] };
    let results = shop.catalog().batch_upsert_offers(request).await.expect("answers").into_inner().results;
    assert!(is_ok(&results[0]), "{results:?}");
    assert_eq!(ask(&shop, "ada", "email").await.offers[0].offer_id, "sale");
    assert!(ask(&shop, "ada", "web").await.offers.iter().all(|offer| offer.offer_id != "sale"));
}

/// Broken by: dropping a channel that an opt-out names, which would then block everything, or nothing.
#[tokio::test]
async fn an_activation_drops_no_channel_in_use() {
    let shop = open_shop().await;
    let web_only = "version = 'web-only'\n[contact.channels.web]\n";
    let renamed = "version = 'renamed'\n[contact.channels.web]\n[contact.channels.electronic]\naliases = ['email']\n";
    set_consents(&shop, "ada", opted_out_of(&["E-MAIL", "fax"]), ConsentsUpdate::Unspecified).await;
    set_consents(&shop, "eve", opted_out_of(&["fax"]), ConsentsUpdate::Unspecified).await;
    let warnings = create(&shop, web_only).await;
    let [email, fax] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(email.starts_with("1 customer has opted out of \"E-MAIL\", which is no channel of the policy"), "{email}");
    assert!(fax.starts_with("2 customers have opted out of \"fax\""), "{fax}");
    let warnings = create(&shop, renamed).await;
    assert!(warnings.len() == 1 && warnings[0].contains("\"fax\""), "{warnings:?}");

    let status = refusal(activate(&shop, "web-only").await.map(tonic::Response::new));
    assert_eq!(kind(&status), (Code::FailedPrecondition, "CHANNELS_IN_USE".into()));
    assert!(status.message().contains("\"E-MAIL\" (1 customer)") && !status.message().contains("fax"), "{status:?}");
    // A name that nobody uses may go, and one that is used may become an alias.
    activate(&shop, "renamed").await.expect("activates");
    set_consents(&shop, "ada", opted_out_of(&["E-MAIL"]), ConsentsUpdate::Replace).await;
    let closed = ask(&shop, "ada", "electronic").await;
    assert_eq!((closed.offers.len(), closed.cap.expect("the opt-out").kind()), (0, CapKind::ChannelOptOut));
    assert_eq!(ask(&shop, "ada", "web").await.offers.len(), 3);

    // An offer that was granted there is a use as well.
    set_consents(&shop, "ada", Consents::default(), ConsentsUpdate::Replace).await;
    activate(&shop, "web-only").await.expect("nobody is left on email");
    activate(&shop, "renamed").await.expect("activates");
    let request = CrossSellRequest { channel: "electronic".into(), ..cross_sell("ada") };
    assert!(!shop.offers().cross_sell(request).await.expect("answers").into_inner().offers.is_empty());
    let status = refusal(activate(&shop, "web-only").await.map(tonic::Response::new));
    assert!(status.message().contains("\"electronic\" (1 customer)"), "{status:?}");
}

/// Broken by: a recorded consent that is no use of its channel, and counts for none after the activation.
#[tokio::test]
async fn an_activation_drops_no_channel_with_consents() {
    let shop = open_shop().await;
    let consent = ChannelConsent {
        channel: "E-Mail".into(),
        kind: ConsentKind::OptIn.into(),
        grant_time: Some(now(&shop.clock)),
        source: "checkout 7".into(),
    };
    let consents = Consents { channel_consents: vec![consent], ..Consents::default() };
    set_consents(&shop, "ada", consents, ConsentsUpdate::Replace).await;
    create(&shop, "version = 'web-only'\n[contact.channels.web]\n").await;
    let status = refusal(activate(&shop, "web-only").await.map(tonic::Response::new));
    assert_eq!(kind(&status), (Code::FailedPrecondition, "CHANNELS_IN_USE".into()));
    assert!(status.message().contains("\"E-Mail\" (1 customer)"), "{status:?}");
}

/// Broken by: a roll-back that restores whatever was in force before.
#[tokio::test]
async fn a_roll_back_drops_no_channel_in_use() {
    let shop = open_shop().await;
    for (version, document) in [
        ("web-only", "version = 'web-only'\n[contact.channels.web]\n"),
        ("both", "version = 'both'\n[contact.channels.web]\n[contact.channels.email]\n"),
    ] {
        create(&shop, document).await;
        activate(&shop, version).await.expect("nobody is left on a channel");
    }
    set_consents(&shop, "ada", opted_out_of(&["E-Mail"]), ConsentsUpdate::Unspecified).await;
    let status = refusal(shop.policies().roll_back_policy(RollBackPolicyRequest { version: "both".into() }).await);
    assert_eq!(kind(&status), (Code::FailedPrecondition, "CHANNELS_IN_USE".into()));
}

/// Broken by: offers on a channel without the consent that the policy asks for.
#[tokio::test]
async fn a_channel_can_need_a_recorded_consent() {
    let shop = open_shop().await;
    create(&shop, "version = 'eu'\n[contact.channels.web]\n[contact.channels.email]\nbasis = 'soft_opt_in'\n").await;
    activate(&shop, "eu").await.expect("activates");
    let answer = ask(&shop, "ada", "email").await;
    assert_eq!((answer.offers.len(), answer.cap.expect("the consent").kind()), (0, CapKind::ConsentMissing));
    assert!(answer.withheld.iter().any(|withheld| withheld.reason == "consent_missing"), "{:?}", answer.withheld);
    assert_eq!(ask(&shop, "ada", "web").await.offers.len(), 3);

    let consent = ChannelConsent {
        channel: "Email".into(),
        kind: ConsentKind::SoftOptIn.into(),
        grant_time: Some(now(&shop.clock)),
        source: "checkout 7".into(),
    };
    let consents = Consents { channel_consents: vec![consent.clone()], ..Consents::default() };
    set_consents(&shop, "ada", consents.clone(), ConsentsUpdate::Replace).await;
    assert_eq!(stored_consents(&shop, "ada").await, consents);
    assert_eq!(ask(&shop, "ada", "email").await.offers.len(), 3);

    let bad = |consents: Consents| CustomerProfile {
        customer_id: "bad".into(),
        consents: Some(consents),
        ..CustomerProfile::default()
    };
    let incomplete = ChannelConsent::default();
    let late = ChannelConsent { grant_time: Some(in_future(&shop.clock, DAY)), ..consent.clone() };
    let cases = [
        (
            vec![incomplete],
            vec![
                "channel_consents[0].channel",
                "channel_consents[0].kind",
                "channel_consents[0].grant_time",
                "channel_consents[0].source",
            ],
        ),
        (vec![late], vec!["channel_consents[0].grant_time"]),
        (vec![consent.clone(), consent.clone()], vec!["channel_consents[1].channel"]),
        (vec![consent; 17], vec!["channel_consents"]),
    ];
    for (channel_consents, fields) in cases {
        let results = upsert(&shop, vec![bad(Consents { channel_consents, ..Consents::default() })]).await;
        let expected: Vec<String> = fields.iter().map(|field| format!("customers[0].consents.{field}")).collect();
        assert_eq!(bad_fields(&entry_refusal(&results[0])), expected);
    }
}

/// Broken by: a replay that forgets consents, so that every decision on a channel that needs one is withheld.
#[tokio::test]
async fn a_simulation_counts_a_consent_from_the_time_it_was_given() {
    let shop = open_shop().await;
    for customer in ["ada", "ben"] {
        let request = CrossSellRequest { channel: "web".into(), ..cross_sell(customer) };
        assert_eq!(shop.offers().cross_sell(request).await.expect("answers").into_inner().offers.len(), 3);
    }
    let given = |grant_time| ChannelConsent {
        channel: "Web".into(),
        kind: ConsentKind::OptIn.into(),
        grant_time: Some(grant_time),
        source: "checkout 7".into(),
    };
    let before = now(&shop.clock);
    shop.clock.advance(DAY);
    for (customer, grant_time) in [("ada", before), ("ben", now(&shop.clock))] {
        let consents = Consents { channel_consents: vec![given(grant_time)], ..Consents::default() };
        set_consents(&shop, customer, consents, ConsentsUpdate::Replace).await;
    }
    let toml = "version = 'opt-in'\n[contact.channels.web]\nbasis = 'opt_in'\n".to_owned();
    let request = SimulatePolicyRequest { source: Some(SimulateSource::Toml(toml)), since: None };
    let all = shop.policies().simulate_policy(request).await.expect("replays").into_inner().all.expect("set");
    assert_eq!((all.decisions, all.offers_in_force, all.offers_simulated), (2, 6, 3));
}

/// Broken by: an import that clears an opt-out because its file is older.
#[tokio::test]
async fn consents_that_are_added_clear_none() {
    let server = TestServer::in_memory().await;
    let all = Consents { opted_out: true, objects_to_profiling: true, ..opted_out_of(&["Email"]) };
    set_consents(&server, "ada", all.clone(), ConsentsUpdate::Add).await;
    set_consents(&server, "ada", opted_out_of(&["sms"]), ConsentsUpdate::Add).await;
    let stored = stored_consents(&server, "ada").await;
    assert_eq!(stored, Consents { opted_out_channels: vec!["Email".into(), "sms".into()], ..all });
    set_consents(&server, "ada", Consents::default(), ConsentsUpdate::Replace).await;
    assert_eq!(stored_consents(&server, "ada").await, Consents::default());
    let unknown = CustomerProfile { customer_id: "ada".into(), consents_update: 9, ..CustomerProfile::default() };
    assert_eq!(bad_fields(&entry_refusal(&upsert(&server, vec![unknown]).await[0])), ["customers[0].consents_update"]);
}
