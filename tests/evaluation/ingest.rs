//! Import of whole files: accepted, filtered and rejected rows.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tactful::domain::customer::Consents;
use tactful::domain::event::{Event, EventKind, Severity};
use tactful::domain::ids::Channel;
use tactful::domain::product::{FeatureValue, Product};
use tactful::domain::time::Timestamp;
use tactful::ingest::mapping::Mapping;
use tactful::ingest::read_error::ReadError;
use tactful::ingest::row_outcome::{CustomerProfile, RowOutcome};
use tactful::ingest::row_reader::{self, RowReader};
use tactful::ingest::source::RowSource;

fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_700_000_000_000).expect("in range")
}

fn source(name: &str, bytes: impl AsRef<[u8]>) -> RowSource {
    RowSource::from_reader(name, Cursor::new(bytes.as_ref().to_vec()), None).expect("opens")
}

fn mapping(text: &str) -> Mapping {
    Mapping::from_toml(text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

/// Rows of a file by outcome, with the error that ended it.
struct Read<T> {
    accepted: Vec<T>,
    filtered: usize,
    rejected: Vec<String>,
    error: Option<ReadError>,
}

fn collect<T>(rows: Result<RowReader<T>, ReadError>) -> Read<T> {
    let mut read = Read { accepted: Vec::new(), filtered: 0, rejected: Vec::new(), error: None };
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return Read { error: Some(error), ..read },
    };
    for row in rows {
        match row {
            Ok(RowOutcome::Accepted { value, .. }) => read.accepted.push(value),
            Ok(RowOutcome::Filtered { .. }) => read.filtered += 1,
            Ok(RowOutcome::Rejected(rejection)) => {
                assert!(!rejection.faults.is_empty(), "a rejection says why");
                read.rejected.push(rejection.to_string());
            }
            Err(error) => read.error = Some(error),
        }
    }
    read
}

fn products(name: &str, bytes: impl AsRef<[u8]>, mapping_text: &str) -> Read<Product> {
    collect(row_reader::read_products(source(name, bytes), &mapping(mapping_text), now()))
}

fn customers(name: &str, bytes: impl AsRef<[u8]>, mapping_text: &str) -> Read<CustomerProfile> {
    collect(row_reader::read_customers(source(name, bytes), &mapping(mapping_text), now()))
}

fn events(name: &str, bytes: impl AsRef<[u8]>, mapping_text: &str) -> Read<Event> {
    collect(row_reader::read_events(source(name, bytes), &mapping(mapping_text), now()))
}

fn all_good<T>(read: Read<T>) -> Vec<T> {
    assert!(read.error.is_none(), "{:?}", read.error);
    assert_eq!(read.rejected, Vec::<String>::new());
    read.accepted
}

fn column_faults<T>(read: &Read<T>) -> Vec<String> {
    match &read.error {
        Some(ReadError::Columns { faults, .. }) => faults.clone(),
        other => panic!("expected faults of columns, not {other:?}"),
    }
}

fn assert_one_with(texts: &[String], parts: &[&str]) {
    let has_all = |text: &&String| parts.iter().all(|part| text.contains(part));
    assert_eq!(texts.iter().filter(has_all).count(), 1, "one of {texts:#?} has {parts:?}");
}

#[test]
fn a_product_with_everything_is_read() {
    let csv = "product_id,title,category,price,currency,margin,ladder,tier,item_group,features,requires,excludes,repeatable,\
               available_from,available_until,compatible_with,available,attributes\n\
               t4,\"Toaster, \"\"four slots\"\"\",Kitchen > Toasters,49.90,GBP,-1.5,toasters,2.0,four-slots,\
               slots=4; bagel=true ;colour=red,plug;socket,t2,yes,2011-06-10,2012-01-01T00:00:00+01:00,bread,0,shelf=7\n";
    let product = all_good(products("p.csv", csv, "")).remove(0);
    assert_eq!(product.title, "Toaster, \"four slots\"");
    assert_eq!(product.category, ["Kitchen", "Toasters"]);
    assert_eq!(product.price.expect("a price").to_string(), "49.90 GBP");
    assert_eq!(product.margin.expect("a margin").to_string(), "-1.50 GBP");
    assert_eq!(
        product.ladder_position.map(|ladder_position| (ladder_position.ladder.to_string(), ladder_position.tier)),
        Some(("toasters".to_owned(), 2))
    );
    assert_eq!(product.item_group.map(|group| group.to_string()), Some("four-slots".to_owned()));
    assert_eq!(product.features["slots"], FeatureValue::Number(4.0));
    assert_eq!(product.features["bagel"], FeatureValue::Flag(true));
    assert_eq!(product.features["colour"], FeatureValue::Text("red".to_owned()));
    assert_eq!((product.requires.len(), product.excludes.len(), product.compatible_with.len()), (2, 1, 1));
    assert!(product.repeatable && !product.available);
    assert_eq!(product.available_from.expect("a day").to_string(), "2011-06-10T00:00:00Z");
    assert_eq!(product.available_until.expect("a time").to_string(), "2011-12-31T23:00:00Z");
    assert_eq!(product.attributes["shelf"], "7");
}

/// Broken by: a name that only `item_group` itself is read from.
#[test]
fn the_item_group_of_a_merchant_feed_is_read_under_its_own_name() {
    let group = |header: &str, mapping: &str| {
        let csv = format!("product_id,title,{header}\np,Kettle,k\n");
        let product = all_good(products("p.csv", &csv, mapping)).remove(0);
        product.item_group.map(|group| group.to_string())
    };
    let kettles = Some("k".to_owned());
    assert_eq!(group("item_group_id", ""), kettles);
    assert_eq!(group("item_group_id", "[ignore]\ncolumns = [\"*\"]"), kettles);
    assert_eq!(group("group", "[columns]\nitem_group = \"group\""), kettles);
    assert_eq!(group("item_group_id", "[ignore]\ncolumns = [\"item_group_id\"]"), None);
}

#[test]
fn json_lines_give_the_same_products_as_csv() {
    let csv = "product_id,title,price,currency,ladder,tier,features,requires,repeatable\n\
               7,Toaster,2.1,GBP,l,2,slots=4;bagel=true,a;b,true\n";
    let json = r#"{"product_id": 7, "title": "Toaster", "price": 2.1, "currency": "GBP", "ladder": "l", "tier": 2,
                   "features": {"slots": 4, "bagel": true}, "requires": ["b", "a"], "repeatable": true, "margin": null}"#
        .replace('\n', " ");
    let texts = "{\"product_id\":\"7\",\"title\":\"Toaster\",\"price\":\"2.1\",\"currency\":\"GBP\",\"ladder\":\"l\",\
                 \"tier\":\"2\",\"features\":\"slots=4;bagel=true\",\"requires\":\"a;b\",\"repeatable\":\"true\"}";
    let expected = all_good(products("p.csv", csv, ""));
    assert_eq!(all_good(products("p.jsonl", &json, "")), expected);
    assert_eq!(all_good(products("p.jsonl.gz", gzip(texts.as_bytes()), "")), expected);
}

#[test]
fn json_values_of_the_wrong_type_are_rejected() {
    let json = "{\"product_id\": 1.5, \"title\": [\"a\"], \"features\": {\"a\": [1]}, \"requires\": [{}]}\n\
                {\"product_id\": \"a\", \"title\": \"A\", \"colour\": \"red\"}\n\
                {\"product_id\": \"b\", \"title\": \"B\"}";
    let read = products("p.jsonl", json, "");
    assert_one_with(&read.rejected, &["p.jsonl:1:", "`product_id`", "`title`", "`features`", "`requires`"]);
    assert_one_with(&read.rejected, &["p.jsonl:2:", "unknown columns for products: `colour`"]);
    assert_eq!(read.accepted.len(), 1);
}

#[test]
fn every_invalid_field_of_a_row_is_reported_at_once() {
    let csv = format!(
        "product_id,title,category,price,currency,tier,features,available_from,available_until,repeatable\n\
         ok,Fine,,,,,,,,\n\
         ,{},a > > b,1e3,gbp,-1,slots=NaN,soon,2011-06-31,maybe\n",
        "x".repeat(513)
    );
    let read = products("p.csv", csv, "");
    assert_eq!((read.accepted.len(), read.rejected.len()), (1, 1));
    let columns =
        "product_id title category price currency tier ladder features available_from available_until repeatable";
    for column in columns.split(' ') {
        assert_one_with(&read.rejected, &["p.csv:3:", &format!("`{column}`:")]);
    }
}

#[test]
fn customers_have_every_other_column_as_an_attribute() {
    let csv = "customer_id,segment,SEG_2,note\nc-1,gold,,  hello \nc-2,,b,\n";
    let rows = all_good(customers("c.csv", csv, "[columns]\nsecond = 'SEG_2'\n[constants]\nregion = 'north'"));
    assert_eq!(rows[0].id.as_str(), "c-1");
    let attributes: Vec<(&str, &str)> = rows[0].attributes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(attributes, [("note", "hello"), ("region", "north"), ("segment", "gold")]);
    assert_eq!(rows[1].attributes.keys().collect::<Vec<_>>(), ["region", "second"]);
}

#[test]
fn a_column_of_a_customer_is_read_once_as_the_mapping_says() {
    let text = "[columns]\ncustomer_id = 'Id'\nsegment = 'SEG'\ntier = 'SEG'";
    let read = all_good(customers("c.csv", "Id,SEG,age\nc-1,gold,7\n", text)).remove(0);
    assert_eq!(read.attributes.keys().collect::<Vec<_>>(), ["age", "segment", "tier"]);
    let faults = column_faults(&customers("c.csv", "Id,SEG,SEG,segment,customer_id\n", text));
    assert_one_with(&faults, &["`SEG` is repeated"]);
    assert_one_with(&faults, &["`segment` is in the file and [columns] reads it from `SEG`"]);
    assert_one_with(&faults, &["`customer_id` is in the file and [columns] reads it from `Id`"]);
    assert_eq!(faults.len(), 3);
}

#[test]
fn customers_beyond_the_limits_are_rejected() {
    let names: Vec<String> = (0..50).map(|index| format!("a{index}")).collect();
    let csv =
        format!("customer_id,{}\nc-1{}\nc-2{},{}\n", names.join(","), ",x".repeat(50), ",".repeat(49), "y".repeat(129));
    let read = customers("c.csv", &csv, "");
    assert_one_with(&read.rejected, &["c.csv:2:", "50 attributes"]);
    assert_one_with(&read.rejected, &["c.csv:3:", "`a49`", "129 bytes"]);
    let few = customers("c.csv", &csv, "[ignore]\ncolumns = ['*']\n[columns]\nsegment = 'a1'");
    assert_eq!(few.accepted[0].attributes.len(), 1);
}

const EVENT_HEADER: &str = "event_id,customer_id,kind,time,product_id,to_product_id,order_id,quantity,unit_price,\
                            currency,allowance,case_id,severity,score,score_max\n";

fn event_rows(rows: &str) -> Read<Event> {
    events("e.csv", format!("{EVENT_HEADER}{rows}"), "")
}

#[test]
fn every_kind_of_event_is_read() {
    let time = "2011-06-10T09:30:00Z";
    let rows = [
        format!("e1,,purchase,{time},p,,o,24.0,1.25,GBP,,,,,"),
        format!("e2,c,return,{time},p,,,,,,,,,,"),
        format!("e3,c,cancellation,{time},,,,,,,,,,,"),
        format!("e4,c,downgrade,{time},p,q,,,,,,,,,"),
        format!("e5,c,subscription_start,{time},p,,,,,,,,,,"),
        format!("e6,c,subscription_end,{time},p,,,,,,,,,,"),
        format!("e7,c,subscription_renewal,{time},p,,,,,,,,,,"),
        format!("e8,c,usage,{time},p,,,1.5,,,2,,,,"),
        format!("e9,c,support_ticket,{time},,,,,,,,k,4,,"),
        format!("e10,c,complaint,{time},,,,,,,,,,,"),
        format!("e11,c,case_resolved,{time},,,,,,,,k,,,"),
        format!("e12,c,payment_late,{time},,,,,,,,,,,"),
        format!("e13,c,payment_failed,{time},,,,,,,,,,,"),
        format!("e14,c,payment_disputed,{time},,,,,,,,,,,"),
        format!("e15,c,survey,{time},,,,,,,,,,7,10"),
        format!("e16,c,visit,{time},p,,,,,,,,,,"),
        format!("e17,c,plan_change,{time},p,q,,,,,,,,,"),
        format!("e18,c,right_sized,{time},p,q,,,,,,,,,"),
    ];
    let events = all_good(event_rows(&rows.join("\n")));
    assert_eq!(events.len(), rows.len());
    let EventKind::Purchase(line) = &events[0].kind else { panic!("a purchase") };
    assert_eq!((line.quantity, line.unit_price.expect("a price").to_string()), (24, "1.25 GBP".to_owned()));
    assert_eq!((events[0].id.as_str(), &events[0].customer), ("e1", &None));
    let EventKind::Return { line, .. } = &events[1].kind else { panic!("a return") };
    assert_eq!(line.quantity, 1);
    assert!(matches!(&events[7].kind, EventKind::Usage { amount: 1.5, allowance: Some(2.0), .. }));
    let EventKind::Complaint(report) = &events[9].kind else { panic!("a complaint") };
    assert_eq!(report.severity, Severity::DEFAULT);
}

#[test]
fn events_that_break_a_rule_are_rejected_with_the_rule() {
    let time = "2011-06-10T09:30:00Z";
    let cases = [
        (format!(",,visit,{time},,,,,,,,,,,"), "`customer_id`: is missing"),
        (format!(",c,outcome,{time},,,,,,,,,,,"), "RecordOutcomes"),
        (format!(",c,bought,{time},,,,,,,,,,,"), "must be one of purchase"),
        (",c,purchase,,p,,,,,,,,,,".to_owned(), "`time`: is missing"),
        (format!(",c,purchase,{time},,,,1,,,,,,,"), "`product_id`: is missing"),
        (format!(",c,purchase,{time},p,,,0,,,,,,,"), "`quantity`: must be 1 to"),
        (format!(",c,purchase,{time},p,,,-1,,,,,,,"), "`quantity`: must be 1 to"),
        (format!(",c,purchase,{time},p,,,1.5,,,,,,,"), "`quantity`: must be a whole number"),
        (format!(",c,purchase,{time},p,,,1000000001,,,,,,,"), "`quantity`: must be 1 to"),
        (format!(",c,purchase,{time},p,,,99999999999999999999,,,,,,,"), "`quantity`: is too large"),
        (format!(",c,purchase,{time},p,,,1,-1,GBP,,,,,"), "`unit_price`: must not be below zero"),
        (format!(",c,purchase,{time},p,,,1,NaN,GBP,,,,,"), "`unit_price`: must be a decimal"),
        (format!(",c,purchase,{time},p,,,1,9999999999999,GBP,,,,,"), "`unit_price`: must be within"),
        (format!(",c,purchase,{time},p,,,1,1,,,,,,"), "`currency`: is missing, and `unit_price` needs it"),
        (format!(",c,complaint,{time},,,,,,,,,5,,"), "`severity`: must be 1"),
        (format!(",c,case_resolved,{time},,,,,,,,,,,"), "`case_id`: is missing"),
        (format!(",c,survey,{time},,,,,,,,,,11,10"), "`score`: must be 0 to `score_max`"),
        (format!(",c,survey,{time},,,,,,,,,,inf,10"), "`score`: must be a finite number"),
        (format!(",c,survey,{time},,,,,,,,,,5,"), "`score_max`: is missing"),
        (format!(",c,usage,{time},p,,,-1,,,,,,,"), "`quantity`: must be 0 to"),
        (format!(",c,usage,{time},p,,,1,,,0,,,,"), "`allowance`: must be above 0"),
        (format!("{},c,visit,{time},,,,,,,,,,,", "x".repeat(129)), "`event_id`: has 129 bytes"),
    ];
    for (row, reason) in cases {
        let read = event_rows(&row);
        assert!(read.accepted.is_empty(), "{row}");
        assert_one_with(&read.rejected, &["e.csv:2:", reason]);
    }
}

const SALES_MAPPING: &str = "
    [columns]
    product_id = 'stock_code'
    time = 'at'
    [constants]
    currency = 'GBP'
    [kind]
    by_sign = 'quantity'
    positive = 'purchase'
    negative = 'return'
    [[filter]]
    column = 'is_product'
    equals = 1
    [[filter]]
    column = 'unit_price'
    above = 0
    [time]
    format = '%Y-%m-%d %H:%M:%S'
    zone = 'Europe/London'
    until = '2011-06-10'
";
const SALES_HEADER: &str = "stock_code,quantity,unit_price,at,is_product\n";

#[test]
fn signs_filters_and_until_decide_the_outcome_of_a_row() {
    let rows = "a,2,1.5,2010-10-31 01:30:00,1\n\
                a,-2,1.5,2010-12-01 08:00:00,1\n\
                post,1,9,2010-12-01 08:00:00,0\n\
                a,1,0,2010-12-01 08:00:00,1\n\
                a,1,1,2011-06-10 00:00:00,1\n\
                a,1,1,2011-06-09 23:59:59,1\n\
                a,0,1,2010-12-01 08:00:00,1\n\
                a,1,free,2010-12-01 08:00:00,1\n\
                a,1,1,,1\n";
    let read = events("e.csv", format!("{SALES_HEADER}{rows}"), SALES_MAPPING);
    let kinds: Vec<(&str, String)> =
        read.accepted.iter().map(|event| (event.kind.as_str(), event.at.to_string())).collect();
    let expected = [
        ("purchase", "2010-10-31T00:30:00Z".to_owned()),
        ("return", "2010-12-01T08:00:00Z".to_owned()),
        ("purchase", "2011-06-09T22:59:59Z".to_owned()),
    ];
    assert_eq!(kinds, expected);
    let EventKind::Return { line, .. } = &read.accepted[1].kind else { panic!("a return") };
    assert_eq!(line.quantity, 2);
    assert_eq!(read.filtered, 3);
    assert_one_with(&read.rejected, &["e.csv:8:", "column `quantity`", "is zero"]);
    assert_one_with(&read.rejected, &["e.csv:9:", "column `unit_price`", "decimal number"]);
    assert_one_with(&read.rejected, &["e.csv:10:", "`time` (column `at`)", "is missing"]);
    assert_eq!(read.rejected.len(), 3);
}

#[test]
fn kinds_are_translated_from_values() {
    let text = "[kind]\ncolumn = 'type'\nvalues = { SALE = 'purchase', RET = 'return' }";
    let csv = "type,product_id,time\nSALE,a,2011-06-10\nRET,a,2011-06-10\nGIFT,a,2011-06-10\n";
    let read = events("e.csv", csv, text);
    assert_eq!(read.accepted.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["purchase", "return"]);
    assert_one_with(&read.rejected, &["e.csv:4:", "\"GIFT\"", "[kind] values"]);
}

#[test]
fn days_ago_count_from_now() {
    let csv = "kind,product_id,time\npurchase,a,1.5\n";
    let read = all_good(events("e.csv", csv, "[time]\nformat = 'days_ago'"));
    assert_eq!(read[0].at.unix_ms(), 1_700_000_000_000 - 129_600_000);
}

#[test]
fn repeated_rows_all_count_and_a_second_import_gives_the_same_ids() {
    let row = "a,1,1,2011-06-01 00:00:00,1\n";
    let csv = format!("{SALES_HEADER}{row}b,1,1,2011-06-01 00:00:00,1\n{row}{row}");
    let ids = |name: &str, bytes: &[u8]| -> Vec<String> {
        all_good(events(name, bytes, SALES_MAPPING)).iter().map(|event| event.id.to_string()).collect()
    };
    let first = ids("e.csv", csv.as_bytes());
    let mut distinct = first.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((first.len(), distinct.len()), (4, 4));
    assert!(first.iter().all(|id| id.starts_with("row-") && id.len() == 36));
    assert_eq!(ids("other.csv.gz", &gzip(csv.replace('\n', "\r\n").as_bytes())), first);
}

#[test]
fn a_gzip_of_several_members_is_one_file() {
    let mut bytes = gzip(b"customer_id\nc-1\n");
    bytes.extend(gzip(b"c-2\n"));
    assert_eq!(all_good(customers("named.csv", &bytes, "")).len(), 2);
}

#[test]
fn a_broken_gzip_delivers_the_rows_before_the_damage() {
    let rows: Vec<String> = (0..50_000).map(|index| format!("c-{}", index * 7919 % 50_000)).collect();
    let whole = gzip(format!("customer_id\n{}\n", rows.join("\n")).as_bytes());
    let cut = customers("c.csv.gz", &whole[..whole.len() / 2], "");
    assert!(matches!(cut.error, Some(ReadError::Damaged { line, .. }) if line > 1000), "{:?}", cut.error);
    assert!(cut.accepted.len() > 1000 && cut.rejected.is_empty());

    let mut damaged = whole.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 0xff;
    let checked = customers("c.csv.gz", &damaged, "");
    assert!(checked.error.is_some());
    assert_eq!(checked.accepted.len(), 50_000);

    let small = gzip(b"customer_id\nc-1\n");
    let small = customers("c.csv.gz", &small[..small.len() - 4], "");
    assert!(small.error.is_some() && small.accepted.len() == 1);
}

#[test]
fn an_open_quote_before_the_damage_costs_one_row() {
    let rows: Vec<String> = (0..20_000).map(|index| format!("c-{},x", index * 7919 % 20_000)).collect();
    let whole = gzip(format!("customer_id,name\nc,\"open\n{}\n", rows.join("\n")).as_bytes());
    let read = customers("c.csv.gz", &whole[..whole.len() - 4], "");
    assert!(read.error.is_some());
    assert_eq!((read.accepted.len(), read.rejected.len()), (20_000, 1));
}

#[test]
fn malformed_rows_do_not_affect_other_rows() {
    let csv = b"customer_id,name\nc-1,fine\nc-2,caf\xe9\nc-3\nc-4,\"open\nc-5,fine\nc-6,a,b\nc-7,fine";
    let read = customers("c.csv", csv, "");
    let ids: Vec<&str> = read.accepted.iter().map(|profile| profile.id.as_str()).collect();
    assert_eq!(ids, ["c-1", "c-5", "c-7"]);
    assert_one_with(&read.rejected, &["c.csv:3:", "not valid UTF-8: byte 8"]);
    assert_one_with(&read.rejected, &["c.csv:4:", "has 1 cells"]);
    assert_one_with(&read.rejected, &["c.csv:5:", "opens a quote"]);
    assert_one_with(&read.rejected, &["c.csv:7:", "has 3 cells"]);
    assert_eq!(read.rejected.len(), 4);
}

#[test]
fn lines_are_counted_where_rows_start() {
    let csv = "\u{feff}customer_id,name\r\n\r\nc-1,\"two\r\nlines\"\r\n,late\r\n";
    let read = customers("c.csv", csv, "");
    assert_eq!(read.accepted[0].attributes["name"], "two lines");
    assert_one_with(&read.rejected, &["c.csv:5:", "`customer_id`: is missing"]);
}

#[test]
fn unfit_headers_are_rejected_with_every_fault() {
    let faults = column_faults(&products("p.csv", "product_id,titel,product_id,,price\n", ""));
    assert_one_with(&faults, &["unknown columns for products: `titel`; known are: product_id, title"]);
    assert_one_with(&faults, &["`title` is missing"]);
    assert_one_with(&faults, &["`product_id` is repeated"]);
    assert_one_with(&faults, &["column 4 has no name"]);
    assert_eq!(faults.len(), 4);

    let text =
        "[columns]\nproduct_id = 'sku'\ntitel = 'name'\n[constants]\ncurrency = 'GBP'\n[time]\nuntil = '2011-06-10'
                [[filter]]\ncolumn = 'wanted'\npresent = true\n[kind]\ncolumn = 'x'\nvalues = {}";
    let faults = column_faults(&products("p.csv", "product_id,title,name,currency\n", text));
    assert_one_with(&faults, &["[columns] titel: products have no such column"]);
    assert_one_with(&faults, &["[columns] product_id: the file has no column `sku`"]);
    assert_one_with(&faults, &["[[filter]] column: the file has no column `wanted`"]);
    assert_one_with(&faults, &["[kind] is for events"]);
    assert_one_with(&faults, &["[time] until is for events"]);
    assert_one_with(&faults, &["`currency` is in the file and [constants] replaces it"]);
    assert_one_with(&faults, &["`product_id` is in the file and [columns] reads it from `sku`"]);
}

#[test]
fn files_without_a_header_are_rejected() {
    assert_one_with(&column_faults(&products("p.csv", "", "")), &["it is empty"]);
    assert_one_with(&column_faults(&products("p.csv", "\n\n", "")), &["it is empty"]);
    assert_one_with(&column_faults(&products("p.csv", b"\xff,b\n", "")), &["the header is not valid UTF-8"]);
    assert_one_with(&column_faults(&events("e.csv", "a,b\n1,2\n", "")), &["`kind` is missing"]);
    assert!(all_good(products("p.csv", "product_id,title", "")).is_empty());
    assert!(all_good(products("p.jsonl", "", "")).is_empty());
}

#[test]
fn unknown_columns_can_be_ignored_by_name_or_all_at_once() {
    let csv = "product_id,title,lines,\na,A,3,x\n";
    for ignored in ["['lines', '']", "['*']"] {
        assert_eq!(all_good(products("p.csv", csv, &format!("[ignore]\ncolumns = {ignored}"))).len(), 1);
    }
}

#[test]
fn the_mapping_may_set_another_delimiter() {
    let read = customers("c.csv", "customer_id;name\nc-1;\"a;b\"\n", "[csv]\ndelimiter = ';'");
    assert_eq!(read.accepted[0].attributes["name"], "a;b");
}

#[test]
fn the_position_reaches_the_end_of_the_file() {
    let bytes = gzip(b"customer_id\nc-1\n");
    let total = bytes.len() as u64;
    let source = RowSource::from_reader("c.csv.gz", Cursor::new(bytes), Some(total)).expect("opens");
    let progress = source.progress();
    let read = collect(row_reader::read_customers(source, &Mapping::canonical(), now()));
    assert_eq!(read.accepted.len(), 1);
    assert_eq!((progress.bytes_read(), progress.bytes_total()), (total, Some(total)));
}

#[test]
fn a_missing_file_is_an_error() {
    let path = tempfile::tempdir().expect("a directory").path().join("none.csv");
    assert!(matches!(RowSource::open(&path), Err(ReadError::Open { .. })));
}

#[test]
fn the_example_mappings_are_valid() {
    let read = |name: &str| std::fs::read_to_string(format!("examples/mappings/{name}")).expect("the example is there");
    let csv = "stock_code,description,median_price,lines,first_sold,last_sold,family\n\
               10002,INFLATABLE POLITICAL GLOBE,0.85,372,2009-12-01,2011-04-18,\n";
    let product = all_good(products("products.csv", csv, &read("online_retail_ii_products.toml"))).remove(0);
    assert_eq!(product.available_from.expect("a day").to_string(), "2009-12-01T00:00:00Z");
    let csv = "invoice,stock_code,quantity,unit_price,ts,customer_id,country,is_cancel,is_product\n\
               489434,21232,24,1.25,2009-12-01 07:45:00,13085,United Kingdom,0,1\n\
               C489449,22087,-12,2.95,2009-12-01 10:33:00,,Australia,1,1\n\
               489435,POST,1,18,2009-12-01 10:33:00,13085,Australia,0,0\n";
    let read = events("transactions.csv", csv, &read("online_retail_ii_events.toml"));
    assert_eq!((read.accepted.len(), read.filtered, read.rejected.len()), (2, 1, 0));
}

fn read_every_way(name: &str, bytes: &[u8]) {
    let open = || RowSource::from_reader(name, Cursor::new(bytes.to_vec()), None).ok();
    for mapping_text in ["", SALES_MAPPING, "[ignore]\ncolumns = ['*', '']"] {
        let mapping = mapping(mapping_text);
        if let Some(source) = open() {
            collect(row_reader::read_products(source, &mapping, now()));
        }
        if let Some(source) = open() {
            collect(row_reader::read_customers(source, &mapping, now()));
        }
        if let Some(source) = open() {
            collect(row_reader::read_events(source, &mapping, now()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for name in ["a.csv", "a.jsonl", "a"] {
            read_every_way(name, &bytes);
        }
        let mut gzipped = vec![0x1f, 0x8b];
        gzipped.extend(&bytes);
        read_every_way("a.csv.gz", &gzipped);
        read_every_way("a.jsonl.gz", &gzip(&bytes));
    }

    #[test]
    fn arbitrary_rows_under_a_good_header_never_panic(rows in "([a-z0-9.\"é\u{0}=;>+-]{0,6}[,\n\r]){0,60}") {
        read_every_way("a.csv", format!("{EVENT_HEADER}{rows}").as_bytes());
        read_every_way("a.csv", format!("{SALES_HEADER}{rows}").as_bytes());
        read_every_way("a.csv", format!("product_id,title,features\n{rows}").as_bytes());
    }

    /// Every physical line of an arbitrary file is accounted for: a row for each line without quotes.
    #[test]
    fn every_line_without_quotes_is_a_row(lines in proptest::collection::vec("[a-z,]{1,8}", 0..40)) {
        let read = customers("c.csv", format!("customer_id,name\n{}", lines.join("\n")), "");
        prop_assert!(read.error.is_none());
        prop_assert_eq!(read.accepted.len() + read.rejected.len(), lines.len());
    }
}

const CONSENT_FILE: &str = "Customer ID,Unsubscribed,opted_out_channels,objects_to_profiling\n7001,true,email,true\n";
const CONSENT_MAPPING: &str = "[columns]\ncustomer_id = 'Customer ID'\nopted_out = 'Unsubscribed'";

fn opt_outs(names: &[&str]) -> std::collections::BTreeSet<Channel> {
    names.iter().map(|name| Channel::new(*name).expect("a name")).collect()
}

/// `05-consents-in-a-customer-file` and its kind. Broken by: an attribute named `opted_out`.
#[test]
fn consents_in_a_customer_file_are_consents() {
    let profile = all_good(customers("c.csv", CONSENT_FILE, CONSENT_MAPPING)).remove(0);
    let channel_opt_outs = opt_outs(&["email"]);
    let everything =
        Consents { is_opted_out: true, objects_to_profiling: true, channel_opt_outs, ..Consents::default() };
    assert_eq!((profile.id.as_str(), &profile.consents), ("7001", &Some(everything.clone())));
    assert!(profile.attributes.is_empty(), "{:?}", profile.attributes);

    let nested = r#"{"customer_id":"7001","consents":{"opted_out":"yes","opted_out_channels":["email"],"objects_to_profiling":1}}"#;
    assert_eq!(all_good(customers("c.jsonl", nested, "")).remove(0).consents, Some(everything));
    let csv = "customer_id,opted_out,opted_out_channels,objects_to_profiling,segment\n\
               a,NO,,0,x\nb,,Email; s m s,,x\nc,1,,,x\n";
    let read = all_good(customers("c.csv", csv, ""));
    let consents: Vec<_> = read.iter().map(|profile| profile.consents.clone()).collect();
    let channels = Consents { channel_opt_outs: opt_outs(&["Email", "s m s"]), ..Consents::default() };
    // False states nothing: an import clears no opt-out.
    assert_eq!(consents, [None, Some(channels), Some(Consents { is_opted_out: true, ..Consents::default() })]);
    assert!(read.iter().all(|profile| profile.attributes.len() == 1));

    let bad = "customer_id,opted_out,objects_to_profiling\na,perhaps,2\n";
    let rejected = customers("c.csv", bad, "").rejected;
    assert_one_with(
        &rejected,
        &["`opted_out`: must be true or false", "`objects_to_profiling`: must be true or false"],
    );
    let bad = "{\"customer_id\":\"a\",\"consents\":{\"opted_out\":3,\"opt_out\":true}}\n{\"customer_id\":\"b\",\"consents\":true}";
    let rejected = customers("c.jsonl", bad, "").rejected;
    assert_one_with(&rejected, &["opted_out must be true or false", "opt_out is unknown"]);
    assert_one_with(&rejected, &["`consents`: must be an object"]);
}

/// Broken by: an opt-out that becomes an attribute, or is ignored, by default.
#[test]
fn a_column_that_looks_like_a_consent_must_be_named() {
    let csv = "customer_id,Do Not Contact,gdpr_status,segment\na,1,2,x\n";
    let faults = column_faults(&customers("c.csv", csv, ""));
    assert_one_with(
        &faults,
        &["`Do Not Contact` looks like a consent", "under [columns] as opted_out", "[ignore] columns"],
    );
    assert_one_with(&faults, &["`gdpr_status`", "\"gdpr_status\" = \"gdpr_status\""]);
    let faults = column_faults(&customers("c.csv", csv, "[ignore]\ncolumns = ['*']"));
    assert_eq!(faults.len(), 2, "ignoring everything decides nothing: {faults:?}");

    let named = "[columns]\nopted_out = 'Do Not Contact'\ngdpr_status = 'gdpr_status'";
    let profile = all_good(customers("c.csv", csv, named)).remove(0);
    assert!(profile.consents.is_some_and(|consents| consents.is_opted_out));
    assert_eq!(profile.attributes.keys().collect::<Vec<_>>(), ["gdpr_status", "segment"]);
    let ignored = "[ignore]\ncolumns = ['Do Not Contact', 'gdpr_status']";
    assert_eq!(all_good(customers("c.csv", csv, ignored)).remove(0).consents, None);

    let jsonl = "{\"customer_id\":\"a\",\"segment\":\"x\"}\n{\"customer_id\":\"b\",\"no_marketing\":true}\n{\"customer_id\":\"c\",\"no_marketing\":null}";
    let read = customers("c.jsonl", jsonl, "");
    assert_eq!(read.accepted.len(), 2);
    assert_one_with(&read.rejected, &["`no_marketing` looks like a consent"]);
}
