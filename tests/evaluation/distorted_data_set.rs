//! Valid data sets, and ways to distort them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

pub const DAY: i64 = 86_400;
/// 1 January 2024.
pub const CUTOFF: i64 = 19_723 * DAY;
pub const KIND: &str = "mapping = { constants = { kind = 'purchase' } }\n";
pub const CATALOG: &str = "[catalog]\nfiles = ['products.csv']\n";
pub const HEALTH: &str = "[tasks.health]\nkind = 'repeat_purchase'\nwindow_days = 60\n";
pub const PROFILES: &str = "\
name = 'profiles'
[customers]
files = ['customers.csv']
[tasks.health]
kind = 'retention'
window_days = 91
outcome_attribute = 'Left'
retained_value = 'no'
tenure_months_attribute = 'Months'
folds = 5
[tasks.addon]
queries = 'addon.jsonl'
product_attributes = ['Mail', 'Line']
held_value = 'yes'
";

/// The files of a data set, by name.
pub struct DataSet(BTreeMap<&'static str, String>);

impl DataSet {
    pub fn with(mut self, file: &'static str, text: impl Into<String>) -> Self {
        self.0.insert(file, text.into());
        self
    }

    pub fn without(mut self, file: &str) -> Self {
        self.0.remove(file).expect("there is such a file");
        self
    }

    pub fn changed(mut self, file: &'static str, from: &str, to: &str) -> Self {
        let text = self.0.get_mut(file).expect("there is such a file");
        assert!(text.contains(from), "{from} is in {file}");
        *text = text.replace(from, to);
        self
    }

    pub fn described(self, from: &str, to: &str) -> Self {
        self.changed("set.toml", from, to)
    }

    pub fn events(self, lines: &[String]) -> Self {
        self.with("events.csv", format!("customer_id,product_id,time,unit_price,currency\n{}", lines.concat()))
    }

    pub fn evaluate(&self, directory: &Path, more: &[&str]) -> Output {
        for (file, text) in &self.0 {
            std::fs::write(directory.join(file), text).expect("a file");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_tactful"));
        command.current_dir(directory).args(["evaluate", "--dataset", "set.toml"]).args(more);
        command.output().expect("runs")
    }
}

/// Purchases of 40 customers who buy two products every few weeks for 300 days before the cutoff and 80 after it; some stop.
/// Time is compressed by a factor and moved by some seconds.
pub fn purchases(pressed: i64, moved: i64, price: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for who in 0..40_i64 {
        let (first, last) = (who % 17 - 300, if who % 3 == 0 { -50 } else { 80 });
        for day in (first..last).step_by(usize::try_from(15 + who % 20).expect("above 0")) {
            let what = (who * 5 + day / 15).rem_euclid(11);
            let second = CUTOFF + day * DAY / pressed + moved;
            lines.extend([what, what + 1].map(|what| purchase(who, what, second, price)));
        }
    }
    lines
}

pub fn purchase(who: i64, what: i64, second: i64, price: &str) -> String {
    let at = jiff::Timestamp::from_second(second).expect("in range");
    format!("c{who},p{what},{at},{price},EUR\n")
}

/// A valid shop; the last of its products is never sold.
pub fn shop() -> DataSet {
    let products: Vec<String> = (0..13).map(|it| format!("p{it},thing {it},all,{it},EUR\n")).collect();
    let queries = |query: fn(usize) -> String| (0..20).map(query).collect::<Vec<String>>().join("\n");
    let description = format!(
        "name = 'shop'\ncutoff = '2024-01-01T00:00:00Z'\n[events]\nfiles = ['events.csv']\n{KIND}{CATALOG}\
         [tasks.cs1]\nqueries = 'cs1.jsonl'\n[tasks.cs2]\nqueries = 'cs2.jsonl'\n[tasks.up]\nqueries = 'up.jsonl'\n{HEALTH}"
    );
    DataSet(BTreeMap::new())
        .with("set.toml", description)
        .with("products.csv", format!("product_id,title,category,price,currency\n{}", products.concat()))
        .with("cs1.jsonl", queries(|it| format!(r#"{{"customer":"c{it}","truth":["p{}"]}}"#, it % 11)))
        .with("cs2.jsonl", queries(|it| format!(r#"{{"given":["p{}"],"hidden":"p{}"}}"#, it % 11, it % 11 + 1)))
        .with(
            "up.jsonl",
            queries(|it| format!(r#"{{"customer":"c{it}","anchor":"p1","candidates":["p2","p3"],"truth":["p2"]}}"#)),
        )
        .events(&purchases(1, 0, "1.50"))
}

/// The shop without the health task, which needs repeat purchases.
pub fn of_rankings() -> DataSet {
    shop().described(HEALTH, "")
}

pub fn yes(it: bool) -> &'static str {
    if it { "yes" } else { "no" }
}

/// 400 valid subscribers with their tenure in months and an attribute.
pub fn subscribers(months_and_size: impl Fn(usize) -> (String, String)) -> DataSet {
    let customer = |it: usize| {
        let (months, size) = months_and_size(it);
        format!(
            "u{it},{},{months},{size},{},{}\n",
            yes(it.is_multiple_of(4)),
            yes(it.is_multiple_of(2)),
            yes(it % 6 < 4)
        )
    };
    let query = |it: usize| {
        let fold = it % 5;
        format!(r#"{{"customer":"u{it}","fold":{fold},"given":["Mail"],"hidden":"Line","candidates":["Line"]}}"#)
    };
    DataSet(BTreeMap::new())
        .with("set.toml", PROFILES)
        .with(
            "customers.csv",
            "customer_id,Left,Months,Size,Mail,Line\n".to_owned() + &(0..400).map(customer).collect::<String>(),
        )
        .with("addon.jsonl", (0..100).map(query).collect::<Vec<String>>().join("\n"))
}

pub fn plain(it: usize) -> (String, String) {
    ((it % 70).to_string(), (it % 50).to_string())
}
