//! `tactful evaluate` on files: descriptions, the tasks end to end, and the metrics on real data.
//!
//! The data sets of `evaluation/` are read beside the project, or from the directory in `TACTFUL_DATA`; tests that do not find
//! them print that they are skipped.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tactful::domain::policy::Policy;
use tactful::evaluation::description::DataSetDescription;
use tactful::evaluation::health_evaluation::{HealthReport, evaluate_health};
use tactful::evaluation::score_deciles::is_monotone;

const DAYS_BEFORE: u64 = 360;
const CUTOFF: &str = "2024-01-01T00:00:00Z";

/// Purchases of 600 customers over 400 days: each buys at a fixed interval, and a third of them stops at some day.
fn shop(after_cutoff: bool) -> String {
    let mut file = "customer_id,product_id,time,quantity\n".to_owned();
    let first = "2023-01-06T00:00:00Z".parse::<jiff::Timestamp>().expect("a time").as_second();
    for customer in 0..600_u64 {
        let every = 10 + customer % 50;
        let gone_from = if customer % 3 == 0 { 100 + customer % 200 } else { u64::MAX };
        for day in (customer % 17..420).step_by(usize::try_from(every).expect("small")) {
            let is_after = day >= DAYS_BEFORE;
            if day >= gone_from || (is_after && !after_cutoff) {
                continue;
            }
            let time = jiff::Timestamp::from_second(first + i64::try_from(day * 86_400 + 3600).expect("small"));
            let _ = writeln!(file, "c{customer},p{},{},1", day % 7, time.expect("in range"));
        }
    }
    file
}

fn described(directory: &Path, events: &str, more: &str) -> PathBuf {
    std::fs::write(directory.join("events.csv"), events).expect("a file");
    let description = format!(
        "name = 'shop'\ncutoff = '{CUTOFF}'\n[events]\nfiles = ['events.csv']\n\
         mapping = {{ constants = {{ kind = 'purchase' }} }}\n\
         [tasks.health]\nkind = 'repeat_purchase'\nwindow_days = 60\n{more}"
    );
    let path = directory.join("shop.toml");
    std::fs::write(&path, description).expect("a file");
    path
}

fn health(path: &Path) -> HealthReport {
    let description = DataSetDescription::read(path, None).expect("a good description");
    evaluate_health(&description, &Policy::default()).expect("enough data").expect("a task")
}

#[test]
fn returning_customers_rank_above_lost_ones() {
    let directory = tempfile::tempdir().expect("a directory");
    let report = health(&described(directory.path(), &shop(true), ""));
    let tactful = &report.methods[0];
    assert_eq!((tactful.method, tactful.predictions.len()), ("tactful", 600));
    assert!(tactful.quality.auc > 0.95, "{:?}", tactful.quality);
    let base_rate = report.methods.iter().find(|method| method.method == "base_rate").expect("a baseline");
    let difference = tactful.brier_below(base_rate);
    assert!(difference.value > 5.0 * difference.standard_error, "{difference:?}");
}

/// Nothing that happened after the cutoff may change a prediction: only the labels come from there. Two guards hold it;
/// broken by leaving out both: the cutoff in `evaluate_repeat_purchase`, and the end of the window in `past_customer`.
#[test]
fn predictions_do_not_depend_on_events_after_the_cutoff() {
    let directory = tempfile::tempdir().expect("a directory");
    let queries: String = (0..600).fold(String::new(), |mut lines, customer| {
        let _ = writeln!(lines, "{{\"customer\":\"c{customer}\",\"returned\":{}}}", u8::from(customer % 3 != 0));
        lines
    });
    std::fs::write(directory.path().join("queries.jsonl"), queries).expect("a file");
    let more = "queries = 'queries.jsonl'";
    let predictions = |after_cutoff| {
        let report = health(&described(directory.path(), &shop(after_cutoff), more));
        report.methods.iter().map(|method| method.predictions.clone()).collect::<Vec<_>>()
    };
    assert_eq!(predictions(true), predictions(false));
}

#[test]
fn every_fault_of_a_description_is_reported_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.toml");
    let text = "name = ''\ncutoff = 'yesterday'\n[events]\nfiles = ['missing.csv']\n\
                mapping = { kind = { by_sign = 7 } }\n\
                [tasks.health]\nkind = 'repeat_purchase'\nwindow_days = 0\nqueries = 'none.jsonl'\n";
    std::fs::write(&path, text).expect("a file");
    let faults = DataSetDescription::read(&path, None).expect_err("faults").to_string();
    for part in ["name:", "cutoff:", "missing.csv", "events.mapping:", "window_days:", "none.jsonl", "a cutoff"] {
        assert!(faults.contains(part), "{part} is not in\n{faults}");
    }
    std::fs::write(&path, "name = 'x'\n[tasks.health]\nkind = 'leaves'\n").expect("a file");
    assert!(DataSetDescription::read(&path, None).expect_err("faults").to_string().contains("leaves"));
}

fn tactful(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tactful")).args(arguments).output().expect("runs")
}

/// Purchases in pairs: a customer who buys `a3` buys `b3` a week later, and every basket contains a `c` and its `d`.
fn pairs(after_cutoff: bool) -> String {
    let mut file = "customer_id,order_id,product_id,time,quantity,unit_price,currency\n".to_owned();
    let first = "2023-01-06T00:00:00Z".parse::<jiff::Timestamp>().expect("a time").as_second();
    let mut line = |customer: u64, order: &str, product: String, day: u64| {
        if day < DAYS_BEFORE || after_cutoff {
            let time = jiff::Timestamp::from_second(first + i64::try_from(day * 86_400 + 3600).expect("small"));
            let price = 1 + product.len() + usize::from(product.as_bytes()[1]);
            let time = time.expect("in range");
            let _ = writeln!(file, "u{customer},{order}{customer}-{day},{product},{time},1,{price},EUR");
        }
    };
    for customer in 0..400_u64 {
        for round in 0..6 {
            let (pair, day) = ((customer * 7 + round * 5) % 30, 10 + (customer % 40) + round * 60);
            line(customer, "o", format!("a{pair}"), day);
            line(customer, "p", format!("b{pair}"), day + 7);
            line(customer, "o", format!("c{}", pair % 10), day);
            line(customer, "o", format!("d{}", pair % 10), day);
        }
    }
    file
}

fn described_pairs(directory: &Path, after_cutoff: bool) -> PathBuf {
    std::fs::write(directory.join("pairs.csv"), pairs(after_cutoff)).expect("a file");
    let mut next = String::new();
    let mut hidden = String::new();
    let mut dearer = String::new();
    for customer in 0..100_u64 {
        let (last, new) = ((customer * 7 + 25) % 30, (customer * 11) % 10);
        let _ = writeln!(next, "{{\"customer\":\"u{customer}\",\"truth\":[\"b{last}\",\"nowhere\"]}}");
        let _ = writeln!(hidden, "{{\"basket\":{customer},\"given\":[\"c{new}\"],\"hidden\":\"d{new}\"}}");
        let _ = writeln!(
            dearer,
            "{{\"customer\":\"u{customer}\",\"anchor\":\"a1\",\"candidates\":[\"b1\",\"b2\",\"x\"],\"truth\":[\"b1\"]}}"
        );
    }
    for (file, text) in [("next.jsonl", next), ("hidden.jsonl", hidden), ("dearer.jsonl", dearer)] {
        std::fs::write(directory.join(file), text).expect("a file");
    }
    let path = directory.join("pairs.toml");
    let description = format!(
        "name = 'pairs'\ncutoff = '{CUTOFF}'\n[events]\nfiles = ['pairs.csv']\n\
         mapping = {{ constants = {{ kind = 'purchase' }} }}\n[tasks.cs1]\nqueries = 'next.jsonl'\n\
         [tasks.cs2]\nqueries = 'hidden.jsonl'\n[tasks.up]\nqueries = 'dearer.jsonl'\n"
    );
    std::fs::write(&path, description).expect("a file");
    path
}

fn evaluated(arguments: &[&str]) -> Value {
    let output = tactful(&[&["evaluate", "--json", "--dataset"], arguments].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one object")
}

#[test]
fn rankings_are_evaluated_beside_baselines() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = described_pairs(directory.path(), true);
    let rankings = directory.path().join("rankings.jsonl");
    let report = evaluated(&[path.to_str().expect("text"), "--rankings", rankings.to_str().expect("text")]);
    let complements = ["tactful", "random", "popularity", "popularity_recent", "item_cosine", "ease"];
    let upgrades = ["tactful", "random", "popularity", "popularity_recent", "smallest_step", "co_buyers"];
    for (task, methods, metrics) in [
        ("cs1", &complements, &["recall@10", "ndcg@10", "hit@10", "coverage@10"][..]),
        ("cs2", &complements, &["ndcg@10", "hit@10", "coverage@10"]),
        ("up", &upgrades, &["mrr", "hit@3"]),
    ] {
        for method in methods {
            for metric in metrics {
                let value = report["tasks"][task][method][metric].as_f64();
                assert!(value.is_some_and(|it| (0.0..=1.0).contains(&it)), "{task} {method} {metric}: {report:#}");
            }
        }
    }
    // Products that are always bought together are found; half of each truth of `cs1` is an unknown product.
    let metric =
        |task: &str, method: &str, metric: &str| report["tasks"][task][method][metric].as_f64().expect("a number");
    assert!(metric("cs2", "tactful", "hit@10") > 0.95, "{report:#}");
    assert!(metric("cs1", "tactful", "recall@10") <= 0.5);
    assert!(metric("cs2", "random", "hit@10") < 0.4);
    assert!(report["gains"]["cs2"]["random"]["ndcg@10"]["low"].as_f64().expect("a number") > 0.3);

    let lines = std::fs::read_to_string(&rankings).expect("written");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 300);
    let hits = lines.iter().filter(|line| {
        let new = (line["query"].as_u64().expect("a number") * 11) % 10;
        let top = line["ranked"].as_array().expect("a list").iter().take(10);
        line["task"] == "cs2" && top.into_iter().any(|id| *id == format!("d{new}"))
    });
    let hit_rate = f64::from(u32::try_from(hits.count()).expect("few")) / 100.0;
    assert!(
        (hit_rate - metric("cs2", "tactful", "hit@10")).abs() < 1e-9,
        "scoring the written rankings again gives the same hit rate"
    );
}

/// Broken by: `data_set::events` of the shop without its cutoff.
#[test]
fn rankings_do_not_depend_on_events_after_the_cutoff() {
    let report = |after_cutoff| {
        let directory = tempfile::tempdir().expect("a directory");
        evaluated(&[described_pairs(directory.path(), after_cutoff).to_str().expect("text")])
    };
    assert_eq!(report(true), report(false));
}

/// The basket of a query is excluded from the training data, also in a data set without times.
#[test]
fn baskets_of_queries_are_excluded_from_training() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let mut baskets = "order_id,product_id\n".to_owned();
    let mut queries = String::new();
    for basket in 0..200 {
        let _ = writeln!(baskets, "{basket},x{}\n{basket},y{}", basket % 9, basket % 7);
        if basket % 4 == 0 {
            let _ = writeln!(baskets, "{basket},secret");
            let given = basket % 9;
            let _ = writeln!(queries, "{{\"basket\":{basket},\"given\":[\"x{given}\"],\"hidden\":\"secret\"}}");
        }
    }
    let description = "name = 'baskets'\n[events]\nfiles = ['baskets.csv']\n\
                       mapping = { constants = { kind = 'purchase', time = '2024-01-01T00:00:00Z' } }\n\
                       [tasks.basket]\nqueries = 'queries.jsonl'\n";
    for (file, text) in [("baskets.csv", &baskets[..]), ("queries.jsonl", &queries), ("baskets.toml", description)] {
        std::fs::write(here.join(file), text).expect("a file");
    }
    let report = evaluated(&[here.join("baskets.toml").to_str().expect("text")]);
    for method in ["tactful", "ease", "popularity"] {
        assert_eq!(report["tasks"]["basket"][method]["hit@10"], 0.0, "{report:#}");
    }
}

/// Two add-ons that are always held together, and one that is held alone.
#[test]
fn hidden_add_ons_are_ranked_by_folds() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let mut customers = "customer_id,Mail,Line,Film,Bill\n".to_owned();
    let mut queries = String::new();
    for customer in 0..300 {
        let (both, film) = if customer % 3 == 0 { ("no", "yes") } else { ("yes", "no") };
        let _ = writeln!(customers, "u{customer},{both},{both},{film},{customer}");
        if both == "yes" {
            let fold = customer % 5;
            let _ = writeln!(
                queries,
                "{{\"customer\":\"u{customer}\",\"fold\":{fold},\"given\":[\"Mail\"],\"hidden\":\"Line\",\
                 \"candidates\":[\"Film\",\"Line\"]}}"
            );
        }
    }
    let description = "name = 'addons'\n[customers]\nfiles = ['customers.csv']\n[tasks.addon]\n\
                       queries = 'queries.jsonl'\nproduct_attributes = ['Mail', 'Line', 'Film']\n\
                       held_value = 'yes'\nexcluded_attributes = ['Bill']\n";
    for (file, text) in [("customers.csv", &customers[..]), ("queries.jsonl", &queries), ("a.toml", description)] {
        std::fs::write(here.join(file), text).expect("a file");
    }
    let report = evaluated(&[here.join("a.toml").to_str().expect("text")]);
    assert_eq!(report["tasks"]["addon"]["tactful"]["hit@1"], 1.0, "{report:#}");
    assert_eq!(report["tasks"]["addon"]["tactful"]["mrr"], 1.0, "{report:#}");
}

#[test]
fn faults_of_ranking_tasks_are_reported() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.toml");
    let text = "name = 'x'\n[tasks.cs1]\nqueries = 'none.jsonl'\nitems = 'categories'\nsold_within_days = 0\n\
                [tasks.addon]\nqueries = 'none.jsonl'\nproduct_attributes = ['one']\nheld_value = 'Yes'\n";
    std::fs::write(&path, text).expect("a file");
    let faults = DataSetDescription::read(&path, None).expect_err("faults").to_string();
    let parts = [
        "tasks.cs1: needs [events]",
        "tasks.cs1.items:",
        "sold_within_days",
        "none.jsonl",
        "tasks.addon: needs [customers]",
        "tasks.addon.product_attributes",
    ];
    for part in parts {
        assert!(faults.contains(part), "{part} is not in\n{faults}");
    }
    let good = described_pairs(directory.path(), true);
    for (queries, problem) in [("", "no query"), ("{}", "line 1"), ("{\"truth\":[\"\"]}", "line 1: a product")] {
        std::fs::write(directory.path().join("next.jsonl"), queries).expect("a file");
        let output = tactful(&["evaluate", "--dataset", good.to_str().expect("text"), "--task", "cs1"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(problem), "{queries}: {said}");
    }
    let output = tactful(&["evaluate", "--dataset", good.to_str().expect("text"), "--task", "basket"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no task `basket`"), "{output:?}");
}

#[test]
fn json_is_one_object_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = described(directory.path(), &shop(true), "");
    let output = tactful(&["evaluate", "--dataset", path.to_str().expect("text"), "--task", "health", "--json"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(report["dataset"], "shop");
    for method in ["tactful", "base_rate", "mbg_nbd", "p_alive"] {
        for metric in ["auc", "brier", "calibration_error"] {
            assert!(report["tasks"]["health"][method][metric].is_f64(), "{method} {metric}: {report}");
        }
    }
    let table = tactful(&["evaluate", "--dataset", path.to_str().expect("text")]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("mbg_nbd"), "{table:?}");
}

#[test]
fn insufficient_training_data_is_reported_in_a_sentence() {
    let directory = tempfile::tempdir().expect("a directory");
    let events = "customer_id,product_id,time,quantity\nc1,p1,2023-06-01T00:00:00Z,1\n";
    let path = described(directory.path(), events, "");
    let output = tactful(&["evaluate", "--dataset", path.to_str().expect("text")]);
    assert!(!output.status.success());
    let said = "error: not enough training data before the cutoff 2024-01-01T00:00:00Z: at least 20 customers with \
                purchases on several days, over 16 days or more, are needed\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
    let rejected = "customer_id,product_id,time,quantity\nc1,p1,2023-06-01T00:00:00Z,minus one\n";
    let path = described(directory.path(), rejected, "");
    let output = tactful(&["evaluate", "--dataset", path.to_str().expect("text")]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("events.csv:2"), "{output:?}");
}

/// The metrics of `docs/evaluation.md`, from one method for all three data sets.
#[test]
fn the_retention_outlook_reaches_its_metrics_on_real_data() {
    let evaluation = Path::new(env!("CARGO_MANIFEST_DIR")).join("evaluation");
    let data = std::env::var_os("TACTFUL_DATA").map(PathBuf::from);
    let wanted =
        [("online_retail_ii", 0.812, 0.163, 0.02), ("cdnow", 0.770, 0.164, 0.03), ("telco_churn", 0.848, 0.134, 0.015)];
    for (name, auc, brier, calibration_error) in wanted {
        let directory = data.as_ref().map(|data| data.join(name));
        let description = match DataSetDescription::read(&evaluation.join(format!("{name}.toml")), directory.as_deref())
        {
            Ok(description) => description,
            Err(faults) => {
                eprintln!("skipped: {faults}");
                continue;
            }
        };
        let report = evaluate_health(&description, &Policy::default()).expect("enough data").expect("a task");
        let quality = report.methods[0].quality;
        assert!(quality.auc >= auc && quality.brier <= brier, "{name}: {quality:?}");
        assert!(quality.calibration_error <= calibration_error, "{name}: {quality:?}");
        assert!(is_monotone(&report.deciles), "{name}: {:?}", report.deciles);
    }
}
