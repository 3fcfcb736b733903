//! `tactful backup`: a copy of the whole store, made while the server serves.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::client::{ServerAddress, refused};
use super::failure::Failure;
use super::say::say;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::backup_service_client::BackupServiceClient;
use crate::store::backup::reader::{BackupReader, BackupSummary};
use crate::store::backup::record::RecordKind;

/// The name that stands for standard output.
const STANDARD_OUTPUT: &str = "-";
/// What the names of backups in a directory begin and end with; in between is the time, so their order is that of time.
const PREFIX: &str = "tactful-";
const SUFFIX: &str = ".backup";

/// Back up the whole store of a running server: customers, history, decisions, products, offers, policies, the model.
///
/// The server goes on serving. The backup is checked while it comes in, and has its name only when it is whole. It holds all
/// that is known of customers: keep it as you keep the store. `tactful restore` brings it back.
///
/// Examples:
///   tactful backup monday.backup
///   tactful backup --directory /backups --keep 14
///   tactful backup - | zstd | age -r KEY > monday.backup.zst.age
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Backup {
    /// The file to write, which must not be there yet; - for standard output
    #[arg(required_unless_present = "directory")]
    file: Option<PathBuf>,
    /// Write into this directory, under a name with the time
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    directory: Option<PathBuf>,
    /// Keep so many backups in the directory, and remove older ones after this one is made
    #[arg(long, value_name = "N", requires = "directory", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl Backup {
    /// Makes it.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let mut client = BackupServiceClient::new(self.server.connect().await?);
        let target = self.target()?;
        let mut out = Output::create(&target)?;
        let answered = client.create_backup(wire::CreateBackupRequest {}).await;
        let mut pieces = answered.map_err(|status| refused(&status))?.into_inner();
        let progress = bytes_so_far("backing up");
        let mut reader = BackupReader::new();
        while let Some(piece) = pieces.message().await.map_err(|status| refused(&status))? {
            reader.push(&piece.chunk);
            while reader.next_page()?.is_some() {}
            out.write(&piece.chunk)?;
            progress.inc(piece.chunk.len() as u64);
        }
        let summary = reader.finish()?;
        out.complete()?;
        progress.finish_and_clear();
        let removed = match (&self.directory, self.keep) {
            (Some(directory), Some(keep)) => remove_older(directory, keep)?,
            _ => Vec::new(),
        };
        // Standard output may be the backup itself.
        let tell = |line: String| if is_standard_output(&target) { eprintln!("{line}") } else { say!("{line}") };
        if self.json {
            let removed: Vec<String> = removed.iter().map(|path| path.display().to_string()).collect();
            let mut told_of = to_json(&summary);
            told_of["file"] = json!(target.display().to_string());
            told_of["removed"] = json!(removed);
            tell(format!("{told_of:#}"));
        } else {
            tell(format!("{}: {}", target.display(), in_words(&summary)));
            for path in removed {
                tell(format!("removed {}", path.display()));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn target(&self) -> Result<PathBuf, Failure> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let directory = self.directory.as_deref().unwrap_or(Path::new("."));
        if !directory.is_dir() {
            return Err(Failure(format!("{}: is not a directory", directory.display())));
        }
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        Ok(directory.join(format!("{PREFIX}{now}{SUFFIX}")))
    }
}

/// Where a backup is written: under another name until it is whole.
enum Output {
    Standard(io::Stdout),
    File { file: File, part: PathBuf, target: PathBuf, is_complete: bool },
}

impl Output {
    fn create(target: &Path) -> Result<Self, Failure> {
        if is_standard_output(target) {
            return Ok(Self::Standard(io::stdout()));
        }
        let told = |error: io::Error| Failure(format!("{}: {error}", target.display()));
        if target.exists() {
            return Err(Failure(format!("{}: is there already", target.display())));
        }
        let mut part = target.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(told)?;
        Ok(Self::File { file, part, target: target.to_owned(), is_complete: false })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Standard(out) => out.write_all(bytes),
            Self::File { file, .. } => file.write_all(bytes),
        }
    }

    /// Gives it its name, once it is on disk.
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

impl Drop for Output {
    /// Nothing is left of a backup that was not completed.
    fn drop(&mut self) {
        if let Self::File { part, is_complete: false, .. } = self {
            // What cannot be removed has no name of a backup.
            let _left = fs::remove_file(part);
        }
    }
}

fn is_standard_output(target: &Path) -> bool {
    target.as_os_str() == STANDARD_OUTPUT
}

/// Removes the oldest backups beyond so many.
fn remove_older(directory: &Path, keep: u32) -> io::Result<Vec<PathBuf>> {
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

/// Counts bytes on a terminal, and is quiet in a pipe.
pub(super) fn bytes_so_far(doing: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}: {bytes} ({bytes_per_sec})");
    let progress = ProgressBar::no_length().with_message(doing);
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    progress.enable_steady_tick(Duration::from_millis(120));
    progress
}

/// A backup in one line.
pub(super) fn in_words(backup: &BackupSummary) -> String {
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

/// A backup as JSON.
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
