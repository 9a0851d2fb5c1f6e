//! Content filters that the repository cannot do without: tried on a file before anybody is called, and on the
//! files of a feature that claims to be done.
//!
//! A filter that is missing makes every checkout fail, or every commit, when the night has begun and agents are
//! paid; a file that its filter refuses would do so once it has landed. This file changes nothing: what a filter makes is thrown away.

use super::error::{GitError, visible};
use super::repo::{Repo, to_path};
use super::tree::Tree;
use crate::model::Oid;
use std::path::Path;

/// Files larger than this are not run through a filter only to see whether it works.
const SAMPLE_CAP: u64 = 8 << 20;
/// Most files of a filter that are looked at to find one that is small enough.
const SAMPLES: usize = 1000;

/// A filter that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenFilter {
    /// Its name in `.gitattributes`.
    pub name: String,
    /// The file it was tried on.
    pub file: String,
    /// What git said.
    pub why: String,
}

impl Repo {
    /// Filters that are `required` by configuration, used by a file of the main checkout, and do not work in one
    /// direction or the other.
    ///
    /// # Errors
    /// git could not be started.
    pub fn broken_filters(&self) -> Result<Vec<BrokenFilter>, GitError> {
        let mut broken = Vec::new();
        for name in self.required_filters()? {
            let Some(path) = self.sample(&name)? else {
                continue;
            };
            if let Some(why) = self.try_filter(&path)? {
                broken.push(BrokenFilter {
                    name,
                    file: visible(&String::from_utf8_lossy(&path)),
                    why,
                });
            }
        }
        Ok(broken)
    }

    /// Why a file that `tip` changed, since it left the history of a ref, cannot be checked out; as a sentence.
    /// Such a file would make every checkout fail, the user's too. `worktree` stands on `tip`.
    ///
    /// # Errors
    /// git failed.
    pub fn unusable(
        &self,
        worktree: &Path,
        refname: &str,
        tip: &Oid,
    ) -> Result<Option<String>, GitError> {
        let required = self.required_filters()?;
        let (Some(tree), Some(landed)) = (Tree::find(self, worktree)?, self.tip(refname)?) else {
            return Ok(None);
        };
        let Some(base) = self
            .merge_base(&landed, tip)?
            .filter(|_| !required.is_empty())
        else {
            return Ok(None);
        };
        let now = self.tree_of(tip)?;
        let changed = self.changed_between(&self.tree_of(&base)?, &now)?;
        let paths: Vec<u8> = changed
            .iter()
            .flat_map(|path| [path, &b"\0"[..]].concat())
            .collect();
        let asked = tree.git.call(["check-attr", "-z", "--stdin", "filter"]);
        let asked = asked.stdin(paths).ok()?;
        let fields: Vec<&[u8]> = asked.fields().collect();
        for answer in fields.chunks_exact(3) {
            let (path, name) = (answer[0], String::from_utf8_lossy(answer[2]));
            if !required.iter().any(|filter| *filter == name)
                || self.entry(&now, &to_path(path))?.is_none()
            {
                continue;
            }
            let object = [tip.as_str().as_bytes(), b":", path].concat();
            let smudged = tree.git.call(["cat-file", "--filters"]);
            // What is too large to be looked at is for the gate to see.
            if let Ok(smudged) = smudged.arg(to_path(&object)).run()
                && smudged.code != 0
            {
                let path = visible(&String::from_utf8_lossy(path));
                return Ok(Some(format!(
                    "{path} cannot be checked out: {}",
                    smudged.complaint()
                )));
            }
        }
        Ok(None)
    }

    fn required_filters(&self) -> Result<Vec<String>, GitError> {
        let listed = self.git().call(["config", "--type=bool", "-z"]);
        let listed = listed.args(["--get-regexp", r"^filter\..*\.required$"]);
        let listed = listed.run()?;
        let required = listed.fields().filter_map(|field| {
            let (key, value) = std::str::from_utf8(field).ok()?.split_once('\n')?;
            let name = key.strip_prefix("filter.")?.strip_suffix(".required")?;
            // What an attribute cannot name is used by no file.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            (value == "true" && name.chars().all(plain)).then(|| name.to_owned())
        });
        Ok(required.collect())
    }

    /// A file that the filter is for, of those that stand in the index of the main checkout.
    fn sample(&self, name: &str) -> Result<Option<Vec<u8>>, GitError> {
        let git = self.git().at(self.root());
        let listed = git.call(["ls-files", "-z", "--cached", "--"]);
        let listed = listed.arg(format!(":(top,attr:filter={name})")).run()?;
        let is_small = |path: &&[u8]| {
            let file = self.root().join(to_path(path));
            std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.len() <= SAMPLE_CAP)
        };
        Ok(listed
            .fields()
            .take(SAMPLES)
            .find(is_small)
            .map(<[u8]>::to_vec))
    }

    /// What git says of the filter on this file, if it fails.
    fn try_filter(&self, path: &[u8]) -> Result<Option<String>, GitError> {
        let git = self.git().at(self.root());
        let smudged = git.call(["cat-file", "--filters"]);
        let smudged = smudged.arg(to_path(&[b":", path].concat())).run()?;
        if smudged.code != 0 {
            return Ok(Some(smudged.complaint()));
        }
        let mut option = std::ffi::OsString::from("--path=");
        option.push(to_path(path));
        let cleaned = git.call(["hash-object", "--stdin"]).arg(option);
        let cleaned = cleaned.stdin(smudged.stdout).run()?;
        Ok((cleaned.code != 0).then(|| cleaned.complaint()))
    }
}
