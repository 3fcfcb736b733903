//! Ids for events that have none: made from the row, so that the same file read twice gives the same events.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::cells::RawRow;
use crate::domain::ids::EventId;

/// Counts how often each row came, since exact repeats are real: two of the same thing, scanned one by one.
///
/// Costs about 10 to 20 bytes of memory for each row of one file. Rows are told apart by 64 bits of their hash; should
/// two ever agree by chance, one gets a higher occurrence number, which is an id of its own all the same.
#[derive(Debug, Default)]
pub(super) struct RowIds {
    seen: HashSet<u64>,
    repeats: HashMap<u64, u64>,
}

impl RowIds {
    /// The id of the row: SHA-256 of its raw fields and its occurrence number in the file, the first 128 bits.
    pub fn id(&mut self, row: &RawRow) -> EventId {
        let mut hash = Sha256::new();
        row.add_to(&mut hash);
        let occurrence = self.count(first_bits(&hash.clone().finalize()));
        hash.update(occurrence.to_le_bytes());
        let digest = hash.finalize();
        let bits = (u128::from(first_bits(&digest)) << 64) | u128::from(first_bits(&digest[8..]));
        EventId::new(format!("row-{bits:032x}")).expect("36 letters and digits are an id")
    }

    fn count(&mut self, key: u64) -> u64 {
        if self.seen.insert(key) {
            return 1;
        }
        let count = self.repeats.entry(key).or_insert(1);
        *count += 1;
        *count
    }
}

fn first_bits(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |bits, &byte| (bits << 8) | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::super::cells::Content;
    use super::*;

    fn row(cells: &[&str]) -> RawRow {
        let mut row = RawRow::default();
        let mut ends = Vec::new();
        for cell in cells {
            row.text.push_str(cell);
            ends.push(row.text.len());
        }
        row.content = Content::Ends(ends);
        row
    }

    #[test]
    fn repeats_get_ids_of_their_own_and_a_second_reading_gives_the_same() {
        let rows = [row(&["a", "b"]), row(&["a", "b"]), row(&["ab", ""]), row(&["a", "b"])];
        let read = || {
            let mut ids = RowIds::default();
            rows.iter().map(|row| ids.id(row)).collect::<Vec<EventId>>()
        };
        let ids = read();
        assert_eq!(ids, read());
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 4);
    }
}
