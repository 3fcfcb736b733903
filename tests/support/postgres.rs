//! A PostgreSQL server for tests, started once for each test program by `tests/postgres.sh`.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tactful::config::store_url::{StoreConfirmation, StoreDatabase, StoreUrl};
use tactful::store::postgres::schema::init;
use tactful::store::postgres::settings::{Confirmation, PostgresSettings};

/// A server, which stops when it is dropped or this process ends, and with either the pipe to its standard input.
pub struct TestServer {
    pub url: String,
    _process: Child,
}

/// The server that most tests share.
fn shared_server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(TestServer::start)
}

impl TestServer {
    /// Starts a server.
    pub fn start() -> Self {
        Self::run(&mut script())
    }

    /// Starts a server that accepts encrypted connections on 127.0.0.1, too, with the `server.crt` and `server.key` of a directory.
    pub fn start_with_tls(directory: &Path) -> Self {
        // The server cannot choose a free port itself.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        Self::run(script().env("TACTFUL_TEST_TLS_DIRECTORY", directory).env("TACTFUL_TEST_PORT", port.to_string()))
    }

    fn run(script: &mut Command) -> Self {
        let mut process =
            script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("tests/postgres.sh can be run");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let url = output.lines().next().and_then(Result::ok).expect("tests/postgres.sh prints the URL of its server");
        Self { url, _process: process }
    }

    /// A client of the server, beside the store.
    pub async fn client(&self) -> tokio_postgres::Client {
        let connecting = tokio_postgres::connect(&self.url, tokio_postgres::NoTls);
        let (client, connection) = connecting.await.expect("the server accepts");
        tokio::spawn(connection);
        client
    }

    /// Settings of a schema of its own, which is empty.
    pub async fn empty_schema(&self) -> PostgresSettings {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let schema = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.client().await.batch_execute(&format!("CREATE SCHEMA {schema}")).await.expect("a new schema");
        let mut settings = PostgresSettings::new(format!("{} options='-c search_path={schema}'", self.url));
        settings.confirmation = Confirmation::Engine;
        settings.connections_max = 8;
        settings
    }

    /// Settings of a new store, in a schema of its own.
    pub async fn new_store(&self) -> PostgresSettings {
        let settings = self.empty_schema().await;
        init(&settings).await.expect("an empty schema");
        settings
    }
}

fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres.sh"))
}

/// The database of a store, as flags name it.
pub fn database(settings: &PostgresSettings) -> StoreDatabase {
    StoreDatabase { url: StoreUrl::new(&settings.url), ca: None, confirmation: StoreConfirmation::Engine }
}

/// A client of the server that most tests share, beside the store.
pub async fn shared_client() -> tokio_postgres::Client {
    shared_server().client().await
}

/// URL of a new store, for code that is not async.
pub fn new_store_url() -> String {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let created = std::thread::spawn(move || runtime().block_on(new_store()));
    created.join().expect("a new store").url
}

/// Settings of a new store, in a schema of its own.
pub async fn new_store() -> PostgresSettings {
    shared_server().new_store().await
}
