//! `tactful customer`: exports and erases the data of a customer, and merges the ids of one person.

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

/// Export or erase all data of a customer, or merge two ids of one person.
#[derive(Debug, Args)]
pub(super) struct CustomerCommand {
    #[command(subcommand)]
    subcommand: CustomerSubcommand,
}

#[derive(Debug, Subcommand)]
enum CustomerSubcommand {
    Export(ExportCustomer),
    Erase(EraseCustomer),
    Merge(MergeCustomers),
    Unmerge(UnmergeCustomers),
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

/// Make an id another name of a customer: one cap, and holds and complaints under either id hold for both.
///
/// Merge the ids of one person only. The members of a household are not one person.
///
/// Example:
///   tactful customer merge guest-7 ada
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct MergeCustomers {
    /// Id that becomes an alias
    from: String,
    /// Id of the customer
    into: String,
    #[command(flatten)]
    server: ServerAddress,
}

/// Split an id off from the customer into whom it was merged. Both are rebuilt from history; holds, opt-outs and granted
/// offers stay on both.
///
/// Example:
///   tactful customer unmerge guest-7 ada
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct UnmergeCustomers {
    /// Id that becomes a customer of its own
    from: String,
    /// Customer into whom it was merged
    into: String,
    #[command(flatten)]
    server: ServerAddress,
}

impl CustomerCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.subcommand {
            CustomerSubcommand::Export(command) => command.run().await,
            CustomerSubcommand::Erase(command) => command.run().await,
            CustomerSubcommand::Merge(command) => command.run().await,
            CustomerSubcommand::Unmerge(command) => command.run().await,
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

impl MergeCustomers {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut client = CustomerServiceClient::new(self.server.connect().await?);
        let request = wire::MergeCustomersRequest { from_customer_id: self.from, into_customer_id: self.into };
        let merged = client.merge_customers(request).await.map_err(|status| rejected(&status))?.into_inner();
        let was = if merged.duplicate { "has been" } else { "is now" };
        outln!("{} {was} one customer with {}.", merged.customer_id, merged.merged_customer_ids.join(", "));
        Ok(ExitCode::SUCCESS)
    }
}

impl UnmergeCustomers {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut client = CustomerServiceClient::new(self.server.connect().await?);
        let from = self.from.clone();
        let request = wire::UnmergeCustomersRequest { from_customer_id: self.from, into_customer_id: self.into };
        let split = client.unmerge_customers(request).await.map_err(|status| rejected(&status))?.into_inner();
        if split.duplicate {
            outln!("{from} is not an id of {}.", split.customer_id);
        } else {
            outln!(
                "{from} is a customer of its own; {} has {} other ids.",
                split.customer_id,
                split.merged_customer_ids.len()
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
