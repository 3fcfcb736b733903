//! Promises 1, 2 and 8 under kill -9: the real binary under a mixed load, killed at a random moment in each round.
//!
//! After each kill the store must open, contain every acknowledged grant and event, exceed no cap, and return one decision
//! for every retry. 20 rounds; `TACTFUL_KILL_ROUNDS=1000` for more,
//! `TACTFUL_KILL_SEED` to repeat a run.
//!
//! Broken by: a RESERVE response before the flush. In the first round a retry found no trace of an acknowledged decision, and
//! made a second one.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tactful::grpc::generated::tactful::v1 as wire;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use wire::OfferKind;
use wire::customer_service_client::CustomerServiceClient;
use wire::feedback_service_client::FeedbackServiceClient;
use wire::offer_service_client::OfferServiceClient;
use wire::relationship_service_client::RelationshipServiceClient;

use crate::support::running_server::RunningServer;
use crate::support::wire_shop::{complement, on_ladder, product, purchase, upsert_products};

const ROUNDS: u64 = 20;
const WORKERS: u64 = 16;
/// Number of new customers in each round.
const NEW_CUSTOMERS: u64 = 24;
const COMPLEMENTS: u64 = 60;
const LADDERS: u64 = 8;

/// State that was acknowledged to one customer, by responses that arrived.
#[derive(Debug, Default)]
struct AcknowledgedState {
    /// Decisions with their offers, by request id.
    decisions: BTreeMap<String, Answer>,
    /// Request ids without a response: there may or may not be a decision.
    unanswered: BTreeSet<String>,
    /// Decisions that were, or may have been, released.
    perhaps_released: BTreeSet<String>,
    /// Purchases that were acknowledged, and those that may have been recorded.
    bought: u64,
    perhaps_bought: u64,
}

/// Part of a CrossSell or UpSell response that a retry must repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    decision: String,
    offers: Vec<(OfferKind, String)>,
}

type AcknowledgedStates = BTreeMap<String, AcknowledgedState>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_acknowledged_state_or_exceeds_a_cap() {
    let rounds = number_from_env("TACTFUL_KILL_ROUNDS").unwrap_or(ROUNDS);
    let seed = number_from_env("TACTFUL_KILL_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("{rounds} rounds, seed {seed}");
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = Random(seed);
    let mut all = AcknowledgedStates::new();
    let mut server = RunningServer::start(directory.path());
    fill_catalog(server.connect().await).await;
    for round in 0..rounds {
        let touched = load_until_killed(&mut server, round, &mut random).await;
        server = RunningServer::start(directory.path());
        let channel = server.connect().await;
        for (customer, promised) in touched {
            assert_stored(&channel, &customer, &promised).await;
            all.insert(customer, promised);
        }
    }
    let channel = server.connect().await;
    for (customer, promised) in &all {
        assert_stored(&channel, customer, promised).await;
    }
    let decisions: usize = all.values().map(|promised| promised.decisions.len()).sum();
    let unanswered: usize = all.values().map(|promised| promised.unanswered.len()).sum();
    let bought: u64 = all.values().map(|promised| promised.bought).sum();
    eprintln!("{decisions} decisions and {bought} purchases stored; {unanswered} calls without a response");
    drop(channel);
    assert!(server.stop().success(), "it stops cleanly:\n{}", server.log());
}

pub fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Loads the server with concurrent calls, and kills it after a random number of responses.
async fn load_until_killed(server: &mut RunningServer, round: u64, random: &mut Random) -> AcknowledgedStates {
    let answers = Arc::new(Answers { left: AtomicU64::new(20 + random.below(400)), enough: Notify::new() });
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let worker = Worker {
            channel: server.connect().await,
            round,
            answers: Arc::clone(&answers),
            random: Random(random.next()),
            number: worker,
            promises: AcknowledgedStates::new(),
        };
        workers.spawn(worker.work());
    }
    tokio::select! {
        () = answers.enough.notified() => {}
        ended = workers.join_next() => {
            ended.expect("there are workers").expect("no panic");
            panic!("a call failed before the kill:\n{}", server.log());
        }
    }
    server.kill();
    let mut touched = AcknowledgedStates::new();
    while let Some(promises) = workers.join_next().await {
        for (customer, promised) in promises.expect("no panic") {
            let known = touched.entry(customer).or_default();
            known.decisions.extend(promised.decisions);
            known.unanswered.extend(promised.unanswered);
            known.perhaps_released.extend(promised.perhaps_released);
            known.bought += promised.bought;
            known.perhaps_bought += promised.perhaps_bought;
        }
    }
    touched
}

/// Countdown of responses to the kill.
struct Answers {
    left: AtomicU64,
    enough: Notify,
}

impl Answers {
    fn arrived(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.enough.notify_one();
        }
    }
}

struct Worker {
    channel: Channel,
    round: u64,
    answers: Arc<Answers>,
    random: Random,
    number: u64,
    promises: AcknowledgedStates,
}

impl Worker {
    /// Calls until a call fails, as all do after the kill.
    async fn work(mut self) -> AcknowledgedStates {
        for step in 0.. {
            let customer = format!("round{}-customer{}", self.round, self.random.below(NEW_CUSTOMERS));
            let is_alive = match self.random.below(6) {
                0 | 1 => self.buy(&customer, step).await,
                2 => self.ask_and_release(&customer).await,
                3 => self.ask_twice(&customer).await,
                _ => self.ask_anew(&customer).await.is_some(),
            };
            if !is_alive {
                break;
            }
            self.answers.arrived();
        }
        self.promises
    }

    async fn buy(&mut self, customer: &str, step: u64) -> bool {
        let promised = self.promises.entry(customer.to_owned()).or_default();
        let at = prost_types::Timestamp { seconds: 1_760_000_000, nanos: 0 };
        let (id, product) =
            (format!("{}-{step}", self.number), format!("complement{}", self.random.below(COMPLEMENTS)));
        let event = purchase(&id, customer, &product, at);
        // The same event twice in one batch counts once.
        let request = wire::RecordEventsRequest { events: vec![event.clone(), event] };
        let recorded = answered(FeedbackServiceClient::new(self.channel.clone()).record_events(request).await);
        *(if recorded.is_some() { &mut promised.bought } else { &mut promised.perhaps_bought }) += 1;
        recorded.is_some()
    }

    async fn ask(&mut self, customer: &str, request_id: &str) -> Option<Answer> {
        let answer = ask(&self.channel, customer, request_id).await;
        let promised = self.promises.entry(customer.to_owned()).or_default();
        let Some(answer) = answer else {
            promised.unanswered.insert(request_id.to_owned());
            return None;
        };
        let known = promised.decisions.insert(request_id.to_owned(), answer.clone());
        assert!(known.is_none_or(|known| known == answer), "a retry changed the answer");
        Some(answer)
    }

    async fn ask_anew(&mut self, customer: &str) -> Option<Answer> {
        let request_id = uuid(&mut self.random);
        self.ask(customer, &request_id).await
    }

    async fn ask_twice(&mut self, customer: &str) -> bool {
        let request_id = uuid(&mut self.random);
        self.ask(customer, &request_id).await.is_some() && self.ask(customer, &request_id).await.is_some()
    }

    async fn ask_and_release(&mut self, customer: &str) -> bool {
        let Some(answer) = self.ask_anew(customer).await else { return false };
        let promised = self.promises.entry(customer.to_owned()).or_default();
        promised.perhaps_released.insert(answer.decision.clone());
        let request = wire::ReleaseOffersRequest {
            customer_id: customer.to_owned(),
            decision_id: answer.decision,
            offer_ids: Vec::new(),
        };
        answered(OfferServiceClient::new(self.channel.clone()).release_offers(request).await).is_some()
    }
}

/// Makes a RESERVE call whose content is derived from its id, so that a retry is the same request. `None`: no response.
async fn ask(channel: &Channel, customer: &str, request_id: &str) -> Option<Answer> {
    let mut client = OfferServiceClient::new(channel.clone());
    let mut random = Random(request_id.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte)));
    if random.below(4) == 0 {
        let request = wire::UpSellRequest {
            customer_id: customer.to_owned(),
            request_id: request_id.to_owned(),
            owned_product_ids: vec![format!("lower{}", random.below(LADDERS))],
            ..wire::UpSellRequest::default()
        };
        let answer = answered(client.up_sell(request).await)?;
        let offers = answer.offers.into_iter().map(|offer| (OfferKind::UpSell, offer.offer_id)).collect();
        return Some(Answer { decision: answer.decision_id, offers });
    }
    // All but a few products are excluded, so that calls reserve different offers.
    let wanted = random.below(COMPLEMENTS);
    let others = (0..COMPLEMENTS).filter(|other| other.abs_diff(wanted) > 1);
    let request = wire::CrossSellRequest {
        customer_id: customer.to_owned(),
        request_id: request_id.to_owned(),
        exclude_product_ids: others.map(|other| format!("complement{other}")).collect(),
        ..wire::CrossSellRequest::default()
    };
    let answer = answered(client.cross_sell(request).await)?;
    let offers = answer.offers.into_iter().map(|offer| (OfferKind::CrossSell, offer.offer_id)).collect();
    Some(Answer { decision: answer.decision_id, offers })
}

/// Returns the response, or `None` if the server was killed before it arrived. No other error may occur.
pub fn answered<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer.into_inner()),
        Err(status) if status.source().is_some() || status.code() == tonic::Code::Unavailable => None,
        Err(status) => panic!("a call failed before the kill: {status}"),
    }
}

/// Checks that all acknowledged state of a customer is stored.
async fn assert_stored(channel: &Channel, customer: &str, promised: &AcknowledgedState) {
    let request = wire::GetCustomerRequest { customer_id: customer.to_owned() };
    let stored = CustomerServiceClient::new(channel.clone()).get_customer(request).await;
    let stored = match stored {
        Ok(stored) => stored.into_inner(),
        Err(status) if promised.decisions.is_empty() && promised.bought == 0 => {
            assert_eq!(status.code(), tonic::Code::NotFound);
            return;
        }
        Err(status) => panic!("{customer}: {status}"),
    };
    let granted: BTreeSet<(OfferKind, String)> =
        stored.granted_offers.iter().map(|grant| (grant.kind(), grant.offer_id.clone())).collect();
    let unreleased = promised.decisions.values().filter(|answer| !promised.perhaps_released.contains(&answer.decision));
    for offer in unreleased.flat_map(|answer| &answer.offers) {
        assert!(granted.contains(offer), "{customer}: acknowledged {offer:?} is not granted; {granted:?}");
    }

    let bought: u64 = stored.holdings.iter().map(|holding| holding.quantity).sum();
    let possible = promised.bought..=promised.bought + promised.perhaps_bought;
    assert!(possible.contains(&bought), "{customer}: {bought} purchases are stored, not {possible:?}");

    let request = wire::GetRelationshipHealthRequest { customer_id: customer.to_owned() };
    let view = RelationshipServiceClient::new(channel.clone()).get_relationship_health(request).await;
    for cap in view.expect("an answer").into_inner().caps {
        assert!(cap.used <= cap.limit, "{customer}: {cap:?}");
    }

    // A retry repeats an acknowledged decision; a call without a response has exactly one decision from now on.
    for (request_id, answer) in &promised.decisions {
        let again = ask(channel, customer, request_id).await.expect("an answer");
        assert_eq!(again.decision, answer.decision, "{customer}: a retry made a second decision");
        if !promised.perhaps_released.contains(&answer.decision) {
            assert_eq!(again.offers, answer.offers, "{customer}: a retry changed the offers");
        }
    }
    for request_id in &promised.unanswered {
        let answer = ask(channel, customer, request_id).await.expect("an answer");
        assert_eq!(ask(channel, customer, request_id).await, Some(answer));
    }
}

async fn fill_catalog(channel: Channel) {
    let complements = (0..COMPLEMENTS).map(|number| complement(&format!("complement{number}"), "lower0"));
    let ladder_product = |name: &str, number: u64, tier: u32| {
        on_ladder(&format!("ladder{number}"), tier, product(&format!("{name}{number}")))
    };
    let ladders =
        (0..LADDERS).flat_map(|number| [ladder_product("lower", number, 1), ladder_product("upper", number, 2)]);
    upsert_products(channel, complements.chain(ladders).collect()).await;
}

/// A small generator: `SplitMix64` (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn uuid(random: &mut Random) -> String {
    let bits = (u128::from(random.next()) << 64) | u128::from(random.next());
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
}
