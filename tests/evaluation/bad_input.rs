//! `tactful evaluate` on distorted data sets: it ends with a sentence that names the file or the field and a non-zero exit code,
//! or with finite metrics. Never a panic, never NaN.
//!
//! Broken by: a catalogue index expected of a product that was only returned (a panic), a window of -1 day accepted
//! (a panic), a division by zero in `RankingMetric::compute` and in a decile (`null`, NaN), the sum of no gains printed as it
//! is (-0.0), event ids deduplicated across customers, files without a row and queries without a customer accepted, and
//! `days_ago` counted back from the beginning of time.

use std::collections::BTreeSet;

use crate::distorted_data_set::{
    CATALOG, CUTOFF, DAY, DataSet, KIND, of_rankings, plain, purchase, purchases, shop, subscribers,
};
use serde_json::Value;

fn check_error(data_set: &DataSet, parts: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let output = data_set.evaluate(directory.path(), &["--json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{parts}: {output:?}");
    for part in parts.split(" .. ") {
        assert!(said.starts_with("error: ") && said.contains(part), "{part} is not in\n{said}");
    }
}

/// Checks all tasks as JSON, where `null` stands for NaN and infinity, as text, and the written rankings.
fn check_metrics(name: &str, data_set: &DataSet) -> Value {
    let directory = tempfile::tempdir().expect("a directory");
    let output = data_set.evaluate(directory.path(), &["--json", "--rankings", "rankings.jsonl"]);
    assert!(output.status.success(), "{name}: {output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    check_numbers(name, &report["tasks"]);
    check_numbers(name, &report["gains"]);
    let rankings = std::fs::read_to_string(directory.path().join("rankings.jsonl")).expect("written");
    for line in rankings.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let ranked = line["ranked"].as_array().expect("a list");
        let products: BTreeSet<&str> = ranked.iter().filter_map(Value::as_str).collect();
        assert_eq!(products.len(), ranked.len(), "{name}: a product comes once: {line}");
    }
    let output = data_set.evaluate(directory.path(), &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.is_empty() && !text.contains("NaN") && !text.contains("-0.0000 +-"), "{name}: {text}");
    report
}

fn check_numbers(name: &str, report: &Value) {
    if let Value::Object(entries) = report {
        entries.values().for_each(|entry| check_numbers(name, entry));
    } else {
        let is_metric = |it: f64| (-1.0..=1.0).contains(&it) && !(it == 0.0 && it.is_sign_negative());
        assert!(report.as_f64().is_some_and(is_metric), "{name}: {report}");
    }
}

#[test]
fn invalid_data_sets_are_reported_with_the_place_of_the_fault() {
    let line = |line: &str| shop().events(&[format!("c1,{line},EUR\n")]);
    let returned = "customer_id,kind,product_id,time\nc1,return,p1,2023-06-01T00:00:00Z\n";
    let health = "window_days = 60\nqueries = 'health.jsonl'\n";
    let cases = [
        (shop().without("set.toml"), "set.toml: No such file"),
        (shop().with("set.toml", ""), "set.toml .. missing field `name`"),
        (shop().without("events.csv"), "events.files: there is no file events.csv"),
        (shop().with("events.csv", ""), "events.csv .. it is empty"),
        (shop().events(&[]), "events.csv: there is no row"),
        (shop().with("products.csv", "product_id,title\n"), "products.csv: there is no row"),
        (
            shop().with("products.csv", "product_id,title\nz,z\n"),
            "no event before the cutoff is of a product .. [catalog]",
        ),
        (shop().described(KIND, "mapping = 3\n"), "a mapping must be the name of a file"),
        (shop().with("events.csv", returned).described(KIND, "").described(CATALOG, ""), "there are no purchases"),
        (shop().without("cs1.jsonl"), "tasks.cs1.queries: there is no file cs1.jsonl"),
        (shop().with("cs1.jsonl", ""), "cs1.jsonl: contains no query"),
        (shop().with("cs1.jsonl", "customer,truth\n"), "cs1.jsonl: line 1"),
        (shop().with("cs1.jsonl", r#"{"truth":["p1"]}"#), "cs1.jsonl: line 1: needs `customer`"),
        (shop().with("cs2.jsonl", r#"{"hidden":"p1"}"#), "cs2.jsonl: line 1: needs `given` or"),
        (shop().with("up.jsonl", r#"{"truth":["p1"],"anchor":"p2"}"#), "up.jsonl: line 1: needs `anchor` and"),
        (shop().described("window_days = 60\n", health).with("health.jsonl", ""), "health.jsonl: contains no query"),
        (shop().described("days = 60", "days = 0"), "tasks.health.window_days: must be 1 to 3660, not 0"),
        (shop().described("days = 60", "days = -60"), "window_days: must be 1 to 3660, not -60"),
        (shop().described("days = 60", "days = nan"), "window_days: must be 1 to 3660, not NaN"),
        (shop().described("'cs1.jsonl'", "'cs1.jsonl'\nsold_within_days = -1"), "sold_within_days = -1"),
        (
            shop().described("'cs1.jsonl'", "'cs1.jsonl'\nsold_within_days = 9").described("2024-", "2025-"),
            "tasks.cs1.sold_within_days: nothing was sold .. before 2025-01-01 .. last sale was at 2024-03",
        ),
        (shop().described("2024-", "2014-"), "cutoff: there is no event before 2014-01-01 .. the first is at 2023-03"),
        (
            shop().described("2024-", "2034-"),
            "tasks.health: 0 of the 40 queried customers .. extend beyond the cutoff?",
        ),
        (shop().described("2024-", "9999-"), "cutoff: must be a time .. within the years 1900 to 2200"),
        (shop().described("'2024-01-01T00:00:00Z'", "2024-01-01"), "cutoff: must be a time such as .. \"2024-01-01\""),
        (line("p1,9999-01-01T00:00:00Z,1"), "events.csv:2: `time`: must be within the years 1900 to 2200"),
        (line("p1,2023-06-01T00:00:00Z,NaN"), "events.csv:2: `unit_price`: must be a decimal number"),
        (line("p1,2023-06-01T00:00:00Z,-1"), "events.csv:2: `unit_price`: must not be below zero"),
        (line("p1,2023-06-01T00:00:00Z,1000000000001"), "events.csv:2: `unit_price`: must be within"),
        (
            line("p1,2023-06-01T00:00:00Z,1"),
            "not enough training data before the cutoff 2024-01-01T00:00:00Z .. 20 customers",
        ),
        (shop().events(&purchases(400, -DAY, "1")), "not enough training data"),
    ];
    for (data_set, parts) in cases {
        check_error(&data_set, parts);
    }
}

#[test]
fn invalid_profiles_are_reported_with_the_place_of_the_fault() {
    let months = |months: &'static str| subscribers(move |it| (months.to_owned(), plain(it).1));
    let twice = r#"{"customer":"u0","fold":0,"hidden":"Line","candidates":["Line"]}"#;
    let twice = format!("{twice}\n{}", twice.replace("0,", "1,"));
    let cases = [
        (subscribers(plain).with("customers.csv", "customer_id,Left,Months\n"), "customers.csv: there is no row"),
        (
            subscribers(plain).with("customers.csv", "customer_id,Mail,Line\nu0,yes,no\n"),
            "fold 0: there are no purchases",
        ),
        (subscribers(plain).described("'no'", "'No'"), "tasks.health: .. 0 of 314 .. \"No\" as `Left` .. at least 200"),
        (subscribers(plain).described("'Left'", "'Gone'"), "customer u0 has no `Gone`"),
        (subscribers(plain).described("'Line'", "'Fax'"), "customer u0 has no `Fax`"),
        (subscribers(plain).described("'Line'", "'Mail'"), "tasks.addon.product_attributes: names `Mail` twice"),
        (subscribers(plain).described("'yes'", "'Yes'"), "tasks.addon .. no purchases .. is `held_value` right"),
        (subscribers(plain).described("days = 91", "days = -1"), "window_days: must be 1 to 3660, not -1"),
        (subscribers(plain).described("folds = 5", "folds = 1"), "folds: must be 2 to 100, not 1"),
        (subscribers(plain).with("addon.jsonl", twice), "addon.jsonl: customer u0 is in two folds"),
        (months("NaN"), "customer u0: a tenure must be 0 to 1200 months, not \"NaN\""),
        (months("-1"), "customer u0: a tenure must be 0 to 1200 months, not \"-1\""),
    ];
    for (data_set, parts) in cases {
        check_error(&data_set, parts);
    }
}

#[test]
fn distorted_data_gives_finite_metrics() {
    let single = |line: fn(i64) -> (i64, i64)| -> Vec<String> {
        (0..50_000).map(line).map(|(what, day)| purchase(0, what, CUTOFF - day * DAY - 1, "1")).collect()
    };
    let subscriptions = "customer_id,kind,product_id,time\n".to_owned()
        + &purchases(1, 0, "").concat().replace(",,EUR", "").replace(",p", ",subscription_start,p");
    let subscriptions = of_rankings().with("events.csv", subscriptions).described(KIND, "").described(CATALOG, "");
    let strangers = r#"{"customer":"z","given":["z"],"anchor":"z","candidates":["z","y"],"truth":["z"]}"#;
    let cases = [
        ("a shop", shop()),
        ("every row twice", shop().events(&[purchases(1, 0, "1"), purchases(1, 0, "1")].concat())),
        ("free", shop().events(&purchases(1, 0, "0"))),
        ("as dear as can be", shop().events(&purchases(1, 0, "1000000000000"))),
        ("before and after 1970", shop().events(&purchases(1, -CUTOFF, "1")).described("2024-", "1970-")),
        ("1900", shop().events(&purchases(1, -25_000 * DAY - CUTOFF, "1")).described("2024-01-01", "1901-07-21")),
        ("2199", shop().events(&purchases(1, 83_700 * DAY - CUTOFF, "1")).described("2024-01-01", "2199-03-01")),
        ("subscriptions", subscriptions),
        ("50,000 purchases", shop().events(&[purchases(1, 0, "1"), single(|it| (it % 11, it % 300))].concat())),
        (
            "1,000 products of one",
            shop()
                .events(&[purchases(1, 0, "1"), single(|it| (it, it % 300))[..1000].to_vec()].concat())
                .described(CATALOG, ""),
        ),
        ("one customer", of_rankings().events(&single(|it| (it % 3, it % 300))[..40])),
        ("one purchase", of_rankings().events(&single(|_| (0, 0))[..1])),
        ("one day", of_rankings().events(&purchases(400, -DAY, "1"))),
        ("one second", of_rankings().events(&purchases(1_000_000_000, -DAY, "1"))),
        ("a cutoff after everything", of_rankings().described("2024-", "2199-")),
        ("no cutoff", of_rankings().described("cutoff = '2024-01-01T00:00:00Z'\n", "")),
        ("a window that ends after the files", shop().described("days = 60", "days = 3660")),
        (
            "strangers",
            of_rankings().with("cs1.jsonl", strangers).with("cs2.jsonl", strangers).with("up.jsonl", strangers),
        ),
        ("profiles", subscribers(plain)),
        ("the same profile", subscribers(|_| ("3".to_owned(), "7".to_owned()))),
        ("no attribute", subscribers(|it| (plain(it).0, String::new()))),
        ("no numbers", subscribers(|it| (plain(it).0, ["NaN", "inf"][it % 2].to_owned()))),
        ("a huge number", subscribers(|it| (plain(it).0, if it == 0 { "1e200".to_owned() } else { plain(it).1 }))),
        ("new or a hundred years there", subscribers(|it| (["0", "1200"][it % 2].to_owned(), plain(it).1))),
    ];
    for (name, data_set) in cases {
        check_metrics(name, &data_set);
    }
}

#[test]
fn a_window_beyond_the_files_is_noted_and_a_plot_without_data_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let beyond = shop().described("days = 60", "days = 3660").evaluate(directory.path(), &["--task", "health"]);
    let report = String::from_utf8_lossy(&beyond.stdout);
    assert!(report.contains("note: the files end on 2024-03"), "{report}");
    for (data_set, more) in [(of_rankings(), &["--plot", "a.svg"][..]), (shop(), &["--plot", "no/a.svg"])] {
        let refused = data_set.evaluate(directory.path(), more);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && (said.contains("--plot needs") || said.contains("no/a.svg cannot")),
            "{said}"
        );
    }
}

/// The server counts an event id once for each customer, and so must the evaluation. A product that was only ever returned was
/// not sold.
#[test]
fn ids_of_other_customers_and_returns_of_unsold_products_change_nothing() {
    let (header, lines) = ("event_id,kind,customer_id,product_id,time,unit_price,currency\n", purchases(1, 0, "1"));
    let customer = |line: &String| line.split_once(',').expect("a line").0.to_owned();
    let numbered = lines.chunk_by(|a, b| customer(a) == customer(b)).flat_map(|lines| lines.iter().enumerate());
    let numbered: Vec<String> = numbered.map(|(number, line)| format!("{number},purchase,{line}")).collect();
    let unnumbered: Vec<String> = lines.iter().map(|line| format!(",purchase,{line}")).collect();
    let unnumbered = unnumbered.concat();
    let returned = ",return,,nowhere,2023-06-01T00:00:00Z,,\n";
    let report = |lines: [&str; 2]| {
        let shop = shop().described(KIND, "").described(CATALOG, "");
        check_metrics("numbered", &shop.with("events.csv", header.to_owned() + &lines.concat()))
    };
    assert_eq!(report([&numbered.concat(), ""]), report([&unnumbered, ""]));
    assert_eq!(report([&unnumbered, returned]), report([&unnumbered, ""]));
}

/// Without a cutoff there is no day to count `days_ago` from; only the distances between events matter.
#[test]
fn days_ago_are_compared_without_a_cutoff() {
    let mapping = KIND.replace("} }", "}, time = { format = 'days_ago' } }");
    let shop = of_rankings()
        .described(KIND, &mapping)
        .described("cutoff = '2024-01-01T00:00:00Z'\n", "")
        .described("'cs1.jsonl'", "'cs1.jsonl'\nsold_within_days = 50")
        .with("cs1.jsonl", r#"{"customer":"stranger","truth":["p1"]}"#);
    let report = check_metrics("days ago", &shop.events(&["c1,p1,100,1,EUR\n".into(), "c2,p2,1,1,EUR\n".into()]));
    assert_eq!(report["tasks"]["cs1"]["tactful"]["hit@10"], 0.0, "a product sold long ago is not ranked: {report}");
}
