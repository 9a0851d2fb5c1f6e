//! Where harness left its own refs, as far as it is known: a record in memory, for [`guarded`](super::guarded) to compare.
//!
//! A night leaves thousands of refs that nobody touches any more. So nothing here is done for each of them at a look, only
//! for those that changed or that something is known of since. This file never reads or moves a ref.

use super::guarded::MovedRef;
use super::loose::{Reader, Refs, Value};
use super::pins::KEPT;
use super::repo::{RefEdit, branch_of};
use crate::model::{Oid, Slug};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Where harness's own refs are, and the branches of features.
pub(super) const OURS: &str = "refs/harness/";
pub(super) const BRANCHES: &str = "refs/heads/harness/";

/// The record of one repository; empty until it is begun.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    moving: RwLock<()>,
    book: Mutex<Option<Book>>,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    /// Whether nobody has looked yet.
    pub(super) is_new: bool,
    pub(super) reader: Reader,
    /// Where harness left refs that are its own, as far as they were not seen there at the last look; `None`: nowhere. All
    /// others are where they were seen, so that thousands of names are not kept twice.
    since: BTreeMap<String, Option<Oid>>,
    /// Branches of features that others may move now.
    free: BTreeMap<String, Free>,
    features: BTreeSet<Slug>,
    /// Refs that are to be compared at the next look, though they look as they did at the last.
    due: BTreeSet<String>,
    /// Whether that is all of them, since more of them may be harness's now.
    all_due: bool,
    /// How many refs that nobody moves any more could not be packed.
    pub(super) unpacked: usize,
    /// All refs as they were last seen, and the main checkout's HEAD.
    pub(super) seen: Refs,
    pub(super) head: String,
    /// What was put back between two looks.
    pub(super) found: Vec<MovedRef>,
}

/// Why a branch is not held to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Free {
    /// Its agent is at work.
    Lent,
    /// It has landed or was given up: it is for a person.
    Left,
    /// Where it stands is not known; it counts from when it is looked at.
    Unknown,
}

/// A ref of ours, where it should be, and what is there.
pub(super) struct Displaced {
    pub(super) name: String,
    pub(super) known: Option<Oid>,
    pub(super) stands: Option<Value>,
}

impl Ledger {
    /// Begins anew, with nothing known.
    pub(super) fn begin(&self) {
        let _still = self.still();
        let is_new = true;
        *self.book() = Some(Book {
            is_new,
            ..Book::default()
        });
    }

    /// To be held while refs of ours are moved and noted.
    pub(super) fn moving(&self) -> RwLockReadGuard<'_, ()> {
        self.moving.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while what is noted is compared with what stands.
    pub(super) fn still(&self) -> RwLockWriteGuard<'_, ()> {
        self.moving.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known; nothing until it is begun.
    pub(super) fn book(&self) -> MutexGuard<'_, Option<Book>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These edits were made.
    pub(super) fn note(&self, edits: &[RefEdit<'_>]) {
        if let Some(book) = &mut *self.book() {
            for edit in edits {
                match edit {
                    RefEdit::Set(name, to) | RefEdit::Move(name, _, to) => book.note(name, to),
                    RefEdit::Delete(name, _) => book.forget(name),
                }
            }
        }
    }

    /// One ref was set.
    pub(super) fn note_set(&self, name: &str, to: &Oid) {
        if let Some(book) = &mut *self.book() {
            book.note(name, to);
        }
    }

    /// Nobody knows whether these edits were made.
    pub(super) fn doubt(&self, edits: &[RefEdit<'_>]) {
        if let Some(book) = &mut *self.book() {
            for edit in edits {
                let (RefEdit::Set(name, _) | RefEdit::Move(name, ..) | RefEdit::Delete(name, _)) =
                    edit;
                if !book.free.contains_key(*name) {
                    book.set_free(*name, Free::Unknown);
                }
            }
        }
    }
}

impl Book {
    /// Takes all refs as they stand.
    pub(super) fn open(&mut self, now: Refs, head: String) {
        self.since.clear();
        self.free.retain(|_, why| *why != Free::Unknown);
        self.seen = now;
        self.head = head;
    }

    /// Where harness left a ref; `None` if that is nowhere, or if it is none of its own.
    pub(super) fn known(&self, name: &str) -> Option<Oid> {
        let seen = || match self.seen.get(name) {
            Some(Value::At(oid)) if may_be_ours(name) => Some(oid),
            _ => None,
        };
        self.since.get(name).cloned().unwrap_or_else(seen)
    }

    /// Harness has deleted a ref, or no longer knows where it should be.
    pub(super) fn forget(&mut self, name: &str) {
        if may_be_ours(name) {
            self.since.insert(name.to_owned(), None);
        }
    }

    /// Harness has set a ref.
    pub(super) fn note(&mut self, name: &str, to: &Oid) {
        if may_be_ours(name) {
            self.since.insert(name.to_owned(), Some(to.clone()));
            self.due.insert(name.to_owned());
            // What harness itself has set it to is known: of a feature whose agent has ended, by its snapshot.
            if self.free.get(name).is_some_and(|why| *why != Free::Left) {
                self.free.remove(name);
            }
        }
    }

    /// There is this feature.
    pub(super) fn expect(&mut self, slug: &Slug) {
        if self.features.insert(slug.clone()) {
            let name = branch_of(slug);
            if !self.free.contains_key(&name) {
                self.set_free(name, Free::Unknown);
            }
            self.all_due = true;
        }
    }

    /// The feature's agent begins to work on its branch.
    pub(super) fn lend(&mut self, slug: &Slug) {
        self.set_free(branch_of(slug), Free::Lent);
    }

    /// The feature's agent has ended.
    pub(super) fn take_back(&mut self, slug: &Slug) {
        let name = branch_of(slug);
        if self.free.get(&name) == Some(&Free::Lent) {
            // Of the snapshot harness would know; without one it counts as it stands at the next look.
            self.set_free(name, Free::Unknown);
        }
    }

    /// Whether the feature's branch is for a person now, or harness's again.
    pub(super) fn leave(&mut self, slug: &Slug, to_a_person: bool) {
        let name = branch_of(slug);
        match (to_a_person, self.free.get(&name)) {
            (true, _) => self.set_free(name, Free::Left),
            (false, Some(Free::Left)) => {
                self.set_free(name, Free::Unknown);
                self.all_due = true;
            }
            (false, _) => {}
        }
    }

    fn set_free(&mut self, name: impl Into<String>, why: Free) {
        let name = name.into();
        self.due.insert(name.clone());
        self.free.insert(name, why);
    }

    /// Whether others may move a ref now.
    pub(super) fn is_free(&self, name: &str) -> bool {
        self.free.contains_key(name)
    }

    /// Whether nobody but harness has business with a ref of this name.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        let Some(below) = name.strip_prefix(BRANCHES) else {
            return name.starts_with(OURS);
        };
        // Below a feature's branch: it would keep the branch itself from being made.
        let slug = below.split('/').next().unwrap_or_default();
        let slug = Slug::new(slug).ok();
        slug.is_some_and(|slug| {
            let left = self.free.get(&branch_of(&slug)) == Some(&Free::Left);
            self.features.contains(&slug) && !left
        })
    }

    /// Refs that may not be as they are known: those that changed since the last look, and those of which something is
    /// known since. All others are as they were, and so is what is known of them.
    pub(super) fn suspects(&self, now: &Refs) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.due.clone();
        names.extend(now.changed(&self.seen).into_iter().map(str::to_owned));
        if self.all_due {
            names.extend(now.names().into_iter().map(str::to_owned));
            names.extend(self.since.keys().cloned());
        }
        names
    }

    /// Takes those of them that others may move as they stand.
    pub(super) fn accept(&mut self, now: &Refs, suspects: &BTreeSet<String>) {
        for name in suspects {
            let Some(why) = self.free.get(name) else {
                continue;
            };
            if *why == Free::Unknown {
                self.free.remove(name);
            }
            let stands = match now.get(name) {
                Some(Value::At(oid)) => Some(oid),
                _ => None,
            };
            self.since.insert(name.clone(), stands);
        }
    }

    /// Those of them that are ours and not where harness left them.
    pub(super) fn displaced(&mut self, now: &Refs, suspects: &BTreeSet<String>) -> Vec<Displaced> {
        let of = |name: &String| Displaced {
            name: name.clone(),
            known: self.known(name),
            stands: now.get(name),
        };
        let found: Vec<Displaced> = suspects
            .iter()
            .map(of)
            .filter(|one| one.stands != one.known.clone().map(Value::At) && self.is_ours(&one.name))
            .collect();
        // All others are where they are seen now.
        let known = found.iter();
        self.since = known
            .map(|one| (one.name.clone(), one.known.clone()))
            .collect();
        // One that cannot be put back is looked at again.
        self.due = found.iter().map(|one| one.name.clone()).collect();
        self.all_due = false;
        found
    }

    /// Refs in files of their own that nobody moves any more: kept commits, and branches of what has landed or was given
    /// up.
    pub(super) fn settled<'a>(&self, now: &'a Refs) -> Vec<&'a str> {
        let is_settled = |name: &&str| {
            let is_kept = KEPT.iter().any(|dir| name.starts_with(dir));
            is_kept || self.free.get(*name) == Some(&Free::Left)
        };
        now.loose().filter(is_settled).collect()
    }
}

/// Whether it is a ref under a name of harness's own, or a branch under which features have theirs.
fn may_be_ours(name: &str) -> bool {
    name.starts_with(OURS) || name.starts_with(BRANCHES)
}
