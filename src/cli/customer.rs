//! `tactful customer`: exports and erases the data of a customer.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::client::{ServerAddress, rejected};
use super::customer_export::record_to_json;
use super::output::outln;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::customer_service_client::CustomerServiceClient;

/// Export or erase all data of a customer.
#[derive(Debug, Args)]
pub(super) struct CustomerCommand {
    #[command(subcommand)]
    subcommand: CustomerSubcommand,
}

#[derive(Debug, Subcommand)]
enum CustomerSubcommand {
    Export(ExportCustomer),
    Erase(EraseCustomer),
}

/// Write all data of a customer as JSON Lines: the customer, every event, outcome and decision.
///
/// The field `record` of each line names its kind: customer, ranking, event, outcome or decision.
///
/// Example:
///   tactful customer export ada > ada.jsonl
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct ExportCustomer {
    /// Customer id
    customer: String,
    /// File to write; standard output by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerAddress,
}

/// Erase a customer: profile, ledger, history and decisions. This cannot be undone, and the id is blocked forever.
///
/// Example:
///   tactful customer erase ada --yes
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct EraseCustomer {
    /// Customer id
    customer: String,
    /// Confirm the erasure
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl CustomerCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.subcommand {
            CustomerSubcommand::Export(command) => command.run().await,
            CustomerSubcommand::Erase(command) => command.run().await,
        }
    }
}

impl ExportCustomer {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut client = CustomerServiceClient::new(self.server.connect().await?);
        let request = wire::ExportCustomerRequest { customer_id: self.customer };
        let mut pages = client.export_customer(request).await.map_err(|status| rejected(&status))?.into_inner();
        let mut file = self.out.as_ref().map(File::create).transpose()?.map(BufWriter::new);
        while let Some(page) = pages.message().await.map_err(|status| rejected(&status))? {
            for record in page.records {
                let Some(line) = record_to_json(record) else {
                    bail!("the server exports a kind of record that this version does not know");
                };
                match &mut file {
                    Some(file) => writeln!(file, "{line}")?,
                    None => outln!("{line}"),
                }
            }
        }
        if let Some(mut file) = file {
            file.flush()?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl EraseCustomer {
    async fn run(self) -> anyhow::Result<ExitCode> {
        if !self.yes {
            bail!(
                "erasing {:?} cannot be undone; check `tactful customer export` first, then add --yes",
                self.customer
            );
        }
        let mut client = CustomerServiceClient::new(self.server.connect().await?);
        let request = wire::EraseCustomerRequest { customer_id: self.customer };
        let erased = client.erase_customer(request).await.map_err(|status| rejected(&status))?.into_inner();
        outln!(
            "{}; {} events and {} decisions were deleted. The id is blocked.",
            if erased.was_stored { "Customer erased" } else { "No such customer was stored" },
            erased.events,
            erased.decisions
        );
        Ok(ExitCode::SUCCESS)
    }
}
