//! `tactful store`: the schema of a PostgreSQL database.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::output::outln;
use crate::config::store_url::{StoreCa, StoreConfirmation, StoreDatabase, StoreUrl};
use crate::server::database::{SCHEMA_VERSION, create_schema, migrate_schema, open};

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
    /// Bring the schema to the version that this program needs; servers of the version before go on meanwhile
    Migrate(DatabaseArgs),
    /// Check that a server could use the database as it is, and change nothing
    Check(DatabaseArgs),
}

#[derive(Debug, Args)]
pub(super) struct DatabaseArgs {
    /// Database, as a URL or as key=value pairs
    #[arg(id = "store-url", long, env = "TACTFUL_STORE_URL", hide_env_values = true, value_name = "URL")]
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
    /// CA certificates that sign the certificate of the database, PEM; if set, connections are encrypted and the certificate is
    /// checked
    #[arg(id = "store-ca", long, env = "TACTFUL_STORE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
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
    /// Whether a database is named.
    pub(super) fn is_given(&self) -> bool {
        self.url.is_some() || self.url_file.is_some()
    }

    /// The database, with the confirmation that its commits wait for.
    ///
    /// # Errors
    /// When none is named, or the file with its URL cannot be read.
    pub(super) fn database(self) -> anyhow::Result<StoreDatabase> {
        let url = match (self.url, self.url_file) {
            (Some(url), _) => url,
            (None, Some(path)) => std::fs::read_to_string(&path).with_context(|| path.display().to_string())?,
            (None, None) => anyhow::bail!("name the database with --store-url or --store-url-file"),
        };
        let ca = match self.ca {
            Some(path) => {
                let pem = std::fs::read(&path).with_context(|| format!("store-ca: {}", path.display()))?;
                Some(StoreCa::new(pem))
            }
            None => None,
        };
        let is_engine = self.confirms == "engine";
        let confirmation = if is_engine { StoreConfirmation::Engine } else { StoreConfirmation::Standby };
        Ok(StoreDatabase { url: StoreUrl::new(&url), ca, confirmation })
    }
}

impl StoreCommand {
    /// Creates or checks the schema.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            StoreSubcommand::Init(args) => {
                create_schema(&args.database()?).await?;
                outln!("created schema version {SCHEMA_VERSION}");
            }
            StoreSubcommand::Migrate(args) => match migrate_schema(&args.database()?).await? {
                SCHEMA_VERSION => outln!("the schema has version {SCHEMA_VERSION} already"),
                found => outln!("migrated the schema from version {found} to {SCHEMA_VERSION}"),
            },
            StoreSubcommand::Check(args) => {
                open(&args.database()?).await?;
                outln!("the database is ready, with schema version {SCHEMA_VERSION}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
