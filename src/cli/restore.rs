//! `tactful restore`: restores a backup into a data directory, or into a database.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::backup::{byte_progress, summary_text, to_json};
use super::output::outln;
#[cfg(feature = "postgres")]
use super::store::DatabaseArgs;
#[cfg(feature = "postgres")]
use crate::server::restore::restore_into_database;
use crate::server::restore::{RestoreSummary, check_backup, restore_backup};

/// Restore a backup into an empty or missing directory, or into a database with an empty schema, on which a server can then be
/// started.
///
/// The backup is verified while it is read, and what was written is read back: the place then holds all of the backup, or
/// nothing. A backup of a directory may be restored into a database, and the other way round. Customers who were erased before the backup was made stay erased. To also erase those erased since, name later
/// backups of the same store with --erasures-from, or erase them again.
///
/// Examples:
///   tactful restore monday.backup --data-dir /var/lib/tactful
///   tactful restore monday.backup --data-dir data --erasures-from friday.backup
///   tactful restore monday.backup --store-url-file /run/secrets/store-url
///   tactful restore monday.backup --check
///   zstd -d < monday.backup.zst | tactful restore - --data-dir data
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct RestoreCommand {
    /// Backup file; - for standard input
    file: PathBuf,
    /// Directory to restore into, unless a database is named; no server may be using it
    #[arg(long, env = "TACTFUL_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    database: DatabaseArgs,
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
        let progress = byte_progress("restoring");
        let bar = progress.clone();
        let mut show = |bytes| bar.set_position(bytes);
        #[cfg(feature = "postgres")]
        if self.database.is_given() {
            let database = self.database.database()?;
            let restored = restore_into_database(&self.file, &self.erasures_from, &database, &mut show).await?;
            progress.finish_and_clear();
            print(&restored, "the database", "tactful serve --store postgres", self.json);
            return Ok(ExitCode::SUCCESS);
        }
        let Some(directory) = self.data_dir else {
            anyhow::bail!("name the place to restore into with --data-dir, or a database with --store-url");
        };
        let restored = restore_backup(&self.file, &self.erasures_from, &directory, &mut show).await?;
        progress.finish_and_clear();
        let name = directory.display().to_string();
        print(&restored, &name, &format!("tactful serve --data-dir {name}"), self.json);
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints the summary of a restore, and how to start a server on it.
fn print(restored: &RestoreSummary, place: &str, start: &str, as_json: bool) {
    let RestoreSummary { backup, stored } = restored;
    if as_json {
        let stored = json!({
            "customers": stored.customers,
            "events": stored.events,
            "decisions": stored.decisions,
            "products": stored.products,
        });
        outln!("{:#}", json!({ "backup": to_json(backup), "stored": stored }));
        return;
    }
    outln!("restored {}", summary_text(backup));
    outln!(
        "{place} holds {} customers, {} events, {} decisions, {} products; start it with `{start}`",
        stored.customers,
        stored.events,
        stored.decisions,
        stored.products
    );
}
