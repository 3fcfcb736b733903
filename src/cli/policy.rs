//! `tactful policy`: show, check, store and put into force versions of the policy.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{ServerAddress, refused, time_text};
use super::failure::Failure;
use super::say::{say, say_part};
use super::table::Table;
use crate::domain::policy::Policy as DomainPolicy;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::create_policy_request::Source;
use crate::grpc::generated::tactful::v1::policy_service_client::PolicyServiceClient;
use crate::policy_document::read::read;
use crate::policy_document::write::write;

/// Show, check, store and put into force versions of the policy.
///
/// A policy is every weight, half-life, cap and threshold of a decision. A version never changes once it is stored.
///
/// Example:
///   tactful policy show --default > quiet.toml     # then edit the version and what is to change
///   tactful policy check quiet.toml
///   tactful policy create quiet.toml --activate
///   tactful policy roll-back
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(Show),
    Check(Check),
    Create(Create),
    List(List),
    Activate(Activate),
    RollBack(RollBack),
}

/// Show the policy in force, with what each value means
#[derive(Debug, Args)]
struct Show {
    /// The default, without asking a server
    #[arg(long, conflicts_with = "version")]
    default: bool,
    /// This version
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// Tell everything that is wrong with a file, without asking a server
#[derive(Debug, Args)]
struct Check {
    /// The file
    file: PathBuf,
}

/// Store a version
#[derive(Debug, Args)]
struct Create {
    /// The file
    file: PathBuf,
    /// Put it into force as well
    #[arg(long)]
    activate: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// List all versions, newest first
#[derive(Debug, Args)]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// Put a version into force
#[derive(Debug, Args)]
struct Activate {
    /// Which
    version: String,
    #[command(flatten)]
    server: ServerAddress,
}

/// Put the version into force that was in force before this one
#[derive(Debug, Args)]
struct RollBack {
    #[command(flatten)]
    server: ServerAddress,
}

impl Policy {
    /// Does what is asked.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Show(show) => show.run().await?,
            Command::Check(check) => {
                let policy = read_file(&check.file)?.0;
                say!("{} is a policy: {}", check.file.display(), policy.version);
            }
            Command::Create(create) => create.run().await?,
            Command::List(list) => list.run().await?,
            Command::Activate(Activate { version, server }) => activate(&server, version).await?,
            Command::RollBack(RollBack { server }) => {
                let mut client = PolicyServiceClient::new(server.connect().await?);
                let answered = client.roll_back_policy(wire::RollBackPolicyRequest {}).await;
                let answer = answered.map_err(|status| refused(&status))?.into_inner();
                told(&answer.version, &answer.previous_version, answer.drained);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Every fault on a line of its own.
fn read_file(file: &Path) -> Result<(DomainPolicy, String), Failure> {
    let at = |problem: &dyn std::fmt::Display| Failure(format!("{}: {problem}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| at(&error))?;
    let policy = read(&text).map_err(|faults| {
        let count = faults.0.len();
        let what = if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") };
        at(&format_args!("{what}\n{faults}"))
    })?;
    Ok((policy, text))
}

async fn activate(server: &ServerAddress, version: String) -> Result<(), Failure> {
    let mut client = PolicyServiceClient::new(server.connect().await?);
    let answered = client.activate_policy(wire::ActivatePolicyRequest { version }).await;
    let answer = answered.map_err(|status| refused(&status))?.into_inner();
    told(&answer.version, &answer.previous_version, answer.drained);
    Ok(())
}

fn told(version: &str, previous: &str, is_drained: bool) {
    if version == previous {
        say!("{version} is in force, as before");
    } else {
        say!("{version} is in force; before: {previous}");
    }
    if !is_drained {
        say!("calls that began before still run under {previous}");
    }
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        if self.default {
            let text = write(&DomainPolicy::default());
            if self.json {
                say!("{:#}", json!({ "version": DomainPolicy::default().version, "toml": text }));
            } else {
                say_part!("{text}");
            }
            return Ok(());
        }
        let mut client = PolicyServiceClient::new(self.server.connect().await?);
        let request = wire::GetPolicyRequest { version: self.version.unwrap_or_default() };
        let answered = client.get_policy(request).await.map_err(|status| refused(&status))?.into_inner();
        let version = answered.policy_version.unwrap_or_default();
        if self.json {
            say!("{:#}", to_json(&version));
        } else {
            say_part!("{}", version.toml);
        }
        Ok(())
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        // Here first: the faults are told by the keys of the file.
        let (policy, text) = read_file(&self.file)?;
        let mut client = PolicyServiceClient::new(self.server.connect().await?);
        let request = wire::CreatePolicyRequest { source: Some(Source::Toml(text)), validate_only: false };
        client.create_policy(request).await.map_err(|status| refused(&status))?;
        say!("{} is stored", policy.version);
        if self.activate {
            activate(&self.server, policy.version).await?;
        }
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let mut client = PolicyServiceClient::new(self.server.connect().await?);
        let mut versions = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = wire::ListPoliciesRequest { page_size: 0, page_token };
            let page = client.list_policies(request).await.map_err(|status| refused(&status))?.into_inner();
            versions.extend(page.policy_versions);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        if self.json {
            say!("{:#}", Value::from(versions.iter().map(to_json).collect::<Vec<_>>()));
            return Ok(());
        }
        let mut table = Table::new(&["version", "in force", "stored", "in force since"]);
        for version in &versions {
            table.row(vec![
                version.policy.clone().unwrap_or_default().version,
                if version.active { "yes" } else { "-" }.to_owned(),
                time_text(version.create_time.as_ref()),
                time_text(version.activate_time.as_ref()),
            ]);
        }
        say_part!("{table}");
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
