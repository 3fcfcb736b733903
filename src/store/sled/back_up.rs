//! Backs the store up while it goes on.
//!
//! A customer is read, then its history and decisions, then the customer again: with the version it had before, nothing was
//! committed in between, so what was read is what that version has counted. A customer who never stays the same is read while
//! its commits wait.
//!
//! Volumes are read after all customers, and what was given back meanwhile is added: a grant that was sent with a customer was
//! taken before, and counts even when it was given back since. So a restored store may waste some of a volume, and never grants
//! one too many.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sled::Tree;
use tokio::sync::mpsc;

use super::engine::SledEngine;
use super::releases::ReleaseWatch;
use super::scan::blocking;
use super::trees::{ERASURE_KEY_KEY, MODEL_KEY};
use crate::domain::explicit_offer::Volume;
use crate::domain::ids::OfferId;
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::codec::customer::CustomerValue;
use crate::store::codec::erasure::{decode_erasure, encode_erasure};
use crate::store::codec::explicit_offer::encode_volume;
use crate::store::codec::outbox::{Outbox, OutboxItem};
use crate::store::contract::error::StoreError;

/// Records, or customers with all of theirs, read at once.
const PAGE_LEN: usize = 128;
/// How many bytes are collected before they are sent.
const PAGE_BYTES: usize = 64 * 1024;
/// How often a customer is read before its commits are made to wait.
const READINGS_MAX: usize = 8;

/// Why a backup ends before all is sent.
enum BackupEnd {
    ReceiverGone,
    Failed(StoreError),
}

impl From<StoreError> for BackupEnd {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Collects records into pages and sends them.
struct PageSender {
    receiver: mpsc::Sender<Vec<BackupRecord>>,
    waiting: Vec<BackupRecord>,
    bytes: usize,
}

impl PageSender {
    async fn add(&mut self, records: impl IntoIterator<Item = BackupRecord>) -> Result<(), BackupEnd> {
        for record in records {
            self.bytes += record.len();
            self.waiting.push(record);
            if self.bytes >= PAGE_BYTES {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), BackupEnd> {
        self.bytes = 0;
        self.receiver.send(std::mem::take(&mut self.waiting)).await.map_err(|_| BackupEnd::ReceiverGone)
    }
}

impl SledEngine {
    /// Sends everything but what was prepared for customers.
    pub async fn back_up(self: &Arc<Self>, receiver: mpsc::Sender<Vec<BackupRecord>>) -> Result<(), StoreError> {
        let releases = self.releases.watch();
        let mut page_sender = PageSender { receiver, waiting: Vec::new(), bytes: 0 };
        match self.send_all(&mut page_sender, &releases).await {
            Ok(()) | Err(BackupEnd::ReceiverGone) => Ok(()),
            Err(BackupEnd::Failed(error)) => Err(error),
        }
    }

    async fn send_all(
        self: &Arc<Self>,
        page_sender: &mut PageSender,
        releases: &ReleaseWatch<'_>,
    ) -> Result<(), BackupEnd> {
        // Activations before policies: each comes into force after it was made.
        let plain = [
            (RecordKind::Activation, &self.trees.activations),
            (RecordKind::Policy, &self.trees.policies),
            (RecordKind::Product, &self.trees.products),
            (RecordKind::ExplicitOffer, &self.trees.offers),
            (RecordKind::AnonymousEvent, &self.trees.anonymous),
        ];
        for (kind, tree) in plain {
            self.send_tree(page_sender, kind, tree).await?;
        }
        self.send_model(page_sender).await?;
        self.send_customers(page_sender).await?;
        let volumes = self.load_volumes().await?;
        page_sender.add(with_releases(volumes, releases.so_far())?).await?;
        self.send_erasures(page_sender).await?;
        page_sender.send().await
    }

    /// Sends a tree as it is.
    async fn send_tree(
        self: &Arc<Self>,
        page_sender: &mut PageSender,
        kind: RecordKind,
        tree: &Tree,
    ) -> Result<(), BackupEnd> {
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

    /// Sends the current model. Read at once, because the next training removes parts of it.
    async fn send_model(self: &Arc<Self>, page_sender: &mut PageSender) -> Result<(), BackupEnd> {
        let records = {
            let _lock = self.model_lock.lock().await;
            blocking(self, Self::model_records).await?
        };
        page_sender.add(records).await
    }

    async fn send_customers(self: &Arc<Self>, page_sender: &mut PageSender) -> Result<(), BackupEnd> {
        let mut last = None;
        loop {
            let tree = self.trees.customers.clone();
            let read = move |engine: &Self| {
                let page = engine.page(&tree, last.as_ref(), PAGE_LEN)?;
                let mut records = Vec::new();
                let mut restless = Vec::new();
                for (key, _) in &page.records {
                    match (0..READINGS_MAX).find_map(|_| engine.customer_records(key).transpose()).transpose()? {
                        Some(found) => records.extend(found),
                        None => restless.push(key.clone()),
                    }
                }
                Ok((page.last_key(), records, restless))
            };
            let (next, records, restless) = blocking(self, read).await?;
            page_sender.add(records).await?;
            for key in restless {
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

    /// A customer with history and decisions; `None` when it was committed meanwhile.
    fn customer_records(&self, key: &[u8]) -> Result<Option<Vec<BackupRecord>>, StoreError> {
        // Erased since the page was read.
        let Some(bytes) = self.healthy(self.trees.customers.get(key))? else { return Ok(Some(Vec::new())) };
        let value = CustomerValue::parse(&bytes)?;
        let mut records = BTreeMap::new();
        for (kind, tree) in [(RecordKind::Event, &self.trees.history), (RecordKind::Decision, &self.trees.decisions)] {
            for record in tree.scan_prefix(key) {
                let (key, value) = self.healthy(record)?;
                records.insert((kind, key.to_vec()), value.to_vec());
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
        let after = self.healthy(self.trees.customers.get(key))?;
        let version = after.map(|bytes| CustomerValue::parse(&bytes).map(|value| value.version)).transpose()?;
        if version != Some(value.version) {
            return Ok(None);
        }
        let customer = value.with_outbox(&Outbox::default())?;
        let customer = BackupRecord { kind: RecordKind::Customer, key: key.to_vec(), value: customer };
        let others = records.into_iter().map(|((kind, key), value)| BackupRecord { kind, key, value });
        Ok(Some(std::iter::once(customer).chain(others).collect()))
    }

    /// Sends the key under which erased customers are hashed, and who was.
    async fn send_erasures(self: &Arc<Self>, page_sender: &mut PageSender) -> Result<(), BackupEnd> {
        if let Some(key) = self.healthy(self.trees.meta.get(ERASURE_KEY_KEY))? {
            let record = BackupRecord { kind: RecordKind::ErasureKey, key: Vec::new(), value: key.to_vec() };
            page_sender.add([record]).await?;
        }
        self.send_tree(page_sender, RecordKind::Erasure, &self.trees.erased).await
    }

    /// Enters records into their trees. Erasures as unfinished: whoever was sent before it was erased, or was erased after the
    /// backup, is removed when the store is opened.
    pub fn enter_records(&self, records: &[BackupRecord]) -> Result<(), StoreError> {
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
            };
            let unfinished = (*kind == RecordKind::Erasure).then(|| encode_erasure(&decode_erasure(value)?.0, false));
            let unfinished = unfinished.transpose()?;
            let value = unfinished.as_deref().unwrap_or(value);
            let before = self.healthy(tree.insert(key, value))?;
            if let Some(counter) = counter {
                counter.add_if(before.is_none());
            }
        }
        Ok(())
    }
}

/// Volumes, and what was given back of them.
fn with_releases(
    volumes: Vec<(OfferId, Volume)>,
    releases: HashMap<OfferId, u64>,
) -> Result<Vec<BackupRecord>, StoreError> {
    let mut volumes: BTreeMap<OfferId, Volume> = volumes.into_iter().collect();
    for (offer, given_back) in releases {
        volumes.entry(offer).or_default().settled += given_back;
    }
    let record = |(offer, volume): (OfferId, Volume)| {
        let key = offer.as_str().as_bytes().to_vec();
        Ok(BackupRecord { kind: RecordKind::Volume, key, value: encode_volume(&volume)? })
    };
    volumes.into_iter().map(record).collect()
}
