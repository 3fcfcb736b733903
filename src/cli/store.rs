//! `tactful store`: the schema of a PostgreSQL database.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::output::outln;
use crate::config::store_url::{StoreConfirmation, StoreUrl};
use crate::server::database::{SCHEMA_VERSION, create_schema, open};

/// Prepare and check the PostgreSQL database of a store.
///
/// The server changes no schema by itself: it may run with a role that has no right to.
///
/// Examples:
///   tactful store init --store-url 'host=db user=tactful dbname=tactful'
///   tactful store check --store-url-file /run/secrets/store-url
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct StoreCommand {
    #[command(subcommand)]
    command: StoreSubcommand,
}

#[derive(Debug, Subcommand)]
enum StoreSubcommand {
    /// Create the schema in an empty database; it is created as a whole or not at all
    Init(DatabaseArgs),
    /// Check that a server could use the database as it is, and change nothing
    Check(DatabaseArgs),
}

#[derive(Debug, Args)]
struct DatabaseArgs {
    /// Database, as a URL or as key=value pairs
    #[arg(
        id = "store-url",
        long,
        env = "TACTFUL_STORE_URL",
        hide_env_values = true,
        value_name = "URL",
        required_unless_present = "store-url-file"
    )]
    url: Option<String>,
    /// File with the URL of the database
    #[arg(
        id = "store-url-file",
        long,
        env = "TACTFUL_STORE_URL_FILE",
        value_name = "FILE",
        conflicts_with = "store-url"
    )]
    url_file: Option<PathBuf>,
    /// Confirmation that makes a commit durable: standby demands synchronous standbys, engine leaves it to the engine
    #[arg(
        id = "store-confirms",
        long,
        env = "TACTFUL_STORE_CONFIRMS",
        value_name = "WHO",
        value_parser = ["standby", "engine"],
        default_value = "standby"
    )]
    confirms: String,
}

impl DatabaseArgs {
    fn database(self) -> anyhow::Result<(StoreUrl, StoreConfirmation)> {
        let url = match (self.url, self.url_file) {
            (Some(url), _) => url,
            (None, Some(path)) => std::fs::read_to_string(&path).with_context(|| path.display().to_string())?,
            // clap requires one of the two.
            (None, None) => String::new(),
        };
        let is_engine = self.confirms == "engine";
        Ok((StoreUrl::new(&url), if is_engine { StoreConfirmation::Engine } else { StoreConfirmation::Standby }))
    }
}

impl StoreCommand {
    /// Creates or checks the schema.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            StoreSubcommand::Init(args) => {
                let (url, confirmation) = args.database()?;
                create_schema(&url, confirmation).await?;
                outln!("created schema version {SCHEMA_VERSION}");
            }
            StoreSubcommand::Check(args) => {
                let (url, confirmation) = args.database()?;
                open(&url, confirmation).await?;
                outln!("the database is ready, with schema version {SCHEMA_VERSION}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
