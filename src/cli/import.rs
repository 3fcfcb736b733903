//! `tactful import`: imports files into a running server.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tonic::{Code, Response, Status};

use super::client::{ServerAddress, print_warnings, rejected};
use super::output::{errln, outln};
use crate::domain::time::Timestamp;
use crate::grpc::convert::customers::consents_to_wire;
use crate::grpc::convert::events::event_to_wire;
use crate::grpc::convert::products::product_to_wire;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::catalog_service_client::CatalogServiceClient;
use crate::grpc::generated::tactful::v1::customer_service_client::CustomerServiceClient;
use crate::grpc::generated::tactful::v1::feedback_service_client::FeedbackServiceClient;
use crate::grpc::status::{EVENT_ID_REUSED, EVENT_TOO_OLD, has_reason};
use crate::ingest::mapping::Mapping;
use crate::ingest::read_error::ReadError;
use crate::ingest::row_outcome::{CustomerProfile, RowOutcome};
use crate::ingest::row_reader::{self, RowReader};
use crate::ingest::source::{ReadProgress, RowSource};

/// Number of rows sent in one call.
const BATCH_LEN: usize = 1000;
/// Number of attempts of a call while the server is unavailable or overloaded.
const ATTEMPTS_MAX: u32 = 6;
/// Maximum number of warnings to print.
const WARNINGS_MAX: usize = 100;
/// Number of rows that a line about many of them names.
const EXAMPLES_MAX: usize = 3;
/// Exit status when some rows were rejected and the rest were imported.
const SOME_REJECTED: u8 = 3;

/// Import products, customers or events from files.
///
/// Reads CSV, gzipped CSV and JSON Lines. Columns have the names below, or those that --mapping maps to them. Every rejected
/// row is reported with its line and reason. Importing a file again changes nothing.
///
///   products:  product_id,title,category,price,currency,margin,ladder,tier,item_group,
///              features,requires,excludes,compatible_with,repeatable,available,available_from,
///              available_until,attributes
///   customers: customer_id,opted_out,opted_out_channels,objects_to_profiling, and any further column as
///              an attribute; opt-outs and objections are added, and false clears none
///   events:    event_id,customer_id,kind,time,product_id,to_product_id,plan_direction,order_id,quantity,
///              unit_price,currency,allowance,meter,period_start,period_end,case_id,severity,score,
///              score_max,return_reason
///
/// Lists and maps in a cell: a;b and slots=4;bagel=true. Events with the same order_id are one basket. A missing event_id
/// is derived from the row and its occurrence in the file. Events without a customer are used only to train the model.
/// A return_reason is changed_mind, wrong_variant (or wrong_size, wrong_colour) or faulty (or defective, damaged); any other
/// text is no reason.
///
/// Events older than the server keeps events (--event-retention) have no effect and are counted as too old.
///
/// Exit status: 0 all imported or too old, 3 some rows rejected, 1 not imported.
///
/// Examples:
///   tactful import products products.csv
///   tactful import events sales.csv.gz --mapping sales.toml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_markdown, reason = "this is what --help prints")]
pub(super) struct ImportCommand {
    #[command(subcommand)]
    subcommand: ImportSubcommand,
}

#[derive(Debug, Subcommand)]
enum ImportSubcommand {
    /// Import the products of the catalogue
    Products(ImportArgs),
    /// Import customers with their attributes and consents
    Customers(ImportArgs),
    /// Import events, such as purchases and complaints
    Events(ImportArgs),
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// CSV, gzipped CSV or JSON Lines
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Mapping of the file's columns (TOML): columns, constants, kind, filters, time
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl ImportCommand {
    /// Reads the files and sends their rows.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.subcommand {
            ImportSubcommand::Products(files) => {
                let client = CatalogServiceClient::new(files.server.connect().await?);
                let warnings = RefCell::new(ImportWarnings::default());
                let send = async |products| {
                    let request = wire::BatchUpsertProductsRequest { products };
                    let response = client.clone().batch_upsert_products(request).await?.into_inner();
                    warnings.borrow_mut().add(response.warnings);
                    Ok::<_, Status>(response.results)
                };
                let to_wire = |product| Some(product_to_wire(product));
                let imported = files.import(row_reader::read_products, to_wire, send).await;
                warnings.borrow().print();
                imported
            }
            ImportSubcommand::Customers(files) => {
                let client = CustomerServiceClient::new(files.server.connect().await?);
                let send = async |customers| {
                    let request = wire::BatchUpsertCustomersRequest { customers };
                    let response = client.clone().batch_upsert_customers(request).await;
                    response.map(Response::into_inner).map(|response| response.results)
                };
                files.import(row_reader::read_customers, |profile| Some(profile_to_wire(profile)), send).await
            }
            ImportSubcommand::Events(files) => {
                let client = FeedbackServiceClient::new(files.server.connect().await?);
                let send = async |events| {
                    let response = client.clone().record_events(wire::RecordEventsRequest { events }).await;
                    response.map(Response::into_inner).map(|response| response.results)
                };
                files.import(row_reader::read_events, event_to_wire, send).await
            }
        }
    }
}

fn profile_to_wire(profile: CustomerProfile) -> wire::CustomerProfile {
    let CustomerProfile { id, attributes, consents } = profile;
    let imported = consents.map(consents_to_wire);
    let consents_update = wire::ConsentsUpdate::Add.into();
    wire::CustomerProfile { customer_id: id.to_string(), attributes, consents: imported, consents_update }
}

/// Function that reads the rows of a source.
type ReadRows<T> = fn(RowSource, &Mapping, Timestamp) -> Result<RowReader<T>, ReadError>;

impl ImportArgs {
    async fn import<T, M: Clone>(
        &self,
        read_rows: ReadRows<T>,
        to_wire: impl Fn(T) -> Option<M>,
        send: impl AsyncFn(Vec<M>) -> Result<Vec<wire::EntryResult>, Status>,
    ) -> anyhow::Result<ExitCode> {
        let mapping = read_mapping(self.mapping.as_deref())?;
        let mut opened = Vec::new();
        for path in &self.files {
            let source = RowSource::open(path)?;
            let progress = source.progress();
            opened.push((path, progress, read_rows(source, &mapping, now())?));
        }
        let mut counts = ImportCounts::default();
        for (path, progress, rows) in opened {
            let mut file =
                FileImport { path, bar: bar(path, &progress), progress, counts: &mut counts, batch: Vec::new() };
            let imported = file.run(rows, &to_wire, &send).await;
            file.bar.finish_and_clear();
            if let Err(failure) = imported {
                counts.report_unrecorded();
                errln!("imported so far: {counts}");
                return Err(failure);
            }
        }
        counts.report_unrecorded();
        if self.json {
            outln!("{:#}", counts.to_json());
        } else {
            outln!("{counts}");
        }
        Ok(if counts.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_REJECTED) })
    }
}

/// Reads a mapping of columns; without a file, the canonical one.
pub(super) fn read_mapping(path: Option<&Path>) -> anyhow::Result<Mapping> {
    let Some(path) = path else { return Ok(Mapping::canonical()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("mapping {}", path.display()))?;
    Mapping::from_toml(&text).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow!("mapping {}:\n  {}", path.display(), faults.join("\n  "))
    })
}

/// Import of one file.
struct FileImport<'a, M> {
    path: &'a Path,
    bar: ProgressBar,
    progress: ReadProgress,
    counts: &'a mut ImportCounts,
    /// Rows of the next call with their lines.
    batch: Vec<(u64, M)>,
}

impl<M: Clone> FileImport<'_, M> {
    async fn run<T>(
        &mut self,
        rows: RowReader<T>,
        to_wire: &impl Fn(T) -> Option<M>,
        send: &impl AsyncFn(Vec<M>) -> Result<Vec<wire::EntryResult>, Status>,
    ) -> anyhow::Result<()> {
        for row in rows {
            match row? {
                RowOutcome::Accepted { line, value } => match to_wire(value) {
                    Some(message) => self.batch.push((line, message)),
                    None => self.reject(line, "outcomes must be sent to RecordOutcomes"),
                },
                RowOutcome::Filtered { line: _ } => self.counts.filtered += 1,
                RowOutcome::Rejected(rejected_row) => {
                    self.counts.rejected += 1;
                    self.bar.suspend(|| errln!("rejected: {rejected_row}"));
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
    ) -> anyhow::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let (lines, messages): (Vec<u64>, Vec<M>) = std::mem::take(&mut self.batch).into_iter().unzip();
        let results = send_with_retries(|| send(messages.clone())).await?;
        for (line, result) in lines.into_iter().zip(results) {
            let status = result.status.unwrap_or_default();
            if has_reason(&status, EVENT_ID_REUSED) {
                self.counts.rejected += 1;
                self.counts.reused_ids.add(self.path, line);
            } else if has_reason(&status, EVENT_TOO_OLD) {
                self.counts.too_old.add(self.path, line);
            } else if status.code != 0 {
                self.reject(line, &status.message);
            } else if result.duplicate {
                self.counts.duplicates += 1;
            } else {
                self.counts.imported += 1;
            }
        }
        self.bar.set_position(self.progress.bytes_read());
        Ok(())
    }

    fn reject(&mut self, line: u64, reason: &str) {
        self.counts.rejected += 1;
        self.bar.suspend(|| errln!("rejected: {}:{line}: {reason}", self.path.display()));
    }
}

/// Repeats a call while the server is unavailable or overloaded; that is safe, because every row counts once.
async fn send_with_retries<F>(send: impl Fn() -> F) -> anyhow::Result<Vec<wire::EntryResult>>
where
    F: Future<Output = Result<Vec<wire::EntryResult>, Status>>,
{
    let mut attempts = 0;
    loop {
        attempts += 1;
        match send().await {
            Ok(results) => return Ok(results),
            Err(status)
                if attempts < ATTEMPTS_MAX && matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) =>
            {
                tokio::time::sleep(Duration::from_millis(100 << attempts)).await;
            }
            Err(status) => return Err(rejected(&status)),
        }
    }
}

/// Warnings about imported products, each once.
#[derive(Default)]
struct ImportWarnings {
    batches: usize,
    warnings: Vec<wire::Warning>,
}

impl ImportWarnings {
    fn add(&mut self, warnings: Vec<wire::Warning>) {
        self.batches += 1;
        for warning in warnings {
            if self.warnings.len() < WARNINGS_MAX && !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// Prints the warnings. Of several batches, an unknown product may have been imported by a later one, so these are left out.
    fn print(&self) {
        let is_certain = |warning: &&wire::Warning| self.batches == 1 || warning.code != "UNKNOWN_RELATED_PRODUCT";
        print_warnings(self.warnings.iter().filter(is_certain));
    }
}

/// Numbers of rows by the result of their import.
#[derive(Debug, Default)]
struct ImportCounts {
    imported: u64,
    duplicates: u64,
    filtered: u64,
    rejected: u64,
    /// Rejected rows whose event id is recorded with other content.
    reused_ids: RowList,
    /// Rows with events older than the server keeps events. They are not counted as rejected: a source that exports its whole
    /// history every night is right to contain them.
    too_old: RowList,
}

impl std::fmt::Display for ImportCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { imported, duplicates, filtered, rejected, reused_ids: _, too_old } = self;
        write!(f, "{imported} imported, {duplicates} duplicates, {filtered} filtered, {rejected} rejected")?;
        if too_old.count == 0 { Ok(()) } else { write!(f, ", {} too old", too_old.count) }
    }
}

impl ImportCounts {
    fn to_json(&self) -> serde_json::Value {
        let Self { imported, duplicates, filtered, rejected, reused_ids, too_old } = self;
        json!({
            "imported": imported,
            "duplicates": duplicates,
            "filtered": filtered,
            "rejected": rejected,
            "reused_ids": reused_ids.count,
            "too_old": too_old.count,
        })
    }

    /// Prints one line for all rows with a reused event id, and one for all that are too old: a source has them in thousands.
    fn report_unrecorded(&self) {
        let Self { imported: _, duplicates: _, filtered: _, rejected: _, reused_ids, too_old } = self;
        if reused_ids.count > 0 {
            errln!(
                "rejected: {reused_ids}: the event id is recorded with other content; a different event needs an id of its own"
            );
        }
        if too_old.count > 0 {
            errln!("no effect: {too_old}: the event is older than the server keeps events (--event-retention)");
        }
    }
}

/// Number of rows that share a result, with the first of them as examples.
#[derive(Debug, Default)]
struct RowList {
    count: u64,
    examples: Vec<String>,
}

impl RowList {
    fn add(&mut self, path: &Path, line: u64) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("{}:{line}", path.display()));
        }
    }
}

impl std::fmt::Display for RowList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, examples } = self;
        let rows = if *count == 1 { "row" } else { "rows" };
        let more = if examples.len() as u64 == *count { "" } else { ", ..." };
        write!(f, "{count} {rows} ({}{more})", examples.join(", "))
    }
}

/// Progress bar on a terminal, hidden in a pipe.
fn bar(path: &Path, progress: &ReadProgress) -> ProgressBar {
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

/// Time of the import.
pub(super) fn now() -> Timestamp {
    let ms = jiff::Timestamp::now().as_millisecond();
    Timestamp::from_unix_ms(ms).unwrap_or(Timestamp::MAX)
}
