//! Which states of a disk a power cut may leave, at which moments.
//!
//! It knows changes and syncs, and the laws by which file systems store the one before or after the other; never what a
//! file is for.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test file includes this one and uses its part"
)]

use super::disk::{Change, Disk, Id, Node, Reach, Tree, What};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// What a file system promises of what was not synced. What files hold may always be missing, in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// As ext4 (`data=ordered`) and XFS do: names are stored in the order in which they were made, and any sync stores
    /// all names that were made before it. git relies on this (`core.fsyncMethod=batch`). That a file is longer is stored
    /// in the same journal, and not before what was written there: it is there only with all names that were made before.
    Journalled,
    /// Names are stored in order, but only a sync of their directory says how far: whatever git wrote may be older than
    /// what harness says of it.
    InOrder,
    /// POSIX to the letter for what harness writes itself: each name is stored or not, until its directory is synced.
    /// git's names are in order: it never syncs directories, and could not be put right otherwise.
    EachForItself,
}

pub const LAWS: [Law; 3] = [Law::Journalled, Law::InOrder, Law::EachForItself];

/// What became of a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stored,
    Missing,
    /// The first so many bytes were stored.
    Torn(usize),
    /// The file has its size, and zeros from there on.
    Zeros(usize),
}

/// What of the changes that were not stored for certain is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    All,
    Nothing,
    /// This one of them; of names in order also all later ones.
    One(usize),
    /// Of the last write a part.
    LastTorn,
    LastZeros,
    /// Whatever these dice say.
    Some(u64),
}

/// A power cut: after which line of the trace, under which law, and what was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    pub at: usize,
    pub law: Law,
    pub loss: Loss,
}

/// From where on each change is stored, under one law.
struct Stored {
    law: Law,
    since: Vec<usize>,
    /// Whether the change is stored in the order of all that are.
    is_in_order: Vec<bool>,
}

/// All power cuts that a run could have met.
pub struct Cuts<'a> {
    disk: &'a Disk,
    stored: Vec<Stored>,
    moments: Vec<usize>,
}

const NEVER: usize = usize::MAX;

impl<'a> Cuts<'a> {
    /// `own` are the directories in which harness itself writes, `journal` is the file of its records.
    pub fn new(disk: &'a Disk, own: &BTreeSet<Id>, journal: Id) -> Self {
        let stored = LAWS.map(|law| Stored::under(law, disk, own)).into();
        // Just before a sync is over most is open; a record promises most.
        let mut moments: BTreeSet<usize> = disk.syncs.iter().map(|sync| sync.end - 1).collect();
        moments.extend(disk.changes.iter().filter_map(|change| {
            let is_record = matches!(change.what, What::Bytes { node, .. } if node == journal);
            is_record.then_some(change.at)
        }));
        let moments = moments.into_iter().collect();
        Self {
            disk,
            stored,
            moments,
        }
    }

    pub fn moments(&self) -> &[usize] {
        &self.moments
    }

    /// All that may be lost at a moment: everything, nothing, each alone, the last torn, and some draws.
    pub fn at(&self, at: usize, law: Law, draws: u64) -> Vec<Cut> {
        let open = self.open(at, law).len();
        let mut losses = vec![Loss::All, Loss::Nothing, Loss::LastTorn, Loss::LastZeros];
        losses.extend((0..open).map(Loss::One));
        losses.extend((0..draws).map(|n| Loss::Some(n.wrapping_mul(31) + at as u64)));
        let cut = |loss| Cut { at, law, loss };
        losses.into_iter().map(cut).collect()
    }

    /// Any of them under one of these laws.
    pub fn drawn(&self, dice: &mut Dice, laws: &[Law]) -> Cut {
        let at = self.moments[dice.below(self.moments.len())];
        let law = laws[dice.below(laws.len())];
        let open = self.open(at, law).len();
        let loss = match dice.below(8) {
            0 => Loss::All,
            1 => Loss::LastTorn,
            2 => Loss::LastZeros,
            3 | 4 if open > 0 => Loss::One(dice.below(open)),
            3..=6 => Loss::Some(dice.0),
            _ => Loss::Nothing,
        };
        Cut { at, law, loss }
    }

    /// What is on the disk then.
    pub fn image(&self, cut: Cut) -> Tree {
        let open = self.open(cut.at, cut.law);
        let stored = self.under(cut.law);
        let mut fates = vec![Fate::Stored; self.disk.changes.len()];
        let mut dice = Dice::new(match cut.loss {
            Loss::Some(seed) => seed,
            _ => cut.at as u64,
        });
        let in_order: Vec<usize> = open
            .iter()
            .copied()
            .filter(|n| stored.is_in_order[*n])
            .collect();
        let last = open.iter().rev().find(|n| self.bytes(**n).is_some());
        match cut.loss {
            Loss::Nothing => {}
            Loss::All => open.iter().for_each(|n| fates[*n] = Fate::Missing),
            Loss::One(which) => {
                let one = open[which];
                fates[one] = Fate::Missing;
                if stored.is_in_order[one] {
                    for later in in_order.iter().filter(|n| **n > one) {
                        fates[*later] = Fate::Missing;
                    }
                }
            }
            Loss::LastTorn | Loss::LastZeros => {
                if let Some(last) = last {
                    let cut_at = dice.below(self.bytes(*last).unwrap_or(0));
                    fates[*last] = match cut.loss {
                        Loss::LastTorn => Fate::Torn(cut_at),
                        _ => Fate::Zeros(0),
                    };
                }
            }
            Loss::Some(_) => {
                let keep = dice.below(in_order.len() + 1);
                let lost = 1 + dice.below(8);
                for n in &open {
                    let is_late = in_order.iter().skip(keep).any(|late| late == n);
                    let is_free = !stored.is_in_order[*n];
                    if is_late || is_free && dice.below(8) < lost {
                        fates[*n] = match self.bytes(*n) {
                            Some(length) if length > 0 && dice.below(4) == 0 => {
                                Fate::Torn(dice.below(length))
                            }
                            Some(_) if dice.below(4) == 0 => Fate::Zeros(0),
                            _ => Fate::Missing,
                        };
                    }
                }
            }
        }
        self.built(cut, &fates)
    }

    fn built(&self, cut: Cut, fates: &[Fate]) -> Tree {
        let stored = self.under(cut.law);
        let mut tree = self.disk.beginning();
        let mut a_name_is_missing = false;
        let done = self.disk.changes.iter().zip(fates).enumerate();
        for (n, (change, fate)) in done.take_while(|(_, (change, _))| change.at <= cut.at) {
            match (fate, &change.what) {
                (Fate::Missing, _) => a_name_is_missing |= stored.is_in_order[n],
                (
                    fate,
                    What::Bytes {
                        node,
                        offset,
                        bytes,
                    },
                ) => {
                    let mut bytes = bytes.clone();
                    match *fate {
                        Fate::Torn(part) => bytes.truncate(part),
                        Fate::Zeros(part) => bytes[part..].fill(0),
                        Fate::Stored | Fate::Missing => {}
                    }
                    let (node, offset) = (*node, *offset);
                    if cut.law == Law::Journalled && a_name_is_missing {
                        // It may have been overwritten, and is no longer than it was.
                        bytes.truncate(length(&tree, node).saturating_sub(offset));
                    }
                    if bytes.is_empty() {
                        continue;
                    }
                    tree.apply(&What::Bytes {
                        node,
                        offset,
                        bytes,
                    });
                }
                (_, what) => tree.apply(what),
            }
        }
        tree
    }

    fn under(&self, law: Law) -> &Stored {
        self.stored.iter().find(|one| one.law == law).unwrap()
    }

    /// Changes that had been made then and may be missing.
    fn open(&self, at: usize, law: Law) -> Vec<usize> {
        let since = &self.under(law).since;
        let made = self
            .disk
            .changes
            .iter()
            .take_while(|change| change.at <= at);
        let numbers = made.enumerate().map(|(number, _)| number);
        numbers.filter(|number| since[*number] > at).collect()
    }

    /// How many bytes a change wrote.
    fn bytes(&self, number: usize) -> Option<usize> {
        match &self.disk.changes[number].what {
            What::Bytes { bytes, .. } => Some(bytes.len()),
            _ => None,
        }
    }
}

impl Stored {
    fn under(law: Law, disk: &Disk, own: &BTreeSet<Id>) -> Self {
        let mut since = Vec::new();
        let mut is_in_order = Vec::new();
        for change in &disk.changes {
            let first = |is_meant: &dyn Fn(&Reach) -> bool| {
                let after = disk.syncs.iter().filter(|sync| sync.begin > change.at);
                let ends = after
                    .filter(|sync| is_meant(&sync.reach))
                    .map(|sync| sync.end);
                ends.min().unwrap_or(NEVER)
            };
            let everything = first(&|reach| *reach == Reach::Everything);
            let (stored, ordered) = match &change.what {
                What::Bytes { node, .. } => (data(disk, change, *node).min(everything), false),
                // A size is stored as names are; a sync of the file stores it as well.
                What::Size { node, .. } => (data(disk, change, *node).min(everything), true),
                What::Named { lost, got, .. } => {
                    let dirs: Vec<Id> = [lost, got].into_iter().flatten().map(|n| n.0).collect();
                    let each = dirs.iter().map(|dir| first(&|r| *r == Reach::Node(*dir)));
                    let is_own = dirs.iter().all(|dir| own.contains(dir));
                    let ordered = !(law == Law::EachForItself && is_own);
                    (each.max().unwrap_or(NEVER).min(everything), ordered)
                }
            };
            let any = first(&|reach| !matches!(reach, Reach::Flushed(_)));
            let stored = match law {
                Law::Journalled if ordered => stored.min(any),
                _ => stored,
            };
            since.push(stored);
            is_in_order.push(ordered);
        }
        // What is stored in order takes all before it along.
        let mut later = NEVER;
        for (since, _) in since
            .iter_mut()
            .zip(&is_in_order)
            .rev()
            .filter(|(_, in_order)| **in_order)
        {
            later = later.min(*since);
            *since = later;
        }
        Self {
            law,
            since,
            is_in_order,
        }
    }
}

/// From when on what was written to a file is stored: a sync of it, or one by the process that gave it to the disk before.
fn data(disk: &Disk, change: &Change, node: Id) -> usize {
    let after = disk.syncs.iter().filter(|sync| sync.begin > change.at);
    let mut stored = NEVER;
    for sync in after {
        match sync.reach {
            Reach::Node(id) if id == node => stored = stored.min(sync.end),
            Reach::Flushed(id) if id == node => {
                let full = disk.syncs.iter().filter(|full| {
                    full.pid == sync.pid
                        && full.begin > sync.end
                        && matches!(full.reach, Reach::Node(_))
                });
                stored = stored.min(full.map(|full| full.end).min().unwrap_or(NEVER));
            }
            _ => {}
        }
    }
    stored
}

fn length(tree: &Tree, node: Id) -> usize {
    match &tree.0[node] {
        Node::File { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

/// What tells two images apart.
pub fn mark(tree: &Tree) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (path, node) in tree.all() {
        path.hash(&mut hasher);
        match node {
            Node::File { bytes, .. } => bytes.hash(&mut hasher),
            Node::Dir { .. } => 0.hash(&mut hasher),
            Node::Link { to } => to.hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// Draws numbers; the same from the same seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        // Not 0, from which nothing but 0 is drawn.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below this, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let drawn = (self.0 >> 11) % (end.max(1) as u64);
        usize::try_from(drawn).unwrap()
    }
}
