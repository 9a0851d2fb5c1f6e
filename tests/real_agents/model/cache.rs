//! What a service remembers of prompts: the longest beginning that it has seen before is read, not computed again.
//!
//! A token is four bytes, rounded up a block. There is neither a shortest length nor an end of time. It must never
//! know which service it stands for.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A part of a prompt that is remembered as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Without what marks it.
    pub(crate) text: String,
    /// Whether what ends here may be remembered.
    pub(crate) is_marked: bool,
}

/// Tokens of one answer, as a service counts them: each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_write += other.cache_write;
    }
}

/// Tokens of a text.
pub(crate) fn tokens(text: &str) -> u64 {
    text.len().div_ceil(4) as u64
}

/// Beginnings of prompts that were seen.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    known: HashSet<u64>,
}

impl Cache {
    /// What of this prompt is read, written and neither. `name` keeps apart what different models remember.
    pub(crate) fn take(&mut self, name: &str, blocks: &[Block]) -> Usage {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let (mut sum, mut read, mut marked) = (0, 0, 0);
        let mut new = Vec::new();
        for block in blocks {
            block.text.hash(&mut hasher);
            sum += tokens(&block.text);
            let beginning = hasher.finish();
            if self.known.contains(&beginning) {
                read = sum;
            }
            if block.is_marked {
                marked = sum;
                new.push(beginning);
            }
        }
        self.known.extend(new);
        // Nobody looks for what ends behind the last mark.
        let read = if read <= marked { read } else { 0 };
        Usage {
            input: sum - marked,
            output: 0,
            cache_read: read,
            cache_write: marked - read,
        }
    }
}
