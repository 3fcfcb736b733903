//! The load on one server, and what it took.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use prost::Message;
use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1 as wire;
use tonic::transport::{Channel, Endpoint};
use wire::offer_service_client::OfferServiceClient;

use super::roles::Running;
use super::shop::{customer, mixed, product};

/// Connections to a server, at most one for each call in flight.
const CONNECTIONS_MAX: usize = 4;
/// The longest window of the default policy, and some more for the calls in flight.
const ROUND_OF_ALL_CUSTOMERS: Duration = Duration::from_secs(32 * DAY.as_secs());
/// Products of a basket.
const BASKET_LINES: u64 = 3;
/// Different baskets; all of products that every shop has.
const BASKETS: u64 = 200;
/// How often the clock is moved on, in calls.
const ADVANCE_EVERY: u64 = 50;

/// Whether the calls count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Ranked candidates of a customer are kept from one call to the next.
    Preview,
    /// A preview for a basket, which is ranked on the spot.
    Basket,
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

/// One combination that is measured.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub mode: Mode,
    pub in_flight: usize,
    pub customers: u64,
}

/// What a load took.
#[derive(Debug, Clone)]
pub struct Measured {
    pub calls: u64,
    /// Calls that granted an offer that was not open yet.
    pub granting: u64,
    pub wall: Duration,
    /// Of the server's process.
    pub cpu: Duration,
    /// In microseconds.
    pub latencies: Histogram<u64>,
}

impl Default for Measured {
    fn default() -> Self {
        let latencies = Histogram::new(3).expect("3 digits are allowed");
        Self { calls: 0, granting: 0, wall: Duration::ZERO, cpu: Duration::ZERO, latencies }
    }
}

impl Measured {
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.granting += other.granting;
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.latencies.add(other.latencies).expect("both resize by themselves");
    }
}

/// The bytes of a typical answer.
pub async fn sample(server: &Running, mode: Mode) -> Vec<u8> {
    let mut client = connect(server).await;
    client.cross_sell(request(1, mode)).await.expect("an answer").into_inner().encode_to_vec()
}

/// Calls in a closed loop, as many at once as the cell says.
pub async fn load(server: &mut Running, cell: Cell, time: Duration) -> Measured {
    let turns = Arc::clone(&server.turns);
    let mut connections = Vec::new();
    for _ in 0..cell.in_flight.min(CONNECTIONS_MAX) {
        connections.push(connect(server).await);
    }
    let (cpu, started) = (cpu_time(server.pid), Instant::now());
    let ends = started + time;
    let callers: Vec<_> = (0..cell.in_flight)
        .map(|caller| {
            let client = connections[caller % connections.len()].clone();
            tokio::spawn(call_until(ends, client, cell, Arc::clone(&turns)))
        })
        .collect();
    // The clock follows the calls.
    let step = ROUND_OF_ALL_CUSTOMERS / u32::try_from(cell.customers).expect("few customers");
    let mut moved = turns.load(Ordering::Relaxed);
    while cell.mode == Mode::Reserve && Instant::now() < ends {
        let turn = turns.load(Ordering::Relaxed);
        if turn - moved >= ADVANCE_EVERY {
            server.advance(step * u32::try_from(turn - moved).expect("few calls")).await;
            moved = turn;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut measured = Measured::default();
    for caller in callers {
        measured.add(caller.await.expect("no call fails"));
    }
    Measured { wall: started.elapsed(), cpu: cpu_time(server.pid).saturating_sub(cpu), ..measured }
}

async fn call_until(
    ends: Instant,
    mut client: OfferServiceClient<Channel>,
    cell: Cell,
    turns: Arc<AtomicU64>,
) -> Measured {
    let mut measured = Measured::default();
    loop {
        let began = Instant::now();
        if began >= ends {
            return measured;
        }
        let turn = turns.fetch_add(1, Ordering::Relaxed);
        let whose = in_mixed_order(turn, cell.customers);
        let answer = client.cross_sell(request(whose, cell.mode)).await.expect("an answer").into_inner();
        measured.latencies.record(began.elapsed().as_micros() as u64).expect("it resizes by itself");
        measured.calls += 1;
        measured.granting += u64::from(answer.offers.iter().any(|offer| !offer.repeated_offer));
    }
}

/// Everybody once in each round, great and small customers mixed: a stride that shares no factor with their number.
pub fn in_mixed_order(turn: u64, customers: u64) -> u64 {
    const STRIDE: u64 = 7_919;
    turn % customers * STRIDE % customers
}

pub fn request(whose: u64, mode: Mode) -> wire::CrossSellRequest {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    let key = KEYS.fetch_add(1, Ordering::Relaxed);
    let request_id = match mode {
        Mode::Preview | Mode::Basket => String::new(),
        Mode::Reserve => uuid::Uuid::from_u64_pair(mixed(key, 3), mixed(key, 4)).to_string(),
    };
    let context_product_ids = match mode {
        Mode::Basket => (0..BASKET_LINES).map(|line| product(whose % BASKETS + line)).collect(),
        Mode::Preview | Mode::Reserve => Vec::new(),
    };
    let mode = if mode == Mode::Reserve { wire::ServingMode::Reserve } else { wire::ServingMode::Preview };
    wire::CrossSellRequest {
        customer_id: customer(whose),
        request_id,
        context_product_ids,
        mode: mode.into(),
        ..wire::CrossSellRequest::default()
    }
}

pub async fn connect(server: &Running) -> OfferServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).expect("an address");
    OfferServiceClient::new(endpoint.tcp_nodelay(true).connect().await.expect("the server listens"))
}

/// User and system time of a process so far (`man 5 proc`, fields 14 and 15 of `stat`, in ticks of 10 ms).
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let (_, after_name) = stat.rsplit_once(')').expect("the name is in brackets");
    let ticks = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
