//! Latency and memory of a server under attack.
//!
//! For each kind of attack: a server of its own, which a client calls at a steady rate during the attack, and before and after
//! it. Prints the ratio of the two p99 latencies and the growth of the server's memory, and fails above a ratio of 2 or 64 MiB.
//! Ratios of one run are comparable between machines; the figures are not.
//!
//! The attacker shares the cores with the server and the client, so that some of the latency is its own work; `--apart` gives
//! the server one core and all clients another (by `taskset`).
//!
//! `cargo bench --bench threats`; `-- --quick` for the short form, `-- reset` for the attacks with that word in their name.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use support::certificates::Authority;
use support::running_server::{RunningServer, stock};
use threats::attacks::{AttackSize, Threat, attack};
use threats::memory::PeakMemory;
use threats::steady_client::SteadyClient;

#[path = "../apart/mod.rs"]
mod apart;
#[path = "../../tests/support/mod.rs"]
mod support;

#[path = "../../tests/threats"]
mod threats {
    pub mod attacks;
    pub mod frames;
    pub mod memory;
    pub mod steady_client;
}

const QUIET: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(1);
const RATIO_MAX: f64 = 2.0;
const GROWTH_MAX: u64 = 64 << 20;

fn main() -> ExitCode {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let size = if has("--quick") { AttackSize::SHORT } else { AttackSize::LONG };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the runtime starts");
    println!("{:<26} | quiet p50, p99 | attacked p50, p99 | p99 ratio | memory | connections closed", "threat");
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_selected = |threat: &Threat| word.as_ref().is_none_or(|word| threat.to_string().contains(word));
    let mut is_within = true;
    for threat in Threat::ALL.into_iter().filter(is_selected) {
        let row = runtime.block_on(measure(threat, size));
        let ratio = p99(&row.attacked) / p99(&row.quiet);
        println!(
            "{threat:<26} | {:.2} ms, {:.2} ms | {:.2} ms, {:.2} ms | x {ratio:.2} | {:+} MiB | {}",
            quantile_ms(&row.quiet, 0.5),
            p99(&row.quiet),
            quantile_ms(&row.attacked, 0.5),
            p99(&row.attacked),
            row.growth >> 20,
            row.closed,
        );
        is_within &= ratio < RATIO_MAX && row.growth < GROWTH_MAX;
    }
    if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Row {
    quiet: Histogram<u64>,
    attacked: Histogram<u64>,
    growth: u64,
    closed: usize,
}

async fn measure(threat: Threat, size: AttackSize) -> Row {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: String| -> String {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("writes");
        path.to_str().expect("UTF-8").to_owned()
    };
    let authority = Authority::new();
    let [certificate, key] = authority.server();
    let (certificate, key) = (write("tls.crt", certificate), write("tls.key", key));
    let has_tls = threat == Threat::StalledHandshakes;
    let arguments: &[&str] = if has_tls { &["--tls-cert", &certificate, "--tls-key", &key] } else { &[] };
    let data_dir = directory.path().join("data");
    let server = apart::start(|| RunningServer::start_on(&data_dir, "127.0.0.1:0", arguments));
    let channel: Channel = if has_tls {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()));
        let endpoint = Endpoint::from_shared(format!("https://{}", server.address())).expect("a URI");
        let endpoint = endpoint.tls_config(tls.domain_name("localhost")).expect("TLS");
        endpoint.connect().await.expect("connects")
    } else {
        server.connect().await
    };
    stock(&channel).await;
    call_for(&channel, WARM_UP).await;
    // Half before and half after the attack, so that other load on the machine affects both.
    let mut quiet = call_for(&channel, QUIET / 2).await;
    let memory = PeakMemory::watch(server.pid());
    let client = SteadyClient::start(channel.clone());
    let closed = attack_for(QUIET, threat, server.address().to_owned(), size).await;
    let attacked = client.stop().await.expect("every call succeeds");
    let growth = memory.stop().await;
    quiet.add(call_for(&channel, QUIET / 2).await).expect("histograms resize themselves");
    Row { quiet, attacked, growth, closed }
}

/// Repeats a short attack, so that there are enough calls for a p99; on a thread of its own, so that the client does not wait for
/// the attacker. Returns the number of connections that the server closed.
async fn attack_for(time: Duration, threat: Threat, address: String, size: AttackSize) -> usize {
    let attacking = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread is enough");
        // The client must not wait for the attacker on their shared machine.
        rustix::process::nice(19).expect("a thread may lower its priority");
        runtime.block_on(async {
            let (started, mut closed) = (Instant::now(), 0);
            while started.elapsed() < time {
                closed += attack(threat, &address, size).await.closed;
            }
            closed
        })
    });
    attacking.await.expect("an attack does not panic")
}

async fn call_for(channel: &Channel, time: Duration) -> Histogram<u64> {
    let client = SteadyClient::start(channel.clone());
    tokio::time::sleep(time).await;
    client.stop().await.expect("every call succeeds")
}

fn p99(latencies: &Histogram<u64>) -> f64 {
    quantile_ms(latencies, 0.99)
}

#[allow(clippy::cast_precision_loss, reason = "latencies are far from the limits")]
fn quantile_ms(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1e3
}
