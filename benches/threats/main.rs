//! What attacks cost those who behave.
//!
//! For each threat of the table: a server of its own, which somebody asks at a steady pace; while it is attacked, and
//! in quiet before and after. Prints the ratio of the two p99, and how much the server's memory grew, and fails beyond twice the p99 or 64
//! MB. Ratios of one run are comparable between machines; the figures are not.
//!
//! The attacker shares the cores with the server and the caller, so that some of what is seen is its own work; `--apart` gives
//! the server one core and all callers another (by `taskset`).
//!
//! `cargo bench --bench threats`; `-- --quick` for the short form, `-- reset` for those that have the word in their name.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use support::certificates::Authority;
use support::running_server::{RunningServer, stock};
use threats::attacks::{Size, Threat, attack};
use threats::caller::Caller;
use threats::memory::Watch;

#[path = "../apart/mod.rs"]
mod apart;
#[path = "../../tests/support/mod.rs"]
mod support;

#[path = "../../tests/threats"]
mod threats {
    pub mod attacks;
    pub mod caller;
    pub mod frames;
    pub mod memory;
}

const QUIET: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(1);
const RATIO_MAX: f64 = 2.0;
const GROWTH_MAX: u64 = 64 << 20;

fn main() -> ExitCode {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let size = if has("--quick") { Size::SHORT } else { Size::LONG };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("threads can be had");
    println!("{:<26} | quiet p50, p99 | attacked p50, p99 | p99 ratio | memory | connections closed", "threat");
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let asked_for = |threat: &Threat| word.as_ref().is_none_or(|word| threat.to_string().contains(word));
    let mut is_within = true;
    for threat in Threat::ALL.into_iter().filter(asked_for) {
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

async fn measure(threat: Threat, size: Size) -> Row {
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
    let caller: Channel = if has_tls {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()));
        let endpoint = Endpoint::from_shared(format!("https://{}", server.address())).expect("a URI");
        let endpoint = endpoint.tls_config(tls.domain_name("localhost")).expect("TLS");
        endpoint.connect().await.expect("connects")
    } else {
        server.connect().await
    };
    stock(&caller).await;
    called_for(&caller, WARM_UP).await;
    // Half of it before and half after, so that what else the machine does meets both.
    let mut quiet = called_for(&caller, QUIET / 2).await;
    let memory = Watch::start(server.pid());
    let calling = Caller::start(caller.clone());
    let closed = attack_for(QUIET, threat, server.address().to_owned(), size).await;
    let attacked = calling.stop().await.expect("every call is answered");
    let growth = memory.stop().await;
    quiet.add(called_for(&caller, QUIET / 2).await).expect("both resize by themselves");
    Row { quiet, attacked, growth, closed }
}

/// Short attacks again and again, so that there are calls enough for a p99; on a thread of its own, so that the caller does not
/// wait for the attacker. How many connections the server closed.
async fn attack_for(time: Duration, threat: Threat, address: String, size: Size) -> usize {
    let attacking = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread is enough");
        // The caller is not to wait for what the attacker does on its own machine.
        rustix::process::nice(19).expect("a thread may lower its priority");
        runtime.block_on(async {
            let (began, mut closed) = (Instant::now(), 0);
            while began.elapsed() < time {
                closed += attack(threat, &address, size).await.closed;
            }
            closed
        })
    });
    attacking.await.expect("an attack does not panic")
}

async fn called_for(channel: &Channel, time: Duration) -> Histogram<u64> {
    let calling = Caller::start(channel.clone());
    tokio::time::sleep(time).await;
    calling.stop().await.expect("every call is answered")
}

fn p99(took: &Histogram<u64>) -> f64 {
    quantile_ms(took, 0.99)
}

#[allow(clippy::cast_precision_loss, reason = "latencies are far from the limits")]
fn quantile_ms(took: &Histogram<u64>, quantile: f64) -> f64 {
    took.value_at_quantile(quantile) as f64 / 1e3
}
