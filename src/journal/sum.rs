//! A sum of bytes, taken as they come: it tells the journal that was read from one that only looks like it.
//!
//! It is not meant to stop a forger, and nothing that is written for ever depends on it: other than the lines' own
//! checksums, it may change with the program. This file never knows whose bytes they are.

use serde::{Deserialize, Serialize};

const LANES: usize = 4;
const WORD: usize = 8;
const BLOCK: usize = LANES * WORD;
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

/// Four words at a time: it is taken of all of the journal at every look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sum {
    lanes: [u64; LANES],
    /// Bytes that are no whole block yet.
    rest: [u8; BLOCK],
    length: u64,
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            lanes: [1, 2, 3, 4],
            rest: [0; BLOCK],
            length: 0,
        }
    }
}

impl Sum {
    /// Of these bytes alone.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut sum = Self::default();
        sum.add(bytes);
        sum
    }

    /// How many bytes it was taken of.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Takes in what comes next.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        let waiting = usize::try_from(self.length % BLOCK as u64).unwrap_or_default();
        self.length += bytes.len() as u64;
        if waiting > 0 {
            let (first, others) = bytes.split_at(bytes.len().min(BLOCK - waiting));
            self.rest[waiting..waiting + first.len()].copy_from_slice(first);
            if waiting + first.len() < BLOCK {
                return;
            }
            let whole = std::mem::take(&mut self.rest);
            self.mix(&whole);
            bytes = others;
        }
        let (blocks, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOCK);
        self.mix(blocks);
        self.rest[..rest.len()].copy_from_slice(rest);
    }

    /// Takes in whole blocks.
    fn mix(&mut self, blocks: &[u8]) {
        let mut lanes = self.lanes;
        for words in blocks.chunks_exact(BLOCK) {
            for (lane, word) in lanes.iter_mut().zip(words.chunks_exact(WORD)) {
                let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
                *lane = (*lane ^ word).wrapping_mul(PRIME).rotate_left(29);
            }
        }
        self.lanes = lanes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_however_the_bytes_come() {
        let bytes: Vec<u8> = (0..1_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for length in [0, 1, 31, 32, 33, 64, 999, 1_000] {
            let whole = Sum::of(&bytes[..length]);
            assert_eq!(whole.length(), length as u64);
            for step in [1, 5, 31, 32, 33, 100] {
                let mut sum = Sum::default();
                bytes[..length].chunks(step).for_each(|part| sum.add(part));
                assert_eq!(sum, whole, "{length} bytes, {step} at a time");
            }
        }
    }

    #[test]
    fn every_byte_counts_and_so_does_their_number() {
        let bytes = [0_u8; 70];
        let sum = Sum::of(&bytes);
        for at in 0..bytes.len() {
            let mut other = bytes;
            other[at] = 1;
            assert_ne!(Sum::of(&other), sum, "byte {at}");
            assert_ne!(Sum::of(&bytes[..at]), sum, "{at} bytes");
        }
    }
}
