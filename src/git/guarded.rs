//! Refs that nobody but harness writes: where they stand is recorded, and one that somebody else moves is put back.
//!
//! The record is kept here and not in `core`, because only here every write of ours is seen: all of them go through
//! [`Repo::try_update_refs`] and [`Repo::pin_candidate`], from several threads. Each holds `moving` shared until it has
//! noted what it wrote; whoever compares holds it alone. So what is compared is never half of a write of ours.
//!
//! A branch of a feature is not always harness's: its own agent has it while it runs ([`Repo::lend`]), and a person
//! may complete by hand what was given up ([`Repo::leave`]). All other refs are the user's: nothing here moves one
//! (an agent's deed and a person's cannot be told apart by the ref), and only what loses commits is told.

use super::error::{GitError, visible};
use super::ledger::{BRANCHES, Book, Displaced, OURS};
use super::loose::{Refs, Value};
use super::pins::PINS;
use super::repo::{RefEdit, Repo, short};
use super::snapshot::lost_ref;
use super::tree::remove_file;
use crate::model::{Oid, Slug};
use std::collections::BTreeSet;
use std::fs;

/// Most refs that are told of at a time.
const TOLD: usize = 10;

/// A ref that is not where it should be, or that lost something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedRef {
    /// What happened to it and what became of it, a clause that begins with its name.
    pub what: String,
    /// Whether nobody but harness has business there.
    pub is_ours: bool,
}

impl Repo {
    /// Begins the record. What stands at the first look is taken as it is, which must be before any agent runs: a git
    /// command of a run that was killed may still come to its end until then.
    pub fn begin_record(&self) {
        self.ledger().begin();
    }

    /// There is this feature, so that its branch is harness's. Where it stands is taken as it is.
    pub fn expect_branch(&self, slug: &Slug) {
        if let Some(book) = &mut *self.ledger().book() {
            book.expect(slug);
        }
    }

    /// The feature's agent begins to work on its branch.
    pub fn lend(&self, slug: &Slug) {
        if let Some(book) = &mut *self.ledger().book() {
            book.lend(slug);
        }
    }

    /// The feature's agent has ended.
    pub fn take_back(&self, slug: &Slug) {
        if let Some(book) = &mut *self.ledger().book() {
            book.take_back(slug);
        }
    }

    /// Whether the feature's branch is for a person now (`true`), or harness's again, from where it stands.
    pub fn leave(&self, slug: &Slug, to_a_person: bool) {
        if let Some(book) = &mut *self.ledger().book() {
            book.leave(slug, to_a_person);
        }
    }

    /// Refs that somebody else has moved since the last look: those of ours are put back, and what they were moved
    /// to is kept under `refs/harness/lost/`; of the user's, only those that lost commits are told.
    ///
    /// # Errors
    /// The refs cannot be read, or git failed.
    pub fn moved_refs(&self) -> Result<Vec<MovedRef>, GitError> {
        let _still = self.ledger().still();
        let mut guard = self.ledger().book();
        let Some(book) = &mut *guard else {
            return Ok(Vec::new());
        };
        for dir in [OURS, BRANCHES] {
            self.unlink_above(dir)?;
        }
        let now = book.reader.read(self.git_dir())?;
        if std::mem::take(&mut book.is_new) {
            book.open(now, self.main_head());
            return Ok(Vec::new());
        }
        let mut found = std::mem::take(&mut book.found);
        // Before what stands now is taken as known.
        let suspects = book.suspects(&now);
        let losses = self.losses(book, &now, &suspects)?;
        book.accept(&now, &suspects);
        let displaced = book.displaced(&now, &suspects);
        if !displaced.is_empty() {
            found.extend(self.put_back(book, displaced)?);
        }
        found.extend(losses);
        book.unpacked = self.pack_settled(&book.settled(&now), book.unpacked);
        book.seen = now;
        Ok(found)
    }

    /// Puts one ref of ours back if somebody has moved it since harness did; it is told at the next look.
    ///
    /// # Errors
    /// It cannot be read, or git failed.
    pub(super) fn mend(&self, name: &str) -> Result<(), GitError> {
        let _still = self.ledger().still();
        let mut guard = self.ledger().book();
        let Some(book) = &mut *guard else {
            return Ok(());
        };
        if book.is_new || !book.is_ours(name) || book.is_free(name) {
            return Ok(());
        }
        self.unlink_above(name)?;
        let stands = book.reader.read_one(self.git_dir(), name)?;
        let known = book.known(name);
        if stands != known.clone().map(Value::At) {
            let name = name.to_owned();
            let displaced = Displaced {
                name,
                known,
                stands,
            };
            let found = self.put_back(book, vec![displaced])?;
            book.found.extend(found);
        }
        Ok(())
    }

    fn put_back(
        &self,
        book: &mut Book,
        displaced: Vec<Displaced>,
    ) -> Result<Vec<MovedRef>, GitError> {
        let mut found = Vec::new();
        // First what should not be there at all: it may stand in the way of what should.
        let (strays, moved): (Vec<_>, Vec<_>) =
            displaced.into_iter().partition(|one| one.known.is_none());
        for one in strays.into_iter().chain(moved) {
            let what = match self.set_right(book, &one) {
                Ok(what) => what,
                // Told, and tried again at the next look.
                Err(error) => format!("{} cannot be put back: {error}", visible(&one.name)),
            };
            let is_ours = true;
            found.push(MovedRef { what, is_ours });
        }
        let more = found.len().saturating_sub(TOLD);
        if more > 0 {
            found.truncate(TOLD);
            let what = format!("{more} more refs of harness's too");
            let is_ours = true;
            found.push(MovedRef { what, is_ours });
        }
        Ok(found)
    }

    /// Puts one ref where harness left it, and says so.
    fn set_right(&self, book: &mut Book, one: &Displaced) -> Result<String, GitError> {
        let Displaced {
            name,
            known,
            stands,
        } = one;
        let shown = visible(short(name));
        let mut edits = Vec::new();
        let mut kept = None;
        let mut from = stands.clone();
        if from == Some(Value::Other) {
            // A link, another ref's name, or garbage: no directory above it is a link. Beneath may be what is packed.
            remove_file(&self.git_dir().join(name))?;
            from = book.reader.read_one(self.git_dir(), name)?;
        }
        let from = match &from {
            Some(Value::At(oid)) => Some(oid),
            _ => None,
        };
        if let Some(oid) = from.filter(|_| *stands != Some(Value::Other))
            && self.is_commit(oid)?
            && !self.holds_already(known.as_ref(), oid)?
        {
            kept = Some((lost_ref(&whose(name), oid), oid.clone()));
        }
        if let Some((lost, oid)) = &kept {
            edits.push(RefEdit::Set(lost, oid));
        }
        match (known, from) {
            (Some(known), from) => {
                if !self.is_commit(known)? {
                    book.forget(name);
                    return Ok(format!("{shown} is gone, and so is its commit {known}"));
                }
                edits.push(RefEdit::Move(name, from, known));
            }
            (None, Some(from)) => edits.push(RefEdit::Delete(name, from)),
            (None, None) => {}
        }
        self.unlock(name)?;
        if !edits.is_empty() {
            let output = self.run_edits("harness: put back", &edits)?;
            if output.code != 0 {
                return Err(output.failed());
            }
        }
        let tail = match &kept {
            Some((lost, oid)) => {
                book.note(lost, oid);
                format!("; what it was moved to is kept as {lost}")
            }
            None => String::new(),
        };
        Ok(match (known, stands) {
            (Some(known), None) => format!("{shown} was deleted, and is back at {}", known.short()),
            (Some(known), _) => {
                format!("{shown} was moved, and is back at {}{tail}", known.short())
            }
            (None, _) => format!("{shown} was made by somebody else, and is removed{tail}"),
        })
    }

    /// Takes away links that stand for directories of harness's own refs: what is behind them is none of its own.
    fn unlink_above(&self, name: &str) -> Result<(), GitError> {
        for (end, _) in name.match_indices('/') {
            let dir = &name[..end];
            let is_own = [OURS, BRANCHES]
                .iter()
                .any(|own| name[..=end].starts_with(own));
            let path = self.git_dir().join(dir);
            if is_own && fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_dir()) {
                remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn holds_already(&self, known: Option<&Oid>, oid: &Oid) -> Result<bool, GitError> {
        match known {
            Some(known) if self.is_commit(known)? => self.descends(known, oid),
            _ => Ok(false),
        }
    }

    /// Refs of the user's that no longer lead to what they led to, and a HEAD that was switched.
    fn losses(
        &self,
        book: &mut Book,
        now: &Refs,
        suspects: &BTreeSet<String>,
    ) -> Result<Vec<MovedRef>, GitError> {
        let mut found = Vec::new();
        for name in suspects.iter().map(String::as_str) {
            let (before, after) = (book.seen.get(name), now.get(name));
            let by_us = || match &after {
                Some(Value::At(oid)) => book.known(name).as_ref() == Some(oid),
                _ => name.starts_with(BRANCHES) && book.known(name).is_none(),
            };
            if after == before || book.is_ours(name) || by_us() {
                continue;
            }
            let (shown, Some(Value::At(old))) = (visible(short(name)), &before) else {
                continue;
            };
            let what = match &after {
                Some(Value::At(new)) if !self.loses(name, old, new)? => continue,
                Some(Value::At(new)) => {
                    format!("{shown} was moved from {} to {}", old.short(), new.short())
                }
                Some(Value::Other) => format!("{shown} no longer names a commit, but did {old}"),
                None => format!("{shown} was deleted; it stood at {old}"),
            };
            found.push(what);
        }
        let head = self.main_head();
        if head != book.head {
            let to = visible(short(head.trim_start_matches("ref: ")));
            found.push(format!("your checkout was switched to {to}"));
            book.head = head;
        }
        found.truncate(TOLD);
        let told = found.into_iter().map(|what| {
            let is_ours = false;
            MovedRef { what, is_ours }
        });
        Ok(told.collect())
    }

    fn loses(&self, name: &str, old: &Oid, new: &Oid) -> Result<bool, GitError> {
        let is_branch = name.starts_with("refs/heads/");
        Ok(!is_branch || !self.is_commit(new)? || !self.descends(new, old)?)
    }

    /// What the main checkout's HEAD names; nothing where it is detached.
    fn main_head(&self) -> String {
        let text = fs::read_to_string(self.git_dir().join("HEAD")).unwrap_or_default();
        match text.trim_end() {
            branch if branch.starts_with("ref: ") => branch.to_owned(),
            _ => "no branch".to_owned(),
        }
    }
}

/// By whose name what a ref was moved to is kept: `harness recover` finds it there.
fn whose(name: &str) -> String {
    let below = name
        .strip_prefix(BRANCHES)
        .or_else(|| name.strip_prefix(PINS));
    let slug = below.and_then(|below| below.split('/').next());
    let slug = slug.and_then(|slug| Slug::new(slug).ok());
    slug.map_or_else(|| "moved".to_owned(), |slug| slug.to_string())
}
