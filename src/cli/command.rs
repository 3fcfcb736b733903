//! The subcommands and what they share: a runtime, an exit status, the printing of errors.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::backfire::BackfireCommand;
use super::backup::BackupCommand;
use super::customer::CustomerCommand;
use super::evaluate::EvaluateCommand;
use super::explain::ExplainCommand;
use super::export::ExportCommand;
use super::health::HealthCommand;
use super::import::ImportCommand;
use super::offers::OffersCommand;
use super::output::errln;
use super::policy::PolicyCommand;
use super::restore::RestoreCommand;
use super::serve::ServeCommand;
use super::simulate::SimulateCommand;
#[cfg(feature = "postgres")]
use super::store::StoreCommand;
use super::train::TrainCommand;

/// Recommend what to offer a customer, and when to offer nothing.
///
/// `tactful serve --demo` starts a server with a made-up telephone company and kitchen shop, and prints calls to try.
/// `tactful evaluate` and `tactful simulate market` work on files, `restore` and `export` read backups; the other commands
/// query a running server.
#[derive(Debug, Parser)]
#[command(name = "tactful", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one, created once")]
enum Command {
    Serve(ServeCommand),
    Import(ImportCommand),
    Offers(OffersCommand),
    Health(HealthCommand),
    Explain(ExplainCommand),
    Backfire(BackfireCommand),
    Customer(CustomerCommand),
    Policy(PolicyCommand),
    Train(TrainCommand),
    Backup(BackupCommand),
    Restore(RestoreCommand),
    Export(ExportCommand),
    Evaluate(EvaluateCommand),
    Simulate(SimulateCommand),
    #[cfg(feature = "postgres")]
    Store(StoreCommand),
}

impl Cli {
    /// Runs the command and prints its error, if it fails.
    pub fn run(self) -> ExitCode {
        self.try_run().unwrap_or_else(|error| {
            errln!("error: {}", error_chain(&error));
            ExitCode::FAILURE
        })
    }

    fn try_run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            match self.command {
                Command::Serve(command) => command.run().await,
                Command::Import(command) => command.run().await,
                Command::Offers(command) => command.run().await,
                Command::Health(command) => command.run().await,
                Command::Explain(command) => command.run().await,
                Command::Backfire(command) => command.run().await,
                Command::Customer(command) => command.run().await,
                Command::Policy(command) => command.run().await,
                Command::Train(command) => command.run().await,
                Command::Backup(command) => command.run().await,
                Command::Restore(command) => command.run().await,
                Command::Export(command) => command.run(),
                Command::Evaluate(command) => command.run().await,
                Command::Simulate(command) => command.run().await,
                #[cfg(feature = "postgres")]
                Command::Store(command) => command.run().await,
            }
        })
    }
}

/// Text of an error with its causes. Some errors repeat their cause in their own text; it is printed once.
fn error_chain(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .reduce(|text, cause| if text.ends_with(&cause) { text } else { format!("{text}: {cause}") })
        .unwrap_or_default()
}
