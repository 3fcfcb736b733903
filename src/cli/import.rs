//! `tactful import`: files into a running server.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tonic::{Code, Response, Status};

use super::client::{ServerAddress, refused};
use super::failure::Failure;
use super::say::say;
use crate::domain::time::Timestamp;
use crate::grpc::convert::events::event_to_wire;
use crate::grpc::convert::products::product_to_wire;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::catalog_service_client::CatalogServiceClient;
use crate::grpc::generated::tactful::v1::customer_service_client::CustomerServiceClient;
use crate::grpc::generated::tactful::v1::feedback_service_client::FeedbackServiceClient;
use crate::ingest::error::ReadError;
use crate::ingest::mapping::Mapping;
use crate::ingest::read::{self, Rows};
use crate::ingest::row::{CustomerProfile, Row};
use crate::ingest::source::{Progress, Source};

/// Rows sent in one call.
const BATCH_LEN: usize = 1000;
/// How often a call is tried that the server could not take just then.
const TRIES: u32 = 6;
/// The exit status when some rows were rejected and the rest was imported.
const SOME_REJECTED: u8 = 3;

/// Import products, customers or events from files.
///
/// Reads CSV, gzipped CSV and JSON Lines. Columns have the names below, or those that --mapping gives them. Every row
/// that is rejected is told with its line and reason. Importing a file again changes nothing.
///
///   products:  product_id,title,category,price,currency,margin,ladder,tier,features,requires,
///              excludes,repeatable,available_from,available_until
///   customers: customer_id and any further column as an attribute
///   events:    event_id,customer_id,kind,time,product_id,order_id,quantity,unit_price,currency,
///              case_id,severity,score,score_max
///
/// Lists and maps in a cell: a;b and slots=4;bagel=true. A basket is the events with one order_id. A missing event_id
/// is made from the row and its occurrence in the file. Events without a customer teach the model only.
///
/// Exit status: 0 all imported, 3 some rows rejected, 1 not imported.
///
/// Examples:
///   tactful import products products.csv
///   tactful import events sales.csv.gz --mapping sales.toml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_markdown, reason = "this is what --help prints")]
pub struct Import {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What is sold
    Products(Sources),
    /// Who buys
    Customers(Sources),
    /// What happened
    Events(Sources),
}

#[derive(Debug, Args)]
struct Sources {
    /// CSV, gzipped CSV or JSON Lines
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How the file's columns become ours (TOML): columns, constants, kind, filters, time
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl Import {
    /// Reads and sends.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self.what {
            What::Products(files) => {
                let client = CatalogServiceClient::new(files.server.connect().await?);
                let send = async |products| {
                    let request = wire::BatchUpsertProductsRequest { products };
                    let answered = client.clone().batch_upsert_products(request).await;
                    answered.map(Response::into_inner).map(|answer| answer.results)
                };
                files.import(read::products, |product| Some(product_to_wire(product)), send).await
            }
            What::Customers(files) => {
                let client = CustomerServiceClient::new(files.server.connect().await?);
                let send = async |customers| {
                    let request = wire::BatchUpsertCustomersRequest { customers };
                    let answered = client.clone().batch_upsert_customers(request).await;
                    answered.map(Response::into_inner).map(|answer| answer.results)
                };
                files.import(read::customers, |profile| Some(profile_to_wire(profile)), send).await
            }
            What::Events(files) => {
                let client = FeedbackServiceClient::new(files.server.connect().await?);
                let send = async |events| {
                    let answered = client.clone().record_events(wire::RecordEventsRequest { events }).await;
                    answered.map(Response::into_inner).map(|answer| answer.results)
                };
                files.import(read::events, event_to_wire, send).await
            }
        }
    }
}

fn profile_to_wire(profile: CustomerProfile) -> wire::CustomerProfile {
    let CustomerProfile { id, attributes } = profile;
    wire::CustomerProfile { customer_id: id.to_string(), attributes, consents: None }
}

/// Opens the rows of a source.
type Open<T> = fn(Source, &Mapping, Timestamp) -> Result<Rows<T>, ReadError>;

impl Sources {
    async fn import<T, M: Clone>(
        &self,
        open: Open<T>,
        to_wire: impl Fn(T) -> Option<M>,
        send: impl AsyncFn(Vec<M>) -> Result<Vec<wire::EntryResult>, Status>,
    ) -> Result<ExitCode, Failure> {
        let mapping = self.mapping()?;
        let mut opened = Vec::new();
        for path in &self.files {
            let source = Source::open(path)?;
            let progress = source.progress();
            opened.push((path, progress, open(source, &mapping, now())?));
        }
        let mut counts = Counts::default();
        for (path, progress, rows) in opened {
            let mut file =
                FileImport { path, bar: bar(path, &progress), progress, counts: &mut counts, batch: Vec::new() };
            let imported = file.run(rows, &to_wire, &send).await;
            file.bar.finish_and_clear();
            if let Err(failure) = imported {
                eprintln!("imported so far: {counts}");
                return Err(failure);
            }
        }
        if self.json {
            say!("{:#}", counts.to_json());
        } else {
            say!("{counts}");
        }
        Ok(if counts.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_REJECTED) })
    }

    fn mapping(&self) -> Result<Mapping, Failure> {
        let Some(path) = &self.mapping else { return Ok(Mapping::canonical()) };
        let text =
            std::fs::read_to_string(path).map_err(|error| Failure(format!("mapping {}: {error}", path.display())))?;
        Mapping::from_toml(&text).map_err(|faults| {
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Failure(format!("mapping {}:\n  {}", path.display(), told.join("\n  ")))
        })
    }
}

/// One file on its way.
struct FileImport<'a, M> {
    path: &'a Path,
    bar: ProgressBar,
    progress: Progress,
    counts: &'a mut Counts,
    /// The next call's rows with their lines.
    batch: Vec<(u64, M)>,
}

impl<M: Clone> FileImport<'_, M> {
    async fn run<T>(
        &mut self,
        rows: Rows<T>,
        to_wire: &impl Fn(T) -> Option<M>,
        send: &impl AsyncFn(Vec<M>) -> Result<Vec<wire::EntryResult>, Status>,
    ) -> Result<(), Failure> {
        for row in rows {
            match row? {
                Row::Accepted { line, value } => match to_wire(value) {
                    Some(message) => self.batch.push((line, message)),
                    None => self.reject(line, "outcomes are recorded by RecordOutcomes"),
                },
                Row::Filtered { line: _ } => self.counts.filtered += 1,
                Row::Rejected(rejection) => {
                    self.counts.rejected += 1;
                    self.bar.suspend(|| eprintln!("rejected: {rejection}"));
                }
            }
            if self.batch.len() == BATCH_LEN {
                self.send(send).await?;
            }
        }
        self.send(send).await
    }

    async fn send(
        &mut self,
        send: &impl AsyncFn(Vec<M>) -> Result<Vec<wire::EntryResult>, Status>,
    ) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let (lines, messages): (Vec<u64>, Vec<M>) = std::mem::take(&mut self.batch).into_iter().unzip();
        let results = try_often(|| send(messages.clone())).await?;
        for (line, result) in lines.into_iter().zip(results) {
            let status = result.status.unwrap_or_default();
            if status.code != 0 {
                self.reject(line, &status.message);
            } else if result.duplicate {
                self.counts.known += 1;
            } else {
                self.counts.imported += 1;
            }
        }
        self.bar.set_position(self.progress.bytes_read());
        Ok(())
    }

    fn reject(&mut self, line: u64, reason: &str) {
        self.counts.rejected += 1;
        self.bar.suspend(|| eprintln!("rejected: {}:{line}: {reason}", self.path.display()));
    }
}

/// Sends again what the server could not take just then; every row counts once, so that is safe.
async fn try_often<F>(send: impl Fn() -> F) -> Result<Vec<wire::EntryResult>, Failure>
where
    F: Future<Output = Result<Vec<wire::EntryResult>, Status>>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match send().await {
            Ok(results) => return Ok(results),
            Err(status) if tries < TRIES && matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {
                tokio::time::sleep(Duration::from_millis(100 << tries)).await;
            }
            Err(status) => return Err(refused(&status)),
        }
    }
}

/// What became of the rows.
#[derive(Debug, Default)]
struct Counts {
    imported: u64,
    known: u64,
    filtered: u64,
    rejected: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { imported, known, filtered, rejected } = self;
        write!(f, "{imported} imported, {known} known already, {filtered} filtered, {rejected} rejected")
    }
}

impl Counts {
    fn to_json(&self) -> serde_json::Value {
        let Self { imported, known, filtered, rejected } = self;
        json!({ "imported": imported, "known": known, "filtered": filtered, "rejected": rejected })
    }
}

/// Moves on a terminal, and is quiet in a pipe.
fn bar(path: &Path, progress: &Progress) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
    let bar = ProgressBar::new(progress.bytes_total().unwrap_or(0));
    let bar = match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.with_message(path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
}

fn now() -> Timestamp {
    let ms = jiff::Timestamp::now().as_millisecond();
    Timestamp::from_unix_ms(ms).unwrap_or(Timestamp::MAX)
}
