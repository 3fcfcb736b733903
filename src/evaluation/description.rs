//! Description of a data set in TOML: its files, the mapping of their columns, the cutoff and the tasks.
//!
//! ```toml
//! name = "online_retail_ii"                     # name in the output
//! directory = "../../shared/data/online_retail_ii"   # directory of the files, relative to this file
//! cutoff = "2011-06-10T00:00:00Z"               # models are trained on the events before it
//!
//! [events]
//! files = ["transactions.csv.gz"]
//! mapping = "../examples/mappings/events.toml"  # a file relative to this one, or the tables of a mapping
//!
//! [catalog]                                     # products; optional. Events of other products are ignored
//! files = ["products.csv"]
//! mapping = { columns = { product_id = "sku", title = "name", category = "{department} > {type}" } }
//!
//! [prices]                                      # prices that the catalogue lacks; optional. Without either, the price of a
//! files = ["prices.csv"]                        # product is the median price paid before the cutoff
//! mapping = { columns = { product_id = "sku", title = "sku", price = "usual" } }
//!
//! [customers]                                   # profiles; optional
//! files = ["customers.csv"]
//! mapping = { columns = { customer_id = "id" } }
//!
//! [tasks.health]                                # predict which customers buy within the window after the cutoff
//! kind = "repeat_purchase"
//! window_days = 91
//! queries = "queries.jsonl.gz"                  # {"customer": ..., "returned": 0 or 1} per line; optional. Without it all
//!                                               # customers with a purchase before the cutoff are queried, and the events
//!                                               # give the labels
//!
//! # [tasks.health]                              # predict which customers stay; needs [customers], no events, no cutoff
//! # kind = "retention"
//! # window_days = 91                            # window over which the outcome was observed
//! # outcome_attribute = "Churn"                 # attribute with the outcome; excluded from the profile
//! # retained_value = "No"                       # its value for customers who stayed
//! # tenure_months_attribute = "tenure"          # attribute with the tenure in months
//! # folds = 5                                   # cross-validation: no model is trained on the customers it predicts
//!
//! [tasks.cs1]                                   # predict the first-time purchases of customers
//! queries = "cs1.jsonl.gz"                      # {"customer": ..., "truth": [...]}
//! sold_within_days = 180                        # ranks only items sold this recently; optional, also for cs2 and basket
//! items = "categories"                          # ranks categories, "levels | joined"; the default is "products"
//!
//! [tasks.cs2]                                   # predict the product that was hidden from a basket
//! queries = "cs2.jsonl.gz"                      # {"basket": ..., "customer": ..., "given": [...], "hidden": ...}
//!
//! [tasks.basket]                                # the same for anonymous baskets: {"basket", "given", "hidden"}
//! queries = "baskets.jsonl.gz"
//!
//! [tasks.up]                                    # predict the more expensive product of a category that customers buy
//! queries = "up.jsonl.gz"                       # {"customer", "anchor", "candidates": [...], "truth": [...]}
//!
//! [tasks.addon]                                 # predict the add-on that was hidden; needs [customers]
//! queries = "addon.jsonl.gz"                    # {"customer", "fold", "given", "hidden", "candidates"}
//! product_attributes = ["VoiceMail", "SecondLine"]   # attributes that are products
//! held_value = "Yes"                            # their value when the customer has the product
//! excluded_attributes = ["MonthlyCharges"]      # attributes that would leak the answer
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Table;

use super::task::{HealthTask, RankedItems, RankingTask, TaskKind};
use crate::domain::time::Timestamp;
use crate::ingest::mapping::Mapping;

/// Description of a data set for evaluation.
#[derive(Debug)]
pub struct DataSetDescription {
    /// Name in the output.
    pub name: String,
    /// Models are trained on the events before it; absent for a data set of profiles alone.
    pub cutoff: Option<Timestamp>,
    /// Files of events, with their mapping.
    pub events: Option<MappedFiles>,
    /// Files of customer profiles, with their mapping.
    pub customers: Option<MappedFiles>,
    /// Files of products, with their mapping.
    pub catalog: Option<MappedFiles>,
    /// Files of prices, for products without a price in the catalogue.
    pub prices: Option<MappedFiles>,
    /// Evaluation of the retention outlook, if there is one.
    pub health: Option<HealthTask>,
    /// Ranking tasks by their name in the output, in the order of the output.
    pub ranking: Vec<(&'static str, RankingTask)>,
}

/// Files of one kind with the mapping of their columns.
#[derive(Debug)]
pub struct MappedFiles {
    /// Paths, in the order in which they are read.
    pub paths: Vec<PathBuf>,
    /// Mapping of the columns.
    pub mapping: Mapping,
}

/// Error returned for an invalid description, with every fault.
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
struct DescriptionToml {
    name: String,
    #[serde(default)]
    directory: PathBuf,
    /// A string or a TOML date-time.
    cutoff: Option<toml::Value>,
    events: Option<FilesToml>,
    catalog: Option<FilesToml>,
    prices: Option<FilesToml>,
    customers: Option<FilesToml>,
    #[serde(default)]
    tasks: TasksToml,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesToml {
    files: Vec<PathBuf>,
    #[serde(default)]
    mapping: Option<MappingToml>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a mapping must be the name of a file, or the tables of a mapping")]
enum MappingToml {
    File(PathBuf),
    Tables(Table),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TasksToml {
    cs1: Option<RankingTaskToml>,
    cs2: Option<RankingTaskToml>,
    up: Option<RankingTaskToml>,
    addon: Option<AddOnTaskToml>,
    basket: Option<RankingTaskToml>,
    health: Option<HealthTaskToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RankingTaskToml {
    queries: PathBuf,
    #[serde(default)]
    items: ItemsToml,
    sold_within_days: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum ItemsToml {
    #[default]
    Products,
    Categories,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddOnTaskToml {
    queries: PathBuf,
    product_attributes: Vec<String>,
    held_value: String,
    #[serde(default)]
    excluded_attributes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum HealthTaskToml {
    RepeatPurchase {
        window_days: f64,
        queries: Option<PathBuf>,
    },
    Retention {
        window_days: f64,
        outcome_attribute: String,
        retained_value: String,
        tenure_months_attribute: String,
        folds: usize,
    },
}

impl DataSetDescription {
    /// Reads a description; `directory` replaces the one it names.
    ///
    /// # Errors
    /// All faults at once; a file that is not TOML, or lacks a required key, is reported as a single fault.
    pub fn read(path: &Path, directory: Option<&Path>) -> Result<Self, DescriptionFaults> {
        let one = |fault: String| DescriptionFaults(vec![fault]);
        let text = std::fs::read_to_string(path).map_err(|error| one(format!("{}: {error}", path.display())))?;
        let toml: DescriptionToml =
            toml::from_str(&text).map_err(|error| one(format!("{}: {error}", path.display())))?;
        let here = path.parent().unwrap_or(Path::new("."));
        let mut reader = DescriptionReader {
            here: here.to_owned(),
            directory: directory.map_or_else(|| here.join(&toml.directory), Path::to_owned),
            faults: Vec::new(),
        };
        let description = reader.description(toml);
        if reader.faults.is_empty() { Ok(description) } else { Err(DescriptionFaults(reader.faults)) }
    }
}

struct DescriptionReader {
    /// Directory of the description.
    here: PathBuf,
    /// Directory of the data files.
    directory: PathBuf,
    faults: Vec<String>,
}

impl DescriptionReader {
    fn description(&mut self, toml: DescriptionToml) -> DataSetDescription {
        let DescriptionToml { name, directory: _, cutoff, events, catalog, prices, customers, tasks } = toml;
        let TasksToml { cs1, cs2, up, addon, basket, health } = tasks;
        if name.trim().is_empty() {
            self.faults.push("name: must not be empty".to_owned());
        }
        let cutoff = cutoff.and_then(|toml| self.cutoff(&toml));
        let events = events.map(|files| self.files("events", files));
        let customers = customers.map(|files| self.files("customers", files));
        let catalog = catalog.map(|files| self.files("catalog", files));
        let prices = prices.map(|files| self.files("prices", files));
        let mut ranking = Vec::new();
        for (name, kind, toml) in [
            ("cs1", TaskKind::NextPurchase, cs1),
            ("cs2", TaskKind::BasketCompletion, cs2),
            ("up", TaskKind::Upgrade, up),
            ("basket", TaskKind::BasketCompletion, basket),
        ] {
            let Some(toml) = toml else { continue };
            if events.is_none() {
                self.faults.push(format!("tasks.{name}: needs [events]"));
            }
            if catalog.is_none() && matches!(toml.items, ItemsToml::Categories) {
                self.faults.push(format!("tasks.{name}.items: categories need a [catalog]"));
            }
            if toml.sold_within_days == Some(0) {
                self.faults.push(format!("tasks.{name}.sold_within_days: must be above 0"));
            }
            ranking.push((name, self.ranking(name, kind, toml)));
        }
        if let Some(AddOnTaskToml { queries, product_attributes, held_value, excluded_attributes }) = addon {
            if customers.is_none() {
                self.faults.push("tasks.addon: needs [customers]".to_owned());
            }
            if product_attributes.len() < 2 {
                self.faults.push("tasks.addon.product_attributes: must name at least two".to_owned());
            }
            if let Some((_, repeated)) =
                product_attributes.iter().enumerate().find(|(index, name)| product_attributes[..*index].contains(name))
            {
                self.faults.push(format!("tasks.addon.product_attributes: names `{repeated}` twice"));
            }
            let kind = TaskKind::AddOn { product_attributes, held_value, excluded_attributes };
            let toml = RankingTaskToml { queries, items: ItemsToml::Products, sold_within_days: None };
            ranking.push(("addon", self.ranking("addon", kind, toml)));
        }
        let health = health.map(|health| self.health(health));
        match &health {
            Some(HealthTask::RepeatPurchase { .. }) if events.is_none() || cutoff.is_none() => {
                self.faults.push("tasks.health: the kind `repeat_purchase` needs [events] and a cutoff".to_owned());
            }
            Some(HealthTask::Retention { .. }) if customers.is_none() => {
                self.faults.push("tasks.health: the kind `retention` needs [customers]".to_owned());
            }
            Some(HealthTask::RepeatPurchase { .. } | HealthTask::Retention { .. }) | None => {}
        }
        DataSetDescription { name, cutoff, events, customers, catalog, prices, health, ranking }
    }

    fn cutoff(&mut self, toml: &toml::Value) -> Option<Timestamp> {
        let text = toml.as_str().map_or_else(|| toml.to_string(), ToOwned::to_owned);
        let read = text.parse::<jiff::Timestamp>().ok().and_then(|at| Timestamp::from_unix_ms(at.as_millisecond()));
        if read.is_none() {
            let like = "a time such as 2011-06-10T00:00:00Z within the years 1900 to 2200";
            self.faults.push(format!("cutoff: must be {like}, not {text:?}"));
        }
        read
    }

    fn files(&mut self, section: &str, toml: FilesToml) -> MappedFiles {
        let FilesToml { files, mapping } = toml;
        if files.is_empty() {
            self.faults.push(format!("{section}.files: must name at least one file"));
        }
        let paths = files.into_iter().map(|file| self.file(&format!("{section}.files"), &file)).collect();
        let text = match mapping {
            None => None,
            Some(MappingToml::Tables(tables)) => Some(tables.to_string()),
            Some(MappingToml::File(file)) => {
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
        MappedFiles { paths, mapping }
    }

    fn file(&mut self, field: &str, file: &Path) -> PathBuf {
        let path = self.directory.join(file);
        if !path.is_file() {
            self.faults.push(format!("{field}: there is no file {}", path.display()));
        }
        path
    }

    fn ranking(&mut self, name: &str, kind: TaskKind, toml: RankingTaskToml) -> RankingTask {
        let RankingTaskToml { queries, items, sold_within_days } = toml;
        let queries = self.file(&format!("tasks.{name}.queries"), &queries);
        let items = match items {
            ItemsToml::Products => RankedItems::Products,
            ItemsToml::Categories => RankedItems::Categories,
        };
        RankingTask { kind, queries, items, sold_within_days }
    }

    fn health(&mut self, toml: HealthTaskToml) -> HealthTask {
        match toml {
            HealthTaskToml::RepeatPurchase { window_days, queries } => {
                self.window(window_days);
                let queries = queries.map(|file| self.file("tasks.health.queries", &file));
                HealthTask::RepeatPurchase { window_days, queries }
            }
            HealthTaskToml::Retention {
                window_days,
                outcome_attribute,
                retained_value,
                tenure_months_attribute,
                folds,
            } => {
                self.window(window_days);
                if !(2..=100).contains(&folds) {
                    self.faults.push(format!("tasks.health.folds: must be 2 to 100, not {folds}"));
                }
                HealthTask::Retention { window_days, outcome_attribute, retained_value, tenure_months_attribute, folds }
            }
        }
    }

    fn window(&mut self, days: f64) {
        if !(1.0..=3660.0).contains(&days) {
            self.faults.push(format!("tasks.health.window_days: must be 1 to 3660, not {days}"));
        }
    }
}
