//! What an answer costs, beside a handler that only answers.
//!
//! Starts the real server on a sled store, filled with 10,000 customers and 5,000 products, and an empty `tonic`
//! handler that answers the same bytes; each is a process of its own. Loads both in turn with CrossSell, as PREVIEW and
//! as durable RESERVE, at 1, 16 and 64 calls in flight, and prints requests per second, latencies and the server's CPU
//! per request, and their ratios. Ratios of one run are comparable between machines; the figures are not.
//!
//! The clock of the server is moved on with every RESERVE call, so that a customer's caps are free again when the
//! customer's turn comes again. Fewer than 95 % new grants among the timed RESERVE calls fail the run: repeating open
//! offers is cheaper and would flatter.
//!
//! At last, PREVIEW while a training runs beside PREVIEW while none does.
//!
//! With `-- --overload` instead: calls at five times what the server can do, at a rate of their own. It fails unless, for a
//! basket, goodput stays at 90 % of the peak, p99 of those admitted within three times that at the peak, all others are
//! refused with a time to come again, and nobody is refused two seconds later. Other calls are only told: to refuse four
//! times as many takes a fifth of what cheap ones take. `-- --overload RESERVE` is about one kind. `--apart` gives the server
//! one core and the callers another (by `taskset`), without which callers take from the server what they offer it.
//!
//! Deliberately not measured: the network (loopback only), the client (it shares the cores, the same for both sides),
//! other RPCs, and stores that are being imported into.
//!
//! `cargo bench --bench serving`; `-- --json` for machines, `-- --quick` for a run of a quarter of a minute on a small shop.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "figures of a run are far from the limits"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

#[path = "../apart/mod.rs"]
mod apart;
mod load;
mod overload;
mod report;
mod roles;
mod shop;
mod thin_client;

use load::{Cell, Mode, load};
use report::Report;
use roles::Role;
use shop::ShopSize;

// As in the server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Calls in flight.
const IN_FLIGHT: [usize; 3] = [1, 16, 64];
/// The two servers take this many turns in each cell, so that a noisy moment meets both.
const TURNS: u32 = 4;
/// Of each step towards overload, and of it: a queue takes a while to fill.
const OVERLOAD_TIME_MIN: Duration = Duration::from_secs(4);
/// Least share of timed RESERVE calls that grant something new.
const NEW_GRANTS_MIN: f64 = 0.95;

/// How long and on what to measure.
#[derive(Debug, Clone, Copy)]
struct Plan {
    shop: ShopSize,
    /// Of each server in each cell, in all turns together.
    time: Duration,
    warm_up: Duration,
}

impl Plan {
    const FULL: Self =
        Self { shop: ShopSize::FULL, time: Duration::from_secs(8), warm_up: Duration::from_millis(1500) };
    const QUICK: Self =
        Self { shop: ShopSize::QUICK, time: Duration::from_secs(1), warm_up: Duration::from_millis(200) };
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be had");
    if let Some(role) = Role::of_this_process() {
        runtime.block_on(role.play());
        return ExitCode::SUCCESS;
    }
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let plan = if has("--quick") { Plan::QUICK } else { Plan::FULL };
    if has("--overload") {
        return runtime.block_on(measure_overload(plan, has("--json")));
    }
    let report = runtime.block_on(measure(plan));
    if has("--json") {
        println!("{:#}", report.json());
    } else {
        print!("{report}");
    }
    let granted_enough = report.rows.iter().all(|row| row.new_grants.is_none_or(|share| share >= NEW_GRANTS_MIN));
    if !granted_enough {
        eprintln!("fewer than {:.0} % of the RESERVE calls granted something new", NEW_GRANTS_MIN * 100.0);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn measure_overload(plan: Plan, as_json: bool) -> ExitCode {
    let mut tactful = roles::start(Role::App, plan.shop, None).await;
    let mut faults = Vec::new();
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let asked_for = |mode: &Mode| word.as_ref().is_none_or(|word| *word == mode.to_string());
    for mode in [Mode::Basket, Mode::Reserve, Mode::Preview].into_iter().filter(asked_for) {
        eprintln!("{mode}");
        let overload =
            overload::overload(&mut tactful, mode, plan.shop.customers, plan.time.max(OVERLOAD_TIME_MIN)).await;
        if as_json {
            println!("{:#}", overload.json());
        } else {
            print!("{overload}");
        }
        if mode == Mode::Basket {
            faults.extend(overload.faults());
        }
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(plan: Plan) -> Report {
    eprintln!("filling a shop of {} customers and {} products", plan.shop.customers, plan.shop.products);
    let mut tactful = roles::start(Role::App, plan.shop, None).await;
    let mut report = Report::new(plan.shop);
    for mode in [Mode::Preview, Mode::Basket, Mode::Reserve] {
        let sample = load::sample(&tactful, mode).await;
        let mut empty = roles::start(Role::Empty, plan.shop, Some(&sample)).await;
        for in_flight in IN_FLIGHT {
            eprintln!("{mode}, {in_flight} in flight");
            let cell = Cell { mode, in_flight, customers: plan.shop.customers };
            let (mut ours, mut theirs) = (load::Measured::default(), load::Measured::default());
            load(&mut empty, cell, plan.warm_up).await;
            load(&mut tactful, cell, plan.warm_up).await;
            for _ in 0..TURNS {
                theirs.add(load(&mut empty, cell, plan.time / TURNS).await);
                ours.add(load(&mut tactful, cell, plan.time / TURNS).await);
            }
            report.add(cell, sample.len(), &ours, &theirs);
        }
    }
    for in_flight in IN_FLIGHT {
        eprintln!("{} while training, {in_flight} in flight", Mode::Preview);
        let cell = Cell { mode: Mode::Preview, in_flight, customers: plan.shop.customers };
        load(&mut tactful, cell, plan.warm_up).await;
        let quiet = load(&mut tactful, cell, plan.time).await;
        tactful.begin_training().await;
        let began = Instant::now();
        let training = load(&mut tactful, cell, plan.time).await;
        tactful.has_trained().await;
        report.add_training(cell, &quiet, &training, began.elapsed());
    }
    report
}
