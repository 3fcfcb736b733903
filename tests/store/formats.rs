//! Every format ever written still reads, and what is written has not changed by accident.
//!
//! One file in `tests/stored_formats/` holds one value of each shape and version. After adding a format version, write
//! its files with `TACTFUL_WRITE_GOLDEN_FILES=1 cargo test --test stored_formats`; files that exist are never
//! overwritten, so remove one by hand only when its format was never shipped.
//!
//! Seen to fail with: two fields of a stored shape swapped, a variant moved, the version byte changed.

use std::path::PathBuf;

use crate::support::stored_records::*;
use proptest::prelude::*;
use tactful::domain::customer::{Customer, Holding};
use tactful::domain::decayed_sum::DecayedSum;
use tactful::domain::decision::Decision;
use tactful::domain::event::{Event, EventKind};
use tactful::domain::explicit_offer::Volume;
use tactful::domain::ids::ProductId;
use tactful::store::backup::reader::BackupReader;
use tactful::store::backup::record::{BackupRecord, RecordKind};
use tactful::store::backup::writer::BackupWriter;
use tactful::store::codec::cached_ranking::{decode_cached_ranking, encode_cached_ranking};
use tactful::store::codec::customer::{CustomerBody, CustomerValue, decode_customer, encode_customer};
use tactful::store::codec::decision::{decode_decision, encode_decision};
use tactful::store::codec::event::{decode_event, encode_event};
use tactful::store::codec::explicit_offer::{
    decode_explicit_offer, decode_volume, encode_explicit_offer, encode_volume,
};
use tactful::store::codec::model::{
    ModelPointer, decode_model_chunk, decode_model_pointer, encode_model_chunk, encode_model_pointer,
};
use tactful::store::codec::outbox::{Outbox, OutboxItem};
use tactful::store::codec::policy::{decode_activation, decode_policy, encode_activation, encode_policy};
use tactful::store::codec::product::{decode_product, encode_product};
use tactful::store::contract::{Activation, Appended, StoreError, StoredPolicy};

/// The bytes of a golden file; `now` is what this version writes.
fn golden(name: &str, now: &[u8]) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "stored_formats", name].iter().collect();
    if std::env::var_os("TACTFUL_WRITE_GOLDEN_FILES").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        std::fs::write(&path, now).expect("the file can be written");
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn full_value() -> (Customer, Outbox, Vec<u8>) {
    let customer = full_customer("ada");
    let mut events = events_of_every_kind("ada");
    events.truncate(2);
    let appended = Appended { events, decision: Some(decision("ada", 9)) };
    let outbox = Outbox::of(17, &customer.id, &appended).expect("records of the customer");
    let body = CustomerBody::of(&customer).expect("only finite numbers");
    let bytes = encode_customer(18, &body, &outbox).expect("only finite numbers");
    (customer, outbox, bytes)
}

/// The decision that waits is of the format of its day.
fn assert_waiting(Outbox(then): &Outbox, Outbox(now): &Outbox) {
    assert_eq!((now.len(), &now[..2]), (then.len(), &then[..2]));
    let OutboxItem::Decision(then) = &then[2].item else { panic!("{then:?}") };
    assert_eq!(decode_decision(then).expect("a stored decision"), decision("ada", 9));
}

/// Written before what was spent and brought back was known.
#[test]
fn customer_v1_still_reads() {
    let (mut customer, outbox, _) = full_value();
    customer.relationship.spent = DecayedSum::default();
    customer.relationship.returned = DecayedSum::default();
    before_experiments(&mut customer);
    let bytes = golden("customer-v1.bin", &[]);
    let value = CustomerValue::parse(&bytes).expect("a stored value");
    assert_eq!(value.version, 18);
    assert_waiting(&value.outbox, &outbox);
    assert_eq!(value.customer().expect("a stored customer").value, customer);
    let emptied = value.with_outbox(&Outbox::default()).expect("only finite numbers");
    assert_eq!(decode_customer(&emptied).expect("still of its format").value, customer);
}

fn before_experiments(customer: &mut Customer) {
    customer.ledger.would_be_grants = Vec::new();
    customer.ledger.assignment = None;
}

/// Written before experiments.
#[test]
fn customer_v2_still_reads() {
    let (mut customer, _, _) = full_value();
    before_experiments(&mut customer);
    assert_eq!(decode_customer(&golden("customer-v2.bin", &[])).expect("a stored customer").value, customer);
}

#[test]
fn customer_v3_reads_and_writes_the_same() {
    let (customer, outbox, now) = full_value();
    let bytes = golden("customer-v3.bin", &now);
    let value = CustomerValue::parse(&bytes).expect("a stored value");
    assert_waiting(&value.outbox, &outbox);
    let read = decode_customer(&bytes).expect("a stored customer");
    assert_eq!((read.version, &read.value), (18, &customer));
    let body = CustomerBody::of(&customer).expect("only finite numbers");
    assert_eq!(encode_customer(18, &body, &value.outbox).expect("only finite numbers"), bytes);
}

#[test]
fn event_v1_of_every_kind_reads_and_writes_the_same() {
    let mut events = events_of_every_kind("ada");
    events.push(anonymous_visit("anonymous"));
    for event in events {
        let now = encode_event(&event).expect("only finite numbers");
        let bytes = golden(&format!("event-v1-{}.bin", event.id), &now);
        assert_eq!(decode_event(&bytes).expect("a stored event"), event);
        assert_eq!(now, bytes);
    }
}

/// Written before departures were kept.
#[test]
fn decision_v1_still_reads() {
    let decision = Decision { rejected_candidates: Vec::new(), ..before_terms() };
    let bytes = golden("decision-v1.bin", &[]);
    assert_eq!(decode_decision(&bytes).expect("a stored decision"), decision);
}

/// What formats 1 and 2 could say.
fn before_terms() -> Decision {
    let mut decision = Decision { would_be_slate: Vec::new(), ..before_preparing() };
    for offer in &mut decision.slate {
        offer.valid_until = None;
    }
    for rejected in &mut decision.rejected_candidates {
        rejected.offer = None;
    }
    decision
}

#[test]
fn decision_v2_still_reads() {
    let decision = before_terms();
    assert_eq!(decode_decision(&golden("decision-v2.bin", &[])).expect("a stored decision"), decision);
}

/// What format 3 could say.
fn before_preparing() -> Decision {
    let decision = before_lifts();
    Decision { ranked_at: decision.at, ..decision }
}

/// What format 4 could say.
fn before_lifts() -> Decision {
    let mut decision = full_decision("ada", 0x0123_4567_89ab_cdef);
    let Decision { slate, would_be_slate, rejected_candidates, .. } = &mut decision;
    for offer in slate.iter_mut().chain(would_be_slate) {
        offer.factors.acceptance_lift = 1.0;
    }
    for factors in rejected_candidates.iter_mut().filter_map(|rejected| rejected.factors.as_mut()) {
        factors.acceptance_lift = 1.0;
    }
    decision
}

#[test]
fn decision_v3_still_reads() {
    let decision = before_preparing();
    assert_eq!(decode_decision(&golden("decision-v3.bin", &[])).expect("a stored decision"), decision);
}

#[test]
fn prepared_v1_reads_and_writes_the_same() {
    let now = encode_cached_ranking(&prepared(12)).expect("writes");
    let bytes = golden("prepared-v1.bin", &now);
    assert_eq!(decode_cached_ranking(&bytes).expect("stored candidates"), prepared(12));
    assert_eq!(now, bytes);
}

#[test]
fn decision_v4_still_reads() {
    assert_eq!(decode_decision(&golden("decision-v4.bin", &[])).expect("a stored decision"), before_lifts());
}

#[test]
fn decision_v5_reads_and_writes_the_same() {
    let decision = full_decision("ada", 0x0123_4567_89ab_cdef);
    let now = encode_decision(&decision).expect("only finite numbers");
    let bytes = golden("decision-v5.bin", &now);
    assert_eq!(decode_decision(&bytes).expect("a stored decision"), decision);
    assert_eq!(now, bytes);
}

#[test]
fn product_v1_reads_and_writes_the_same() {
    let product = full_product("toaster-4");
    let now = encode_product(&product).expect("only finite numbers");
    let bytes = golden("product-v1.bin", &now);
    assert_eq!(decode_product(&bytes).expect("a stored product"), product);
    assert_eq!(now, bytes);
}

#[test]
fn model_v1_reads_and_writes_the_same() {
    let artifact = artifact(100);
    let pointer = ModelPointer::to_artifact(3, 4, &artifact);
    let now = encode_model_pointer(&pointer).expect("no numbers to refuse");
    let bytes = golden("model-pointer-v1.bin", &now);
    assert_eq!(decode_model_pointer(&bytes).expect("a stored pointer"), pointer);
    assert_eq!(now, bytes);
    let now = encode_model_chunk(&artifact);
    let bytes = golden("model-chunk-v1.bin", &now);
    assert_eq!(decode_model_chunk(&bytes).expect("a stored chunk"), artifact);
    assert_eq!(now, bytes);
}

#[test]
fn policy_v1_reads_and_writes_the_same() {
    let policy = StoredPolicy { version: "calm".to_owned(), text: "version = 'calm'".to_owned(), created_at: at(3) };
    let now = encode_policy(&policy).expect("no numbers to refuse");
    let bytes = golden("policy-v1.bin", &now);
    assert_eq!(decode_policy(&bytes).expect("a stored policy"), policy);
    assert_eq!(now, bytes);
    let activation = Activation { policy: "calm".to_owned(), at: at(4) };
    let now = encode_activation(&activation).expect("no numbers to refuse");
    let bytes = golden("activation-v1.bin", &now);
    assert_eq!(decode_activation(&bytes).expect("a stored activation"), activation);
    assert_eq!(now, bytes);
}

/// Broken by: leaving the checksum unchecked.
#[test]
fn every_flipped_bit_is_an_error() {
    let (_, _, customer) = full_value();
    let event = encode_event(&visit("ada", "e1")).expect("only finite numbers");
    let decision = encode_decision(&full_decision("ada", 1)).expect("only finite numbers");
    let product = encode_product(&full_product("p1")).expect("only finite numbers");
    let chunk = encode_model_chunk(&artifact(50));
    let pointer = encode_model_pointer(&ModelPointer::to_artifact(1, 1, b"x")).expect("no numbers to refuse");
    assert_flips_are_errors(&customer, |bytes| decode_customer(bytes).map(drop));
    assert_flips_are_errors(&event, |bytes| decode_event(bytes).map(drop));
    assert_flips_are_errors(&decision, |bytes| decode_decision(bytes).map(drop));
    assert_flips_are_errors(&product, |bytes| decode_product(bytes).map(drop));
    assert_flips_are_errors(&chunk, |bytes| decode_model_chunk(bytes).map(drop));
    assert_flips_are_errors(&pointer, |bytes| decode_model_pointer(bytes).map(drop));
}

fn assert_flips_are_errors(value: &[u8], decode: impl Fn(&[u8]) -> Result<(), StoreError>) {
    decode(value).expect("the value itself is whole");
    for bit in 0..value.len() * 8 {
        let mut flipped = value.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(decode(&flipped), Err(StoreError::Damaged { .. })), "bit {bit}");
    }
    for len in 0..value.len() {
        assert!(matches!(decode(&value[..len]), Err(StoreError::Damaged { .. })), "{len} bytes");
    }
}

#[test]
fn an_ordinary_customer_is_well_below_six_kibibytes() {
    let mut customer = full_customer("customer-0012345");
    for number in 0..100_u64 {
        let product = ProductId::new(format!("sku-{:08}", number * 7919)).expect("a valid id");
        let holding = Holding { bought: 2, last_at: at(number * 86_400), ..Holding::touched_at(at(number)) };
        customer.holdings.latest.insert(product, holding);
    }
    let body = CustomerBody::of(&customer).expect("only finite numbers");
    let bytes = encode_customer(1, &body, &Outbox::default()).expect("only finite numbers").len();
    assert!(bytes < 5 * 1024, "{bytes} bytes");
}

/// What the domain refuses is refused in stored values too. Broken by: moving a score onto its scale.
#[test]
fn stored_values_the_domain_refuses_are_errors() {
    let survey = events_of_every_kind("ada").into_iter().find(|event| event.id.as_str().starts_with("survey"));
    let bytes = encode_event(&survey.expect("a survey among them")).expect("only finite numbers");
    // The score and the top of its scale are the last 16 bytes before the checksum.
    for score in [11.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut content = bytes[..bytes.len() - 4].to_vec();
        let at = content.len() - 16;
        content[at..at + 8].copy_from_slice(&f64::to_le_bytes(score));
        assert!(matches!(decode_event(&sealed(content)), Err(StoreError::Damaged { .. })), "{score}");
    }
}

/// Broken by: reading numbers as they come.
#[test]
fn stored_numbers_that_are_not_finite_are_errors() {
    let usage = Event {
        kind: EventKind::Usage { product: ProductId::new("line").expect("a valid id"), amount: 1.0, allowance: None },
        ..visit("ada", "e1")
    };
    let bytes = encode_event(&usage).expect("only finite numbers");
    // The amount lies before the byte that says that there is no allowance, and the checksum.
    for (amount, is_refused) in [(2.0, false), (f64::NAN, true), (f64::INFINITY, true), (f64::NEG_INFINITY, true)] {
        let mut content = bytes[..bytes.len() - 4].to_vec();
        let at = content.len() - 9;
        content[at..at + 8].copy_from_slice(&f64::to_le_bytes(amount));
        assert_eq!(decode_event(&sealed(content)).is_err(), is_refused, "{amount}");
    }
}

/// Puts the right checksum behind any content, so that decoding gets past it.
fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&content);
    content.extend_from_slice(&checksum.to_le_bytes());
    content
}

/// Decodes as everything. Whatever decodes must be writable again.
fn decode_as_everything(bytes: &[u8]) {
    if let Ok(read) = decode_customer(bytes) {
        CustomerBody::of(&read.value).expect("what was read can be written");
    }
    if let Ok(event) = decode_event(bytes) {
        encode_event(&event).expect("what was read can be written");
    }
    if let Ok(decision) = decode_decision(bytes) {
        encode_decision(&decision).expect("what was read can be written");
    }
    if let Ok(product) = decode_product(bytes) {
        encode_product(&product).expect("what was read can be written");
    }
    if let Ok(pointer) = decode_model_pointer(bytes) {
        encode_model_pointer(&pointer).expect("what was read can be written");
    }
    let _ = decode_model_chunk(bytes);
}

proptest! {
    #[test]
    fn decoding_never_panics_on_any_bytes(content in proptest::collection::vec(any::<u8>(), 0..400)) {
        decode_as_everything(&content);
        decode_as_everything(&sealed(content.clone()));
        let mut versioned = vec![1];
        versioned.extend(content);
        decode_as_everything(&sealed(versioned));
    }

    /// Values that are almost right get further than random bytes.
    #[test]
    fn decoding_never_panics_on_changed_values(
        which in 0..4_usize,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = match which {
            0 => full_value().2,
            1 => encode_event(&events_of_every_kind("ada").swap_remove(0)).expect("only finite numbers"),
            2 => encode_decision(&full_decision("ada", 1)).expect("only finite numbers"),
            _ => encode_product(&full_product("p1")).expect("only finite numbers"),
        };
        bytes.truncate(bytes.len() - 4);
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        decode_as_everything(&sealed(bytes));
    }
}

#[test]
fn explicit_offer_v1_reads_and_writes_the_same() {
    let offer = full_explicit_offer("spring-sale");
    let now = encode_explicit_offer(&offer).expect("only finite numbers");
    let bytes = golden("explicit-offer-v1.bin", &now);
    assert_eq!(decode_explicit_offer(&bytes).expect("a stored offer"), offer);
    assert_eq!(now, bytes);
}

#[test]
fn volume_v1_reads_and_writes_the_same() {
    let token = volume_token("spring-sale", 7);
    let volume = Volume { settled: 41, pending: vec![token.clone()] };
    let now = encode_volume(&volume).expect("plain numbers");
    let bytes = golden("volume-v1.bin", &now);
    assert_eq!(decode_volume(&token.offer, &bytes).expect("a stored volume"), volume);
    assert_eq!(now, bytes);
}

/// A whole backup of small records. Broken by: a block's fields swapped, a kind moved.
#[test]
fn backup_v1_reads_and_writes_the_same() {
    let (customer, _, _) = full_value();
    let body = CustomerBody::of(&customer).expect("only finite numbers");
    let value = encode_customer(18, &body, &Outbox::default()).expect("only finite numbers");
    let records = vec![
        BackupRecord { kind: RecordKind::Customer, key: b"\x03ada".to_vec(), value },
        BackupRecord {
            kind: RecordKind::Event,
            key: b"\x03adae1".to_vec(),
            value: encode_event(&visit("ada", "e1")).expect("only finite numbers"),
        },
        BackupRecord {
            kind: RecordKind::Product,
            key: b"p1".to_vec(),
            value: encode_product(&full_product("p1")).expect("only finite numbers"),
        },
    ];
    let (mut writer, mut now) = BackupWriter::begin(at(7)).expect("writes");
    now.extend(writer.page(records.clone()).expect("writes"));
    now.extend(writer.end().expect("writes"));
    let then = golden("backup-v1.bin", &now);
    let mut reader = BackupReader::new();
    reader.push(&then);
    let read = reader.next_page().expect("is whole").expect("records");
    let summary = reader.finish().expect("is whole");
    assert_eq!((read, summary.created_at), (records, at(7)));
    // The version of tactful is in the file.
    if summary.made_by == env!("CARGO_PKG_VERSION") {
        assert_eq!(then, now);
    }
}
