//! Golden files of the stored formats: the files in `tests/stored_formats/` still decode, and encode to the same bytes.
//!
//! There is one file for each shape and version. `src/store/codec/mod.rs` says when a change replaces a file and when it adds
//! one. To make a file anew, delete it and run its test with `TACTFUL_WRITE_GOLDEN_FILES=1`; files that exist are never
//! overwritten:
//!
//! ```sh
//! rm tests/stored_formats/decision-v1.bin
//! TACTFUL_WRITE_GOLDEN_FILES=1 cargo nextest run --test store decision_v1
//! ```
//!
//! Broken by: two fields of a stored shape swapped, a variant moved, the version byte changed.

use std::path::PathBuf;

use crate::support::shop::product_id;
use crate::support::stored_records::*;
use proptest::prelude::*;
use tactful::domain::customer::Customer;
use tactful::domain::event::{Event, EventKind};
use tactful::domain::explicit_offer::Volume;
use tactful::domain::holdings::Holding;
use tactful::store::backup::reader::BackupReader;
use tactful::store::backup::record::{BackupRecord, RecordKind};
use tactful::store::backup::writer::BackupWriter;
use tactful::store::codec::cached_ranking::{decode_cached_ranking, encode_cached_ranking};
use tactful::store::codec::customer::{CustomerBody, CustomerValue, decode_customer, encode_customer};
use tactful::store::codec::decision::{decode_decision, encode_decision};
use tactful::store::codec::erasure::{decode_erasure, encode_erasure};
use tactful::store::codec::event::{decode_event, encode_event};
use tactful::store::codec::explicit_offer::{
    decode_explicit_offer, decode_volume, encode_explicit_offer, encode_volume,
};
use tactful::store::codec::model::{
    ModelPointer, decode_model_chunk, decode_model_pointer, encode_model_chunk, encode_model_pointer,
};
use tactful::store::codec::outbox::Outbox;
use tactful::store::codec::policy::{decode_activation, decode_policy, encode_activation, encode_policy};
use tactful::store::codec::product::{decode_product, encode_product};
use tactful::store::codec::sweep_watermark::{decode_sweep_watermark, encode_sweep_watermark};
use tactful::store::codec::training_marker::{decode_training_marker, encode_training_marker};
use tactful::store::contract::erasure::Erasure;
use tactful::store::contract::error::StoreError;
use tactful::store::contract::stored_model::TrainingMarker;
use tactful::store::contract::stored_policy::{Activation, StoredPolicy};

/// Returns the bytes of a golden file. `encoded` is what this version encodes, and becomes the file when it is missing and is
/// to be made anew.
fn golden(name: &str, encoded: &[u8]) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "stored_formats", name].iter().collect();
    if std::env::var_os("TACTFUL_WRITE_GOLDEN_FILES").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        std::fs::write(&path, encoded).expect("the file can be written");
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn full_value() -> (Customer, Outbox, Vec<u8>) {
    let customer = full_customer("ada");
    let mut events = events_of_every_kind("ada");
    events.truncate(2);
    let appended = Appended { events, decision: Some(decision("ada", 9)) };
    let outbox = Outbox::of(&appended.change(16, &customer)).expect("records of the customer");
    let body = CustomerBody::of(&customer).expect("only finite numbers");
    let bytes = encode_customer(18, &body, &outbox).expect("only finite numbers");
    (customer, outbox, bytes)
}

/// A customer with every field set, and an outbox of two events and a decision.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `customer-v1.bin` was deleted.
#[test]
fn customer_v1_round_trips() {
    let (customer, outbox, encoded) = full_value();
    let bytes = golden("customer-v1.bin", &encoded);
    let value = CustomerValue::parse(&bytes).expect("a stored value");
    assert_eq!(value.outbox, outbox);
    let decoded = decode_customer(&bytes).expect("a stored customer");
    assert_eq!((decoded.version, &decoded.value), (18, &customer));
    assert_eq!(encoded, bytes);
    let emptied = value.with_outbox(&Outbox::default()).expect("only finite numbers");
    assert_eq!(decode_customer(&emptied).expect("the same customer").value, customer);
}

/// One event of each kind, and one without a customer.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after the files `event-v1-*.bin` were deleted.
#[test]
fn event_v1_of_every_kind_round_trips() {
    let mut events = events_of_every_kind("ada");
    events.push(anonymous_visit("anonymous"));
    for event in events {
        let encoded = encode_event(&event).expect("only finite numbers");
        let bytes = golden(&format!("event-v1-{}.bin", event.id), &encoded);
        assert_eq!(decode_event(&bytes).expect("a stored event"), event);
        assert_eq!(encoded, bytes);
    }
}

/// A decision with every field set.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `decision-v1.bin` was deleted.
#[test]
fn decision_v1_round_trips() {
    let decision = full_decision("ada", 0x0123_4567_89ab_cdef);
    let encoded = encode_decision(&decision).expect("only finite numbers");
    let bytes = golden("decision-v1.bin", &encoded);
    assert_eq!(decode_decision(&bytes).expect("a stored decision"), decision);
    assert_eq!(encoded, bytes);
}

/// A cached ranking of three products.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `cached-ranking-v1.bin` was deleted.
#[test]
fn cached_ranking_v1_round_trips() {
    let encoded = encode_cached_ranking(&full_cached_ranking(12)).expect("encodes");
    let bytes = golden("cached-ranking-v1.bin", &encoded);
    assert_eq!(decode_cached_ranking(&bytes).expect("a stored ranking"), full_cached_ranking(12));
    assert_eq!(encoded, bytes);
}

/// A product with every field set.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `product-v1.bin` was deleted.
#[test]
fn product_v1_round_trips() {
    let product = full_product("toaster-4");
    let encoded = encode_product(&product).expect("only finite numbers");
    let bytes = golden("product-v1.bin", &encoded);
    assert_eq!(decode_product(&bytes).expect("a stored product"), product);
    assert_eq!(encoded, bytes);
}

/// A pointer and a chunk of 100 bytes.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `model-pointer-v1.bin` and `model-chunk-v1.bin` were deleted.
#[test]
fn model_pointer_and_chunk_v1_round_trip() {
    let artifact = artifact(100);
    let pointer = ModelPointer::to_artifact(3, 4, &artifact);
    let encoded = encode_model_pointer(&pointer).expect("encodes");
    let bytes = golden("model-pointer-v1.bin", &encoded);
    assert_eq!(decode_model_pointer(&bytes).expect("a stored pointer"), pointer);
    assert_eq!(encoded, bytes);
    let encoded = encode_model_chunk(&artifact);
    let bytes = golden("model-chunk-v1.bin", &encoded);
    assert_eq!(decode_model_chunk(&bytes).expect("a stored chunk"), artifact);
    assert_eq!(encoded, bytes);
}

/// A policy and its activation.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `policy-v1.bin` and `activation-v1.bin` were deleted.
#[test]
fn policy_and_activation_v1_round_trip() {
    let policy = StoredPolicy { version: "calm".to_owned(), text: "version = 'calm'".to_owned(), created_at: at(3) };
    let encoded = encode_policy(&policy).expect("encodes");
    let bytes = golden("policy-v1.bin", &encoded);
    assert_eq!(decode_policy(&bytes).expect("a stored policy"), policy);
    assert_eq!(encoded, bytes);
    let activation = Activation { policy: "calm".to_owned(), at: at(4), is_roll_back: true };
    let encoded = encode_activation(&activation).expect("encodes");
    let bytes = golden("activation-v1.bin", &encoded);
    assert_eq!(decode_activation(&bytes).expect("a stored activation"), activation);
    assert_eq!(encoded, bytes);
}

/// The tombstone of a customer who had opted out.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `erasure-v1.bin` was deleted.
#[test]
fn erasure_v1_round_trips() {
    let erasure = Erasure { at: at(5), was_opted_out: true };
    let encoded = encode_erasure(&erasure, false).expect("encodes");
    let bytes = golden("erasure-v1.bin", &encoded);
    assert_eq!(decode_erasure(&bytes).expect("a stored erasure"), (erasure, false));
    assert_eq!(encoded, bytes);
}

/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `sweep-watermark-v1.bin` was deleted.
#[test]
fn sweep_watermark_v1_round_trips() {
    let encoded = encode_sweep_watermark(at(5)).expect("encodes");
    let bytes = golden("sweep-watermark-v1.bin", &encoded);
    assert_eq!(decode_sweep_watermark(&bytes).expect("a stored watermark"), at(5));
    assert_eq!(encoded, bytes);
}

/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `training-marker-v1.bin` was deleted.
#[test]
fn training_marker_v1_round_trips() {
    let marker = TrainingMarker { started_at: at(5), attempts: 2 };
    let encoded = encode_training_marker(&marker).expect("encodes");
    let bytes = golden("training-marker-v1.bin", &encoded);
    assert_eq!(decode_training_marker(&bytes).expect("a stored marker"), marker);
    assert_eq!(encoded, bytes);
}

/// Broken by: not comparing the checksum.
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
        let product = product_id(format!("sku-{:08}", number * 7919));
        let holding = {
            let mut holding = Holding::bought_at(at(number), 2);
            holding.acquire(at(number * 86_400));
            holding
        };
        customer.holdings.latest.insert(product, holding);
    }
    let body = CustomerBody::of(&customer).expect("only finite numbers");
    let bytes = encode_customer(1, &body, &Outbox::default()).expect("only finite numbers").len();
    assert!(bytes < 6 * 1024, "{bytes} bytes");
}

/// Values that the domain rejects are rejected in stored records too. Broken by: moving a score onto its scale.
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
        kind: EventKind::Usage { product: product_id("line"), amount: 1.0, allowance: None, meter: None, period: None },
        ..visit("ada", "e1")
    };
    let bytes = encode_event(&usage).expect("only finite numbers");
    // The amount lies before the bytes that say that there is no allowance, meter and period, and the checksum.
    for (amount, is_refused) in [(2.0, false), (f64::NAN, true), (f64::INFINITY, true), (f64::NEG_INFINITY, true)] {
        let mut content = bytes[..bytes.len() - 4].to_vec();
        let at = content.len() - 11;
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

/// Decodes the bytes as every kind of value. What decodes must encode again.
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

/// An explicit offer with every field set.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `explicit-offer-v1.bin` was deleted.
#[test]
fn explicit_offer_v1_round_trips() {
    let offer = full_explicit_offer("spring-sale");
    let encoded = encode_explicit_offer(&offer).expect("only finite numbers");
    let bytes = golden("explicit-offer-v1.bin", &encoded);
    assert_eq!(decode_explicit_offer(&bytes).expect("a stored offer"), offer);
    assert_eq!(encoded, bytes);
}

/// A used volume with one reservation.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `volume-v1.bin` was deleted.
#[test]
fn volume_v1_round_trips() {
    let token = reservation("spring-sale", 7);
    let volume = Volume { settled: 41, pending: vec![token.clone()] };
    let encoded = encode_volume(&volume).expect("encodes");
    let bytes = golden("volume-v1.bin", &encoded);
    assert_eq!(decode_volume(&token.offer, &bytes).expect("a stored volume"), volume);
    assert_eq!(encoded, bytes);
}

/// A whole backup of small records. Broken by: a block's fields swapped, a kind moved.
/// Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `backup-v1.bin` was deleted.
#[test]
fn backup_v1_round_trips() {
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
    let (mut writer, mut encoded) = BackupWriter::start(at(7)).expect("encodes");
    encoded.extend(writer.page(records.clone()).expect("encodes"));
    encoded.extend(writer.finish().expect("encodes"));
    let bytes = golden("backup-v1.bin", &encoded);
    let mut reader = BackupReader::new();
    reader.push(&bytes);
    let read = reader.next_page().expect("is complete").expect("records");
    let summary = reader.finish().expect("is complete");
    assert_eq!((read, summary.created_at), (records, at(7)));
    // The version of tactful is in the file.
    if summary.made_by == env!("CARGO_PKG_VERSION") {
        assert_eq!(encoded, bytes);
    }
}
