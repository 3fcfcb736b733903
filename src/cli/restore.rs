//! `tactful restore`: restores a backup into a data directory.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::backup::{byte_progress, summary_text, to_json};
use super::output::outln;
use crate::server::restore::{RestoreSummary, check_backup, restore_backup};

/// Restore a backup into an empty or missing directory, on which a server can then be started.
///
/// The backup is verified while it is read, and what was written is read back: the directory then holds all of the backup, or
/// nothing. Customers who were erased before the backup was made stay erased. To also erase those erased since, name later
/// backups of the same store with --erasures-from, or erase them again.
///
/// Examples:
///   tactful restore monday.backup --data-dir /var/lib/tactful
///   tactful restore monday.backup --data-dir data --erasures-from friday.backup
///   tactful restore monday.backup --check
///   zstd -d < monday.backup.zst | tactful restore - --data-dir data
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct RestoreCommand {
    /// Backup file; - for standard input
    file: PathBuf,
    /// Directory to restore into; no server may be using it
    #[arg(long, env = "TACTFUL_DATA_DIR", value_name = "DIR", required_unless_present = "check")]
    data_dir: Option<PathBuf>,
    /// Also erase the customers that this later backup of the same store lists as erased; may be repeated
    #[arg(long, value_name = "FILE")]
    erasures_from: Vec<PathBuf>,
    /// Only verify that the backup is complete and undamaged
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl RestoreCommand {
    /// Restores the backup, or verifies it.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let file = self.file.display();
        if self.check {
            let progress = byte_progress("checking");
            let backup = check_backup(&self.file, &mut |bytes| progress.set_position(bytes))?;
            progress.finish_and_clear();
            if self.json {
                outln!("{:#}", to_json(&backup));
            } else {
                outln!("{file} is complete: {}", summary_text(&backup));
            }
            return Ok(ExitCode::SUCCESS);
        }
        // clap requires one of the two.
        let directory = self.data_dir.unwrap_or_default();
        let progress = byte_progress("restoring");
        let bar = progress.clone();
        let restored =
            restore_backup(&self.file, &self.erasures_from, &directory, &mut |bytes| bar.set_position(bytes)).await?;
        progress.finish_and_clear();
        let RestoreSummary { backup, stored } = restored;
        if self.json {
            let stored = json!({
                "customers": stored.customers,
                "events": stored.events,
                "decisions": stored.decisions,
                "products": stored.products,
            });
            outln!("{:#}", json!({ "backup": to_json(&backup), "stored": stored }));
            return Ok(ExitCode::SUCCESS);
        }
        outln!("restored {}", summary_text(&backup));
        outln!(
            "{} holds {} customers, {} events, {} decisions, {} products; start it with `tactful serve --data-dir {0}`",
            directory.display(),
            stored.customers,
            stored.events,
            stored.decisions,
            stored.products
        );
        Ok(ExitCode::SUCCESS)
    }
}
