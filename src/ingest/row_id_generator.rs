//! Ids for events without one: derived from the row, so that importing a file twice gives the same events.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::raw_row::RawRow;
use crate::domain::ids::EventId;

/// Generator of ids that counts the occurrences of each row, because exact repeats are real: two items scanned one by one.
///
/// Needs about 10 to 20 bytes of memory for each row of a file. Rows are distinguished by 64 bits of their hash; on a collision
/// one row gets a higher occurrence number, which still gives it a unique id.
#[derive(Debug, Default)]
pub(super) struct RowIdGenerator {
    seen: HashSet<u64>,
    repeats: HashMap<u64, u64>,
}

impl RowIdGenerator {
    /// Generates the id of a row: the first 128 bits of the SHA-256 of its raw fields and its occurrence number in the file.
    pub fn generate(&mut self, row: &RawRow) -> EventId {
        let mut hash = Sha256::new();
        row.hash_into(&mut hash);
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
    use super::super::raw_row::RawCells;
    use super::*;

    fn row(cells: &[&str]) -> RawRow {
        let mut row = RawRow::default();
        let mut ends = Vec::new();
        for cell in cells {
            row.text.push_str(cell);
            ends.push(row.text.len());
        }
        row.content = RawCells::Ends(ends);
        row
    }

    #[test]
    fn repeats_get_ids_of_their_own_and_a_second_reading_gives_the_same() {
        let rows = [row(&["a", "b"]), row(&["a", "b"]), row(&["ab", ""]), row(&["a", "b"])];
        let read = || {
            let mut ids = RowIdGenerator::default();
            rows.iter().map(|row| ids.generate(row)).collect::<Vec<EventId>>()
        };
        let ids = read();
        assert_eq!(ids, read());
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 4);
    }
}
