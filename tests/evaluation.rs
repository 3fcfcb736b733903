//! `tactful evaluate` on files: descriptions, the health task end to end, and the figures on real data.
//!
//! The sets of `evaluation/` are judged where they are beside the project, or where `TACTFUL_DATA` says; it is said where
//! they are not.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tactful::domain::policy::Policy;
use tactful::evaluation::deciles::is_monotone;
use tactful::evaluation::description::Description;
use tactful::evaluation::health::{HealthReport, evaluate_health};

const DAYS_BEFORE: u64 = 360;
const CUTOFF: &str = "2024-01-01T00:00:00Z";

/// A shop of 600 customers over 400 days: each comes every so many days, and a third of them stays away from a day on.
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
         [tasks.health]\nquestion = 'returns'\nwindow_days = 60\n{more}"
    );
    let path = directory.join("shop.toml");
    std::fs::write(&path, description).expect("a file");
    path
}

fn health(path: &Path) -> HealthReport {
    let description = Description::read(path, None).expect("a good description");
    evaluate_health(&description, &Policy::default()).expect("enough data").expect("a task")
}

#[test]
fn who_stays_away_is_told_from_who_does_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let report = health(&described(directory.path(), &shop(true), ""));
    let tactful = &report.methods[0];
    assert_eq!((tactful.method, tactful.told.len()), ("tactful", 600));
    assert!(tactful.quality.auc > 0.95, "{:?}", tactful.quality);
    let base_rate = report.methods.iter().find(|method| method.method == "base_rate").expect("a baseline");
    let gained = tactful.brier_below(base_rate);
    assert!(gained.value > 5.0 * gained.standard_error, "{gained:?}");
}

/// Nothing that happened after the cutoff may change what is told: only the truth comes from there. Two guards hold it;
/// broken by leaving out both: the cutoff in `judge_returns`, and the end of the window in `past_customer`.
#[test]
fn what_happens_after_the_cutoff_teaches_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let queries: String = (0..600).fold(String::new(), |mut lines, customer| {
        let _ = writeln!(lines, "{{\"customer\":\"c{customer}\",\"returned\":{}}}", u8::from(customer % 3 != 0));
        lines
    });
    std::fs::write(directory.path().join("queries.jsonl"), queries).expect("a file");
    let more = "queries = 'queries.jsonl'";
    let told = |after_cutoff| {
        let report = health(&described(directory.path(), &shop(after_cutoff), more));
        report.methods.iter().map(|method| method.told.clone()).collect::<Vec<_>>()
    };
    assert_eq!(told(true), told(false));
}

#[test]
fn every_fault_of_a_description_is_told_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.toml");
    let text = "name = ''\ncutoff = 'yesterday'\n[events]\nfiles = ['missing.csv']\n\
                mapping = { kind = { by_sign = 7 } }\n\
                [tasks.health]\nquestion = 'returns'\nwindow_days = 0\nqueries = 'none.jsonl'\n";
    std::fs::write(&path, text).expect("a file");
    let faults = Description::read(&path, None).expect_err("faults").to_string();
    for part in ["name:", "cutoff:", "missing.csv", "events.mapping:", "window_days:", "none.jsonl", "a cutoff"] {
        assert!(faults.contains(part), "{part} is not in\n{faults}");
    }
    std::fs::write(&path, "name = 'x'\n[tasks.health]\nquestion = 'leaves'\n").expect("a file");
    assert!(Description::read(&path, None).expect_err("faults").to_string().contains("leaves"));
}

fn tactful(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tactful")).args(arguments).output().expect("runs")
}

#[test]
fn json_is_one_object_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = described(directory.path(), &shop(true), "");
    let output = tactful(&["evaluate", "--dataset", path.to_str().expect("text"), "--task", "health", "--json"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(told["dataset"], "shop");
    for method in ["tactful", "base_rate", "mbg_nbd", "p_alive"] {
        for figure in ["auc", "brier", "calibration_error"] {
            assert!(told["tasks"]["health"][method][figure].is_f64(), "{method} {figure}: {told}");
        }
    }
    let table = tactful(&["evaluate", "--dataset", path.to_str().expect("text")]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("mbg_nbd"), "{table:?}");
}

#[test]
fn too_little_to_learn_from_is_told_in_a_sentence() {
    let directory = tempfile::tempdir().expect("a directory");
    let events = "customer_id,product_id,time,quantity\nc1,p1,2023-06-01T00:00:00Z,1\n";
    let path = described(directory.path(), events, "");
    let output = tactful(&["evaluate", "--dataset", path.to_str().expect("text")]);
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "error: the history is too thin to learn from\n");
    let rejected = "customer_id,product_id,time,quantity\nc1,p1,2023-06-01T00:00:00Z,minus one\n";
    let path = described(directory.path(), rejected, "");
    let output = tactful(&["evaluate", "--dataset", path.to_str().expect("text")]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("events.csv:2"), "{output:?}");
}

/// The figures that `docs/evaluation.md` tells, one method for all three.
#[test]
fn the_retention_outlook_holds_its_figures_on_real_data() {
    let evaluation = Path::new(env!("CARGO_MANIFEST_DIR")).join("evaluation");
    let data = std::env::var_os("TACTFUL_DATA").map(PathBuf::from);
    let wanted =
        [("online_retail_ii", 0.812, 0.163, 0.02), ("cdnow", 0.770, 0.164, 0.03), ("telco_churn", 0.848, 0.134, 0.015)];
    for (name, auc, brier, calibration_error) in wanted {
        let directory = data.as_ref().map(|data| data.join(name));
        let description = match Description::read(&evaluation.join(format!("{name}.toml")), directory.as_deref()) {
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
