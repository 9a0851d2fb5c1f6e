//! Content filters that the repository cannot do without, tried on a file before anybody is called.
//!
//! A filter that is missing makes every checkout fail, or every commit, when the night has begun and agents are
//! paid. This file changes nothing: what a filter makes is thrown away.

use super::error::{GitError, visible};
use super::repo::{Repo, to_path};

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
