//! Trees of the database in a data directory.

use sled::{Db, Tree};

/// Open trees of the database.
#[derive(Clone)]
pub(super) struct Trees {
    /// Customer key to customer's value.
    pub customers: Tree,
    /// Customer key and event id to event.
    pub history: Tree,
    /// Event id to event, for events without a customer.
    pub anonymous: Tree,
    /// Customer key and decision id to decision.
    pub decisions: Tree,
    /// Customer key to cached ranking.
    pub cached_rankings: Tree,
    /// Product id to product; the order of the keys is the order of the ids.
    pub products: Tree,
    /// Generation and index to chunk of a model.
    pub models: Tree,
    pub policies: Tree,
    /// Number to activation; the order of the keys is the order in which they happened.
    pub activations: Tree,
    /// Keyed hash of a customer's id to the record of its erasure.
    pub erased: Tree,
    /// Offer id to explicit offer.
    pub offers: Tree,
    /// Offer id to the units taken of its volume.
    pub volumes: Tree,
    /// The format, the pointer to the current model, and other values of which there is one.
    pub meta: Tree,
}

/// Key of the format number in `meta`.
pub(super) const FORMAT_KEY: &str = "format";
/// Key of the pointer to the current model in `meta`.
pub(super) const MODEL_KEY: &str = "model";
/// Key of the erasure key, under which erased customers are hashed, in `meta`.
pub(super) const ERASURE_KEY_KEY: &str = "erasure_key";
/// Key of the marker of a training in progress in `meta`.
pub(super) const TRAINING_MARKER_KEY: &str = "training";
/// Key of the sweep watermark in `meta`.
pub(super) const SWEEP_WATERMARK_KEY: &str = "sweep_watermark";
/// Key of the flag in `meta` that is set while the files may contain bytes of erased customers.
pub(super) const COMPACTION_KEY: &str = "compaction_due";

const NAMES: [&str; 13] = [
    "customers",
    "history",
    "anonymous",
    "decisions",
    "cached_rankings",
    "products",
    "models",
    "policies",
    "activations",
    "erased",
    "offers",
    "volumes",
    "meta",
];

impl Trees {
    /// Opens the trees, creating those that are missing.
    pub fn open(db: &Db) -> sled::Result<Self> {
        let [
            customers,
            history,
            anonymous,
            decisions,
            cached_rankings,
            products,
            models,
            policies,
            activations,
            erased,
            offers,
            volumes,
            meta,
        ] = NAMES;
        Ok(Self {
            customers: db.open_tree(customers)?,
            history: db.open_tree(history)?,
            anonymous: db.open_tree(anonymous)?,
            decisions: db.open_tree(decisions)?,
            cached_rankings: db.open_tree(cached_rankings)?,
            products: db.open_tree(products)?,
            models: db.open_tree(models)?,
            policies: db.open_tree(policies)?,
            activations: db.open_tree(activations)?,
            erased: db.open_tree(erased)?,
            offers: db.open_tree(offers)?,
            volumes: db.open_tree(volumes)?,
            meta: db.open_tree(meta)?,
        })
    }

    /// Whether nothing was ever written to a database: it has no trees but tactful's, and all are empty.
    pub fn are_blank(db: &Db) -> sled::Result<bool> {
        for name in db.tree_names() {
            let is_known = name == "__sled__default" || NAMES.iter().any(|known| name == *known);
            if !is_known || !db.open_tree(name)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
