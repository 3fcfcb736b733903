//! `tactful policy`: shows, checks, stores and activates versions of the policy.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{ServerAddress, date_text, print_warnings, rejected, time_text};
use super::import::{now, read_mapping};
use super::output::{errln, out, outln};
use super::table::Table;
use crate::domain::policy::Policy as DomainPolicy;
use crate::domain::product::Product;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::create_policy_request::Source;
use crate::grpc::generated::tactful::v1::policy_service_client::PolicyServiceClient;
use crate::ingest::row_outcome::RowOutcome;
use crate::ingest::row_reader;
use crate::ingest::source::RowSource;
use crate::policy_document::format_policy::format_policy;
use crate::policy_document::parse_policy::parse_policy;
use crate::use_cases::lint::lint_files;

/// Show, check, store and activate versions of the policy.
///
/// A policy holds every weight, half-life, cap and threshold of a decision. A stored version never changes.
///
/// Example:
///   tactful policy show --default > quiet.toml     # then edit the version and some values
///   tactful policy check quiet.toml --catalog products.csv
///   tactful policy create quiet.toml --activate
///   tactful policy roll-back quiet-1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct PolicyCommand {
    #[command(subcommand)]
    subcommand: PolicySubcommand,
}

#[derive(Debug, Subcommand)]
enum PolicySubcommand {
    Show(ShowPolicy),
    Check(CheckPolicy),
    Create(CreatePolicy),
    List(ListPolicies),
    Activate(ActivatePolicy),
    RollBack(RollBackPolicy),
}

/// Show the active policy, with the meaning of each value
#[derive(Debug, Args)]
struct ShowPolicy {
    /// Show the default policy, without a server
    #[arg(long, conflicts_with = "version")]
    default: bool,
    /// Show this version
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// Report every fault of a policy file, without a server
///
/// With --catalog, the products of a file are checked with it: rows that would be rejected are faults; rules that name unknown
/// products, families without products, products that can never be offered, and duplicate tiers are warnings. With --running, the
/// policy is checked against the catalogue and the explicit offers of a server instead.
#[derive(Debug, Args)]
struct CheckPolicy {
    /// Policy file
    file: PathBuf,
    /// Products to check with it: CSV, gzipped CSV or JSON Lines
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Mapping of the columns of --catalog (TOML)
    #[arg(long, value_name = "FILE", requires = "catalog")]
    mapping: Option<PathBuf>,
    /// Check against the catalogue and the explicit offers of the running server
    #[arg(long, conflicts_with = "catalog")]
    running: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// Store a version of the policy
#[derive(Debug, Args)]
struct CreatePolicy {
    /// Policy file
    file: PathBuf,
    /// Activate it as well
    #[arg(long)]
    activate: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// List all versions, newest first
#[derive(Debug, Args)]
struct ListPolicies {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// Activate a stored version
#[derive(Debug, Args)]
struct ActivatePolicy {
    /// Version to activate
    version: String,
    #[command(flatten)]
    server: ServerAddress,
}

/// Leave the active version, and activate the one that was active before it
#[derive(Debug, Args)]
struct RollBackPolicy {
    /// Version to leave; nothing happens when another one is active, so that a repeated command goes no further back
    version: String,
    #[command(flatten)]
    server: ServerAddress,
}

impl PolicyCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.subcommand {
            PolicySubcommand::Show(show) => show.run().await?,
            PolicySubcommand::Check(check) => check.run().await?,
            PolicySubcommand::Create(create) => create.run().await?,
            PolicySubcommand::List(list) => list.run().await?,
            PolicySubcommand::Activate(ActivatePolicy { version, server }) => activate(&server, version).await?,
            PolicySubcommand::RollBack(RollBackPolicy { version, server }) => {
                let mut client = PolicyServiceClient::new(server.connect().await?);
                let response = client.roll_back_policy(wire::RollBackPolicyRequest { version }).await;
                let response = response.map_err(|status| rejected(&status))?.into_inner();
                print_activation(&response.version, &response.previous_version, response.drained);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Reads a policy file; the error has one line for each fault.
fn read_file(file: &Path) -> anyhow::Result<(DomainPolicy, String)> {
    let at = |problem: &dyn std::fmt::Display| anyhow!("{}: {problem}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| at(&error))?;
    let policy = parse_policy(&text).map_err(|faults| {
        let count = faults.0.len();
        let counted = if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") };
        at(&format_args!("{counted}\n{faults}"))
    })?;
    Ok((policy, text))
}

async fn activate(server: &ServerAddress, version: String) -> anyhow::Result<()> {
    let mut client = PolicyServiceClient::new(server.connect().await?);
    let response = client.activate_policy(wire::ActivatePolicyRequest { version }).await;
    let response = response.map_err(|status| rejected(&status))?.into_inner();
    print_warnings(&response.warnings);
    print_activation(&response.version, &response.previous_version, response.drained);
    Ok(())
}

fn print_activation(version: &str, previous: &str, is_drained: bool) {
    if version == previous {
        outln!("{version} is active, as before");
    } else {
        outln!("{version} is active; before: {previous}");
    }
    if !is_drained {
        outln!("calls in progress still use {previous}");
    }
}

impl ShowPolicy {
    async fn run(self) -> anyhow::Result<()> {
        if self.default {
            let text = format_policy(&DomainPolicy::default());
            if self.json {
                outln!("{:#}", json!({ "version": DomainPolicy::default().version, "toml": text }));
            } else {
                out!("{text}");
            }
            return Ok(());
        }
        let mut client = PolicyServiceClient::new(self.server.connect().await?);
        let request = wire::GetPolicyRequest { version: self.version.unwrap_or_default() };
        let response = client.get_policy(request).await.map_err(|status| rejected(&status))?.into_inner();
        let version = response.policy_version.unwrap_or_default();
        if self.json {
            outln!("{:#}", to_json(&version));
        } else {
            out!("{}", version.toml);
        }
        Ok(())
    }
}

impl CheckPolicy {
    async fn run(self) -> anyhow::Result<()> {
        let read = read_file(&self.file);
        let mut faults: Vec<String> = read.as_ref().err().map(ToString::to_string).into_iter().collect();
        if let Some(catalog) = &self.catalog {
            let mut products = Vec::new();
            if let Err(error) = self.read_products(catalog, &mut products, &mut faults) {
                faults.push(format!("{error:#}"));
            }
            // Without a valid policy, the products are still checked.
            let policy = read.as_ref().map_or_else(|_| DomainPolicy::default(), |(policy, _)| policy.clone());
            for finding in lint_files(&policy, products) {
                errln!("warning: {finding} ({})", finding.code());
            }
        }
        let (policy, text) = match read {
            Ok(read) if faults.is_empty() => read,
            Ok(_) | Err(_) => bail!(faults.join("\n")),
        };
        if self.running {
            let mut client = PolicyServiceClient::new(self.server.connect().await?);
            let request = wire::CreatePolicyRequest { source: Some(Source::Toml(text)), validate_only: true };
            let response = client.create_policy(request).await.map_err(|status| rejected(&status))?.into_inner();
            print_warnings(&response.warnings);
        }
        outln!("{} is a valid policy: {}", self.file.display(), policy.version);
        Ok(())
    }

    /// Reads the products of a file; each rejected row is a fault.
    fn read_products(&self, path: &Path, products: &mut Vec<Product>, faults: &mut Vec<String>) -> anyhow::Result<()> {
        let mapping = read_mapping(self.mapping.as_deref())?;
        for row in row_reader::read_products(RowSource::open(path)?, &mapping, now())? {
            match row? {
                RowOutcome::Accepted { line: _, value } => products.push(value),
                RowOutcome::Filtered { line: _ } => {}
                RowOutcome::Rejected(rejected_row) => faults.push(format!("rejected: {rejected_row}")),
            }
        }
        Ok(())
    }
}

impl CreatePolicy {
    async fn run(self) -> anyhow::Result<()> {
        // Checked here first, because these faults name the keys of the file.
        let (policy, text) = read_file(&self.file)?;
        let mut client = PolicyServiceClient::new(self.server.connect().await?);
        let request = wire::CreatePolicyRequest { source: Some(Source::Toml(text)), validate_only: false };
        let response = client.create_policy(request).await.map_err(|status| rejected(&status))?.into_inner();
        outln!("{} is stored", policy.version);
        if self.activate {
            activate(&self.server, policy.version).await?;
        } else {
            print_warnings(&response.warnings);
        }
        Ok(())
    }
}

impl ListPolicies {
    async fn run(self) -> anyhow::Result<()> {
        let mut client = PolicyServiceClient::new(self.server.connect().await?);
        let mut versions = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = wire::ListPoliciesRequest { page_size: 0, page_token };
            let page = client.list_policies(request).await.map_err(|status| rejected(&status))?.into_inner();
            versions.extend(page.policy_versions);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        if self.json {
            outln!("{:#}", Value::from(versions.iter().map(to_json).collect::<Vec<_>>()));
            return Ok(());
        }
        let mut table = Table::new(&["version", "active", "stored", "active since"]);
        for version in &versions {
            table.row(vec![
                version.policy.clone().unwrap_or_default().version,
                if version.active { "yes" } else { "-" }.to_owned(),
                date_text(version.create_time.as_ref()),
                date_text(version.activate_time.as_ref()),
            ]);
        }
        out!("{table}");
        Ok(())
    }
}

fn to_json(version: &wire::PolicyVersion) -> Value {
    json!({
        "version": version.policy.as_ref().map(|policy| policy.version.clone()),
        "toml": version.toml,
        "active": version.active,
        "create_time": version.create_time.as_ref().map(|at| time_text(Some(at))),
        "activate_time": version.activate_time.as_ref().map(|at| time_text(Some(at))),
    })
}
