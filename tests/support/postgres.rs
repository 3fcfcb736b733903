//! A PostgreSQL server for tests, started once for each test program by `tests/postgres.sh`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

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
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres.sh");
        let mut process = Command::new(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/postgres.sh can be run");
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
