//! The integration ref: where what has landed stands until the user's branch can follow.
//!
//! Nobody has it checked out, so it can always be moved. This file never moves the user's branch, and it
//! moves the integration ref backwards only onto the user's own commits, keeping what it held.

use super::error::GitError;
use super::repo::{RefEdit, Repo, short};
use crate::fault::{self, Point};
use crate::model::{Ground, LandOutcome, Oid, Relation};

/// The full name of the integration ref of a target.
#[must_use]
pub fn integration_ref(target_ref: &str) -> String {
    format!("refs/harness/integration/{}", short(target_ref))
}

impl Repo {
    /// Where the integration ref and the target stand. The integration ref is made where there is none, and
    /// follows the target when all it holds was published. `published` is where the target was last known to
    /// stand.
    ///
    /// # Errors
    /// The target does not exist, or git failed.
    pub fn ground(&self, target_ref: &str, published: Option<&Oid>) -> Result<Ground, GitError> {
        let target = self.expect_tip(target_ref)?;
        let name = integration_ref(target_ref);
        self.mend(&name)?;
        let Some(tip) = self.tip(&name)? else {
            let made = RefEdit::Move(&name, None, &target);
            self.update_refs("harness: begin", &[made])?;
            return self.stands(target.clone(), target, Relation::Behind);
        };
        // All of it was published, and the user went on from there, or took it back, be it by going back.
        let is_public = published == Some(&tip) || self.descends(&target, &tip)?;
        if is_public && target != tip {
            self.move_integration(&name, &tip, &target)?;
            return self.stands(target.clone(), target, Relation::Behind);
        }
        if self.descends(&tip, &target)? {
            let is_back = match published {
                Some(published) => self.is_set_back(published, &target)?,
                None => false,
            };
            let relation = match is_back {
                true => Relation::Rewritten,
                false => Relation::Behind,
            };
            return self.stands(tip, target, relation);
        }
        let base = match published {
            Some(published) => Some(published.clone()),
            None => self.merge_base(&target, &tip)?,
        };
        let relation = match base {
            Some(base) if self.descends(&target, &base)? => Relation::Ahead,
            _ => Relation::Rewritten,
        };
        self.stands(tip, target, relation)
    }

    /// Whether a person took commits out of the target by setting it back: it stands before where it stood.
    pub(super) fn is_set_back(&self, from: &Oid, target: &Oid) -> Result<bool, GitError> {
        Ok(from != target && self.is_commit(from)? && self.descends(from, target)?)
    }

    fn stands(&self, tip: Oid, target: Oid, relation: Relation) -> Result<Ground, GitError> {
        Ok(Ground {
            tree: self.tree_of(&tip)?,
            tip,
            target,
            relation,
        })
    }

    fn move_integration(&self, name: &str, from: &Oid, to: &Oid) -> Result<(), GitError> {
        self.unlock(name)?;
        let old = format!("refs/harness/old/integration/{}", from.short());
        let mut edits = vec![RefEdit::Move(name, Some(from), to)];
        if !self.descends(to, from)? {
            edits.push(RefEdit::Set(&old, from));
        }
        self.update_refs("harness: follow", &edits)
    }

    /// Moves the integration ref to a chain's end. Doing it twice is harmless.
    ///
    /// # Errors
    /// git failed; asking again tells where the ref stands.
    pub fn land(&self, target_ref: &str, from: &Oid, to: &Oid) -> Result<LandOutcome, GitError> {
        let name = integration_ref(target_ref);
        self.mend(&name)?;
        let tip = self.tip(&name)?;
        if let Some(tip) = &tip
            && self.descends(tip, to)?
        {
            return Ok(LandOutcome::Done);
        }
        if tip.as_ref() != Some(from) || !self.descends(to, from)? {
            let ground = self.ground(target_ref, None)?;
            return Ok(LandOutcome::Moved { ground });
        }
        self.unlock(&name)?;
        let moved = RefEdit::Move(&name, Some(from), to);
        fault::past(Point::LandMoving);
        let output = self.try_update_refs("harness: land", &[moved])?;
        fault::past(Point::LandMoved);
        // Whatever was said, where the ref stands is the answer.
        match self.tip(&name)? {
            Some(now) if now == *to => Ok(LandOutcome::Done),
            _ => Ok(LandOutcome::Infra {
                why: output.complaint(),
            }),
        }
    }

    /// Sets the integration ref back onto the target as it stands now. What it held stays under
    /// `refs/harness/old/integration/`.
    ///
    /// # Errors
    /// git failed.
    pub fn rewind(&self, target_ref: &str) -> Result<Ground, GitError> {
        let target = self.expect_tip(target_ref)?;
        let name = integration_ref(target_ref);
        self.mend(&name)?;
        if let Some(tip) = self.tip(&name)?.filter(|tip| *tip != target) {
            fault::past(Point::RewindBegin);
            self.move_integration(&name, &tip, &target)?;
            fault::past(Point::RewindDone);
        }
        self.ground(target_ref, None)
    }

    /// Follows the target if it moved on from `known`, where everything that landed is published.
    ///
    /// # Errors
    /// The target is gone, or git failed.
    pub fn follow(&self, target_ref: &str, known: &Oid) -> Result<Option<Ground>, GitError> {
        let target = self.tip(target_ref)?;
        match target {
            Some(target) if target != *known => self.ground(target_ref, Some(known)).map(Some),
            // A target that is gone is publishing's trouble, not merging's.
            _ => Ok(None),
        }
    }
}
