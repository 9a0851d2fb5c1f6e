//! The two sides of a merge, what git alone makes of them, and how another tree compares with all three.
//!
//! This file never looks at a work tree and draws no conclusions: it says what became of each path.

use super::error::GitError;
use super::handles::Library;
use super::merge::Unmerged;
use super::read::{raw, wrapped};
use super::repo::{Repo, to_path};
use super::tree::OUTBOX;
use crate::model::Oid;
use std::collections::{BTreeMap, BTreeSet};

/// Mode of a symbolic link, of a submodule, and the mask of what kind of thing an entry is.
pub(super) const LINK: i32 = 0o120_000;
pub(super) const SUBMODULE: i32 = 0o160_000;
const KIND: i32 = 0o170_000;
/// How many characters make a conflict marker, at least: attributes can ask for more.
const MARKER: usize = 7;

/// What a tree holds at a path: the object and its mode.
type Entry = Option<(Oid, i32)>;

/// The stages of a path in conflict.
#[derive(Clone, Default)]
struct Clash {
    base: Entry,
    mine: Entry,
    landed: Entry,
    /// git merges no content here: one side is chosen.
    is_choice: bool,
}

/// A merge of a feature's commit with what landed.
pub(super) struct Sides<'a> {
    repo: &'a Repo,
    library: Library<'a>,
    mine: Oid,
    landed: Oid,
    automatic: Oid,
    clashes: BTreeMap<Vec<u8>, Clash>,
    /// Paths of those changed or in conflict that are generated: no side's text must be in them.
    generated: BTreeSet<Vec<u8>>,
}

/// What became of a path that what landed had changed, when it is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The feature's version stands, though both could have been kept.
    Undone,
    /// It is gone, though neither side had deleted it.
    Deleted,
    /// In a conflict, the landed version was chosen.
    AsLanded,
    /// In a conflict that left only a choice, the feature's version was chosen.
    AsMine,
}

/// What is left of the feature's own changes in a tree.
pub(super) struct Own {
    /// It had changes, and none is left.
    pub(super) is_nothing_left: bool,
    /// Paths not in conflict whose change is missing.
    pub(super) missing: Vec<Vec<u8>>,
}

impl<'a> Sides<'a> {
    /// Merges the two commits in memory.
    pub(super) fn of(repo: &'a Repo, mine: &Oid, onto: &Oid) -> Result<Self, GitError> {
        let merged = repo.automatic(mine, onto)?;
        let mut sides = Self {
            library: repo.library()?,
            mine: repo.tree_of(mine)?,
            landed: repo.tree_of(onto)?,
            automatic: merged.tree,
            clashes: clashes(merged.unmerged),
            generated: BTreeSet::new(),
            repo,
        };
        if !repo.generated().is_empty() {
            let mut paths = sides.differing(&sides.mine, &sides.landed)?;
            paths.extend(sides.clashes.keys().cloned());
            sides.generated = repo.generated_among(&paths, mine)?;
        }
        let choices: BTreeSet<Vec<u8>> = sides
            .clashes
            .iter()
            .filter(|(path, clash)| sides.is_choice(path, clash))
            .map(|(path, _)| path.clone())
            .collect();
        for (path, clash) in &mut sides.clashes {
            clash.is_choice = choices.contains(path);
        }
        Ok(sides)
    }

    /// Whether no text with markers can come of this clash.
    fn is_choice(&self, path: &[u8], clash: &Clash) -> bool {
        let (Some(mine), Some(landed)) = (&clash.mine, &clash.landed) else {
            return true;
        };
        // Also where attributes forbid to merge a text: git leaves the feature's version then.
        [mine, landed].into_iter().any(|side| {
            side.1 & KIND == SUBMODULE || side.1 & KIND == LINK || self.text(side).is_none()
        }) || self
            .at(&self.automatic, path)
            .is_ok_and(|laid| laid == clash.mine)
    }

    /// Files in `tree` with lines that are conflict markers and are in neither side's version of the file.
    pub(super) fn marked(&self, tree: &Oid) -> Result<Vec<Vec<u8>>, GitError> {
        let mut marked = Vec::new();
        for path in self.differing(&self.mine, tree)? {
            let (now, landed) = (self.at(tree, &path)?, self.at(&self.landed, &path)?);
            let Some(text) = now.as_ref().filter(|_| now != landed) else {
                continue;
            };
            let Some(text) = self.text(text) else {
                continue;
            };
            let mut found = markers(&text).peekable();
            if found.peek().is_none() {
                continue;
            }
            let mine = self.at(&self.mine, &path)?;
            let known: Vec<Vec<u8>> = [mine, landed]
                .iter()
                .filter_map(|side| self.text(side.as_ref()?))
                .collect();
            let known: BTreeSet<&[u8]> = known.iter().flat_map(|text| markers(text)).collect();
            if found.any(|line| !known.contains(line)) {
                marked.push(path);
            }
        }
        Ok(marked)
    }

    /// What became in `tree` of what landed, where that is worth telling.
    pub(super) fn fates(&self, tree: &Oid) -> Result<Vec<(Vec<u8>, Fate)>, GitError> {
        let mut fates = Vec::new();
        for path in self.landed_paths()? {
            if let Some(fate) = self.fate(tree, &path)? {
                fates.push((path, fate));
            }
        }
        Ok(fates)
    }

    /// Paths at which something landed or clashed, other than generated ones.
    fn landed_paths(&self) -> Result<BTreeSet<Vec<u8>>, GitError> {
        let mut paths = self.differing(&self.mine, &self.automatic)?;
        paths.extend(self.clashes.keys().cloned());
        Ok(&paths - &self.generated)
    }

    fn fate(&self, tree: &Oid, path: &[u8]) -> Result<Option<Fate>, GitError> {
        let now = self.at(tree, path)?;
        let Some(clash) = self.clashes.get(path) else {
            let is_undone = now == self.at(&self.mine, path)?;
            let is_deleted = now.is_none() && self.at(&self.automatic, path)?.is_some();
            return Ok(match (is_undone, is_deleted) {
                (true, _) => Some(Fate::Undone),
                (false, true) if !self.is_moved(tree, &self.plain(path)?)? => Some(Fate::Deleted),
                (false, _) => None,
            });
        };
        let is_lopsided = clash.mine.is_none() || clash.landed.is_none();
        Ok(if clash.landed == clash.base {
            None
        } else if now == clash.landed {
            Some(Fate::AsLanded)
        } else if now == clash.mine {
            Some(if clash.is_choice || self.has_landed(clash) {
                Fate::AsMine
            } else {
                Fate::Undone
            })
        } else if now.is_none() && !is_lopsided && !self.is_moved(tree, clash)? {
            Some(Fate::Deleted)
        } else {
            None
        })
    }

    /// A path that does not clash, seen as if it did.
    fn plain(&self, path: &[u8]) -> Result<Clash, GitError> {
        let mine = self.at(&self.mine, path)?;
        Ok(Clash {
            base: mine.clone(),
            mine,
            landed: self.at(&self.landed, path)?,
            is_choice: false,
        })
    }

    /// Whether a file that is new in `tree` shows what landed in one that is gone.
    fn is_moved(&self, tree: &Oid, gone: &Clash) -> Result<bool, GitError> {
        for path in self.differing(&self.automatic, tree)? {
            let now = self.at(tree, &path)?;
            if now.is_some()
                && self.at(&self.automatic, &path)?.is_none()
                && (now == gone.landed || self.shows(gone, &now))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether everything that landed is recognisably in `tree`, by content alone. Where both sides can be
    /// in one text, a line of what landed must be.
    pub(super) fn shows_landed(&self, tree: &Oid) -> Result<bool, GitError> {
        for path in self.landed_paths()? {
            let fate = self.fate(tree, &path)?;
            let is_shown = match self.clashes.get(&path) {
                None => fate.is_none(),
                Some(clash) if clash.landed == clash.base => true,
                Some(_) if fate == Some(Fate::AsLanded) => true,
                Some(_) if fate.is_some() => false,
                Some(clash) => self.shows(clash, &self.at(tree, &path)?),
            };
            if !is_shown {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a text that is neither side's shows the landed change.
    fn shows(&self, clash: &Clash, now: &Entry) -> bool {
        let text = |entry: &Entry| entry.as_ref().and_then(|entry| self.text(entry));
        let (Some(now), Some(mine), Some(landed)) =
            (text(now), text(&clash.mine), text(&clash.landed))
        else {
            return false;
        };
        let base = text(&clash.base).unwrap_or_default();
        let (now, mine, landed, base) = (lines(&now), lines(&mine), lines(&landed), lines(&base));
        let mut new = landed
            .iter()
            .filter(|line| !base.contains(*line) && !mine.contains(*line))
            .peekable();
        if new.peek().is_some() {
            return new.any(|line| now.contains(line));
        }
        // It only took lines away.
        let mut gone = base
            .iter()
            .filter(|line| !landed.contains(*line) && mine.contains(*line))
            .peekable();
        gone.peek().is_none() || gone.any(|line| !now.contains(line))
    }

    /// Whether the feature's own text has all of the landed change already, from an earlier attempt, say.
    fn has_landed(&self, clash: &Clash) -> bool {
        let text = |entry: &Entry| entry.as_ref().and_then(|entry| self.text(entry));
        let (Some(mine), Some(landed)) = (text(&clash.mine), text(&clash.landed)) else {
            return false;
        };
        let base = text(&clash.base).unwrap_or_default();
        let (mine, landed, base) = (lines(&mine), lines(&landed), lines(&base));
        landed != base
            && landed.difference(&base).all(|line| mine.contains(line))
            && base.difference(&landed).all(|line| !mine.contains(line))
    }

    /// Whether `tree` holds at an unmerged path the very thing that git laid there.
    pub(super) fn is_as_laid(&self, tree: &Oid, side: &Unmerged) -> Result<bool, GitError> {
        let Some(now) = self.at(tree, &side.path)? else {
            // Of a rename, say. Where there is nothing, nothing waits to be touched.
            return Ok(false);
        };
        match self.at(&self.automatic, &side.path)? {
            Some(laid) => Ok(now == laid),
            // A name made up for a file that clashes with a directory; it holds one side.
            None => Ok(now.0 == side.oid),
        }
    }

    /// Paths in conflict that `tree` holds just as the feature had them.
    pub(super) fn as_mine(&self, tree: &Oid) -> Result<Vec<Vec<u8>>, GitError> {
        let mut same = Vec::new();
        for (path, clash) in &self.clashes {
            if clash.mine.is_some() && self.at(tree, path)? == clash.mine {
                same.push(path.clone());
            }
        }
        Ok(same)
    }

    /// What is left of the feature's own changes in `tree`.
    pub(super) fn own(&self, tree: &Oid) -> Result<Own, GitError> {
        let mut own = self.differing(&self.landed, &self.automatic)?;
        own.extend(self.clashes.keys().cloned());
        let own = &own - &self.generated;
        let (mut changed, mut left, mut missing) = (0, 0, Vec::new());
        for path in own {
            let now = self.at(tree, &path)?;
            let landed = self.at(&self.landed, &path)?;
            match self.clashes.get(&path) {
                Some(clash) if clash.mine == clash.base => continue,
                Some(_) => left += usize::from(now != landed),
                None if now == landed => missing.push(path),
                None => left += 1,
            }
            changed += 1;
        }
        Ok(Own {
            is_nothing_left: changed > 0 && left == 0,
            missing,
        })
    }

    /// Paths not in conflict that differ in `tree` from what git alone makes of the merge.
    pub(super) fn also_changed(&self, tree: &Oid) -> Result<Vec<Vec<u8>>, GitError> {
        let mut paths = self.differing(&self.automatic, tree)?;
        paths.retain(|path| !self.clashes.contains_key(path));
        Ok(paths.into_iter().collect())
    }

    /// Paths that differ between two trees. The outbox is nobody's work: what landed there stands.
    fn differing(&self, before: &Oid, after: &Oid) -> Result<BTreeSet<Vec<u8>>, GitError> {
        let mut paths = self.repo.changed_between(before, after)?;
        paths.retain(|path| !to_path(path).starts_with(OUTBOX));
        Ok(paths)
    }

    /// What a tree holds at a path.
    fn at(&self, tree: &Oid, path: &[u8]) -> Result<Entry, GitError> {
        let path = to_path(path);
        let read = || GitError::read(format!("read the tree {tree}"));
        let tree = self.library.find_tree(raw(tree)?).map_err(read())?;
        match tree.get_path(&path) {
            Ok(entry) => Ok(Some((wrapped(entry.id())?, entry.filemode()))),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(read()(error)),
        }
    }

    /// The text of a file; `None` for anything else.
    fn text(&self, entry: &(Oid, i32)) -> Option<Vec<u8>> {
        let blob = self.library.find_blob(raw(&entry.0).ok()?).ok()?;
        (entry.1 & KIND != LINK && !blob.is_binary()).then(|| blob.content().to_vec())
    }
}

fn clashes(unmerged: Vec<Unmerged>) -> BTreeMap<Vec<u8>, Clash> {
    let mut clashes: BTreeMap<Vec<u8>, Clash> = BTreeMap::new();
    for side in unmerged {
        if to_path(&side.path).starts_with(OUTBOX) {
            continue;
        }
        let clash = clashes.entry(side.path).or_default();
        let entry = Some((side.oid, side.mode));
        match side.stage {
            1 => clash.base = entry,
            2 => clash.mine = entry,
            _ => clash.landed = entry,
        }
    }
    clashes
}

/// Lines of a text that open, divide or close a conflict. The `=======` in the middle is left out: it
/// underlines headings.
pub(super) fn markers(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| is_marker(line))
        .map(<[u8]>::trim_ascii_end)
}

/// Whether a line is `<<<<<<< …`, `||||||| …` or `>>>>>>> …`.
pub(super) fn is_marker(line: &[u8]) -> bool {
    let Some(first) = line.first().filter(|first| b"<|>".contains(first)) else {
        return false;
    };
    let run = line.iter().take_while(|byte| *byte == first).count();
    run >= MARKER && line.get(run) == Some(&b' ')
}

/// The lines of a text that say something.
fn lines(text: &[u8]) -> BTreeSet<&[u8]> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .collect()
}
