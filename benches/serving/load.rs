//! Closed-loop load on one server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use prost::Message;
use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1 as wire;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use wire::offer_service_client::OfferServiceClient;

use super::roles::ServerProcess;
use super::shop::{customer, product};
use super::support::generated_catalog::mix;

/// Maximum number of connections to a server; fewer with fewer calls in flight.
const CONNECTIONS_MAX: usize = 4;
/// Time after which all caps of a customer are free again: the longest window of the default policy, with a margin for the calls
/// in flight.
const ROUND_OF_ALL_CUSTOMERS: Duration = Duration::from_secs(32 * DAY.as_secs());
/// Number of products in a basket.
const BASKET_LINES: u64 = 3;
/// Number of different baskets, made of products that every shop has.
const BASKETS: u64 = 200;
/// Number of calls after which the server's clock is advanced.
const ADVANCE_EVERY: u64 = 50;

/// Kind of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A preview for a customer, whose ranking is cached between calls.
    Preview,
    /// A preview for a basket, which is ranked in the call.
    Basket,
    /// A durable reservation.
    Reserve,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Preview => "PREVIEW",
            Self::Basket => "basket",
            Self::Reserve => "RESERVE",
        })
    }
}

/// Combination of parameters that is measured.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub mode: Mode,
    pub in_flight: usize,
    pub customers: u64,
}

/// Measurement of a load.
#[derive(Debug, Clone)]
pub struct LoadMeasurement {
    /// Number of answered calls.
    pub calls: u64,
    /// Number of calls that the server refused because it was busy. They count in no other figure.
    pub refused: u64,
    /// Number of calls that granted an offer that was not open yet.
    pub granting: u64,
    pub wall: Duration,
    /// CPU time of the server's process.
    pub cpu: Duration,
    /// Latencies in microseconds.
    pub latencies: Histogram<u64>,
}

impl Default for LoadMeasurement {
    fn default() -> Self {
        let latencies = Histogram::new(3).expect("3 digits are allowed");
        Self { calls: 0, refused: 0, granting: 0, wall: Duration::ZERO, cpu: Duration::ZERO, latencies }
    }
}

impl LoadMeasurement {
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.refused += other.refused;
        self.granting += other.granting;
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.latencies.add(other.latencies).expect("both resize by themselves");
    }
}

/// Returns the encoded response to a typical call.
pub async fn sample(server: &ServerProcess, mode: Mode) -> Vec<u8> {
    let mut client = connect(server).await;
    client.cross_sell(request(1, mode)).await.expect("an answer").into_inner().encode_to_vec()
}

/// Runs a closed loop with the scenario's number of calls in flight.
pub async fn load(server: &mut ServerProcess, scenario: Scenario, time: Duration) -> LoadMeasurement {
    let calls_started = Arc::clone(&server.calls_started);
    let mut connections = Vec::new();
    for _ in 0..scenario.in_flight.min(CONNECTIONS_MAX) {
        connections.push(connect(server).await);
    }
    let (cpu, started) = (cpu_time(server.pid), Instant::now());
    let ends = started + time;
    let callers: Vec<_> = (0..scenario.in_flight)
        .map(|caller| {
            let client = connections[caller % connections.len()].clone();
            tokio::spawn(call_until(ends, client, scenario, Arc::clone(&calls_started)))
        })
        .collect();
    // The server's clock advances with the calls.
    let step = ROUND_OF_ALL_CUSTOMERS / u32::try_from(scenario.customers).expect("few customers");
    let mut moved = calls_started.load(Ordering::Relaxed);
    while scenario.mode == Mode::Reserve && Instant::now() < ends {
        let call_number = calls_started.load(Ordering::Relaxed);
        if call_number - moved >= ADVANCE_EVERY {
            server.advance(step * u32::try_from(call_number - moved).expect("few calls")).await;
            moved = call_number;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut measurement = LoadMeasurement::default();
    for caller in callers {
        measurement.add(caller.await.expect("no call fails"));
    }
    LoadMeasurement { wall: started.elapsed(), cpu: cpu_time(server.pid).saturating_sub(cpu), ..measurement }
}

async fn call_until(
    ends: Instant,
    mut client: OfferServiceClient<Channel>,
    scenario: Scenario,
    calls_started: Arc<AtomicU64>,
) -> LoadMeasurement {
    let mut measurement = LoadMeasurement::default();
    loop {
        let started = Instant::now();
        if started >= ends {
            return measurement;
        }
        let call_number = calls_started.fetch_add(1, Ordering::Relaxed);
        let customer_number = customer_of_call(call_number, scenario.customers);
        let answer = match client.cross_sell(request(customer_number, scenario.mode)).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if status.code() == Code::ResourceExhausted => {
                measurement.refused += 1;
                continue;
            }
            Err(status) => panic!("no answer: {status}"),
        };
        measurement.latencies.record(started.elapsed().as_micros() as u64).expect("it resizes by itself");
        measurement.calls += 1;
        measurement.granting += u64::from(answer.offers.iter().any(|offer| !offer.already_granted));
    }
}

/// Returns the customer of a call: all customers once per round, large and small ones mixed by a stride coprime to their number.
pub fn customer_of_call(call_number: u64, customers: u64) -> u64 {
    const STRIDE: u64 = 7_919;
    call_number % customers * STRIDE % customers
}

pub fn request(customer_number: u64, mode: Mode) -> wire::CrossSellRequest {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    let key = KEYS.fetch_add(1, Ordering::Relaxed);
    let request_id = match mode {
        Mode::Preview | Mode::Basket => String::new(),
        Mode::Reserve => uuid::Uuid::from_u64_pair(mix(key, 3), mix(key, 4)).to_string(),
    };
    let context_product_ids = match mode {
        Mode::Basket => (0..BASKET_LINES).map(|line| product(customer_number % BASKETS + line)).collect(),
        Mode::Preview | Mode::Reserve => Vec::new(),
    };
    let mode = if mode == Mode::Reserve { wire::ServingMode::Reserve } else { wire::ServingMode::Preview };
    wire::CrossSellRequest {
        customer_id: customer(customer_number),
        request_id,
        context_product_ids,
        mode: mode.into(),
        ..wire::CrossSellRequest::default()
    }
}

pub async fn connect(server: &ServerProcess) -> OfferServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).expect("an address");
    OfferServiceClient::new(endpoint.tcp_nodelay(true).connect().await.expect("the server listens"))
}

/// Returns the user and system time of a process (`man 5 proc`, fields 14 and 15 of `stat`, in ticks of 10 ms).
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let (_, after_name) = stat.rsplit_once(')').expect("the name is in brackets");
    let ticks = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
