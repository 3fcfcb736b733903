//! `tactful export`: history and decisions for the data lake.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;

/// Write the history, the decisions and their offers of a backup as Parquet files: events.parquet, decisions.parquet and
/// offers.parquet.
///
/// A backup is what is exported, so the server does nothing more than for a backup, and the tables belong together. Needs a
/// build with the feature `parquet`.
///
/// Examples:
///   tactful export monday.backup --directory lake
///   tactful backup - | tactful export - --directory lake
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Export {
    /// The backup; - for standard input
    backup: PathBuf,
    /// Where the files go, in place of those of an earlier export
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
}

impl Export {
    /// Writes the files.
    #[cfg(feature = "parquet")]
    pub fn run(self) -> Result<ExitCode, Failure> {
        use super::backup::bytes_so_far;
        use super::say::say;
        use crate::export::tables::{Exported, Tables};
        use crate::server::restore::read_backup;

        let at = |error: &dyn std::fmt::Display| Failure(format!("{}: {error}", self.directory.display()));
        std::fs::create_dir_all(&self.directory).map_err(|error| at(&error))?;
        let mut tables = Tables::create(&self.directory).map_err(|error| at(&error))?;
        let progress = bytes_so_far("exporting");
        let enter = |tables: &mut Tables| -> Result<(), Failure> {
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
        let Exported { events, decisions, offers } = tables.finish().map_err(|error| at(&error))?;
        progress.finish_and_clear();
        say!("{}: {events} events, {decisions} decisions, {offers} offers", self.directory.display());
        Ok(ExitCode::SUCCESS)
    }

    /// Says what is missing.
    #[cfg(not(feature = "parquet"))]
    pub fn run(self) -> Result<ExitCode, Failure> {
        let Self { backup, directory } = self;
        Err(Failure(format!(
            "{} is not exported to {}: this build has no Parquet; build tactful with `--features parquet`",
            backup.display(),
            directory.display()
        )))
    }
}
