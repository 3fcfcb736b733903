//! Cost of serving a request, relative to an empty handler.
//!
//! Starts the real server on a sled store, filled with 10,000 customers and 5,000 products, and an empty `tonic` handler that
//! returns the same bytes; each is a separate process. Loads both alternately with CrossSell, as PREVIEW and as durable RESERVE,
//! at 1, 16 and 64 calls in flight, and prints requests per second, latencies, the server's CPU time per request, and their
//! ratios. Ratios of one run are comparable between machines; absolute values are not.
//!
//! The server's clock advances with every RESERVE call, so that the caps of a customer are free again at the customer's next call.
//! Fewer than 95 % new grants among the timed RESERVE calls fail the run: repeating open offers is cheaper and would flatter.
//!
//! Finally, PREVIEW during a training is compared with PREVIEW without one.
//!
//! With `-- --overload` instead: an open loop at five times the server's capacity. It fails unless, for a basket, goodput stays at
//! 90 % of the peak, p99 of the admitted calls within three times that at the peak, all other calls are rejected with a retry
//! delay, and no call is rejected two seconds later. Other kinds of call are only reported: rejecting four times as many takes a
//! fifth of the CPU that cheap calls take. `-- --overload RESERVE` selects one kind. `--apart` pins the server to one core and the
//! callers to another (by `taskset`); otherwise the callers compete with the server for CPU.
//!
//! Deliberately not measured: the network (loopback only), the client (it shares the cores, the same for both sides), other
//! RPCs, and a store during an import.
//!
//! `cargo bench --bench serving`; `-- --json` for JSON, `-- --quick` for a run of a quarter of a minute on a small shop.

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
#[path = "../support/mod.rs"]
mod support;
mod thin_client;

use load::{Mode, Scenario, load};
use report::Report;
use roles::ServerRole;
use shop::ShopSize;

// The same allocator as in the server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Numbers of calls in flight.
const IN_FLIGHT: [usize; 3] = [1, 16, 64];
/// Number of rounds in which the two servers alternate, so that noise affects both.
const ROUNDS: u32 = 4;
/// Minimum time of each rate under overload: a queue takes a while to fill.
const OVERLOAD_TIME_MIN: Duration = Duration::from_secs(4);
/// Minimum share of timed RESERVE calls that grant a new offer.
const NEW_GRANTS_MIN: f64 = 0.95;

/// Size and duration of a run.
#[derive(Debug, Clone, Copy)]
struct Plan {
    shop: ShopSize,
    /// Time of each server in each scenario, over all rounds.
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
    if let Some(role) = ServerRole::from_environment() {
        runtime.block_on(role.run());
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
        eprintln!("fewer than {:.0} % of the RESERVE calls granted a new offer", NEW_GRANTS_MIN * 100.0);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn measure_overload(plan: Plan, as_json: bool) -> ExitCode {
    let mut tactful = roles::start(ServerRole::App, plan.shop, None).await;
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
    let mut tactful = roles::start(ServerRole::App, plan.shop, None).await;
    let mut report = Report::new(plan.shop);
    for mode in [Mode::Preview, Mode::Basket, Mode::Reserve] {
        let sample = load::sample(&tactful, mode).await;
        let mut empty = roles::start(ServerRole::Empty, plan.shop, Some(&sample)).await;
        for in_flight in IN_FLIGHT {
            eprintln!("{mode}, {in_flight} in flight");
            let scenario = Scenario { mode, in_flight, customers: plan.shop.customers };
            let (mut tactful_load, mut empty_load) =
                (load::LoadMeasurement::default(), load::LoadMeasurement::default());
            load(&mut empty, scenario, plan.warm_up).await;
            load(&mut tactful, scenario, plan.warm_up).await;
            for _ in 0..ROUNDS {
                empty_load.add(load(&mut empty, scenario, plan.time / ROUNDS).await);
                tactful_load.add(load(&mut tactful, scenario, plan.time / ROUNDS).await);
            }
            report.add(scenario, sample.len(), &tactful_load, &empty_load);
        }
    }
    for in_flight in IN_FLIGHT {
        eprintln!("{} while training, {in_flight} in flight", Mode::Preview);
        let scenario = Scenario { mode: Mode::Preview, in_flight, customers: plan.shop.customers };
        load(&mut tactful, scenario, plan.warm_up).await;
        let baseline = load(&mut tactful, scenario, plan.time).await;
        tactful.start_training().await;
        let started = Instant::now();
        let training = load(&mut tactful, scenario, plan.time).await;
        tactful.wait_for_training().await;
        report.add_training(scenario, &baseline, &training, started.elapsed());
    }
    report
}
