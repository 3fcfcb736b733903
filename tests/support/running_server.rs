//! The real binary as a child process, for tests that kill it, attack it, measure its memory, or use the command line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use super::wire_shop::{complement, product, upsert_products};

/// Time within which a server must serve: far more than it needs.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Number of log lines that a failed test prints.
const LINES_PRINTED: usize = 50;
/// Number of complements of the kettle in a stocked server.
pub const COMPLEMENTS: u64 = 60;

/// Running `tactful serve`, which is killed when dropped.
pub struct RunningServer {
    process: Child,
    address: String,
    log: Arc<Mutex<Log>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    /// First line that reports a panic.
    panic: Option<String>,
}

impl RunningServer {
    /// Starts on a free port; returns once it serves.
    pub fn start(data_dir: &Path) -> Self {
        Self::start_on(data_dir, "127.0.0.1:0", &[])
    }

    /// Starts on an address with more arguments; returns once it serves.
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
            .args(["serve", "--listen", listen, "--metrics-listen", "off", "--training-interval", "off"])
            .args(["--log-format", "json", "--data-dir"])
            .arg(data_dir)
            .stderr(Stdio::piped());
        let mut process = change(&mut command).spawn().expect("the binary runs");
        let errors = process.stderr.take().expect("piped");
        let log = Arc::new(Mutex::new(Log::default()));
        let (send, address) = mpsc::channel();
        let shared = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let record: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if record["message"] == "serving" {
                    // An error means that the test has given up waiting.
                    let _dropped = send.send(record["address"].as_str().unwrap_or_default().to_owned());
                }
                let mut log = shared.lock().expect("not poisoned");
                if line.contains("panicked") {
                    log.panic.get_or_insert_with(|| line.clone());
                }
                log.lines.push(line);
            }
        });
        let address = address.recv_timeout(START_TIMEOUT);
        let mut server = Self { process, address: String::new(), log, reader: Some(reader) };
        server.address = address.unwrap_or_else(|_| panic!("the server did not start:\n{}", server.log()));
        server
    }

    /// URL of the server.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Address of the server, to listen on again.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Connects to the server.
    pub async fn connect(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.url()).expect("an address");
        endpoint.tcp_nodelay(true).connect().await.unwrap_or_else(|error| panic!("{error}:\n{}", self.log()))
    }

    /// Sends SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Sends SIGTERM, and returns the exit status.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.terminate();
        self.process.wait().expect("it ends")
    }

    /// Sends SIGTERM, and does not wait for the exit.
    pub fn terminate(&self) {
        let status = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill is there");
        assert!(status.success());
    }

    /// Whether the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.try_wait().expect("it is ours").is_none()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Resident memory (`VmRSS`).
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.process.id())
    }

    /// Returns the first log line that reports a panic.
    pub fn panic(&self) -> Option<String> {
        self.log.lock().expect("not poisoned").panic.clone()
    }

    /// Returns the last log lines.
    pub fn log(&self) -> String {
        let log = self.log.lock().expect("not poisoned");
        let last = &log.lines[log.lines.len().saturating_sub(LINES_PRINTED)..];
        last.iter().fold(String::new(), |text, line| format!("{text}{line}\n"))
    }

    /// Stops the server and returns all log lines.
    pub fn stop_and_read(mut self) -> Vec<String> {
        let ended = self.stop();
        self.reader.take().expect("joined once").join().expect("does not panic");
        assert!(ended.success(), "{ended}:\n{}", self.log());
        std::mem::take(&mut self.log.lock().expect("not poisoned").lines)
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Resident memory of a process (`VmRSS`).
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

/// Fills the catalogue with a kettle and its complements.
pub async fn stock(channel: &Channel) {
    let complements = (0..COMPLEMENTS).map(|number| complement(&format!("complement{number}"), "kettle"));
    upsert_products(channel.clone(), complements.chain([product("kettle")]).collect()).await;
}
