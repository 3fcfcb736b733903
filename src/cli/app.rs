//! The subcommands and what they have in common: a runtime, an exit code, one line for an error.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::failure::Failure;
use super::{
    backfire, backup, customer, evaluate, explain, export, health, import, offers, policy, restore, serve, simulate,
    train,
};

/// Ask what to offer a customer, and when to offer nothing.
///
/// `tactful serve --demo` starts a server with a made-up telephone company and kitchen shop and prints calls to try.
/// `tactful evaluate` judges on files, `restore` and `export` read backups; most other commands ask a running server.
#[derive(Debug, Parser)]
#[command(name = "tactful", version, max_term_width = 100)]
pub struct App {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one, made once")]
enum Command {
    Serve(serve::Serve),
    Import(import::Import),
    Offers(offers::Offers),
    Health(health::Health),
    Explain(explain::Explain),
    Backfire(backfire::Backfire),
    Customer(customer::Customer),
    Policy(policy::Policy),
    Train(train::Train),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Export(export::Export),
    Evaluate(evaluate::Evaluate),
    Simulate(simulate::Simulate),
}

impl App {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&Failure::from(error)),
        };
        let ended = runtime.block_on(async {
            match self.command {
                Command::Serve(serve) => serve.run().await,
                Command::Import(import) => import.run().await,
                Command::Offers(offers) => offers.run().await,
                Command::Health(health) => health.run().await,
                Command::Explain(explain) => explain.run().await,
                Command::Backfire(backfire) => backfire.run().await,
                Command::Customer(customer) => customer.run().await,
                Command::Policy(policy) => policy.run().await,
                Command::Train(train) => train.run().await,
                Command::Backup(backup) => backup.run().await,
                Command::Restore(restore) => restore.run().await,
                Command::Export(export) => export.run(),
                Command::Evaluate(evaluate) => evaluate.run().await,
                Command::Simulate(simulate) => simulate.run().await,
            }
        });
        ended.unwrap_or_else(|failure| fail(&failure))
    }
}

fn fail(Failure(text): &Failure) -> ExitCode {
    eprintln!("error: {text}");
    ExitCode::FAILURE
}
