//! The real binary as a child process, for tests that kill it and for those of the command line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

/// How long a server may take to open its store and serve: far more than it needs.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Lines of the log that are told when a test fails.
const LINES_TOLD: usize = 50;

/// A running `tactful serve`; dropping it kills it.
pub struct RunningServer {
    process: Child,
    address: String,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl RunningServer {
    /// Starts on a free port; returns once it serves.
    #[allow(dead_code, reason = "the tests of the log ask for more of it")]
    pub fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, |command| command.args(["--log", "info"]))
    }

    /// Starts with more arguments, or another environment.
    pub fn start_with(data_dir: &Path, change: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tactful"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off", "--train-every", "off"])
            .args(["--log-format", "json", "--data-dir"])
            .arg(data_dir)
            .stderr(Stdio::piped());
        let mut process = change(&mut command).spawn().expect("the binary runs");
        let errors = process.stderr.take().expect("piped");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (tell, told_address) = mpsc::channel();
        let kept = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let told: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if told["message"] == "serving" {
                    // An error means that nobody waits any more.
                    let _gone = tell.send(told["address"].as_str().unwrap_or_default().to_owned());
                }
                kept.lock().expect("no panic while it is held").push(line);
            }
        });
        let address = told_address.recv_timeout(START_WITHIN);
        let mut server = Self { process, address: String::new(), log, reader: Some(reader) };
        server.address = address.unwrap_or_else(|_| panic!("the server did not start:\n{}", server.log()));
        server
    }

    /// Where it serves.
    #[allow(dead_code, reason = "the tests of kill -9 connect by themselves")]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A connection.
    #[allow(dead_code, reason = "the command line connects by itself")]
    pub async fn connect(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.url()).expect("an address");
        endpoint.tcp_nodelay(true).connect().await.unwrap_or_else(|error| panic!("{error}:\n{}", self.log()))
    }

    /// kill -9.
    #[allow(dead_code, reason = "the tests of the command line stop theirs gently")]
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// SIGTERM, and how the server ended.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let told = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill is there");
        assert!(told.success());
        self.process.wait().expect("it ends")
    }

    /// The last lines that the server logged.
    pub fn log(&self) -> String {
        let kept = self.log.lock().expect("no panic while it is held");
        let last = &kept[kept.len().saturating_sub(LINES_TOLD)..];
        last.iter().fold(String::new(), |log, line| format!("{log}{line}\n"))
    }

    /// Stops the server and returns every line that it logged.
    #[allow(dead_code, reason = "few tests read the log")]
    pub fn stop_and_read(mut self) -> Vec<String> {
        let ended = self.stop();
        self.reader.take().expect("joined once").join().expect("does not panic");
        assert!(ended.success(), "{ended}:\n{}", self.log());
        std::mem::take(&mut self.log.lock().expect("no panic while it is held"))
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
