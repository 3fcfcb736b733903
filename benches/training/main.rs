//! Time and memory of a training, by size of catalogue and history.
//!
//! Generates shops of falling popularity, with categories that go together and customers who come again, over 18 months;
//! trains on each as the server does by default; and prints the seconds of each stage, resident memory before and at its
//! peak, the size of the artifact, and the model's own figures, which show a training that became faster by learning less.
//! Each shop has a process of its own, so that a peak belongs to one training.
//!
//! Deliberately not measured: reading history from a store or a file (events are generated while the clock is stopped),
//! profiles, the retention outlook, serving with the model, and the quality of rankings on real shops, for which there is
//! `tactful evaluate`.
//!
//! `cargo bench --bench training`: 10,000 products with 1,000,000 purchases, and ten times of both. `-- --largest` adds a
//! hundred times of both; `-- --quick` takes seconds; `-- --json` is for machines. Needs Linux and two idle cores.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "figures of a run are far from the limits"
)]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tactful::config::settings::RetrainingSettings;
use tactful::model::history::TrainingHistory;
use tactful::model::train::{TrainingStage, train};
use tactful::model::training_log::Metric;
use tactful::model::training_settings::TrainingSettings;

mod shop;
#[path = "../support/mod.rs"]
mod support;

use shop::ShopSize;

// As in the server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const QUICK: ShopSize = ShopSize { products: 2_000, purchases: 50_000 };
const USUAL: [ShopSize; 2] =
    [ShopSize { products: 10_000, purchases: 1_000_000 }, ShopSize { products: 100_000, purchases: 10_000_000 }];
const LARGEST: ShopSize = ShopSize { products: 1_000_000, purchases: 100_000_000 };

/// Threads of a training; the other settings are the server's defaults.
const THREADS: usize = 2;
/// Events pushed in one go, like a page of a store's history.
const PAGE_LEN: usize = 4096;
/// Environment variable that names the shop a process trains on.
const SHOP: &str = "TACTFUL_BENCH_SHOP";

/// Names with figures, in the order in which they are printed.
type Figures = Vec<(String, f64)>;

fn main() -> ExitCode {
    if let Ok(shop) = std::env::var(SHOP) {
        let (products, purchases) = shop.split_once('x').expect("two numbers");
        let [products, purchases] = [products, purchases].map(|number| number.parse().expect("a number"));
        for (name, value) in measure(ShopSize { products, purchases }) {
            println!("{name} {value}");
        }
        return ExitCode::SUCCESS;
    }
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let mut shops = if has("--quick") { vec![QUICK] } else { USUAL.to_vec() };
    shops.extend(has("--largest").then_some(LARGEST));
    let measured: Vec<Figures> = shops.iter().map_while(|shop| measure_in_own_process(*shop)).collect();
    let all_trained = measured.len() == shops.len();
    if has("--json") {
        let objects = measured.into_iter().map(|figures| figures.into_iter().collect::<BTreeMap<String, f64>>());
        println!("{:#}", serde_json::json!(objects.collect::<Vec<_>>()));
    } else {
        print_for_people(&measured);
    }
    if all_trained { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures one shop in a process of its own; `None` when the process died, for example for lack of memory.
fn measure_in_own_process(ShopSize { products, purchases }: ShopSize) -> Option<Figures> {
    eprintln!("{products} products, {purchases} purchases");
    let mut this_program = Command::new(std::env::current_exe().expect("this program"));
    let process = this_program.env(SHOP, format!("{products}x{purchases}")).stderr(Stdio::inherit());
    let output = process.output().expect("this program starts");
    if !output.status.success() {
        eprintln!("training on it ended with {}", output.status);
        return None;
    }
    let printed = String::from_utf8(output.stdout).expect("names and numbers");
    let pairs = printed.lines().map(|line| line.split_once(' ').expect("a name and a number"));
    Some(pairs.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect())
}

fn measure(shop: ShopSize) -> Figures {
    let defaults = RetrainingSettings::default();
    let settings = TrainingSettings::new(THREADS, defaults.training_memory_mib << 20);
    let catalog = shop.catalog();
    let (history, push) = pushed(shop);
    let before = resident_mib("VmRSS");

    let stages = Stages::begin();
    let progress = |stage: TrainingStage| stages.enter(stage);
    let (model, report) = train(&history, &catalog, ShopSize::end(), &settings, &progress).expect("it can be learned");
    let seconds = stages.end();
    let peak = resident_mib("VmHWM");
    report.notes.iter().for_each(|note| eprintln!("    {note}"));

    let counts = [
        ("products", report.products),
        ("purchases", report.purchases),
        ("customers", report.customers),
        ("baskets", report.baskets),
    ];
    let mut figures: Figures = counts.map(|(name, count)| (name.to_owned(), count as f64)).into();
    figures.push(("push_seconds".to_owned(), push.as_secs_f64()));
    figures.extend(seconds);
    figures.push(("before_mib".to_owned(), before));
    figures.push(("peak_mib".to_owned(), peak));
    figures.push(("artifact_mib".to_owned(), model.encode().len() as f64 / 1024.0 / 1024.0));
    let metrics = report.metrics.into_iter();
    figures.extend(metrics.map(|Metric { name, method, value, .. }| (format!("{name}_of_{method}"), value)));
    figures
}

/// The history, and the time that pushing it took, without generating it.
fn pushed(shop: ShopSize) -> (TrainingHistory, Duration) {
    let mut history = TrainingHistory::new();
    let mut events = shop.history();
    let mut took = Duration::ZERO;
    loop {
        let page: Vec<_> = events.by_ref().take(PAGE_LEN).collect();
        let began = Instant::now();
        for event in &page {
            history.push(event);
        }
        took += began.elapsed();
        if page.is_empty() {
            return (history, took);
        }
    }
}

/// Start of each stage.
struct Stages {
    began: Instant,
    entered: Mutex<Figures>,
}

impl Stages {
    /// Starts with the sorting of the history and the temporal folds, which precede the first reported stage.
    fn begin() -> Self {
        Self { began: Instant::now(), entered: Mutex::new(vec![("ordering_seconds".to_owned(), 0.0)]) }
    }

    fn enter(&self, stage: TrainingStage) {
        let name = match stage {
            TrainingStage::Ranking(stage) => format!("{stage:?}").to_lowercase(),
            TrainingStage::Transitions => "transitions".to_owned(),
        };
        let at = self.began.elapsed().as_secs_f64();
        eprintln!("{at:8.1} s: {name}, with {:.0} MiB", resident_mib("VmRSS"));
        self.entered.lock().expect("not poisoned").push((format!("{name}_seconds"), at));
    }

    /// Seconds of each stage, summed over its repetitions, and of the whole training.
    fn end(self) -> Figures {
        let total = ("training_seconds".to_owned(), self.began.elapsed().as_secs_f64());
        let mut entered = self.entered.into_inner().expect("not poisoned");
        entered.push(total.clone());
        let mut seconds = Figures::new();
        for pair in entered.windows(2) {
            let [(name, began), (_, ended)] = pair else { continue };
            match seconds.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += ended - began,
                None => seconds.push((name.clone(), ended - began)),
            }
        }
        seconds.push(total);
        seconds
    }
}

/// A figure of this process (`man 5 proc`, `status`).
fn resident_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')?.strip_suffix("kB"));
    value.expect("Linux reports it").trim().parse::<f64>().expect("a number") / 1024.0
}

/// Prints a column for each shop.
fn print_for_people(measured: &[Figures]) {
    for (name, _) in measured.first().into_iter().flatten() {
        print!("{name:<44}");
        for figures in measured {
            let value = figures.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, value)| *value);
            let decimals = if name.contains("_of_") { 4 } else { usize::from(name.ends_with("_seconds")) };
            print!(" {value:>12.decimals$}");
        }
        println!();
    }
}
