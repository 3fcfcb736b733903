//! `tactful restore`: a backup becomes a data directory again.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::backup::{bytes_so_far, in_words, to_json};
use super::failure::Failure;
use super::say::say;
use crate::server::restore::{Restored, check_backup, restore_backup};

/// Restore a backup into a directory that is empty or missing, for a server to be started on.
///
/// The backup is checked on the way, and what was written is read back: the directory holds all of the backup, or nothing.
/// Customers who were erased before the backup was made stay erased. For those erased since, name later backups of the
/// same store with --erasures-of, or erase them again.
///
/// Examples:
///   tactful restore monday.backup --data-dir /var/lib/tactful
///   tactful restore monday.backup --data-dir data --erasures-of friday.backup
///   tactful restore monday.backup --check
///   zstd -d < monday.backup.zst | tactful restore - --data-dir data
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Restore {
    /// The backup; - for standard input
    file: PathBuf,
    /// The directory to restore into. No server may be using it
    #[arg(long, env = "TACTFUL_DATA_DIR", value_name = "DIR", required_unless_present = "check")]
    data_dir: Option<PathBuf>,
    /// Erase as well who was erased according to this later backup of the same store; may be given more than once
    #[arg(long, value_name = "FILE")]
    erasures_of: Vec<PathBuf>,
    /// Only read the backup to its end, and say whether it is whole
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Restore {
    /// Restores or checks.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let told = self.file.display();
        if self.check {
            let progress = bytes_so_far("checking");
            let backup = check_backup(&self.file, &mut |bytes| progress.set_position(bytes))?;
            progress.finish_and_clear();
            if self.json {
                say!("{:#}", to_json(&backup));
            } else {
                say!("{told} is whole: {}", in_words(&backup));
            }
            return Ok(ExitCode::SUCCESS);
        }
        // clap asks for one of the two.
        let directory = self.data_dir.unwrap_or_default();
        let progress = bytes_so_far("restoring");
        let moved = progress.clone();
        let restored =
            restore_backup(&self.file, &self.erasures_of, &directory, &mut |bytes| moved.set_position(bytes)).await?;
        progress.finish_and_clear();
        let Restored { backup, stored } = restored;
        if self.json {
            let stored = json!({
                "customers": stored.customers,
                "events": stored.events,
                "decisions": stored.decisions,
                "products": stored.products,
            });
            say!("{:#}", json!({ "backup": to_json(&backup), "stored": stored }));
            return Ok(ExitCode::SUCCESS);
        }
        say!("restored {}", in_words(&backup));
        say!(
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
