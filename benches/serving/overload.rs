//! Overload: open-loop calls at fixed rates, independent of the responses.
//!
//! The peak is the best of rates that rise from half the throughput of a closed loop until goodput stops rising. Then the peak rate
//! and five times its goodput alternate, so that noise affects both; finally half of the goodput, to measure how soon no call is
//! rejected any more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tactful::domain::time::DAY;
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::load::{Mode, Scenario, customer_of_call, load, request};
use super::roles::ServerProcess;
use super::thin_client::ThinClient;

/// Number of connections, enough that their stream limits do not limit the load.
const CONNECTIONS: usize = 16;
/// Calls in flight of the closed loop that finds the starting rate: few enough that none is rejected.
const IN_FLIGHT: usize = 32;
/// First rate as a share of the closed loop's throughput, and the factor between rates.
const FIRST_RATE_SHARE: f64 = 0.5;
const RATE_STEP: f64 = 1.15;
/// Maximum number of steps, beyond which the client itself is the limit.
const STEPS_MAX: usize = 20;
const OVERLOAD_FACTOR: f64 = 5.0;
/// Number of rounds in which peak and overload alternate.
const ROUNDS: usize = 3;
const RECOVERY_RATE_SHARE: f64 = 0.5;
/// Interval at which due calls are started.
const TICK: Duration = Duration::from_millis(1);
/// Time after which all caps of a customer are free again: the longest window of the default policy, with a margin.
const ROUND_OF_ALL_CUSTOMERS: Duration = Duration::from_secs(32 * DAY.as_secs());
const GOODPUT_MIN: f64 = 0.9;
const P99_RATIO_MAX: f64 = 3.0;
const RECOVERY_MAX: Duration = Duration::from_secs(2);

/// Measurement of calls at one rate.
struct RateMeasurement {
    per_second: f64,
    time: Duration,
    /// Number of calls answered within the time.
    in_time: u64,
    /// Latencies of answered calls from the time at which each was due, in microseconds.
    answered: Histogram<u64>,
    rejected: u64,
    /// Failures other than a rejection with a retry delay, with their numbers.
    other_errors: BTreeMap<String, u64>,
    /// Due time of the last rejected call.
    last_rejected: Option<Duration>,
}

impl RateMeasurement {
    fn add(&mut self, other: Self) {
        self.time += other.time;
        self.in_time += other.in_time;
        self.answered.add(other.answered).expect("both resize by themselves");
        self.rejected += other.rejected;
        for (what, count) in other.other_errors {
            *self.other_errors.entry(what).or_default() += count;
        }
    }

    fn goodput(&self) -> f64 {
        self.in_time as f64 / self.time.as_secs_f64()
    }

    fn p99(&self) -> Duration {
        Duration::from_micros(self.answered.value_at_quantile(0.99))
    }
}

/// Behaviour of a server under overload by one kind of call.
pub struct Overload {
    mode: Mode,
    ladder: Vec<RateMeasurement>,
    peak: RateMeasurement,
    beyond: RateMeasurement,
    recovery: Duration,
    afterwards: RateMeasurement,
}

impl Overload {
    fn goodput(&self) -> f64 {
        self.beyond.goodput() / self.peak.goodput()
    }

    fn p99_ratio(&self) -> f64 {
        self.beyond.p99().as_secs_f64() / self.peak.p99().as_secs_f64()
    }

    /// Lists the promises that do not hold.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut must = |holds: bool, promise: String| {
            if !holds {
                faults.push(format!("{}: {promise}", self.mode));
            }
        };
        must(self.goodput() >= GOODPUT_MIN, format!("{:.0} % of the peak's goodput", self.goodput() * 100.0));
        must(self.p99_ratio() <= P99_RATIO_MAX, format!("{:.1} times the peak's p99", self.p99_ratio()));
        must(self.beyond.other_errors.is_empty(), format!("answered by {:?}", self.beyond.other_errors));
        must(self.recovery < RECOVERY_MAX, format!("{:?} until no call was rejected", self.recovery));
        faults
    }

    pub fn json(&self) -> Value {
        let measurement = |measurement: &RateMeasurement| {
            json!({
                "offered_per_second": measurement.per_second, "goodput_per_second": measurement.goodput(),
                "p50_us": measurement.answered.value_at_quantile(0.5), "p99_us": measurement.p99().as_micros() as u64,
                "rejected": measurement.rejected, "other_errors": measurement.other_errors,
            })
        };
        json!({
            "mode": self.mode.to_string(),
            "ladder": self.ladder.iter().map(measurement).collect::<Vec<_>>(),
            "peak": measurement(&self.peak),
            "overload": measurement(&self.beyond),
            "afterwards": measurement(&self.afterwards),
            "ratio": {"goodput": self.goodput(), "p99": self.p99_ratio()},
            "recovery_s": self.recovery.as_secs_f64(),
        })
    }
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: offered/s | answered/s | p50 | p99 | rejected | other errors", self.mode)?;
        for measurement in self.ladder.iter().chain([&self.peak, &self.beyond, &self.afterwards]) {
            writeln!(
                f,
                "  {:>7.0} | {:>7.0} | {:>7.1?} | {:>7.1?} | {} | {}",
                measurement.per_second,
                measurement.goodput(),
                Duration::from_micros(measurement.answered.value_at_quantile(0.5)),
                measurement.p99(),
                measurement.rejected,
                measurement.other_errors.values().sum::<u64>(),
            )?;
        }
        writeln!(
            f,
            "  at {OVERLOAD_FACTOR} times the peak: goodput {:.0} %, p99 x {:.1}, no call rejected after {:.1?}",
            self.goodput() * 100.0,
            self.p99_ratio(),
            self.recovery
        )
    }
}

/// Measures one kind of call at rising rates, at overload and afterwards.
pub async fn overload(server: &mut ServerProcess, mode: Mode, customers: u64, time: Duration) -> Overload {
    let scenario = Scenario { mode, in_flight: IN_FLIGHT, customers };
    let closed = load(server, scenario, time).await;
    let capacity = closed.calls as f64 / closed.wall.as_secs_f64();
    let mut ladder = Vec::new();
    let mut rate = FIRST_RATE_SHARE * capacity;
    while ladder.len() < STEPS_MAX {
        let measurement = offer(server, mode, customers, rate, time).await;
        let brings_more = measurement.goodput() > 0.95 * rate;
        ladder.push(measurement);
        if !brings_more {
            break;
        }
        rate *= RATE_STEP;
    }
    let best = ladder.iter().max_by(|a, b| a.goodput().total_cmp(&b.goodput())).expect("a ladder has steps");
    let (rate, goodput) = (best.per_second, best.goodput());
    let mut peak = offer(server, mode, customers, rate, time).await;
    let mut beyond = offer(server, mode, customers, OVERLOAD_FACTOR * goodput, time).await;
    for _ in 1..ROUNDS {
        peak.add(offer(server, mode, customers, rate, time).await);
        beyond.add(offer(server, mode, customers, OVERLOAD_FACTOR * goodput, time).await);
    }
    let afterwards = offer(server, mode, customers, RECOVERY_RATE_SHARE * goodput, time).await;
    let recovery = afterwards.last_rejected.unwrap_or_default();
    Overload { mode, ladder, peak, beyond, recovery, afterwards }
}

/// Starts calls at a fixed rate over many connections, and collects their outcomes.
async fn offer(
    server: &mut ServerProcess,
    mode: Mode,
    customers: u64,
    per_second: f64,
    time: Duration,
) -> RateMeasurement {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(ThinClient::connect(server).await);
    }
    let (outcome_sender, mut outcomes) = mpsc::unbounded_channel();
    let calls_started = Arc::clone(&server.calls_started);
    let step = ROUND_OF_ALL_CUSTOMERS / u32::try_from(customers).expect("few customers");
    let started = Instant::now();
    let mut sent = 0_u64;
    let mut ticks = tokio::time::interval(TICK);
    while started.elapsed() < time {
        ticks.tick().await;
        let due = (started.elapsed().min(time).as_secs_f64() * per_second) as u64;
        let fresh = due.saturating_sub(sent);
        for call in sent..due {
            let client = connections[call as usize % CONNECTIONS].clone();
            let due_at = started + Duration::from_secs_f64(call as f64 / per_second);
            tokio::spawn(one_call(client, mode, customers, due_at, Arc::clone(&calls_started), outcome_sender.clone()));
        }
        sent = due.max(sent);
        if mode == Mode::Reserve && fresh > 0 {
            // The server's clock advances with the calls, so that caps are free again at a customer's next call.
            server.advance(step * u32::try_from(fresh).expect("few calls")).await;
        }
    }
    drop(outcome_sender);
    let mut measurement = RateMeasurement {
        per_second,
        time,
        in_time: 0,
        answered: Histogram::new(3).expect("3 digits are allowed"),
        rejected: 0,
        other_errors: BTreeMap::new(),
        last_rejected: None,
    };
    while let Some((due_at, answer)) = outcomes.recv().await {
        match answer {
            Ok(took) => {
                measurement.answered.record(took.as_micros() as u64).expect("it resizes by itself");
                measurement.in_time += u64::from(due_at + took <= started + time);
            }
            Err(status) if is_load_shedding(&status) => {
                measurement.rejected += 1;
                measurement.last_rejected = measurement.last_rejected.max(Some(due_at.duration_since(started)));
            }
            Err(status) => {
                *measurement.other_errors.entry(format!("{:?}: {}", status.code(), status.message())).or_default() += 1;
            }
        }
    }
    measurement
}

type CallOutcome = (Instant, Result<Duration, Status>);

async fn one_call(
    client: ThinClient,
    mode: Mode,
    customers: u64,
    due_at: Instant,
    calls_started: Arc<AtomicU64>,
    outcome_sender: mpsc::UnboundedSender<CallOutcome>,
) {
    let call_number = calls_started.fetch_add(1, Ordering::Relaxed);
    let answer = client.cross_sell(request(customer_of_call(call_number, customers), mode)).await;
    // An error means that the measurement has ended.
    let _uncounted = outcome_sender.send((due_at, answer.map(|()| due_at.elapsed())));
}

fn is_load_shedding(status: &Status) -> bool {
    let retry_info = status.get_details_retry_info();
    status.code() == Code::ResourceExhausted && retry_info.is_some_and(|info| info.retry_delay.is_some())
}
