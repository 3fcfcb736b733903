//! `tactful backup`: online backup of the whole store.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::client::{ServerAddress, rejected};
use super::output::{errln, outln};
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::backup_service_client::BackupServiceClient;
use crate::store::backup::reader::{BackupReader, BackupSummary};
use crate::store::backup::record::RecordKind;

/// Name that means standard output.
const STANDARD_OUTPUT: &str = "-";
/// Prefix and suffix of the names of backups in a directory; the time stands between them, so the names sort by time.
const PREFIX: &str = "tactful-";
const SUFFIX: &str = ".backup";

/// Back up the whole store of a running server: customers, history, decisions, products, offers, policies, the model.
///
/// The server keeps serving. The backup is verified while it is received, and gets its name only once it is complete. It
/// contains all customer data: protect it as you protect the store. `tactful restore` restores it.
///
/// Examples:
///   tactful backup monday.backup
///   tactful backup --directory /backups --keep 14
///   tactful backup - | zstd | age -r KEY > monday.backup.zst.age
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct BackupCommand {
    /// File to write, which must not exist; - for standard output
    #[arg(required_unless_present = "directory")]
    file: Option<PathBuf>,
    /// Write into this directory, under a name that contains the time
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    directory: Option<PathBuf>,
    /// Keep the newest N backups in the directory, and delete older ones once this one is complete
    #[arg(long, value_name = "N", requires = "directory", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl BackupCommand {
    /// Receives the backup and writes it.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut client = BackupServiceClient::new(self.server.connect().await?);
        let target = self.target()?;
        let mut out = BackupDestination::create(&target)?;
        let response = client.create_backup(wire::CreateBackupRequest {}).await;
        let mut chunks = response.map_err(|status| rejected(&status))?.into_inner();
        let progress = byte_progress("backing up");
        let mut reader = BackupReader::new();
        while let Some(message) = chunks.message().await.map_err(|status| rejected(&status))? {
            reader.push(&message.chunk);
            while reader.next_page()?.is_some() {}
            out.write(&message.chunk)?;
            progress.inc(message.chunk.len() as u64);
        }
        let summary = reader.finish()?;
        out.complete()?;
        progress.finish_and_clear();
        let removed = match (&self.directory, self.keep) {
            (Some(directory), Some(keep)) => delete_older(directory, keep)?,
            _ => Vec::new(),
        };
        // Standard output may be the backup itself.
        let print = |line: String| if is_standard_output(&target) { errln!("{line}") } else { outln!("{line}") };
        if self.json {
            let removed: Vec<String> = removed.iter().map(|path| path.display().to_string()).collect();
            let mut document = to_json(&summary);
            document["file"] = json!(target.display().to_string());
            document["removed"] = json!(removed);
            print(format!("{document:#}"));
        } else {
            print(format!("{}: {}", target.display(), summary_text(&summary)));
            for path in removed {
                print(format!("deleted {}", path.display()));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn target(&self) -> anyhow::Result<PathBuf> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let directory = self.directory.as_deref().unwrap_or(Path::new("."));
        if !directory.is_dir() {
            bail!("{}: is not a directory", directory.display());
        }
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        Ok(directory.join(format!("{PREFIX}{now}{SUFFIX}")))
    }
}

/// Destination of a backup. A file has a temporary name until it is complete.
enum BackupDestination {
    Standard(io::Stdout),
    File { file: File, part: PathBuf, target: PathBuf, is_complete: bool },
}

impl BackupDestination {
    fn create(target: &Path) -> anyhow::Result<Self> {
        if is_standard_output(target) {
            return Ok(Self::Standard(io::stdout()));
        }
        let name = || target.display().to_string();
        if target.exists() {
            bail!("{}: already exists", target.display());
        }
        let mut part = target.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).with_context(name)?;
        Ok(Self::File { file, part, target: target.to_owned(), is_complete: false })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Standard(out) => out.write_all(bytes),
            Self::File { file, .. } => file.write_all(bytes),
        }
    }

    /// Gives the file its name, once it is on disk.
    fn complete(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(out) => out.flush(),
            Self::File { file, part, target, is_complete } => {
                file.sync_all()?;
                fs::rename(&*part, &*target)?;
                *is_complete = true;
                let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                File::open(parent)?.sync_all()
            }
        }
    }
}

impl Drop for BackupDestination {
    /// Deletes the file of a backup that was not completed.
    fn drop(&mut self) {
        if let Self::File { part, is_complete: false, .. } = self {
            // A file that cannot be deleted does not have the name of a backup.
            let _left = fs::remove_file(part);
        }
    }
}

fn is_standard_output(target: &Path) -> bool {
    target.as_os_str() == STANDARD_OUTPUT
}

/// Deletes all but the newest `keep` backups, and returns their paths.
fn delete_older(directory: &Path, keep: u32) -> io::Result<Vec<PathBuf>> {
    let mut backups = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            backups.push(entry.path());
        }
    }
    backups.sort();
    let older = backups.len().saturating_sub(keep as usize);
    backups.truncate(older);
    for path in &backups {
        fs::remove_file(path)?;
    }
    Ok(backups)
}

/// Progress in bytes on a terminal, hidden in a pipe.
pub(super) fn byte_progress(message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}: {bytes} ({bytes_per_sec})");
    let progress = ProgressBar::no_length().with_message(message);
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    progress.enable_steady_tick(Duration::from_millis(120));
    progress
}

/// Summary of a backup in one line.
pub(super) fn summary_text(backup: &BackupSummary) -> String {
    let count = |kind| backup.count(kind);
    format!(
        "{} of {}: {} customers, {} events, {} decisions, {} products, {} explicit offers, {} policies; digest {:016x}",
        HumanBytes(backup.bytes),
        time(backup),
        count(RecordKind::Customer),
        count(RecordKind::Event) + count(RecordKind::AnonymousEvent),
        count(RecordKind::Decision),
        count(RecordKind::Product),
        count(RecordKind::ExplicitOffer),
        count(RecordKind::Policy),
        backup.digest
    )
}

/// Summary of a backup as JSON.
pub(super) fn to_json(backup: &BackupSummary) -> Value {
    let count = |kind| backup.count(kind);
    json!({
        "created_at": time(backup),
        "made_by": backup.made_by,
        "bytes": backup.bytes,
        "digest": format!("{:016x}", backup.digest),
        "customers": count(RecordKind::Customer),
        "events": count(RecordKind::Event) + count(RecordKind::AnonymousEvent),
        "decisions": count(RecordKind::Decision),
        "products": count(RecordKind::Product),
        "explicit_offers": count(RecordKind::ExplicitOffer),
        "policies": count(RecordKind::Policy),
        "erasures": count(RecordKind::Erasure),
        "has_model": count(RecordKind::ModelPointer) > 0,
    })
}

fn time(backup: &BackupSummary) -> String {
    let at = jiff::Timestamp::from_millisecond(backup.created_at.unix_ms());
    at.map_or_else(|_| "?".to_owned(), |at| at.to_string())
}
