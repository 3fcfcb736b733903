//! Overload: calls come at a rate of their own, whether or not those before were answered.
//!
//! The peak is the best of rates that rise from half of what a closed loop gets done until more brings no more. Then that rate and
//! five times what came of it take turns, so that a noisy moment meets both; and then half of it, to see how soon nobody
//! is refused any more.

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

use super::load::{Cell, Mode, in_mixed_order, load, request};
use super::roles::Running;
use super::thin_client::ThinClient;

/// Enough that their limits of calls at once are not what limits.
const CONNECTIONS: usize = 16;
/// Of the closed loop that finds out where to look for the peak: fewer than are ever refused.
const IN_FLIGHT: usize = 32;
/// The first rate, as a share of what the closed loop got done, and how rates rise.
const FIRST: f64 = 0.5;
const STEP: f64 = 1.15;
/// More than this many steps the client cannot offer.
const STEPS_MAX: usize = 20;
const OVERLOAD: f64 = 5.0;
/// The peak and the overload take so many turns.
const TURNS: usize = 3;
const AFTERWARDS: f64 = 0.5;
/// Calls that are due are begun this often.
const TICK: Duration = Duration::from_millis(1);
/// The longest window of the default policy, and some more.
const ROUND_OF_ALL_CUSTOMERS: Duration = Duration::from_secs(32 * DAY.as_secs());
const GOODPUT_MIN: f64 = 0.9;
const P99_RATIO_MAX: f64 = 3.0;
const RECOVERY_MAX: Duration = Duration::from_secs(2);

/// What came of calls at some rate.
struct Offered {
    per_second: f64,
    time: Duration,
    /// Answered before the time was over.
    in_time: u64,
    /// Answered, from the moment that a call was due, in microseconds.
    answered: Histogram<u64>,
    refused: u64,
    /// Neither answered, nor refused with a time to come again.
    others: BTreeMap<String, u64>,
    /// When the last call was due that was refused.
    last_refused: Option<Duration>,
}

impl Offered {
    fn add(&mut self, other: Self) {
        self.time += other.time;
        self.in_time += other.in_time;
        self.answered.add(other.answered).expect("both resize by themselves");
        self.refused += other.refused;
        for (what, count) in other.others {
            *self.others.entry(what).or_default() += count;
        }
    }

    fn goodput(&self) -> f64 {
        self.in_time as f64 / self.time.as_secs_f64()
    }

    fn p99(&self) -> Duration {
        Duration::from_micros(self.answered.value_at_quantile(0.99))
    }
}

/// What a server makes of too many calls of one kind.
pub struct Overload {
    mode: Mode,
    ladder: Vec<Offered>,
    peak: Offered,
    beyond: Offered,
    recovery: Duration,
    afterwards: Offered,
}

impl Overload {
    fn goodput(&self) -> f64 {
        self.beyond.goodput() / self.peak.goodput()
    }

    fn p99_ratio(&self) -> f64 {
        self.beyond.p99().as_secs_f64() / self.peak.p99().as_secs_f64()
    }

    /// What was promised and does not hold.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut must = |holds: bool, told: String| {
            if !holds {
                faults.push(format!("{}: {told}", self.mode));
            }
        };
        must(self.goodput() >= GOODPUT_MIN, format!("{:.0} % of the peak's goodput", self.goodput() * 100.0));
        must(self.p99_ratio() <= P99_RATIO_MAX, format!("{:.1} times the peak's p99", self.p99_ratio()));
        must(self.beyond.others.is_empty(), format!("answered by {:?}", self.beyond.others));
        must(self.recovery < RECOVERY_MAX, format!("{:?} until nobody was refused", self.recovery));
        faults
    }

    pub fn json(&self) -> Value {
        let offered = |offered: &Offered| {
            json!({
                "offered_per_second": offered.per_second, "goodput_per_second": offered.goodput(),
                "p50_us": offered.answered.value_at_quantile(0.5), "p99_us": offered.p99().as_micros() as u64,
                "refused": offered.refused, "others": offered.others,
            })
        };
        json!({
            "mode": self.mode.to_string(),
            "ladder": self.ladder.iter().map(offered).collect::<Vec<_>>(),
            "peak": offered(&self.peak),
            "overload": offered(&self.beyond),
            "afterwards": offered(&self.afterwards),
            "ratio": {"goodput": self.goodput(), "p99": self.p99_ratio()},
            "recovery_s": self.recovery.as_secs_f64(),
        })
    }
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: offered/s | answered/s | p50 | p99 | refused | others", self.mode)?;
        for offered in self.ladder.iter().chain([&self.peak, &self.beyond, &self.afterwards]) {
            writeln!(
                f,
                "  {:>7.0} | {:>7.0} | {:>7.1?} | {:>7.1?} | {} | {}",
                offered.per_second,
                offered.goodput(),
                Duration::from_micros(offered.answered.value_at_quantile(0.5)),
                offered.p99(),
                offered.refused,
                offered.others.values().sum::<u64>(),
            )?;
        }
        writeln!(
            f,
            "  at {OVERLOAD} times the peak: goodput {:.0} %, p99 x {:.1}, nobody refused after {:.1?}",
            self.goodput() * 100.0,
            self.p99_ratio(),
            self.recovery
        )
    }
}

/// Measures one kind of call.
pub async fn overload(server: &mut Running, mode: Mode, customers: u64, time: Duration) -> Overload {
    let cell = Cell { mode, in_flight: IN_FLIGHT, customers };
    let closed = load(server, cell, time).await;
    let capacity = closed.calls as f64 / closed.wall.as_secs_f64();
    let mut ladder = Vec::new();
    let mut rate = FIRST * capacity;
    while ladder.len() < STEPS_MAX {
        let offered = offer(server, mode, customers, rate, time).await;
        let brings_more = offered.goodput() > 0.95 * rate;
        ladder.push(offered);
        if !brings_more {
            break;
        }
        rate *= STEP;
    }
    let best = ladder.iter().max_by(|a, b| a.goodput().total_cmp(&b.goodput())).expect("a ladder has steps");
    let (rate, goodput) = (best.per_second, best.goodput());
    let mut peak = offer(server, mode, customers, rate, time).await;
    let mut beyond = offer(server, mode, customers, OVERLOAD * goodput, time).await;
    for _ in 1..TURNS {
        peak.add(offer(server, mode, customers, rate, time).await);
        beyond.add(offer(server, mode, customers, OVERLOAD * goodput, time).await);
    }
    let afterwards = offer(server, mode, customers, AFTERWARDS * goodput, time).await;
    let recovery = afterwards.last_refused.unwrap_or_default();
    Overload { mode, ladder, peak, beyond, recovery, afterwards }
}

/// Calls at a rate, over many connections.
async fn offer(server: &mut Running, mode: Mode, customers: u64, per_second: f64, time: Duration) -> Offered {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(ThinClient::connect(server).await);
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let turns = Arc::clone(&server.turns);
    let step = ROUND_OF_ALL_CUSTOMERS / u32::try_from(customers).expect("few customers");
    let began = Instant::now();
    let mut sent = 0_u64;
    let mut ticks = tokio::time::interval(TICK);
    while began.elapsed() < time {
        ticks.tick().await;
        let due = (began.elapsed().min(time).as_secs_f64() * per_second) as u64;
        let fresh = due.saturating_sub(sent);
        for call in sent..due {
            let client = connections[call as usize % CONNECTIONS].clone();
            let due_at = began + Duration::from_secs_f64(call as f64 / per_second);
            tokio::spawn(one_call(client, mode, customers, due_at, Arc::clone(&turns), tell.clone()));
        }
        sent = due.max(sent);
        if mode == Mode::Reserve && fresh > 0 {
            // The clock follows the calls, so that caps are free again when a customer's turn comes again.
            server.advance(step * u32::try_from(fresh).expect("few calls")).await;
        }
    }
    drop(tell);
    let mut offered = Offered {
        per_second,
        time,
        in_time: 0,
        answered: Histogram::new(3).expect("3 digits are allowed"),
        refused: 0,
        others: BTreeMap::new(),
        last_refused: None,
    };
    while let Some((due_at, answer)) = told.recv().await {
        match answer {
            Ok(took) => {
                offered.answered.record(took.as_micros() as u64).expect("it resizes by itself");
                offered.in_time += u64::from(due_at + took <= began + time);
            }
            Err(status) if is_refusal(&status) => {
                offered.refused += 1;
                offered.last_refused = offered.last_refused.max(Some(due_at.duration_since(began)));
            }
            Err(status) => {
                *offered.others.entry(format!("{:?}: {}", status.code(), status.message())).or_default() += 1;
            }
        }
    }
    offered
}

type Told = (Instant, Result<Duration, Status>);

async fn one_call(
    client: ThinClient,
    mode: Mode,
    customers: u64,
    due_at: Instant,
    turns: Arc<AtomicU64>,
    tell: mpsc::UnboundedSender<Told>,
) {
    let turn = turns.fetch_add(1, Ordering::Relaxed);
    let answer = client.cross_sell(request(in_mixed_order(turn, customers), mode)).await;
    // An error means that nobody counts any more.
    let _uncounted = tell.send((due_at, answer.map(|()| due_at.elapsed())));
}

fn is_refusal(status: &Status) -> bool {
    let retry_info = status.get_details_retry_info();
    status.code() == Code::ResourceExhausted && retry_info.is_some_and(|info| info.retry_delay.is_some())
}
