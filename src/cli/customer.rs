//! `tactful customer`: what is held of a customer, and how to erase it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::client::{ServerAddress, refused};
use super::failure::Failure;
use super::say::{say, say_part};
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::customer_service_client::CustomerServiceClient;

/// Export all that is held of a customer, or erase it.
#[derive(Debug, Args)]
pub struct Customer {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Export(Export),
    Erase(Erase),
}

/// Write all that is held of a customer as JSON Lines: profile and ledger, every event, every decision.
///
/// Example:
///   tactful customer export ada > ada.jsonl
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct Export {
    /// Whom
    customer: String,
    /// Where to; standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerAddress,
}

/// Erase a customer: profile, ledger, history and decisions. This cannot be undone, and the id is blocked for ever.
///
/// Example:
///   tactful customer erase ada --yes
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct Erase {
    /// Whom
    customer: String,
    /// Do it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl Customer {
    /// Asks.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self.what {
            What::Export(export) => export.run().await,
            What::Erase(erase) => erase.run().await,
        }
    }
}

impl Export {
    async fn run(self) -> Result<ExitCode, Failure> {
        let mut client = CustomerServiceClient::new(self.server.connect().await?);
        let request = wire::ExportCustomerRequest { customer_id: self.customer };
        let mut parts = client.export_customer(request).await.map_err(|status| refused(&status))?.into_inner();
        let mut file = self.out.as_ref().map(File::create).transpose()?.map(BufWriter::new);
        while let Some(part) = parts.message().await.map_err(|status| refused(&status))? {
            match &mut file {
                Some(file) => file.write_all(part.json_lines.as_bytes())?,
                None => say_part!("{}", part.json_lines),
            }
        }
        if let Some(mut file) = file {
            file.flush()?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Erase {
    async fn run(self) -> Result<ExitCode, Failure> {
        if !self.yes {
            return Err(Failure(format!(
                "erasing {:?} cannot be undone; look at `tactful customer export` first, then add --yes",
                self.customer
            )));
        }
        let mut client = CustomerServiceClient::new(self.server.connect().await?);
        let request = wire::EraseCustomerRequest { customer_id: self.customer };
        let erased = client.erase_customer(request).await.map_err(|status| refused(&status))?.into_inner();
        say!(
            "{}; {} events and {} decisions are gone. The id is blocked.",
            if erased.was_stored { "Erased" } else { "Nothing was kept" },
            erased.events,
            erased.decisions
        );
        Ok(ExitCode::SUCCESS)
    }
}
