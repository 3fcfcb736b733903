//! A data set described in TOML: its files, what their columns mean, where time is cut, and the tasks it has.
//!
//! ```toml
//! name = "online_retail_ii"                     # in the output
//! directory = "../../shared/data/online_retail_ii"   # of the files, seen from this file
//! cutoff = "2011-06-10T00:00:00Z"               # models see what happened before it
//!
//! [events]
//! files = ["transactions.csv.gz"]
//! mapping = "../examples/mappings/events.toml"  # a file seen from this one, or the tables of a mapping
//!
//! [catalog]                                     # products; optional. Where there is one, only its products count
//! files = ["products.csv"]
//! mapping = { columns = { product_id = "sku", title = "name", category = "{department} > {type}" } }
//!
//! [prices]                                      # of products, where the catalogue does not tell them; optional. Without
//! files = ["prices.csv"]                        # either, a product costs what it was sold for before the cutoff (median)
//! mapping = { columns = { product_id = "sku", title = "sku", price = "usual" } }
//!
//! [customers]                                   # profiles; optional
//! files = ["customers.csv"]
//! mapping = { columns = { customer_id = "id" } }
//!
//! [tasks.health]                                # who buys within the window after the cutoff?
//! question = "returns"
//! window_days = 91
//! queries = "queries.jsonl.gz"                  # {"customer": ..., "returned": 0 or 1} a line; without it everybody
//!                                               # who bought before the cutoff is asked about, and events tell
//!
//! # [tasks.health]                              # who of these customers stays? needs [customers], no events, no cutoff
//! # question = "stays"
//! # window_days = 91                            # over which the outcome was observed
//! # outcome = "Churn"                           # the attribute that tells; no part of the profile
//! # stayed = "No"
//! # tenure_months = "tenure"                    # the attribute that tells how long a customer has been there
//! # folds = 5                                   # each customer is told by a model that never saw it
//!
//! [tasks.cs1]                                   # what will these customers buy that they never bought?
//! queries = "cs1.jsonl.gz"                      # {"customer": ..., "truth": [...]}
//! sold_within_days = 180                        # only what was sold so lately is ranked; optional, as in cs2 and basket
//! items = "categories"                          # ranks categories, "levels | joined"; the default is "products"
//!
//! [tasks.cs2]                                   # which product of a basket was hidden?
//! queries = "cs2.jsonl.gz"                      # {"basket": ..., "customer": ..., "given": [...], "hidden": ...}
//!
//! [tasks.basket]                                # the same without customers: {"basket", "given", "hidden"}
//! queries = "baskets.jsonl.gz"
//!
//! [tasks.up]                                    # which dearer product of a category will they buy?
//! queries = "up.jsonl.gz"                       # {"customer", "anchor", "candidates": [...], "truth": [...]}
//!
//! [tasks.addon]                                 # which of a customer's add-ons was hidden? needs [customers]
//! queries = "addon.jsonl.gz"                    # {"customer", "fold", "given", "hidden", "candidates"}
//! products = ["VoiceMail", "SecondLine"]        # the attributes that are products,
//! held = "Yes"                                  # their value where the customer has it,
//! left_out = ["MonthlyCharges"]                 # and those that would tell the answer
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Table;

use super::task::{HealthTask, Items, Question, RankingTask};
use crate::domain::time::Timestamp;
use crate::ingest::mapping::Mapping;

/// A data set to be judged on.
#[derive(Debug)]
pub struct Description {
    /// Its name in the output.
    pub name: String,
    /// Models see what happened before it; a set of profiles alone has none.
    pub cutoff: Option<Timestamp>,
    /// What happened.
    pub events: Option<Files>,
    /// Who the customers are.
    pub customers: Option<Files>,
    /// What is sold.
    pub catalog: Option<Files>,
    /// What it costs, where the catalogue does not tell.
    pub prices: Option<Files>,
    /// The health task.
    pub health: Option<HealthTask>,
    /// The ranking tasks by their names in the output, in its order.
    pub ranking: Vec<(&'static str, RankingTask)>,
}

/// Files of one kind and what their columns mean.
#[derive(Debug)]
pub struct Files {
    /// In the order in which they are read.
    pub paths: Vec<PathBuf>,
    /// What their columns mean.
    pub mapping: Mapping,
}

/// Everything that is wrong with a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescriptionFaults(pub Vec<String>);

impl fmt::Display for DescriptionFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for DescriptionFaults {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    directory: PathBuf,
    /// A text, or a time as TOML writes it.
    cutoff: Option<toml::Value>,
    events: Option<WrittenFiles>,
    catalog: Option<WrittenFiles>,
    prices: Option<WrittenFiles>,
    customers: Option<WrittenFiles>,
    #[serde(default)]
    tasks: WrittenTasks,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFiles {
    files: Vec<PathBuf>,
    #[serde(default)]
    mapping: Option<WrittenMapping>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a mapping must be the name of a file, or the tables of a mapping")]
enum WrittenMapping {
    File(PathBuf),
    Tables(Table),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenTasks {
    cs1: Option<WrittenRanking>,
    cs2: Option<WrittenRanking>,
    up: Option<WrittenRanking>,
    addon: Option<WrittenAddOn>,
    basket: Option<WrittenRanking>,
    health: Option<WrittenHealth>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRanking {
    queries: PathBuf,
    #[serde(default)]
    items: WrittenItems,
    sold_within_days: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum WrittenItems {
    #[default]
    Products,
    Categories,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAddOn {
    queries: PathBuf,
    products: Vec<String>,
    held: String,
    #[serde(default)]
    left_out: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "question", rename_all = "snake_case", deny_unknown_fields)]
enum WrittenHealth {
    Returns { window_days: f64, queries: Option<PathBuf> },
    Stays { window_days: f64, outcome: String, stayed: String, tenure_months: String, folds: usize },
}

impl Description {
    /// Reads a description; `directory` replaces the one it names.
    ///
    /// # Errors
    /// Every fault at once; only a file that is no TOML, or lacks what cannot be left out, has just one.
    pub fn read(path: &Path, directory: Option<&Path>) -> Result<Self, DescriptionFaults> {
        let one = |fault: String| DescriptionFaults(vec![fault]);
        let text = std::fs::read_to_string(path).map_err(|error| one(format!("{}: {error}", path.display())))?;
        let written: Written = toml::from_str(&text).map_err(|error| one(format!("{}: {error}", path.display())))?;
        let here = path.parent().unwrap_or(Path::new("."));
        let mut reader = Reader {
            here: here.to_owned(),
            directory: directory.map_or_else(|| here.join(&written.directory), Path::to_owned),
            faults: Vec::new(),
        };
        let description = reader.description(written);
        if reader.faults.is_empty() { Ok(description) } else { Err(DescriptionFaults(reader.faults)) }
    }
}

struct Reader {
    /// Where the description is.
    here: PathBuf,
    /// Where the files are.
    directory: PathBuf,
    faults: Vec<String>,
}

impl Reader {
    fn description(&mut self, written: Written) -> Description {
        let Written { name, directory: _, cutoff, events, catalog, prices, customers, tasks } = written;
        let WrittenTasks { cs1, cs2, up, addon, basket, health } = tasks;
        if name.trim().is_empty() {
            self.faults.push("name: must not be empty".to_owned());
        }
        let cutoff = cutoff.and_then(|written| self.cutoff(&written));
        let events = events.map(|files| self.files("events", files));
        let customers = customers.map(|files| self.files("customers", files));
        let catalog = catalog.map(|files| self.files("catalog", files));
        let prices = prices.map(|files| self.files("prices", files));
        let mut ranking = Vec::new();
        for (name, question, written) in [
            ("cs1", Question::NextPurchase, cs1),
            ("cs2", Question::HiddenProduct, cs2),
            ("up", Question::Upgrade, up),
            ("basket", Question::HiddenProduct, basket),
        ] {
            let Some(written) = written else { continue };
            if events.is_none() {
                self.faults.push(format!("tasks.{name}: needs [events]"));
            }
            if catalog.is_none() && matches!(written.items, WrittenItems::Categories) {
                self.faults.push(format!("tasks.{name}.items: categories need a [catalog]"));
            }
            if written.sold_within_days == Some(0) {
                self.faults.push(format!("tasks.{name}.sold_within_days: must be above 0"));
            }
            ranking.push((name, self.ranking(name, question, written)));
        }
        if let Some(WrittenAddOn { queries, products, held, left_out }) = addon {
            if customers.is_none() {
                self.faults.push("tasks.addon: needs [customers]".to_owned());
            }
            if products.len() < 2 {
                self.faults.push("tasks.addon.products: must name at least two".to_owned());
            }
            if let Some(twice) = products.iter().enumerate().find(|(place, name)| products[..*place].contains(name)) {
                self.faults.push(format!("tasks.addon.products: names `{}` twice", twice.1));
            }
            let question = Question::AddOn { products, held, left_out };
            let written = WrittenRanking { queries, items: WrittenItems::Products, sold_within_days: None };
            ranking.push(("addon", self.ranking("addon", question, written)));
        }
        let health = health.map(|health| self.health(health));
        match &health {
            Some(HealthTask::Returns { .. }) if events.is_none() || cutoff.is_none() => {
                self.faults.push("tasks.health: the question `returns` needs [events] and a cutoff".to_owned());
            }
            Some(HealthTask::Stays { .. }) if customers.is_none() => {
                self.faults.push("tasks.health: the question `stays` needs [customers]".to_owned());
            }
            Some(HealthTask::Returns { .. } | HealthTask::Stays { .. }) | None => {}
        }
        Description { name, cutoff, events, customers, catalog, prices, health, ranking }
    }

    fn cutoff(&mut self, written: &toml::Value) -> Option<Timestamp> {
        let text = written.as_str().map_or_else(|| written.to_string(), ToOwned::to_owned);
        let read = text.parse::<jiff::Timestamp>().ok().and_then(|at| Timestamp::from_unix_ms(at.as_millisecond()));
        if read.is_none() {
            let like = "a time such as 2011-06-10T00:00:00Z within the years 1900 to 2200";
            self.faults.push(format!("cutoff: must be {like}, not {text:?}"));
        }
        read
    }

    fn files(&mut self, section: &str, written: WrittenFiles) -> Files {
        let WrittenFiles { files, mapping } = written;
        if files.is_empty() {
            self.faults.push(format!("{section}.files: must name at least one file"));
        }
        let paths = files.into_iter().map(|file| self.file(&format!("{section}.files"), &file)).collect();
        let text = match mapping {
            None => None,
            Some(WrittenMapping::Tables(tables)) => Some(tables.to_string()),
            Some(WrittenMapping::File(file)) => {
                let path = self.here.join(file);
                let read = std::fs::read_to_string(&path);
                read.map_err(|error| self.faults.push(format!("{section}.mapping: {}: {error}", path.display()))).ok()
            }
        };
        let mapping = text.map_or_else(|| Ok(Mapping::canonical()), |text| Mapping::from_toml(&text));
        let mapping = mapping.unwrap_or_else(|faults| {
            self.faults.extend(faults.into_iter().map(|fault| format!("{section}.mapping: {fault}")));
            Mapping::canonical()
        });
        Files { paths, mapping }
    }

    fn file(&mut self, field: &str, file: &Path) -> PathBuf {
        let path = self.directory.join(file);
        if !path.is_file() {
            self.faults.push(format!("{field}: there is no file {}", path.display()));
        }
        path
    }

    fn ranking(&mut self, name: &str, question: Question, written: WrittenRanking) -> RankingTask {
        let WrittenRanking { queries, items, sold_within_days } = written;
        let queries = self.file(&format!("tasks.{name}.queries"), &queries);
        let items = match items {
            WrittenItems::Products => Items::Products,
            WrittenItems::Categories => Items::Categories,
        };
        RankingTask { question, queries, items, sold_within_days }
    }

    fn health(&mut self, written: WrittenHealth) -> HealthTask {
        match written {
            WrittenHealth::Returns { window_days, queries } => {
                self.window(window_days);
                let queries = queries.map(|file| self.file("tasks.health.queries", &file));
                HealthTask::Returns { window_days, queries }
            }
            WrittenHealth::Stays { window_days, outcome, stayed, tenure_months, folds } => {
                self.window(window_days);
                if !(2..=100).contains(&folds) {
                    self.faults.push(format!("tasks.health.folds: must be 2 to 100, not {folds}"));
                }
                HealthTask::Stays { window_days, outcome, stayed, tenure_months, folds }
            }
        }
    }

    fn window(&mut self, days: f64) {
        if !(1.0..=3660.0).contains(&days) {
            self.faults.push(format!("tasks.health.window_days: must be 1 to 3660, not {days}"));
        }
    }
}
