//! `tactful export`: history and decisions of a backup as Parquet files.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;

/// Write the history, the decisions and their offers of a backup as Parquet files: events.parquet, decisions.parquet and
/// offers.parquet.
///
/// Reads a backup, so the server does no extra work and the tables are consistent with each other. Needs a build with the
/// feature `parquet`.
///
/// Examples:
///   tactful export monday.backup --directory lake
///   tactful backup - | tactful export - --directory lake
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ExportCommand {
    /// Backup file; - for standard input
    backup: PathBuf,
    /// Directory for the files; files of an earlier export are replaced
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
}

impl ExportCommand {
    /// Writes the Parquet files.
    #[cfg(feature = "parquet")]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        use super::backup::byte_progress;
        use super::output::outln;
        use crate::export::export_tables::{ExportTables, ExportedRows};
        use crate::server::restore::read_backup;

        let at = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", self.directory.display());
        std::fs::create_dir_all(&self.directory).map_err(|error| at(&error))?;
        let mut tables = ExportTables::create(&self.directory).map_err(|error| at(&error))?;
        let progress = byte_progress("exporting");
        let enter = |tables: &mut ExportTables| -> anyhow::Result<()> {
            read_backup(&self.backup, &mut |bytes| progress.set_position(bytes), &mut |record| {
                if let Some(event) = record.event()? {
                    tables.add_event(&event).map_err(|error| at(&error))?;
                }
                if let Some(decision) = record.decision()? {
                    tables.add_decision(&decision).map_err(|error| at(&error))?;
                }
                Ok(())
            })
        };
        if let Err(failure) = enter(&mut tables) {
            tables.abandon();
            return Err(failure);
        }
        let ExportedRows { events, decisions, offers } = tables.finish().map_err(|error| at(&error))?;
        progress.finish_and_clear();
        outln!("{}: {events} events, {decisions} decisions, {offers} offers", self.directory.display());
        Ok(ExitCode::SUCCESS)
    }

    /// Fails, because this build cannot write Parquet.
    #[cfg(not(feature = "parquet"))]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { backup, directory } = self;
        Err(anyhow!(
            "cannot export {} to {}: this build has no Parquet; build tactful with `--features parquet`",
            backup.display(),
            directory.display()
        ))
    }
}
