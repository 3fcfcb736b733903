//! Settings: flags, then `TACTFUL_*` environment variables, then a TOML file, then defaults.
//!
//! Everything is read once and checked as a whole before anything opens; all faults are reported together. Nothing here
//! is a rule about offers: those are in the policy.

pub mod access;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::domain::policy::Policy;
use crate::domain::time::{DAY, Timestamp};
use crate::policy_document::{self, span};
use crate::telemetry::customer_pseudonyms::{CustomerIdLogging, KEY_BYTES_MIN, PseudonymKey};
use crate::telemetry::trace_settings::TraceSettings;
use access::AccessRules;

/// Settings of the server as somebody wrote them: every one optional, every one a text.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct WrittenSettings {
    /// Where to serve gRPC [default: 127.0.0.1:50051]
    #[arg(long, env = "TACTFUL_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// The server's certificate with its chain, PEM; read anew when it changes. With it callers must speak TLS
    #[arg(long, env = "TACTFUL_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// The key of the certificate, PEM
    #[arg(long, env = "TACTFUL_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Who signs the certificates of callers, PEM; read anew when it changes. With it callers must have one, unless --access
    /// knows tokens
    #[arg(long, env = "TACTFUL_CLIENT_CA", value_name = "FILE")]
    pub client_ca: Option<String>,
    /// Serve without TLS on an address that other machines reach: true where the network keeps callers apart
    #[arg(long, env = "TACTFUL_PLAINTEXT", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub plaintext: Option<String>,
    /// Which caller may do what, TOML; read anew when it changes [default: everybody who can connect may do everything]
    #[arg(long, env = "TACTFUL_ACCESS", value_name = "FILE.toml")]
    pub access: Option<String>,
    /// Where to serve the health service alone, without TLS, for the probes of a cluster, or `off` [default: off]
    #[arg(long, env = "TACTFUL_HEALTH_LISTEN", value_name = "ADDRESS")]
    pub health_listen: Option<String>,
    /// Where to serve Prometheus metrics, or `off` [default: 127.0.0.1:9464]
    #[arg(long, env = "TACTFUL_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
    /// Where to keep everything; made when missing, in a directory that is there [default: tactful-data]
    #[arg(long, env = "TACTFUL_DATA_DIR", value_name = "DIRECTORY")]
    pub data_dir: Option<String>,
    /// `sled` (on disk) or `memory` (gone at the stop) [default: sled]
    #[arg(long, env = "TACTFUL_STORE", value_name = "STORE")]
    pub store: Option<String>,
    /// Start the clock at another time, to replay old data: 2011-06-10T00:00:00Z
    #[arg(long, env = "TACTFUL_NOW", value_name = "TIME")]
    pub now: Option<String>,
    /// Store the policy of this file and put it into force at the start; `tactful policy show --default` prints one to
    /// begin with [default: the policy in force before]
    #[arg(long, env = "TACTFUL_POLICY", value_name = "FILE.toml")]
    pub policy: Option<String>,
    /// Train again this often, or `off` [default: 24h]
    #[arg(long, env = "TACTFUL_TRAIN_EVERY", value_name = "DURATION")]
    pub train_every: Option<String>,
    /// How long events are kept, or off for ever [default: 1096d]
    #[arg(long, env = "TACTFUL_KEEP_EVENTS", value_name = "DURATION")]
    pub keep_events: Option<String>,
    /// How long decisions are kept, or off for ever [default: 396d]
    #[arg(long, env = "TACTFUL_KEEP_DECISIONS", value_name = "DURATION")]
    pub keep_decisions: Option<String>,
    /// Threads of a training [default: half of the cores]
    #[arg(long, env = "TACTFUL_TRAINING_THREADS", value_name = "N")]
    pub training_threads: Option<String>,
    /// Memory that a training may plan for, in MiB [default: 2048]
    #[arg(long, env = "TACTFUL_TRAINING_MEMORY_MIB", value_name = "MIB")]
    pub training_memory_mib: Option<String>,
    /// How long calls in progress may take at a stop [default: 20s]
    #[arg(long, env = "TACTFUL_DRAIN", value_name = "DURATION")]
    pub drain: Option<String>,
    /// The longest a call may take; trainings, replays, reports and streams have no limit [default: 10s]
    #[arg(long, env = "TACTFUL_REQUEST_TIMEOUT", value_name = "DURATION")]
    pub request_timeout: Option<String>,
    /// Calls served at once; more are refused with `RESOURCE_EXHAUSTED` [default: 128 for each core]
    #[arg(long, env = "TACTFUL_REQUESTS_MAX", value_name = "N")]
    pub requests_max: Option<String>,
    /// How long a call may wait for its turn; one that waited longer, while 64 others came, is refused with
    /// `RESOURCE_EXHAUSTED` [default: 100ms]
    #[arg(long, env = "TACTFUL_QUEUE_DELAY_MAX", value_name = "DURATION")]
    pub queue_delay_max: Option<String>,
    /// Calls at once whose callers have not sent all of their message; more are refused [default: 4096]
    #[arg(long, env = "TACTFUL_PENDING_UPLOADS_MAX", value_name = "N")]
    pub pending_uploads_max: Option<String>,
    /// Memory for messages that are not whole or not answered, over all calls, in bytes; the first 16 KiB of a call are free
    /// [default: 33554432]
    #[arg(long, env = "TACTFUL_BUFFERED_BYTES_MAX", value_name = "BYTES")]
    pub buffered_bytes_max: Option<String>,
    /// The longest that a stream waits for its caller's next message [default: 1m]
    #[arg(long, env = "TACTFUL_STREAM_IDLE_TIMEOUT", value_name = "DURATION")]
    pub stream_idle_timeout: Option<String>,
    /// Connections held at once; more are closed [default: 1024]
    #[arg(long, env = "TACTFUL_CONNECTIONS_MAX", value_name = "N")]
    pub connections_max: Option<String>,
    /// Calls at once on one connection [default: 128]
    #[arg(long, env = "TACTFUL_STREAMS_MAX", value_name = "N")]
    pub streams_max: Option<String>,
    /// The largest message either way, in bytes [default: 4194304]
    #[arg(long, env = "TACTFUL_MESSAGE_BYTES_MAX", value_name = "BYTES")]
    pub message_bytes_max: Option<String>,
    /// Ask a connection to move on after this long, so that load spreads over replicas [default: 30m]
    #[arg(long, env = "TACTFUL_CONNECTION_AGE", value_name = "DURATION")]
    pub connection_age: Option<String>,
    /// Which log lines: error, warn, info, debug, trace, or a filter such as tactful=debug [default: info]
    #[arg(long, env = "TACTFUL_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// `text`, `json`, or `auto`: text on a terminal, JSON otherwise [default: auto]
    #[arg(long, env = "TACTFUL_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Log calls that take this long, with what each of their stages took, or `off`; trainings, replays, reports and streams are
    /// never slow [default: 250ms]
    #[arg(long, env = "TACTFUL_SLOW_CALL", value_name = "DURATION")]
    pub slow_call: Option<String>,
    /// Name customers in logs by their ids and not by a hash
    #[arg(long, env = "TACTFUL_LOG_CUSTOMER_IDS", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub log_customer_ids: Option<String>,
    /// The key of these hashes, 16 bytes at least, so that they are the same in every process [default: random]
    #[arg(long, env = "TACTFUL_LOG_CUSTOMER_KEY", value_name = "FILE")]
    pub log_customer_key: Option<String>,
    /// Send traces to this OTLP collector, such as `http://127.0.0.1:4317`; needs a program built with the feature otlp
    #[arg(long, env = "TACTFUL_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// The share of calls that are traced, 0 to 1, of those whose caller did not decide [default: 0.01]
    #[arg(long, env = "TACTFUL_OTLP_SHARE", value_name = "SHARE")]
    pub otlp_share: Option<String>,
}

/// Settings that hold together.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where to serve gRPC.
    pub listen: SocketAddr,
    /// What keeps calls secret and callers apart.
    pub security: Security,
    /// Where to serve the health service alone.
    pub health_listen: Option<SocketAddr>,
    /// Where to serve metrics.
    pub metrics_listen: Option<SocketAddr>,
    /// Where everything is kept.
    pub store: StoreSetting,
    /// The time at which the clock starts; `None`: the real time.
    pub now: Option<Timestamp>,
    /// The policy to put into force at the start; `None`: the one that was in force before.
    pub policy: Option<WrittenPolicy>,
    /// How often to train; `None`: only when asked, and once on start.
    pub train_every: Option<Duration>,
    /// How long events are kept; `None` for ever.
    pub keep_events: Option<Duration>,
    /// How long decisions are kept; `None` for ever.
    pub keep_decisions: Option<Duration>,
    /// What a training may use.
    pub training_threads: usize,
    /// What a training may use, in bytes.
    pub training_memory_bytes: u64,
    /// How long calls in progress may take at a stop.
    pub drain: Duration,
    /// What protects the server from its callers.
    pub limits: Limits,
    /// Which log lines.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Calls that take this long are logged.
    pub slow_call: Option<Duration>,
    /// How customers are named in logs.
    pub customer_id_logging: CustomerIdLogging,
    /// Where traces are sent.
    pub traces: Option<TraceSettings>,
}

/// What keeps calls secret and callers apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Security {
    /// `None`: plain text.
    pub tls: Option<TlsFiles>,
    /// The file that says who may do what; `None`: everybody who can connect may do everything.
    pub access: Option<PathBuf>,
}

/// Files of PEM, read anew when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then those that sign it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who signs the certificates of callers; `None`: callers have none.
    pub client_ca: Option<PathBuf>,
}

/// A policy as somebody wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenPolicy {
    /// What it says.
    pub policy: Policy,
    /// The document.
    pub text: String,
}

/// Which store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSetting {
    /// On disk, in this directory.
    Sled(PathBuf),
    /// In memory, gone at the stop.
    Memory,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What protects the server from its callers. Each default of the libraries that is a hole is closed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest a call may take.
    pub request_timeout: Duration,
    /// Calls at once over all connections that have something to do: those that wait for the disk, above all. More would wait for
    /// each other.
    pub requests_max: usize,
    /// Calls at once that have their turn, where some stand in line: more answer no more, and keep more from being read.
    pub execution_permits: usize,
    /// A call that waited longer for its turn is refused: whoever comes after it would wait longer still.
    pub queue_delay_max: Duration,
    /// Unless fewer calls than this came meanwhile: then the machine has paused, and all of them will soon be served.
    pub shed_backlog_min: u64,
    /// Calls at once that wait for more from their callers; they hold no place, but memory.
    pub pending_uploads_max: usize,
    /// What messages that are not whole or not answered may hold over all calls; by the limits above it could be 4 GiB.
    pub buffered_bytes_max: usize,
    /// A stream is waited for this long at most; nothing of it is answered before its end, so one that pauses is of no use.
    pub stream_idle_timeout: Duration,
    /// Connections at once; each holds memory even when silent.
    pub connections_max: usize,
    /// Calls at once on one connection; unlimited, one connection could hold 50,000.
    pub streams_max: u32,
    /// What a connection may send before it is read. The transport (h2 0.4.20) closes a connection of which half as many bytes are
    /// lost to small frames, 256 less its length for each; this bears several streams of small messages that are ahead of what is read.
    pub connection_window_bytes: u32,
    /// What a stream may send before it is read; the library's 1 MiB would make nothing quicker near by, and let one stream of small
    /// messages end the connection.
    pub stream_window_bytes: u32,
    /// The largest message either way; the library limits only what comes in.
    pub message_bytes_max: usize,
    /// A connection that sends nothing at first is closed after this; keepalive does not close one that never spoke.
    pub first_bytes_within: Duration,
    /// A connection is asked to move on after this long, give or take a tenth.
    pub connection_age: Duration,
    /// And closed when it has not after this much longer.
    pub connection_age_grace: Duration,
    /// An idle connection is asked this often whether it still lives.
    pub keepalive_interval: Duration,
    /// And closed when it has not answered after this.
    pub keepalive_timeout: Duration,
}

/// A core answers some thousand calls a second that reserve, so those admitted wait for a tenth of a second at most, and as many
/// share a flush as its disk can make use of.
const REQUESTS_A_CORE: usize = 128;
const EXECUTION_PERMITS_PER_CORE: usize = 8;

/// Cores that this process may use; 1 where that is not known.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            requests_max: REQUESTS_A_CORE * cores(),
            execution_permits: EXECUTION_PERMITS_PER_CORE * cores(),
            queue_delay_max: Duration::from_millis(100),
            shed_backlog_min: 64,
            pending_uploads_max: 4096,
            buffered_bytes_max: 32 << 20,
            stream_idle_timeout: Duration::from_secs(60),
            connections_max: 1024,
            streams_max: 128,
            connection_window_bytes: 1 << 20,
            stream_window_bytes: 32 << 10,
            message_bytes_max: 4 << 20,
            first_bytes_within: Duration::from_secs(5),
            connection_age: Duration::from_secs(30 * 60),
            connection_age_grace: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
        }
    }
}

/// Everything wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFaults(pub Vec<String>);

impl fmt::Display for SettingFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => write!(f, "{only}"),
            faults => write!(f, "{} settings are wrong:\n  {}", faults.len(), faults.join("\n  ")),
        }
    }
}

impl std::error::Error for SettingFaults {}

impl WrittenSettings {
    /// Reads a settings file: TOML, the flags' names as keys.
    ///
    /// # Errors
    /// A text that says where the file is wrong.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// What is written here, and where nothing is, what `fallback` says.
    pub fn or(self, fallback: Self) -> Self {
        Self {
            listen: self.listen.or(fallback.listen),
            tls_cert: self.tls_cert.or(fallback.tls_cert),
            tls_key: self.tls_key.or(fallback.tls_key),
            client_ca: self.client_ca.or(fallback.client_ca),
            plaintext: self.plaintext.or(fallback.plaintext),
            access: self.access.or(fallback.access),
            health_listen: self.health_listen.or(fallback.health_listen),
            metrics_listen: self.metrics_listen.or(fallback.metrics_listen),
            data_dir: self.data_dir.or(fallback.data_dir),
            store: self.store.or(fallback.store),
            now: self.now.or(fallback.now),
            policy: self.policy.or(fallback.policy),
            train_every: self.train_every.or(fallback.train_every),
            keep_events: self.keep_events.or(fallback.keep_events),
            keep_decisions: self.keep_decisions.or(fallback.keep_decisions),
            training_threads: self.training_threads.or(fallback.training_threads),
            training_memory_mib: self.training_memory_mib.or(fallback.training_memory_mib),
            drain: self.drain.or(fallback.drain),
            request_timeout: self.request_timeout.or(fallback.request_timeout),
            requests_max: self.requests_max.or(fallback.requests_max),
            queue_delay_max: self.queue_delay_max.or(fallback.queue_delay_max),
            pending_uploads_max: self.pending_uploads_max.or(fallback.pending_uploads_max),
            buffered_bytes_max: self.buffered_bytes_max.or(fallback.buffered_bytes_max),
            stream_idle_timeout: self.stream_idle_timeout.or(fallback.stream_idle_timeout),
            connections_max: self.connections_max.or(fallback.connections_max),
            streams_max: self.streams_max.or(fallback.streams_max),
            message_bytes_max: self.message_bytes_max.or(fallback.message_bytes_max),
            connection_age: self.connection_age.or(fallback.connection_age),
            log: self.log.or(fallback.log),
            log_format: self.log_format.or(fallback.log_format),
            slow_call: self.slow_call.or(fallback.slow_call),
            log_customer_ids: self.log_customer_ids.or(fallback.log_customer_ids),
            log_customer_key: self.log_customer_key.or(fallback.log_customer_key),
            otlp_endpoint: self.otlp_endpoint.or(fallback.otlp_endpoint),
            otlp_share: self.otlp_share.or(fallback.otlp_share),
        }
    }

    /// Checks everything.
    ///
    /// # Errors
    /// Every fault, not only the first.
    pub fn check(self) -> Result<Settings, SettingFaults> {
        let mut reader = Reader { faults: Vec::new() };
        let defaults = Limits::default();
        let data_dir = PathBuf::from(self.data_dir.unwrap_or_else(|| "tactful-data".to_owned()));
        let stores = [("sled", StoreSetting::Sled(data_dir)), ("memory", StoreSetting::Memory)];
        let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
        let default_threads = cores().div_ceil(2);
        let listen = self.listen.as_deref().or(Some("127.0.0.1:50051"));
        let metrics_listen = self.metrics_listen.as_deref().unwrap_or("127.0.0.1:9464");
        let health_listen = self.health_listen.as_deref().filter(|&text| text != "off");
        let listen = reader.address("listen", listen).unwrap_or(NOWHERE);
        let is_plain = reader.choice("plaintext", self.plaintext.as_deref().unwrap_or("false"), FLAG).unwrap_or(false);
        let settings = Settings {
            security: reader.security(listen, [self.tls_cert, self.tls_key, self.client_ca, self.access], is_plain),
            listen,
            health_listen: reader.address("health-listen", health_listen),
            metrics_listen: reader.address("metrics-listen", Some(metrics_listen).filter(|&text| text != "off")),
            store: reader
                .choice("store", self.store.as_deref().unwrap_or("sled"), stores)
                .unwrap_or(StoreSetting::Memory),
            now: reader.time("now", self.now.as_deref()),
            policy: reader.policy("policy", self.policy.as_deref()),
            train_every: reader.duration_or_off("train-every", self.train_every.as_deref().unwrap_or("24h")),
            keep_events: reader.kept("keep-events", self.keep_events.as_deref().unwrap_or("1096d")),
            keep_decisions: reader.kept("keep-decisions", self.keep_decisions.as_deref().unwrap_or("396d")),
            training_threads: reader.count("training-threads", self.training_threads, default_threads, 1..=256),
            training_memory_bytes: reader.count("training-memory-mib", self.training_memory_mib, 2048, 1..=1 << 20)
                << 20,
            drain: reader.duration("drain", self.drain, Duration::from_secs(20)),
            limits: Limits {
                request_timeout: reader.duration("request-timeout", self.request_timeout, defaults.request_timeout),
                requests_max: reader.count("requests-max", self.requests_max, defaults.requests_max, 1..=1_000_000),
                queue_delay_max: reader.duration("queue-delay-max", self.queue_delay_max, defaults.queue_delay_max),
                pending_uploads_max: reader.count(
                    "pending-uploads-max",
                    self.pending_uploads_max,
                    defaults.pending_uploads_max,
                    1..=1_000_000,
                ),
                buffered_bytes_max: reader.count(
                    "buffered-bytes-max",
                    self.buffered_bytes_max,
                    defaults.buffered_bytes_max,
                    1024..=1 << 40,
                ),
                stream_idle_timeout: reader.duration(
                    "stream-idle-timeout",
                    self.stream_idle_timeout,
                    defaults.stream_idle_timeout,
                ),
                connections_max: reader.count(
                    "connections-max",
                    self.connections_max,
                    defaults.connections_max,
                    1..=1_000_000,
                ),
                streams_max: reader.count("streams-max", self.streams_max, defaults.streams_max, 1..=100_000),
                message_bytes_max: reader.count(
                    "message-bytes-max",
                    self.message_bytes_max,
                    defaults.message_bytes_max,
                    1024..=1 << 30,
                ),
                connection_age: reader.duration("connection-age", self.connection_age, defaults.connection_age),
                ..defaults
            },
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            log_format: reader
                .choice("log-format", self.log_format.as_deref().unwrap_or("auto"), formats)
                .unwrap_or(LogFormat::Auto),
            slow_call: reader.duration_or_off("slow-call", self.slow_call.as_deref().unwrap_or("250ms")),
            customer_id_logging: reader.customer_id_logging(self.log_customer_ids, self.log_customer_key),
            traces: reader.traces(self.otlp_endpoint, self.otlp_share),
        };
        if reader.faults.is_empty() { Ok(settings) } else { Err(SettingFaults(reader.faults)) }
    }
}

/// Enough to see where time goes, at a cost that is not seen.
const TRACED_SHARE: f64 = 0.01;

const FLAG: [(&str, bool); 2] = [("true", true), ("false", false)];

/// Stands in for an address that is wrong and reported.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Reads texts and collects what is wrong with them.
struct Reader {
    faults: Vec<String>,
}

impl Reader {
    fn fault<T>(&mut self, name: &str, text: &str, expected: &str) -> Option<T> {
        self.faults.push(format!("{name}: {text:?} is not {expected}"));
        None
    }

    fn address(&mut self, name: &str, text: Option<&str>) -> Option<SocketAddr> {
        let text = text?;
        text.parse().ok().or_else(|| self.fault(name, text, "an address such as 127.0.0.1:50051 or [::1]:50051"))
    }

    fn choice<T, const N: usize>(&mut self, name: &str, text: &str, choices: [(&str, T); N]) -> Option<T> {
        let names: Vec<String> = choices.iter().map(|(name, _)| (*name).to_owned()).collect();
        let chosen = choices.into_iter().find(|(name, _)| *name == text).map(|(_, value)| value);
        chosen.or_else(|| self.fault(name, text, &format!("one of {}", names.join(", "))))
    }

    fn time(&mut self, name: &str, text: Option<&str>) -> Option<Timestamp> {
        let text = text?;
        let read = text.parse::<jiff::Timestamp>().ok().and_then(|at| Timestamp::from_unix_ms(at.as_millisecond()));
        read.or_else(|| self.fault(name, text, "a time such as 2011-06-10T00:00:00Z, from 1900 to 2200"))
    }

    /// What is secret is so by choice, and what is not as well.
    fn security(&mut self, listen: SocketAddr, files: [Option<String>; 4], is_plain: bool) -> Security {
        let [certificate, key, client_ca, access] = files.map(|file| file.map(PathBuf::from));
        let mut refuse = |is_wrong: bool, fault: &str| {
            if is_wrong {
                self.faults.push(fault.to_owned());
            }
        };
        let has_tls = certificate.is_some() && key.is_some();
        refuse(certificate.is_some() != key.is_some(), "tls-cert and tls-key: one is of no use without the other");
        refuse(
            client_ca.is_some() && !has_tls,
            "client-ca: callers show certificates over TLS only; give tls-cert and tls-key",
        );
        refuse(has_tls && is_plain, "plaintext: it cannot be with tls-cert and tls-key");
        refuse(
            !has_tls && !is_plain && !listen.ip().is_loopback(),
            "listen: other machines reach this address without TLS; give tls-cert and tls-key, or say plaintext where the \
             network keeps callers apart",
        );
        let mut knows_tokens = false;
        if let Some(file) = &access {
            let text = std::fs::read_to_string(file).map_err(|error| vec![format!("{}: {error}", file.display())]);
            match text.and_then(|text| AccessRules::read(&text, file)) {
                Ok(rules) => knows_tokens = rules.tokens.is_some(),
                Err(faults) => self.faults.extend(faults.into_iter().map(|fault| format!("access: {fault}"))),
            }
        }
        let knows_nobody = access.is_some() && client_ca.is_none() && !knows_tokens && self.faults.is_empty();
        if knows_nobody {
            self.faults.push("access: nobody can be known; give client-ca, or a section [jwt] in the file".to_owned());
        }
        let tls = certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key, client_ca });
        Security { tls, access }
    }

    fn customer_id_logging(&mut self, by_id: Option<String>, key: Option<String>) -> CustomerIdLogging {
        let by_id = self.choice("log-customer-ids", by_id.as_deref().unwrap_or("false"), FLAG).unwrap_or(false);
        let key = key.and_then(|file| {
            let key = match std::fs::read(&file) {
                Ok(bytes) => PseudonymKey::new(&bytes),
                Err(error) => {
                    self.faults.push(format!("log-customer-key: {file}: {error}"));
                    return None;
                }
            };
            if key.is_none() {
                self.faults.push(format!("log-customer-key: {file} has fewer than {KEY_BYTES_MIN} bytes"));
            }
            key
        });
        if by_id { CustomerIdLogging::PlainIds } else { CustomerIdLogging::Pseudonyms(key) }
    }

    fn traces(&mut self, endpoint: Option<String>, share: Option<String>) -> Option<TraceSettings> {
        let read = |text: &String| text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
        let share = match &share {
            None => TRACED_SHARE,
            Some(text) => read(text).or_else(|| self.fault("otlp-share", text, "a number from 0 to 1")).unwrap_or(0.0),
        };
        let traces = TraceSettings::new(&endpoint?, share);
        traces.map_err(|fault| self.faults.push(format!("otlp-endpoint: {fault}"))).ok()
    }

    fn policy(&mut self, name: &str, file: Option<&str>) -> Option<WrittenPolicy> {
        let file = file?;
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                self.faults.push(format!("{name}: {file}: {error}"));
                return None;
            }
        };
        match policy_document::read::read(&text) {
            Ok(policy) => Some(WrittenPolicy { policy, text }),
            Err(faults) => {
                self.faults.extend(faults.0.into_iter().map(|fault| format!("{name}: {file}: {fault}")));
                None
            }
        }
    }

    fn duration(&mut self, name: &str, text: Option<String>, default: Duration) -> Duration {
        let Some(text) = text else { return default };
        let read = text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        let fits = read.filter(|span| !span.is_zero());
        fits.or_else(|| self.fault(name, &text, "a duration such as 500ms, 20s, 30m or 24h")).unwrap_or(default)
    }

    fn duration_or_off(&mut self, name: &str, text: &str) -> Option<Duration> {
        (text != "off").then(|| self.duration(name, Some(text.to_owned()), Duration::from_secs(86_400)))
    }

    /// A span of days, at least one: what is kept for less is gone before anybody can ask for it.
    fn kept(&mut self, name: &str, text: &str) -> Option<Duration> {
        if text == "off" {
            return None;
        }
        let read = span::read(text).filter(|span| (DAY..=DAY * 36_500).contains(span));
        read.or_else(|| self.fault(name, text, "off, or a span of at least a day such as 396d"))
    }

    fn count<T>(&mut self, name: &str, text: Option<String>, default: T, range: std::ops::RangeInclusive<T>) -> T
    where
        T: std::str::FromStr + PartialOrd + fmt::Display + Copy,
    {
        let Some(text) = text else { return default };
        let read = text.parse::<T>().ok().filter(|count| range.contains(count));
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        read.or_else(|| self.fault(name, &text, &expected)).unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_together() {
        let settings = WrittenSettings::default().check().expect("the defaults are right");
        assert_eq!(settings.listen.port(), 50051);
        assert_eq!(settings.store, StoreSetting::Sled("tactful-data".into()));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let written = WrittenSettings {
            listen: Some("nowhere".into()),
            store: Some("paper".into()),
            now: Some("yesterday".into()),
            drain: Some("-3s".into()),
            requests_max: Some("0".into()),
            ..WrittenSettings::default()
        };
        let SettingFaults(faults) = written.check().expect_err("five faults");
        assert_eq!(faults.len(), 5, "{faults:?}");
    }

    /// Broken by: an open port by default.
    #[test]
    fn plain_text_beyond_this_machine_is_a_choice() {
        let on = |listen: &str| WrittenSettings { listen: Some(listen.to_owned()), ..WrittenSettings::default() };
        let yes = || Some("true".to_owned());
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            let SettingFaults(faults) = on(open).check().expect_err("it is open");
            assert!(faults[0].starts_with("listen: other machines"), "{faults:?}");
            assert!(WrittenSettings { plaintext: yes(), ..on(open) }.check().is_ok());
        }
        assert!(on("127.0.0.1:1").check().is_ok() && on("[::1]:1").check().is_ok());
        let certificate = || Some("server.pem".to_owned());
        let with_tls = || WrittenSettings { tls_cert: certificate(), tls_key: certificate(), ..on("0.0.0.0:1") };
        assert!(with_tls().check().is_ok());
        assert!(WrittenSettings { plaintext: yes(), ..with_tls() }.check().is_err());
        assert!(WrittenSettings { tls_key: None, ..with_tls() }.check().is_err());
        assert!(WrittenSettings { client_ca: certificate(), ..on("127.0.0.1:1") }.check().is_err());
    }

    /// Broken by: a wish for ids that is not heard.
    #[test]
    fn what_logs_and_traces_need_is_checked() {
        let directory = tempfile::tempdir().expect("a directory");
        let key = |name: &str, text: &str| {
            let file = directory.path().join(name);
            std::fs::write(&file, text).expect("writes");
            file.to_str().map(str::to_owned)
        };
        let names = |log_customer_key, by_id: Option<&str>| {
            let log_customer_ids = by_id.map(str::to_owned);
            let written = WrittenSettings { log_customer_ids, log_customer_key, ..WrittenSettings::default() };
            written.check().map(|settings| settings.customer_id_logging)
        };
        let long = key("long", "0123456789abcdef\n");
        assert_eq!(names(None, None), Ok(CustomerIdLogging::Pseudonyms(None)));
        assert_eq!(names(long, None), Ok(CustomerIdLogging::Pseudonyms(PseudonymKey::new(b"0123456789abcdef"))));
        assert_eq!(names(None, Some("true")), Ok(CustomerIdLogging::PlainIds));
        assert!(names(key("short", "0123456789abcde\n"), None).is_err_and(|faults| faults.0[0].contains("16 bytes")));
        assert!(names(Some("/no/such/file".to_owned()), None).is_err());

        let traces = |endpoint: &str, share: &str| {
            let [otlp_endpoint, otlp_share] = [endpoint, share].map(|text| Some(text.to_owned()));
            let written = WrittenSettings { otlp_endpoint, otlp_share, ..WrittenSettings::default() };
            written.check().map(|settings| settings.traces).map_err(|SettingFaults(faults)| faults)
        };
        let told = traces("http://127.0.0.1:4317", "0.5");
        if cfg!(feature = "otlp") {
            let settings = told.expect("right").expect("asked for");
            assert_eq!((settings.endpoint(), settings.sampling_ratio()), ("http://127.0.0.1:4317", 0.5));
        } else {
            assert!(told.is_err_and(|faults| faults[0].contains("--features otlp")));
        }
        for share in ["1.5", "-0.1", "NaN", "some"] {
            let faults = traces("http://127.0.0.1:4317", share).expect_err("no share");
            assert!(faults[0].starts_with("otlp-share:"), "{faults:?}");
        }
        let written = WrittenSettings { slow_call: Some("off".to_owned()), ..WrittenSettings::default() };
        assert_eq!(written.check().map(|settings| settings.slow_call), Ok(None));
        assert_eq!(WrittenSettings::default().check().map(|it| it.slow_call), Ok(Some(Duration::from_millis(250))));
    }

    #[test]
    fn flags_come_before_the_file() {
        let file = WrittenSettings::from_toml("listen = \"127.0.0.1:1\"\nstore = \"memory\"").expect("a settings file");
        let flags = WrittenSettings { listen: Some("127.0.0.1:2".into()), ..WrittenSettings::default() };
        let settings = flags.or(file).check().expect("right");
        assert_eq!((settings.listen.port(), settings.store), (2, StoreSetting::Memory));
        assert!(WrittenSettings::from_toml("lisen = \"x\"").is_err(), "a typo is told");
    }
}
