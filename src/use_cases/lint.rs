//! Lints policy, catalogue and explicit offers: valid settings that are probably a mistake.
//!
//! Findings are warnings: nothing is refused because of them.

use std::sync::Arc;

use super::app::App;
use super::channel_usage::{UsedChannel, load_channel_usage};
use crate::decision::explicit_offer_index::ExplicitOfferIndex;
use crate::decision::lint::LintContext;
use crate::domain::catalog::Catalog;
use crate::domain::ids::ProductId;
use crate::domain::lint_finding::LintFinding;
use crate::domain::policy::Policy;
use crate::domain::product::Product;
use crate::store::contract::error::StoreError;

/// Maximum number of products that are linted after an import.
pub const LINTED_PRODUCTS_MAX: usize = 10_000;

/// Lints a policy against the catalogue and the explicit offers in use.
pub async fn lint_policy(app: &App, policy: &Policy) -> Result<Vec<LintFinding>, StoreError> {
    let offers = app.offers_under(policy).await?;
    Ok(run(Arc::new(policy.clone()), app.catalog(), offers, |context| context.of_policy()).await)
}

/// Lints a policy as [`lint_policy`] does, and against the opt-outs of all customers, which it reads.
pub async fn lint_new_policy(app: &App, policy: &Policy) -> Result<Vec<LintFinding>, StoreError> {
    let unresolved = load_channel_usage(app).await?.unresolved_opt_outs(policy);
    let unresolved = unresolved
        .into_iter()
        .map(|UsedChannel { channel, customers }| LintFinding::UnresolvedOptOut { channel, customers });
    let mut findings: Vec<LintFinding> = unresolved.collect();
    findings.extend(lint_policy(app, policy).await?);
    Ok(findings)
}

/// Lints some products, their ladders and their explicit offers under the policy in force.
pub async fn lint_products(app: &App, products: Vec<ProductId>) -> Vec<LintFinding> {
    let (policy, catalog, offers) = in_use(app);
    run(policy, catalog, offers, move |context| context.of_products(&products)).await
}

/// Lints the explicit offers of some products under the policy in force.
pub async fn lint_offers(app: &App, products: Vec<ProductId>) -> Vec<LintFinding> {
    let (policy, catalog, offers) = in_use(app);
    run(policy, catalog, offers, move |context| {
        products.iter().flat_map(|product| context.of_offers(product)).collect()
    })
    .await
}

/// Lints a policy and the products of a file, without a server.
pub fn lint_files(policy: &Policy, products: Vec<Product>) -> Vec<LintFinding> {
    let catalog = Catalog::new(products);
    LintContext { policy, catalog: &catalog, offers: &ExplicitOfferIndex::default() }.all()
}

/// Everything in use, of one snapshot.
fn in_use(app: &App) -> (Arc<Policy>, Arc<Catalog>, Arc<ExplicitOfferIndex>) {
    let snapshot = app.snapshot();
    (Arc::clone(&snapshot.policy), Arc::clone(snapshot.catalog()), Arc::clone(&snapshot.offers))
}

/// Lints on the blocking pool: a catalogue may have a million products.
async fn run(
    policy: Arc<Policy>,
    catalog: Arc<Catalog>,
    offers: Arc<ExplicitOfferIndex>,
    lint: impl FnOnce(LintContext<'_>) -> Vec<LintFinding> + Send + 'static,
) -> Vec<LintFinding> {
    let linted =
        tokio::task::spawn_blocking(move || lint(LintContext { policy: &policy, catalog: &catalog, offers: &offers }));
    linted.await.unwrap_or_else(|error| {
        tracing::error!(%error, "lint failed");
        Vec::new()
    })
}
