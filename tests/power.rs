//! Power loss: when the journal says that something is so, all it relies on is on the disk already.
//!
//! Read off a real run's system calls. What is proved is the order: of every file that a record relies on (the objects of
//! its commit, the ref that holds it, the text files of the state directory) the content was synced after it was last
//! written, before the record begins to be written; of harness's own files the names, too. Names of objects and refs are
//! git's: it does not sync directories, and a file system that keeps a journal of its own (ext4, XFS) stores them with the
//! next sync of any file, which is the record's own; on others (btrfs) they may be lost with it, and the next run asks git.
//! What git writes into work trees is never synced: it is in objects that are.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;
#[path = "support/trace.rs"]
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use support::Site;
use trace::Step;

/// How far what a file holds has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Written,
    /// Given to the disk; this process's next sync stores it.
    Flushed(u32),
}

/// What is not on the disk yet.
#[derive(Default)]
struct Unsynced {
    contents: BTreeMap<PathBuf, Content>,
    names: BTreeSet<PathBuf>,
}

impl Unsynced {
    fn take_in(&mut self, step: &Step) {
        match step {
            Step::Writes { path, .. } => {
                self.contents.insert(path.clone(), Content::Written);
            }
            Step::Made { path } => {
                self.names.insert(path.clone());
            }
            Step::Renamed { from, to } => {
                self.names.remove(from);
                self.names.insert(to.clone());
                match self.contents.remove(from) {
                    Some(content) => self.contents.insert(to.clone(), content),
                    None => self.contents.remove(to),
                };
            }
            Step::Linked { from, to } => {
                self.names.insert(to.clone());
                if let Some(content) = self.contents.get(from).copied() {
                    self.contents.insert(to.clone(), content);
                }
            }
            Step::Removed { path } => {
                self.names.remove(path);
                self.contents.remove(path);
            }
            Step::Flushed { pid, path } => {
                if let Some(content) = self.contents.get_mut(path) {
                    *content = Content::Flushed(*pid);
                }
            }
            Step::Synced { pid, path } => {
                self.contents.remove(path);
                self.contents
                    .retain(|_, content| *content != Content::Flushed(*pid));
                self.names.retain(|name| name.parent() != Some(path));
            }
        }
    }
}

/// A run with everything that a journal can rely on: agents that commit and that do not, a conflict, lessons, markers.
fn site() -> Site {
    let site = Site::new();
    site.shell_config("verify: {commands: ['test ! -e red']}");
    for slug in ["a", "b", "c"] {
        site.shell(
            slug,
            &format!(
                "if git rev-parse -q --verify MERGE_HEAD >/dev/null; then printf 'a\\nb\\nc\\n' > shared.txt; git add shared.txt; fi\n\
                 grep -q {slug} shared.txt || echo {slug} >> shared.txt\nmkdir -p {slug}; echo {slug} > {slug}/file\n\
                 case {slug} in b) git add -A; git commit -q -m 'by the agent';; esac\n\
                 echo 'lesson of {slug}' > \"$HARNESS_OUTBOX/learnings.md\"\n"
            ),
        );
    }
    site.write("shared.txt", "");
    site.commit("specs");
    site
}

#[test]
fn what_a_record_relies_on_is_on_the_disk_before_it_is_written() {
    if !trace::can_trace() {
        eprintln!("SKIPPED: strace is missing, or processes cannot be traced here");
        return;
    }
    let site = site();
    let log = site.path("trace");
    let ran = site.traced(
        &["-f", "-y", "-qq", "-s", "0", "-e", trace::CALLS, "-o"],
        &log,
        &["run", "--parallel", "3"],
    );
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let steps = trace::steps(&fs::read_to_string(&log).unwrap());
    let repo = site.repo.canonicalize().unwrap();
    let path = repo.join(".harness/journal.jsonl");
    let journal = fs::read(&path).unwrap();
    let (mut unsynced, mut read, mut checked) = (Unsynced::default(), 0, BTreeMap::new());
    let mut broken = Vec::new();
    for step in &steps {
        if let Step::Writes {
            path: written,
            bytes,
            ..
        } = step
            && *written == path
        {
            for own in [&path, &repo.join(".harness")] {
                if unsynced.names.contains(own) {
                    broken.push(format!("the name of {}", own.display()));
                }
            }
            let end = read + usize::try_from(*bytes).unwrap();
            for line in journal[read..end]
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
            {
                let record: serde_json::Value = serde_json::from_slice(line).unwrap();
                let event = &record["event"];
                let name = event["event"].as_str().unwrap().to_owned();
                let missing = missing(&site, &repo, event, &unsynced);
                broken.extend(missing.iter().map(|what| format!("{name}: {what}")));
                *checked.entry(name).or_insert(0) += 1;
            }
            read = end;
        }
        unsynced.take_in(step);
    }
    assert_eq!(read, journal.len(), "every write of the journal was seen");
    for name in [
        "merged",
        "published",
        "written",
        "iteration_ended",
        "clashed",
    ] {
        assert!(checked.contains_key(name), "no {name} in {checked:?}");
    }
    assert!(
        broken.is_empty(),
        "not synced yet when it was recorded:\n{}",
        broken.join("\n")
    );
}

/// What this event relies on and is not on the disk.
fn missing(
    site: &Site,
    repo: &Path,
    event: &serde_json::Value,
    unsynced: &Unsynced,
) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let slug = text(&event["slug"]);
    let (commit, refs) = match event["event"].as_str().unwrap() {
        "merged" => (
            text(&event["commit"]),
            vec!["harness/integration/main".to_owned()],
        ),
        "published" => (text(&event["commit"]), vec!["heads/main".to_owned()]),
        "iteration_ended" => {
            let number = &event["iteration"];
            let refs = [
                format!("heads/harness/{slug}"),
                format!("harness/iterations/{slug}/{number}"),
            ];
            (text(&event["report"]["tip"]), refs.to_vec())
        }
        "written" => {
            let own = |path: &&PathBuf| {
                let is_text = path
                    .extension()
                    .is_some_and(|ext| ext == "log" || ext == "md" || ext == "done");
                is_text
                    && path.parent() == Some(&repo.join(".harness"))
                    && !path.ends_with("run.log")
            };
            let contents = unsynced.contents.keys().filter(own);
            let names = unsynced.names.iter().filter(own);
            return contents
                .chain(names)
                .map(|path| path.display().to_string())
                .collect();
        }
        _ => return Vec::new(),
    };
    let git = repo.join(".git");
    let mut missing: Vec<String> = refs
        .into_iter()
        .filter(|name| unsynced.contents.contains_key(&git.join("refs").join(name)))
        .collect();
    let objects = unsynced.contents.keys().filter_map(|path| {
        let rest = path.strip_prefix(git.join("objects")).ok()?;
        let name = rest.to_str()?.replace('/', "");
        (name.len() == 40).then_some(name)
    });
    let objects: BTreeSet<String> = objects.collect();
    if !objects.is_empty() && !commit.is_empty() {
        let reached = site.git(&["rev-list", "--objects", &commit]);
        let reached = reached.lines().map(|line| line.split(' ').next().unwrap());
        let reached = reached.filter(|oid| objects.contains(*oid));
        missing.extend(
            reached.map(|oid| format!("{} of {commit}", site.git(&["cat-file", "-t", oid]).trim())),
        );
    }
    missing
}
