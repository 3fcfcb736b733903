//! Boundaries of gRPC messages in the bytes of a body.

/// Length of the prefix of every message: a flag, and four bytes of length.
const PREFIX_LEN: usize = 5;

/// Incremental parser of message boundaries.
#[derive(Debug, Default)]
pub(super) struct MessageFraming {
    /// Prefix as far as it was read.
    prefix: [u8; PREFIX_LEN],
    prefix_len: usize,
    /// Bytes of the current message that are still to come.
    remaining: u64,
    /// Counted length of the current message: 0 when it is too long to be accepted.
    length: u64,
}

impl MessageFraming {
    /// Whether no message is incomplete.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.prefix_len == 0
    }

    /// Returns the length of the incomplete message, 0 without one.
    pub(super) fn incomplete_len(&self) -> u64 {
        self.length
    }

    /// Parses further bytes; returns the total length of the messages that start in them, without those longer than `len_max`.
    pub(super) fn parse(&mut self, mut bytes: &[u8], len_max: u64) -> u64 {
        let mut started = 0;
        while !bytes.is_empty() {
            if self.prefix_len < PREFIX_LEN {
                self.prefix[self.prefix_len] = bytes[0];
                self.prefix_len += 1;
                bytes = &bytes[1..];
                if self.prefix_len == PREFIX_LEN {
                    let [_flag, length @ ..] = self.prefix;
                    self.remaining = u32::from_be_bytes(length).into();
                    self.length = if self.remaining <= len_max { self.remaining } else { 0 };
                    started += self.length;
                }
            } else {
                let len = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len());
                self.remaining -= len as u64;
                bytes = &bytes[len..];
            }
            if self.prefix_len == PREFIX_LEN && self.remaining == 0 {
                self.prefix_len = 0;
                self.length = 0;
            }
        }
        started
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by: a boundary that is found a byte early or late, wherever frames split the messages.
    #[test]
    fn boundaries_are_found_wherever_frames_split_messages() {
        let bytes = [[0, 0, 0, 0, 3].as_slice(), &[7; 3], &[0; 5], &[0, 0, 0, 1, 0], &[7; 256]].concat();
        let ends = [8, 13, bytes.len()];
        for split in 1..bytes.len() {
            let mut framing = MessageFraming::default();
            let started = framing.parse(&bytes[..split], u64::MAX);
            assert_eq!(framing.is_at_boundary(), ends.contains(&split), "after {split} bytes");
            assert_eq!(started + framing.parse(&bytes[split..], u64::MAX), 3 + 256);
            assert!(framing.is_at_boundary());
        }
    }
}
