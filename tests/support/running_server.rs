//! The real binary as a child process, for tests that kill it, attack it, or measure its memory, and for those of the command
//! line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tactful::grpc::generated::tactful::v1 as wire;
use tonic::transport::{Channel, Endpoint};
use wire::catalog_service_client::CatalogServiceClient;

/// How long a server may take to open its store and serve: far more than it needs.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Lines of the log that are told when a test fails.
const LINES_TOLD: usize = 50;
/// What goes with the kettle, in a stocked server.
pub const COMPLEMENTS: u64 = 60;

/// A running `tactful serve`; dropping it kills it.
pub struct RunningServer {
    process: Child,
    address: String,
    log: Arc<Mutex<Log>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    /// The first line that tells of a panic.
    panic: Option<String>,
}

impl RunningServer {
    /// Starts on a free port; returns once it serves.
    pub fn start(data_dir: &Path) -> Self {
        Self::start_on(data_dir, "127.0.0.1:0", &[])
    }

    /// Starts on an address, with some more arguments; returns once it serves.
    pub fn start_on(data_dir: &Path, listen: &str, arguments: &[&str]) -> Self {
        Self::spawn(data_dir, listen, |command| command.args(["--log", "info"]).args(arguments))
    }

    /// Starts on a free port with more arguments, or another environment; returns once it serves.
    pub fn start_with(data_dir: &Path, change: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        Self::spawn(data_dir, "127.0.0.1:0", change)
    }

    fn spawn(data_dir: &Path, listen: &str, change: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tactful"));
        command
            .args(["serve", "--listen", listen, "--metrics-listen", "off", "--train-every", "off"])
            .args(["--log-format", "json", "--data-dir"])
            .arg(data_dir)
            .stderr(Stdio::piped());
        let mut process = change(&mut command).spawn().expect("the binary runs");
        let errors = process.stderr.take().expect("piped");
        let log = Arc::new(Mutex::new(Log::default()));
        let (tell, told_address) = mpsc::channel();
        let kept = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let told: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if told["message"] == "serving" {
                    // An error means that nobody waits any more.
                    let _gone = tell.send(told["address"].as_str().unwrap_or_default().to_owned());
                }
                let mut kept = kept.lock().expect("no panic while it is held");
                if line.contains("panicked") {
                    kept.panic.get_or_insert_with(|| line.clone());
                }
                kept.lines.push(line);
            }
        });
        let address = told_address.recv_timeout(START_WITHIN);
        let mut server = Self { process, address: String::new(), log, reader: Some(reader) };
        server.address = address.unwrap_or_else(|_| panic!("the server did not start:\n{}", server.log()));
        server
    }

    /// Where it serves.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it serves, as one may listen there again.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A connection.
    pub async fn connect(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.url()).expect("an address");
        endpoint.tcp_nodelay(true).connect().await.unwrap_or_else(|error| panic!("{error}:\n{}", self.log()))
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// SIGTERM, and how the server ended.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.ask_to_stop();
        self.process.wait().expect("it ends")
    }

    /// SIGTERM; it goes on until it has stopped.
    pub fn ask_to_stop(&self) {
        let told = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill is there");
        assert!(told.success());
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.try_wait().expect("it is ours").is_none()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What of its memory is in RAM (`VmRSS`).
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.process.id())
    }

    /// The first line that tells of a panic.
    pub fn panic(&self) -> Option<String> {
        self.log.lock().expect("no panic while it is held").panic.clone()
    }

    /// The last lines that the server logged.
    pub fn log(&self) -> String {
        let kept = self.log.lock().expect("no panic while it is held");
        let last = &kept.lines[kept.lines.len().saturating_sub(LINES_TOLD)..];
        last.iter().fold(String::new(), |log, line| format!("{log}{line}\n"))
    }

    /// Stops the server and returns every line that it logged.
    pub fn stop_and_read(mut self) -> Vec<String> {
        let ended = self.stop();
        self.reader.take().expect("joined once").join().expect("does not panic");
        assert!(ended.success(), "{ended}:\n{}", self.log());
        std::mem::take(&mut self.log.lock().expect("no panic while it is held").lines)
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// What of a process's memory is in RAM (`VmRSS`).
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

/// Fills the catalogue: a kettle, and what goes with it.
pub async fn stock(channel: &Channel) {
    let product = |id: String| wire::Product { title: id.clone(), product_id: id, ..wire::Product::default() };
    let complements = (0..COMPLEMENTS).map(|number| wire::Product {
        compatible_with: vec!["kettle".to_owned()],
        ..product(format!("complement{number}"))
    });
    let products = complements.chain([product("kettle".to_owned())]).collect();
    let request = wire::BatchUpsertProductsRequest { products };
    CatalogServiceClient::new(channel.clone()).batch_upsert_products(request).await.expect("upserts");
}
