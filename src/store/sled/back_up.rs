//! Online backup: sends all records while the store serves commits. Restoring enters them into an empty store.
//!
//! A backup reads a customer, then its history and decisions, then the customer again: if the version is unchanged, nothing
//! was committed in between, and the records read are exactly those that this version includes. A customer whose version
//! changes at every attempt is read under its exclusive lock, for which its commits wait.
//!
//! Volumes are read after all customers, and the units released meanwhile are added: a grant that was sent with its customer
//! took its unit earlier, and is counted even if the unit has been released since. So a restored store may waste some units of
//! a volume, but never grants one too many.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sled::Tree;
use tokio::sync::mpsc;

use super::engine::SledEngine;
use super::releases::ReleaseWatch;
use super::scan::blocking;
use super::trees::{ERASURE_KEY_KEY, MODEL_KEY, SWEEP_WATERMARK_KEY};
use crate::domain::explicit_offer::Volume;
use crate::domain::ids::OfferId;
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::codec::customer::CustomerValue;
use crate::store::codec::erasure::{decode_erasure, encode_erasure};
use crate::store::codec::explicit_offer::encode_volume;
use crate::store::codec::outbox::{Outbox, OutboxItem};
use crate::store::contract::error::StoreError;
use crate::store::keys::customer_key;

/// Number of records, or of customers with all their records, read at once.
const PAGE_LEN: usize = 128;
/// Number of bytes collected before a page is sent.
const PAGE_BYTES: usize = 64 * 1024;
/// Maximum number of times a customer is read without a lock.
const UNLOCKED_READS_MAX: usize = 8;

/// Condition that stops a backup before all records are sent.
enum BackupInterruption {
    /// The caller has dropped the receiver, which cancels the backup.
    ReceiverDropped,
    Failed(StoreError),
}

impl From<StoreError> for BackupInterruption {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Collects records into pages and sends them.
struct PageSender {
    pages: mpsc::Sender<Vec<BackupRecord>>,
    buffered: Vec<BackupRecord>,
    bytes: usize,
}

impl PageSender {
    async fn add(&mut self, records: impl IntoIterator<Item = BackupRecord>) -> Result<(), BackupInterruption> {
        for record in records {
            self.bytes += record.len();
            self.buffered.push(record);
            if self.bytes >= PAGE_BYTES {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), BackupInterruption> {
        self.bytes = 0;
        self.pages.send(std::mem::take(&mut self.buffered)).await.map_err(|_| BackupInterruption::ReceiverDropped)
    }
}

impl SledEngine {
    /// Sends all records except cached rankings.
    pub async fn back_up(self: &Arc<Self>, pages: mpsc::Sender<Vec<BackupRecord>>) -> Result<(), StoreError> {
        let releases = self.releases.watch();
        let mut page_sender = PageSender { pages, buffered: Vec::new(), bytes: 0 };
        match self.send_all(&mut page_sender, &releases).await {
            Ok(()) | Err(BackupInterruption::ReceiverDropped) => Ok(()),
            Err(BackupInterruption::Failed(error)) => Err(error),
        }
    }

    async fn send_all(
        self: &Arc<Self>,
        page_sender: &mut PageSender,
        releases: &ReleaseWatch<'_>,
    ) -> Result<(), BackupInterruption> {
        // First, because a store that keys its records with the hash needs it before them.
        let key = self.erasure_key()?.bytes().to_vec();
        page_sender.add([BackupRecord { kind: RecordKind::ErasureKey, key: Vec::new(), value: key }]).await?;
        // Activations are read before policies, because a policy is stored before it is activated.
        let trees = [
            (RecordKind::Activation, &self.trees.activations),
            (RecordKind::Policy, &self.trees.policies),
            (RecordKind::Product, &self.trees.products),
            (RecordKind::ExplicitOffer, &self.trees.offers),
            (RecordKind::AnonymousEvent, &self.trees.anonymous),
        ];
        for (kind, tree) in trees {
            self.send_tree(page_sender, kind, tree).await?;
        }
        self.send_model(page_sender).await?;
        self.send_customers(page_sender).await?;
        let volumes = self.load_volumes().await?;
        page_sender.add(with_releases(volumes, releases.so_far())?).await?;
        self.send_tree(page_sender, RecordKind::Erasure, &self.trees.erased).await?;
        // Read after all events: what the sweep removed meanwhile is missing in the backup.
        if let Some(value) = self.check(self.trees.meta.get(SWEEP_WATERMARK_KEY))? {
            let record = BackupRecord { kind: RecordKind::SweepWatermark, key: Vec::new(), value: value.to_vec() };
            page_sender.add([record]).await?;
        }
        page_sender.send().await
    }

    /// Sends all records of a tree unchanged.
    async fn send_tree(
        self: &Arc<Self>,
        page_sender: &mut PageSender,
        kind: RecordKind,
        tree: &Tree,
    ) -> Result<(), BackupInterruption> {
        let mut last = None;
        loop {
            let tree = tree.clone();
            let page = blocking(self, move |engine| engine.page(&tree, last.as_ref(), PAGE_LEN)).await?;
            last = page.last_key();
            if last.is_none() {
                return Ok(());
            }
            let records = page.records.into_iter();
            page_sender
                .add(records.map(|(key, value)| BackupRecord { kind, key: key.to_vec(), value: value.to_vec() }))
                .await?;
        }
    }

    /// Sends the current model, which is read as a whole under the lock: the next training removes its chunks.
    async fn send_model(self: &Arc<Self>, page_sender: &mut PageSender) -> Result<(), BackupInterruption> {
        let records = {
            let _lock = self.model_lock.lock().await;
            blocking(self, Self::model_records).await?
        };
        page_sender.add(records).await
    }

    async fn send_customers(self: &Arc<Self>, page_sender: &mut PageSender) -> Result<(), BackupInterruption> {
        let mut last = None;
        loop {
            let tree = self.trees.customers.clone();
            let read = move |engine: &Self| {
                let page = engine.page(&tree, last.as_ref(), PAGE_LEN)?;
                let mut records = Vec::new();
                let mut changing = Vec::new();
                for (key, _) in &page.records {
                    match (0..UNLOCKED_READS_MAX).find_map(|_| engine.customer_records(key).transpose()).transpose()? {
                        Some(found) => records.extend(found),
                        None => changing.push(key.clone()),
                    }
                }
                Ok((page.last_key(), records, changing))
            };
            let (next, records, changing) = blocking(self, read).await?;
            page_sender.add(records).await?;
            for key in changing {
                let _lock = self.customer_locks.exclusive(&key).await;
                let records = blocking(self, move |engine| engine.customer_records(&key)).await?;
                page_sender.add(records.unwrap_or_default()).await?;
            }
            if next.is_none() {
                return Ok(());
            }
            last = next;
        }
    }

    /// Reads a customer with its history and decisions, and those of all its ids; `None` when a commit changed it meanwhile.
    /// An alias is read with its customer, whose commits append its events.
    fn customer_records(&self, key: &[u8]) -> Result<Option<Vec<BackupRecord>>, StoreError> {
        // Erased since the page was read.
        let Some(bytes) = self.check(self.trees.customers.get(key))? else { return Ok(Some(Vec::new())) };
        let value = CustomerValue::parse(&bytes)?;
        let merge = value.merge_state()?;
        if merge.alias_of().is_some() {
            return Ok(Some(Vec::new()));
        }
        let mut records = BTreeMap::new();
        let member_keys: Vec<Vec<u8>> = merge.members.iter().map(customer_key).collect();
        for member in &member_keys {
            if let Some(bytes) = self.check(self.trees.customers.get(member))? {
                let alias = CustomerValue::parse(&bytes)?.with_outbox(&Outbox::default())?;
                records.insert((RecordKind::Customer, member.clone()), alias);
            }
        }
        for key in member_keys.iter().map(Vec::as_slice).chain([key]) {
            for (kind, tree) in
                [(RecordKind::Event, &self.trees.history), (RecordKind::Decision, &self.trees.decisions)]
            {
                for record in tree.scan_prefix(key) {
                    let (key, value) = self.check(record)?;
                    records.insert((kind, key.to_vec()), value.to_vec());
                }
            }
        }
        for entry in &value.outbox.0 {
            let (kind, bytes) = match &entry.item {
                OutboxItem::Event(bytes) => (RecordKind::Event, bytes),
                OutboxItem::Decision(bytes) => (RecordKind::Decision, bytes),
            };
            let (_, copy_key) = self.copy_target(key, entry)?;
            records.entry((kind, copy_key)).or_insert_with(|| bytes.clone());
        }
        let after = self.check(self.trees.customers.get(key))?;
        let version = after.map(|bytes| CustomerValue::parse(&bytes).map(|value| value.version)).transpose()?;
        if version != Some(value.version) {
            return Ok(None);
        }
        let customer = value.with_outbox(&Outbox::default())?;
        let customer = BackupRecord { kind: RecordKind::Customer, key: key.to_vec(), value: customer };
        let others = records.into_iter().map(|((kind, key), value)| BackupRecord { kind, key, value });
        Ok(Some(std::iter::once(customer).chain(others).collect()))
    }

    /// Sends the erasure key, and the hashes of the erased customers.
    /// Inserts records into their trees. Erasures are inserted as unfinished, so that opening the store removes a customer
    /// that was erased after it was sent, or after the backup.
    pub fn insert_records(&self, records: &[BackupRecord]) -> Result<(), StoreError> {
        let _write = self.committer.begin_write();
        let Self { trees, counters, .. } = self;
        for BackupRecord { kind, key, value } in records {
            let (tree, key, counter) = match kind {
                RecordKind::Customer => (&trees.customers, &key[..], Some(&counters.customers)),
                RecordKind::Event => (&trees.history, &key[..], Some(&counters.events)),
                RecordKind::AnonymousEvent => (&trees.anonymous, &key[..], Some(&counters.events)),
                RecordKind::Decision => (&trees.decisions, &key[..], Some(&counters.decisions)),
                RecordKind::Product => (&trees.products, &key[..], Some(&counters.products)),
                RecordKind::ExplicitOffer => (&trees.offers, &key[..], None),
                RecordKind::Volume => (&trees.volumes, &key[..], None),
                RecordKind::Policy => (&trees.policies, &key[..], None),
                RecordKind::Activation => (&trees.activations, &key[..], None),
                RecordKind::ModelChunk => (&trees.models, &key[..], None),
                RecordKind::ModelPointer => (&trees.meta, MODEL_KEY.as_bytes(), None),
                RecordKind::ErasureKey => (&trees.meta, ERASURE_KEY_KEY.as_bytes(), None),
                RecordKind::Erasure => (&trees.erased, &key[..], None),
                RecordKind::SweepWatermark => (&trees.meta, SWEEP_WATERMARK_KEY.as_bytes(), None),
            };
            let unfinished = (*kind == RecordKind::Erasure).then(|| encode_erasure(&decode_erasure(value)?.0, false));
            let unfinished = unfinished.transpose()?;
            let value = unfinished.as_deref().unwrap_or(value);
            let before = self.check(tree.insert(key, value))?;
            if let Some(counter) = counter {
                counter.add_if(before.is_none());
            }
        }
        Ok(())
    }
}

/// Returns the records of volumes, with the released units counted as settled.
fn with_releases(
    volumes: Vec<(OfferId, Volume)>,
    releases: HashMap<OfferId, u64>,
) -> Result<Vec<BackupRecord>, StoreError> {
    let mut volumes: BTreeMap<OfferId, Volume> = volumes.into_iter().collect();
    for (offer, released) in releases {
        volumes.entry(offer).or_default().settled += released;
    }
    let record = |(offer, volume): (OfferId, Volume)| {
        let key = offer.as_str().as_bytes().to_vec();
        Ok(BackupRecord { kind: RecordKind::Volume, key, value: encode_volume(&volume)? })
    };
    volumes.into_iter().map(record).collect()
}
