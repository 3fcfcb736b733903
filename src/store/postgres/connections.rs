//! Connections to the database.
//!
//! A statement is never cancelled: while a commit waits for a standby, a cancelled wait is reported as success. A caller
//! that gives up a transaction drops its connection instead, and a commit without a caller keeps its connection until the server
//! answers, so that a stalled standby uses up the pool and not the connections of the server.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Connect, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};

use super::error::{commit_error, describe, store_error};
use super::settings::PostgresSettings;
use super::tls::Encryption;
use crate::store::contract::error::StoreError;

/// Settings of each session. An idle transaction would hold the lock on a customer.
const SESSION: &str =
    "SET idle_in_transaction_session_timeout = '5s'; SET default_transaction_isolation = 'read committed'";
/// Function of the server in which a commit waits for a standby. A notice from there says that the wait was cancelled.
const SYNCHRONOUS_WAIT: &str = "SyncRepWaitForLSN";

/// A pool of connections to the primary.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    cancelled_waits: Arc<AtomicU64>,
    commit_wait_max: Duration,
}

impl Connections {
    /// Creates a pool; connections are opened as they are needed.
    pub fn new(
        config: &Config,
        encryption: Encryption,
        settings: &PostgresSettings,
        connections_max: usize,
    ) -> Result<Self, StoreError> {
        let cancelled_waits = Arc::new(AtomicU64::new(0));
        let connector = Connector { encryption, cancelled_waits: Arc::clone(&cancelled_waits) };
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(config.clone(), connector, recycling);
        let set_session = Hook::async_fn(|client, _| {
            Box::pin(async move { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager)
            .max_size(connections_max)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(settings.connection_wait_max))
            .create_timeout(Some(settings.connection_wait_max))
            .post_create(set_session)
            .build()
            .map_err(|error| StoreError::Failed { detail: error.to_string() })?;
        Ok(Self { pool, cancelled_waits, commit_wait_max: settings.commit_wait_max })
    }

    /// Returns a connection that is in no transaction.
    pub async fn get(&self) -> Result<Object, StoreError> {
        self.try_get().await.map_err(|detail| StoreError::Unavailable { detail })
    }

    /// Returns a connection, or the reason for which there is none.
    pub async fn try_get(&self) -> Result<Object, String> {
        self.pool.get().await.map_err(|error| match &error {
            PoolError::Backend(cause) => describe(cause),
            PoolError::Timeout(_) => "all connections to the database are in use, or it does not answer".to_owned(),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => error.to_string(),
        })
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<OpenTransaction, StoreError> {
        self.begin_with("BEGIN").await
    }

    /// Begins a transaction that reads the store as of one moment.
    pub async fn begin_snapshot(&self) -> Result<OpenTransaction, StoreError> {
        self.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await
    }

    async fn begin_with(&self, statement: &str) -> Result<OpenTransaction, StoreError> {
        let transaction = self.get_for_transaction().await?;
        transaction.client().batch_execute(statement).await.map_err(|error| store_error(&error))?;
        Ok(transaction)
    }

    /// Returns a connection on which the caller begins a transaction.
    pub async fn get_for_transaction(&self) -> Result<OpenTransaction, StoreError> {
        let connection = self.get().await?;
        Ok(OpenTransaction {
            connection: Some(connection),
            waits_before: self.cancelled_waits.load(Ordering::Acquire),
            cancelled_waits: Arc::clone(&self.cancelled_waits),
            commit_wait_max: self.commit_wait_max,
        })
    }

    /// Closes all connections that are not in use.
    pub fn close_idle(&self) {
        self.pool.retain(|_, _| false);
    }
}

/// A connection in a transaction. When it is dropped before its end, the connection is closed, which rolls it back.
pub(super) struct OpenTransaction {
    connection: Option<Object>,
    /// Waits for a standby that were cancelled before the transaction, on any connection.
    waits_before: u64,
    cancelled_waits: Arc<AtomicU64>,
    commit_wait_max: Duration,
}

impl OpenTransaction {
    /// The connection.
    pub fn client(&self) -> &Object {
        self.connection.as_ref().expect("returned only at the end")
    }

    /// Commits the transaction. The commit goes on when its caller gives up, and keeps its connection until the server answers.
    ///
    /// # Errors
    /// [`StoreError::Unconfirmed`] when it may have been committed, or may not be on a standby.
    pub async fn commit(self) -> Result<(), StoreError> {
        within_time(self.commit_wait_max, self.commit_on_its_own()).await
    }

    async fn commit_on_its_own(mut self) -> Result<(), StoreError> {
        self.client().batch_execute("COMMIT").await.map_err(|error| commit_error(&error))?;
        drop(self.connection.take());
        // The notice comes before the answer to COMMIT. It may be of another connection: then one commit too many is unconfirmed.
        if self.cancelled_waits.load(Ordering::Acquire) == self.waits_before {
            return Ok(());
        }
        Err(StoreError::Unconfirmed { detail: "the database stopped waiting for a standby".to_owned() })
    }

    /// Rolls the transaction back.
    pub async fn roll_back(mut self) -> Result<(), StoreError> {
        self.client().batch_execute("ROLLBACK").await.map_err(|error| store_error(&error))?;
        drop(self.connection.take());
        Ok(())
    }
}

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

/// Runs the end of a transaction, or all of it, in a task of its own, and waits for its outcome for a limited time.
pub(super) async fn within_time<T: Send + 'static>(
    limit: Duration,
    transaction: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, tokio::spawn(transaction)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(StoreError::Unconfirmed { detail: format!("the commit was lost: {error}") }),
        Err(_) => Err(StoreError::Unconfirmed { detail: "the database has not confirmed the commit".to_owned() }),
    }
}

/// Opens connections and watches their notices.
struct Connector {
    encryption: Encryption,
    cancelled_waits: Arc<AtomicU64>,
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let config = config.clone();
        let cancelled_waits = Arc::clone(&self.cancelled_waits);
        Box::pin(async move {
            match &self.encryption {
                Encryption::Plain => {
                    let (client, connection) = config.connect(NoTls).await?;
                    Ok((client, tokio::spawn(run(connection, cancelled_waits))))
                }
                Encryption::Tls(tls) => {
                    let (client, connection) = config.connect(tls.clone()).await?;
                    Ok((client, tokio::spawn(run(connection, cancelled_waits))))
                }
            }
        })
    }
}

/// Runs a connection to its end, and counts the waits for a standby that were cancelled.
async fn run<S: AsyncRead + AsyncWrite + Unpin>(connection: Connection<Socket, S>, cancelled_waits: Arc<AtomicU64>) {
    let mut connection = pin!(connection);
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) if notice.routine() == Some(SYNCHRONOUS_WAIT) => {
                cancelled_waits.fetch_add(1, Ordering::Release);
                tracing::warn!("the database stopped waiting for a standby");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(error = describe(&error), "a connection to the database ended");
                break;
            }
        }
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
