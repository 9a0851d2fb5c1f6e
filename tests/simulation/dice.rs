//! Chance that a seed repeats.

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, good enough to shuffle with.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Others, that do not follow on what these roll.
    pub(super) fn another(&self) -> Self {
        Self(!self.0)
    }

    /// Others again.
    pub(super) fn apart(&self) -> Self {
        Self(self.0.rotate_left(32) ^ 0x5bd1_e995_9d1b_54a5)
    }

    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    /// One of these, if there are any.
    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let sides = u64::try_from(from.len()).ok().filter(|sides| *sides > 0)?;
        from.get(usize::try_from(self.roll(sides)).ok()?).cloned()
    }
}
