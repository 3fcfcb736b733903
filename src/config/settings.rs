//! Every setting of the server, declared once: name, type, help, parser with range, default.
//!
//! To add a setting, add it to the list below; the flag, the environment variable, the key of the settings file, `--help` and
//! the typed field follow. `request_timeout` is `--request-timeout`, `TACTFUL_REQUEST_TIMEOUT` and `request-timeout`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::access::AccessFile;
use super::memory_limit::memory_limit_bytes;
use super::reader::SettingReader;
use super::setting::{
    Declaration, Parser, address, choice, count, duration, flag_name, idle_retention, path, ratio, retention, switch,
    text, time,
};
use super::store_url::{StoreCa, StoreConfirmation, StoreDatabase, StoreUrl};
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::policy_document::parse_policy::parse_policy;
use crate::telemetry::customer_pseudonyms::{CustomerIdLogging, KEY_BYTES_MIN, PseudonymKey};
use crate::telemetry::trace_settings::TraceSettings;

/// Declares groups of settings, each `name: type = parser and default`, with its help as doc comment. Fields below `fixed` are
/// limits that no operator needs to change; tests do.
macro_rules! settings {
    ($($(#[doc = $group_doc:literal])+ $group:ident: $Group:ident, $heading:literal {
        $($(#[doc = $help:literal])+ $name:ident: $type:ty = $setting:expr;)+
        $(fixed { $($(#[doc = $fixed_doc:literal])+ $fixed:ident: $fixed_type:ty = $value:expr;)+ })?
    })+) => {
        /// Valid settings of the server.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $($(#[doc = $group_doc])+ pub $group: $Group,)+
        }

        impl Settings {
            pub(super) fn read(reader: &mut SettingReader) -> Self {
                Self { $($group: $Group::read(reader),)+ }
            }
        }

        /// Names and help of all settings, in the order of `--help`.
        pub(super) fn declarations() -> Vec<Declaration> {
            vec![$($(Declaration::new::<$type>(stringify!($name), $heading, concat!($($help),+), &$setting),)+)+]
        }

        $(
            $(#[doc = $group_doc])+
            #[derive(Debug, Clone, PartialEq)]
            pub struct $Group {
                $($(#[doc = $help])+ pub $name: $type,)+
                $($($(#[doc = $fixed_doc])+ pub $fixed: $fixed_type,)+)?
            }

            impl $Group {
                fn read(reader: &mut SettingReader) -> Self {
                    Self {
                        $($name: reader.read(&flag_name(stringify!($name)), $setting),)+
                        $($($fixed: $value,)+)?
                    }
                }
            }

            impl Default for $Group {
                fn default() -> Self {
                    Self::read(&mut SettingReader::default())
                }
            }
        )+
    };
}

settings! {
    /// Addresses on which the server listens.
    network: NetworkSettings, "Network" {
        /// Address to serve gRPC on.
        listen: SocketAddr = address().or("127.0.0.1:50051");
        /// Address to serve only the health service on, without TLS, for the probes of a cluster.
        health_listen: Option<SocketAddr> = address().or_off("off");
        /// Address to serve Prometheus metrics on.
        metrics_listen: Option<SocketAddr> = address().or_off("127.0.0.1:9464");
    }

    /// TLS, and which clients may call what.
    security: SecuritySettings, "TLS and access control" {
        /// Certificate chain of the server, PEM; reloaded when it changes. If set, clients must use TLS.
        tls_cert: Option<PathBuf> = path("FILE").optional();
        /// Private key of the certificate, PEM; reloaded when it changes.
        tls_key: Option<PathBuf> = path("FILE").optional();
        /// CA certificates that sign client certificates, PEM; reloaded when they change. If set, clients must present a
        /// certificate, unless the access rules accept tokens.
        client_ca: Option<PathBuf> = path("FILE").optional();
        /// Serve without TLS on an address that other machines can reach; only if the network protects the traffic.
        plaintext: bool = switch();
        /// Access rules: which client may call what, TOML; reloaded when they change. Without them every client may call
        /// everything.
        access: Option<AccessFile> = access_file().optional();
    }

    /// The store and how long it keeps history.
    storage: StorageSettings, "Storage" {
        /// Store: sled keeps everything on disk, postgres in a PostgreSQL database (needs a build with the feature postgres),
        /// memory loses everything at exit.
        store: StoreKind = store_kind().or("sled");
        /// Directory of the sled store; created if missing, but not its parent.
        data_dir: PathBuf = path("DIRECTORY").or("tactful-data");
        /// Memory for stored values that are kept in memory to be read again, in MiB; by default a quarter of the memory that
        /// the container or the machine has, from 64 to 1024.
        store_cache_mib: u64 = count("MIB", 16..=1 << 20).or(share_of_memory_mib(4, 64, 1024));
        /// PostgreSQL database of the store, as a URL or as key=value pairs; for a password, prefer the variable or a file.
        store_url: Option<StoreUrl> = store_url().optional();
        /// File with the URL of the database, such as a mounted secret.
        store_url_file: Option<StoreUrl> = store_url_file().optional();
        /// CA certificates that sign the certificate of the database, PEM. If set, connections to the database are encrypted, and
        /// refused when its certificate does not match.
        store_ca: Option<StoreCa> = store_ca().optional();
        /// Confirmation that makes a commit durable: standby demands synchronous standbys, engine leaves it to the engine.
        store_confirms: StoreConfirmation = confirmation().or("standby");
        /// Retention period of events. Older events have no effect, running subscriptions included: keep events longer than
        /// customers keep contracts.
        event_retention: Option<Duration> = retention().or_off("3653d");
        /// Retention period of decisions.
        decision_retention: Option<Duration> = retention().or_off("396d");
        /// Retention period of customers of whom nothing but decisions is known, such as visitors who never came back, counted
        /// from the last decision.
        idle_customer_retention: Option<Duration> = idle_retention().or_off("396d");
    }

    /// Start and shutdown.
    lifecycle: LifecycleSettings, "Start and stop" {
        /// Policy to store and activate at start; `tactful policy show --default` prints one to edit. Without it the active
        /// policy stays.
        policy: Option<PolicyFile> = policy_file().optional();
        /// Time to start the clock at, to replay old data, such as 2011-06-10T00:00:00Z.
        clock_start: Option<Timestamp> = time().optional();
        /// Maximum time to wait at shutdown for calls in progress.
        drain_timeout: Duration = duration().or("20s");
    }

    /// Training of the offer model inside the server.
    retraining: RetrainingSettings, "Training" {
        /// Interval between trainings; off trains on request only.
        training_interval: Option<Duration> = duration().or_off("24h");
        /// Threads of a training; by default half of the cores.
        training_threads: usize = count("N", 1..=256).or(cores().div_ceil(2));
        /// Memory budget of a training, in MiB, with history and index; by default half of the memory that the container or
        /// the machine has, at most 2048. It never takes more than the process has left; when the history does not fit, it
        /// learns from a part of the customers, and says so.
        training_memory_mib: u64 = count("MIB", 1..=1 << 20).or(share_of_memory_mib(2, 64, 2048));
    }

    /// Limits on calls.
    calls: CallLimits, "Call limits" {
        /// Maximum duration of a call; trainings, replays, reports and streams have none.
        request_timeout: Duration = duration().or("10s");
        /// Maximum number of calls in progress; by default 128 for each core. More are rejected with `RESOURCE_EXHAUSTED`.
        requests_max: usize = count("N", 1..=1_000_000).or(REQUESTS_PER_CORE * cores());
        /// Maximum time that a call may wait in the admission queue; a call that waited longer, while 64 others arrived, is
        /// rejected with `RESOURCE_EXHAUSTED`.
        queue_delay_max: Duration = duration().or("100ms");
        /// Maximum number of calls whose request message is incomplete; more are rejected. They hold no permit, only memory.
        pending_uploads_max: usize = count("N", 1..=1_000_000).or(4096);
        /// Memory for messages that are incomplete or not yet answered, over all calls; the first 16 KiB of a call are free.
        buffered_bytes_max: usize = count("BYTES", 1024..=1 << 40).or(32 << 20);
        /// Maximum time that a stream may wait for the client's next message.
        stream_idle_timeout: Duration = duration().or("1m");
        /// Maximum size of a message, either way.
        message_bytes_max: usize = count("BYTES", 1024..=1 << 30).or(4 << 20);
        fixed {
            /// Number of calls that may execute at once while others are queued: more do not increase throughput, and keep
            /// messages from being read.
            execution_permits: usize = PERMITS_PER_CORE * cores();
            /// Number of calls that must have arrived while a call was queued before the call is rejected for its queueing
            /// delay. Fewer mean that the machine paused, and that all of them will soon be served.
            shed_backlog_min: u64 = 64;
        }
    }

    /// Limits on connections, which the libraries leave open or set too high by default.
    connections: ConnectionLimits, "Connection limits" {
        /// Maximum number of connections; more are closed.
        connections_max: usize = count("N", 1..=1_000_000).or(1024);
        /// Maximum number of concurrent calls on one connection.
        streams_per_connection_max: u32 = count("N", 1..=100_000).or(128);
        /// Age at which the server asks a client to reconnect (GOAWAY), plus or minus a tenth, so that load spreads over
        /// replicas.
        connection_age_max: Duration = duration().or("30m");
        fixed {
            /// Time from `connection_age_max` until a connection that did not reconnect is closed.
            connection_age_grace: Duration = Duration::from_secs(60);
            /// Bytes that a connection may send before the server reads them. The transport (h2 0.4.20) closes a connection once
            /// half as many bytes are lost to small frames, 256 less its length for each; this allows several streams of small
            /// messages that are ahead of the reader.
            connection_window_bytes: u32 = 1 << 20;
            /// Bytes that a stream may send before the server reads them; the library's 1 MiB would make nothing faster on a local
            /// network, and would let one stream of small messages end the connection.
            stream_window_bytes: u32 = 32 << 10;
            /// Time within which a new connection must send its first bytes; keepalive closes no connection that never sent any.
            first_bytes_timeout: Duration = Duration::from_secs(5);
            /// Interval of keepalive pings on an idle connection.
            keepalive_interval: Duration = Duration::from_secs(60);
            /// Time within which a keepalive ping must be answered.
            keepalive_timeout: Duration = Duration::from_secs(20);
        }
    }

    /// Log lines.
    logging: LoggingSettings, "Logging" {
        /// Log level (error, warn, info, debug, trace), or a filter such as tactful=debug.
        log: String = text("FILTER").or("info");
        /// Format of log lines: auto is text on a terminal and JSON otherwise.
        log_format: LogFormat = log_format().or("auto");
        /// Log calls that take at least this long, with the duration of each stage; trainings, replays, reports and streams are
        /// exempt.
        slow_call_threshold: Option<Duration> = duration().or_off("250ms");
        /// Log customer ids in clear instead of their hashes.
        log_customer_ids: bool = switch();
        /// File with the key of these hashes, at least 16 bytes, so that they agree between processes; random if absent.
        log_customer_key: Option<PseudonymKey> = pseudonym_key().optional();
    }

    /// Export of traces.
    tracing: TracingSettings, "Tracing" {
        /// OTLP collector to send traces to, such as `http://127.0.0.1:4317`. Needs a build with the feature otlp.
        otlp_endpoint: Option<String> = otlp_endpoint().optional();
        /// Share of calls that are traced, unless the client decides. The default shows where time goes at no visible cost.
        otlp_sample_ratio: f64 = ratio().or(0.01);
    }
}

/// A core serves about a thousand reserving calls a second, so with this many permits an admitted call waits for at most a
/// tenth of a second, and enough calls share a flush to keep the disk busy.
const REQUESTS_PER_CORE: usize = 128;
const PERMITS_PER_CORE: usize = 8;

/// Number of cores that this process may use; 1 where that is unknown.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A share of the memory that this process may use, in MiB; the maximum where that is unknown.
fn share_of_memory_mib(parts: u64, mib_min: u64, mib_max: u64) -> u64 {
    memory_limit_bytes().map_or(mib_max, |bytes| ((bytes >> 20) / parts).clamp(mib_min, mib_max))
}

/// Kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// Embedded store on disk.
    Sled,
    /// PostgreSQL database.
    Postgres,
    /// Store in memory, lost at exit.
    Memory,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Text for people.
    Text,
    /// JSON for machines.
    Json,
}

/// Policy that was read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyFile {
    /// The parsed policy.
    pub policy: Policy,
    /// The document it was parsed from.
    pub text: String,
}

/// PEM files that a TLS server needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then those that sign it.
    pub certificate: PathBuf,
    /// Private key of the certificate.
    pub key: PathBuf,
    /// CA certificates that sign client certificates; `None` if clients present none.
    pub client_ca: Option<PathBuf>,
}

impl SecuritySettings {
    /// Files of TLS; `None` if the server serves without TLS.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { certificate, key, client_ca: self.client_ca.clone() })
    }
}

impl StorageSettings {
    /// Database of the store.
    pub fn database(&self) -> Option<StoreDatabase> {
        let url = self.store_url.as_ref().or(self.store_url_file.as_ref())?;
        Some(StoreDatabase { url: url.clone(), ca: self.store_ca.clone(), confirmation: self.store_confirms })
    }
}

impl LoggingSettings {
    /// Form in which customer ids are logged.
    pub(crate) fn customer_id_logging(&self) -> CustomerIdLogging {
        if self.log_customer_ids {
            CustomerIdLogging::PlainIds
        } else {
            CustomerIdLogging::Pseudonyms(self.log_customer_key.clone())
        }
    }
}

impl TracingSettings {
    /// Destination and sampling of traces; `None` if no traces are sent.
    pub fn traces(&self) -> Option<TraceSettings> {
        TraceSettings::new(self.otlp_endpoint.as_deref()?, self.otlp_sample_ratio).ok()
    }
}

impl Settings {
    /// Checks the constraints between settings. Without TLS, the operator must set `plaintext` to listen on an address that
    /// other machines can reach.
    pub(super) fn check_together(&self, reader: &mut SettingReader) {
        let SecuritySettings { tls_cert, tls_key, client_ca, plaintext, access } = &self.security;
        let has_tls = tls_cert.is_some() && tls_key.is_some();
        if tls_cert.is_some() && tls_key.is_none() {
            reader.fault("tls-cert", "needs tls-key as well");
        }
        if tls_key.is_some() && tls_cert.is_none() {
            reader.fault("tls-key", "needs tls-cert as well");
        }
        if client_ca.is_some() && !has_tls {
            reader.fault("client-ca", "client certificates need TLS: set tls-cert and tls-key");
        }
        if has_tls && *plaintext {
            reader.fault("plaintext", "contradicts tls-cert and tls-key");
        }
        if !has_tls && !plaintext && !self.network.listen.ip().is_loopback() {
            reader.fault(
                "listen",
                "other machines can reach this address without TLS: set tls-cert and tls-key, or set plaintext if the network \
                 protects the traffic",
            );
        }
        let StorageSettings { store, store_url, store_url_file, store_ca, .. } = &self.storage;
        if *store == StoreKind::Postgres {
            if cfg!(not(feature = "postgres")) {
                reader.fault("store", "this program was built without the feature postgres");
            }
            if store_url.is_none() && store_url_file.is_none() {
                reader.fault("store", "postgres needs store-url or store-url-file as well");
            }
        }
        if store_url.is_some() && store_url_file.is_some() {
            reader.fault("store-url-file", "contradicts store-url");
        }
        if store_ca.is_some() && *store != StoreKind::Postgres {
            reader.fault("store-ca", "only a database has a certificate: set store to postgres");
        }
        let has_tokens = access.as_ref().is_some_and(|access| access.rules.tokens.is_some());
        if access.is_some() && client_ca.is_none() && !has_tokens {
            reader.fault("access", "no client can be identified: set client-ca, or add a section [jwt] to the file");
        }
    }
}

fn store_kind() -> Parser<StoreKind> {
    let kinds = [("sled", StoreKind::Sled), ("postgres", StoreKind::Postgres), ("memory", StoreKind::Memory)];
    choice("STORE", kinds)
}

fn store_url() -> Parser<StoreUrl> {
    Parser::explained("URL", |text| not_empty(StoreUrl::new(text), "the URL"))
}

fn store_url_file() -> Parser<StoreUrl> {
    Parser::explained("FILE", |path| {
        let text = std::fs::read_to_string(path).map_err(|error| vec![format!("{path}: {error}")])?;
        not_empty(StoreUrl::new(&text), path)
    })
}

fn store_ca() -> Parser<StoreCa> {
    Parser::explained("FILE", |path| match std::fs::read(path) {
        Ok(pem) => Ok(StoreCa::new(pem)),
        Err(error) => Err(vec![format!("{path}: {error}")]),
    })
}

fn not_empty(url: StoreUrl, what: &str) -> Result<StoreUrl, Vec<String>> {
    if url.as_str().is_empty() { Err(vec![format!("{what} is empty")]) } else { Ok(url) }
}

fn confirmation() -> Parser<StoreConfirmation> {
    choice("WHO", [("standby", StoreConfirmation::Standby), ("engine", StoreConfirmation::Engine)])
}

fn log_format() -> Parser<LogFormat> {
    choice("FORMAT", [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)])
}

fn access_file() -> Parser<AccessFile> {
    Parser::explained("FILE.toml", |path| AccessFile::read(path.as_ref()).map_err(|faults| faults.0))
}

fn policy_file() -> Parser<PolicyFile> {
    Parser::explained("FILE.toml", |path| {
        let text = std::fs::read_to_string(path).map_err(|error| vec![format!("{path}: {error}")])?;
        match parse_policy(&text) {
            Ok(policy) => Ok(PolicyFile { policy, text }),
            Err(faults) => Err(faults.0.into_iter().map(|fault| format!("{path}: {fault}")).collect()),
        }
    })
}

fn pseudonym_key() -> Parser<PseudonymKey> {
    Parser::explained("FILE", |path| {
        let bytes = std::fs::read(path).map_err(|error| vec![format!("{path}: {error}")])?;
        PseudonymKey::new(&bytes).ok_or_else(|| vec![format!("{path} has fewer than {KEY_BYTES_MIN} bytes")])
    })
}

fn otlp_endpoint() -> Parser<String> {
    Parser::explained("URL", |text| match TraceSettings::new(text, 0.0) {
        Ok(_) => Ok(text.to_owned()),
        Err(fault) => Err(vec![fault.to_string()]),
    })
}
