//! Processes of a run: this program starts itself again as the real server and as the empty handler.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use prost::Message;
use tactful::config::written::WrittenSettings;
use tactful::domain::time::Timestamp;
use tactful::grpc::generated::tactful::v1 as wire;
use tactful::server::serve::Server;
use tactful::use_cases::app::Clock;
use tactful::use_cases::train_model::train_model;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use wire::offer_service_server::{OfferService, OfferServiceServer};

use super::apart;
use super::shop::{self, ShopSize};

const ROLE: &str = "TACTFUL_BENCH_ROLE";
const ANSWER_FILE: &str = "TACTFUL_BENCH_ANSWER";
const QUICK: &str = "TACTFUL_BENCH_QUICK";
/// Command to train; any other command is a number of milliseconds by which to advance the clock.
const TRAIN: &str = "train";

/// Role of a server process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerRole {
    /// The real server.
    App,
    /// A handler that returns a fixed response.
    Empty,
}

/// Server in a separate process, killed when dropped.
pub struct ServerProcess {
    pub address: String,
    pub pid: u32,
    /// Number of calls started over all loads, from which the customer of the next call follows.
    pub calls_started: Arc<AtomicU64>,
    commands: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
    _directory: tempfile::TempDir,
}

impl ServerProcess {
    /// Advances the server's clock; the empty handler ignores it.
    pub async fn advance(&mut self, span: Duration) {
        self.commands.write_all(format!("{}\n", span.as_millis()).as_bytes()).await.expect("the server listens");
    }

    /// Starts a training while the server keeps serving.
    pub async fn start_training(&mut self) {
        self.commands.write_all(format!("{TRAIN}\n").as_bytes()).await.expect("the server listens");
    }

    /// Waits until the training has finished.
    pub async fn wait_for_training(&mut self) {
        self.output.next_line().await.expect("the output is readable").expect("the server reports the training");
    }
}

/// Starts a server process and waits until it serves.
pub async fn start(role: ServerRole, size: ShopSize, answer: Option<&[u8]>) -> ServerProcess {
    let directory = tempfile::tempdir().expect("a directory");
    let answer_file = directory.path().join("answer");
    std::fs::write(&answer_file, answer.unwrap_or_default()).expect("a file");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .env(ROLE, if role == ServerRole::App { "tactful" } else { "empty" })
        .env(ANSWER_FILE, answer_file)
        .env(QUICK, if size.customers == ShopSize::QUICK.customers { "1" } else { "" })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut process = apart::start(|| command.spawn()).expect("this program starts");
    let mut output = BufReader::new(process.stdout.take().expect("piped")).lines();
    let address = output.next_line().await.expect("the output is readable").expect("the server prints its address");
    ServerProcess {
        address,
        pid: process.id().expect("it runs"),
        calls_started: Arc::default(),
        commands: process.stdin.take().expect("piped"),
        output,
        _process: process,
        _directory: directory,
    }
}

impl ServerRole {
    /// Reads the role that the parent process has set.
    pub fn from_environment() -> Option<Self> {
        match std::env::var(ROLE).ok()?.as_str() {
            "tactful" => Some(Self::App),
            "empty" => Some(Self::Empty),
            other => panic!("{ROLE}={other}"),
        }
    }

    /// Serves until the parent process exits.
    pub async fn run(self) {
        let answer = PathBuf::from(std::env::var_os(ANSWER_FILE).expect("set by the parent"));
        match self {
            Self::App => serve_tactful(answer.with_file_name("data")).await,
            Self::Empty => serve_empty(std::fs::read(answer).expect("written by the parent")).await,
        }
    }
}

async fn serve_tactful(data_dir: PathBuf) {
    let is_quick = std::env::var(QUICK).is_ok_and(|quick| !quick.is_empty());
    let settings = WrittenSettings::default()
        .with("listen", "127.0.0.1:0")
        .with("metrics-listen", "off")
        .with("data-dir", data_dir.display().to_string())
        .with("training-interval", "off");
    let clock = Arc::new(ManualClock(AtomicI64::new(1_700_000_000_000)));
    let server =
        Server::build(settings.check().expect("these hold together"), Some(Arc::clone(&clock) as Arc<dyn Clock>));
    let server = server.await.expect("opens");
    shop::fill(server.app(), if is_quick { ShopSize::QUICK } else { ShopSize::FULL }).await;
    println!("{}", server.local_addr());
    let tactful = Arc::clone(server.app());
    let commands = async move {
        let mut commands = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(order)) = commands.next_line().await {
            if order == TRAIN {
                let tactful = Arc::clone(&tactful);
                tokio::spawn(async move {
                    train_model(&tactful).await.expect("there is a history");
                    println!("trained");
                });
                continue;
            }
            clock.0.fetch_add(order.parse().expect("milliseconds"), Ordering::SeqCst);
        }
    };
    server.run(commands).await.expect("serves");
}

/// Clock that the parent process advances.
struct ManualClock(AtomicI64);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst)).expect("a few years after 2023")
    }
}

/// Plain tonic service whose handler returns a fixed response.
struct EmptyHandler(wire::CrossSellResponse);

async fn serve_empty(answer: Vec<u8>) {
    let answer = wire::CrossSellResponse::decode(answer.as_slice()).expect("an answer of the real server");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("bound"));
    let incoming = TcpListenerStream::new(listener);
    let incoming = tokio_stream::StreamExt::map(incoming, |stream| {
        stream.and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    });
    let parent_gone = async {
        let mut commands = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(_)) = commands.next_line().await {}
    };
    tonic::transport::Server::builder()
        .add_service(OfferServiceServer::new(EmptyHandler(answer)))
        .serve_with_incoming_shutdown(incoming, parent_gone)
        .await
        .expect("serves");
}

#[tonic::async_trait]
impl OfferService for EmptyHandler {
    async fn cross_sell(
        &self,
        _: Request<wire::CrossSellRequest>,
    ) -> Result<Response<wire::CrossSellResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn up_sell(&self, _: Request<wire::UpSellRequest>) -> Result<Response<wire::UpSellResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn batch_cross_sell(
        &self,
        _: Request<wire::BatchCrossSellRequest>,
    ) -> Result<Response<wire::BatchCrossSellResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn batch_up_sell(
        &self,
        _: Request<wire::BatchUpSellRequest>,
    ) -> Result<Response<wire::BatchUpSellResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn explain_decision(
        &self,
        _: Request<wire::ExplainDecisionRequest>,
    ) -> Result<Response<wire::ExplainDecisionResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn release_offers(
        &self,
        _: Request<wire::ReleaseOffersRequest>,
    ) -> Result<Response<wire::ReleaseOffersResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
