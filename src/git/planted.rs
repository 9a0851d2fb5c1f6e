//! What has changed in the repository that git obeys, and what of it makes git run something.
//!
//! A person changes settings too while a run goes on: their name, a branch's upstream, a remote. So what merely sets
//! something is told from what makes git run a program, read other settings, or take one directory for another. This
//! file only looks, and runs git only where a file of settings may have changed.

use super::cli::Git;
use super::error::{GitError, visible};
use super::sealed::{ATTRIBUTES, COPIED, Settings};
use super::stamp::{Stamp, is_same};
use super::tree::worktree_of;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Larger files are told by their size.
const LARGEST: u64 = 4 << 20;
/// Where the repository's hooks are.
const HOOKS: &str = "hooks";
/// Files that may hold settings though none stands in them yet.
const SETTINGS: [&str; 2] = ["config", "config.worktree"];
/// What the administrative directory of a worktree holds that leads elsewhere.
const COMMON: &str = "commondir";
const LINKS: [&str; 2] = [COMMON, "gitdir"];

/// Settings by which git runs a program, reads more settings or rules, or takes its files from elsewhere: section and
/// name, whatever stands between; `*` stands for any name.
const RUNS: [(&str, &str); 44] = [
    ("alias", "*"),
    ("browser", "cmd"),
    ("core", "alternaterefscommand"),
    ("core", "askpass"),
    ("core", "attributesfile"),
    ("core", "editor"),
    ("core", "gitproxy"),
    ("core", "hookspath"),
    ("core", "pager"),
    ("core", "sshcommand"),
    ("core", "worktree"),
    ("credential", "helper"),
    ("diff", "command"),
    ("diff", "external"),
    ("diff", "textconv"),
    ("difftool", "cmd"),
    ("difftool", "path"),
    ("filter", "clean"),
    ("filter", "process"),
    ("filter", "smudge"),
    ("gc", "recentobjectshook"),
    ("gpg", "defaultkeycommand"),
    ("gpg", "program"),
    ("guitool", "cmd"),
    ("hook", "command"),
    ("include", "path"),
    ("includeif", "path"),
    ("interactive", "difffilter"),
    ("lfs", "clean"),
    ("lfs", "path"),
    ("lfs", "smudge"),
    ("man", "cmd"),
    ("merge", "driver"),
    ("mergetool", "cmd"),
    ("mergetool", "path"),
    ("pager", "*"),
    ("remote", "receivepack"),
    ("remote", "uploadpack"),
    ("remote", "vcs"),
    ("sequence", "editor"),
    ("tar", "command"),
    ("trailer", "cmd"),
    ("trailer", "command"),
    ("uploadpack", "packobjectshook"),
];

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// What: `the setting core.editor`, `the hook pre-commit`. Safe to show.
    pub what: String,
    /// Whether git runs something for it, or takes one thing for another: no ordinary act of a person's.
    pub runs: bool,
    /// The worktree it belongs to, where it is a link of one.
    pub worktree: Option<PathBuf>,
}

/// What stood there at the last look.
#[derive(Debug, Default)]
pub(super) struct Known {
    texts: BTreeMap<String, Text>,
    settings: Option<Remembered>,
}

/// Settings as git listed them.
#[derive(Debug)]
struct Remembered {
    /// The files they stood in, and how those were before.
    files: BTreeMap<PathBuf, Option<Stamp>>,
    settings: Vec<(String, Vec<u8>)>,
    /// Whether they can change only with these files.
    is_complete: bool,
}

/// What git obeys, under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Text {
    text: Vec<u8>,
    runs: bool,
    worktree: Option<PathBuf>,
}

impl Known {
    /// What differs from the last look.
    pub(super) fn changes(&mut self, git: &Git, common: &Path) -> Result<Vec<Planted>, GitError> {
        let mut now = BTreeMap::new();
        self.read_settings(git, common, &mut now)?;
        for name in COPIED {
            let text = Text {
                text: read_plain(&common.join(name)),
                runs: name == ATTRIBUTES,
                worktree: None,
            };
            now.insert(format!("the file {name}"), text);
        }
        read_hooks(common, &mut now);
        let links = read_links(common);
        let mut found = Vec::new();
        for (what, text) in &now {
            if self.texts.get(what) != Some(text) {
                found.push(planted(what, text));
            }
        }
        for (what, text) in &links {
            let before = self.texts.get(what);
            // What leads where it should was put right, what is empty leads nowhere (harness may just be writing it), and
            // what is new is harness's, or a person's new worktree.
            let is_right = what.ends_with(COMMON) && text.text == b"../..";
            let is_right = is_right || text.text.is_empty();
            if let Some(before) = before.filter(|before| *before != text && !is_right) {
                found.push(planted(what, before));
            }
        }
        for (what, _) in self
            .texts
            .iter()
            .filter(|(_, text)| text.worktree.is_none())
        {
            if !now.contains_key(what) {
                let gone = Text::default();
                found.push(planted(&format!("{what} (it is gone)"), &gone));
            }
        }
        now.extend(links);
        self.texts = now;
        Ok(found)
    }

    /// Reads the settings, by git where a file of them may have changed.
    fn read_settings(
        &mut self,
        git: &Git,
        common: &Path,
        now: &mut BTreeMap<String, Text>,
    ) -> Result<(), GitError> {
        let last = self.settings.take();
        let still_holds = |last: &Remembered| {
            let mut files = last.files.iter();
            let is_same =
                files.all(|(file, stamp)| is_same(stamp.as_ref(), Stamp::at(file).as_ref()));
            last.is_complete && is_same
        };
        let settings = match last {
            Some(last) if still_holds(&last) => last,
            last => {
                let known = last.map(|last| last.files).unwrap_or_default();
                let known = SETTINGS
                    .iter()
                    .map(|name| common.join(name))
                    .chain(known.into_keys());
                // Before they are read: what changes meanwhile is read again.
                let stamped = known.map(|file| (file.clone(), Stamp::at(&file)));
                let mut files: BTreeMap<PathBuf, Option<Stamp>> = stamped.collect();
                let read = Settings::read(git)?;
                let settings = read.of_repository;
                // A file to be included that is not there yet is in no list.
                let includes = settings.iter().any(|(key, _)| key.starts_with("include"));
                let is_complete =
                    !includes && read.files.iter().all(|file| files.contains_key(file));
                for file in read.files {
                    // A file that is new here counts from the next look.
                    files.entry(file).or_insert(None);
                }
                Remembered {
                    files,
                    settings,
                    is_complete,
                }
            }
        };
        for (key, value) in &settings.settings {
            let text: &mut Text = now.entry(format!("the setting {key}")).or_default();
            text.text.extend_from_slice(value);
            text.text.push(0);
            text.runs |= runs(key, value);
        }
        self.settings = Some(settings);
        Ok(())
    }
}

fn planted(what: &str, text: &Text) -> Planted {
    Planted {
        what: visible(what),
        runs: text.runs,
        worktree: text.worktree.clone(),
    }
}

/// What a file holds. Of what is none, or a huge one, only what it is: a pipe would be waited for.
fn read_plain(path: &Path) -> Vec<u8> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() <= LARGEST => fs::read(path).unwrap_or_default(),
        Ok(meta) => format!("{:?} of {} bytes", meta.file_type(), meta.len()).into_bytes(),
        Err(_) => Vec::new(),
    }
}

fn read_hooks(common: &Path, now: &mut BTreeMap<String, Text>) {
    let hooks = fs::read_dir(common.join(HOOKS)).into_iter().flatten();
    for entry in hooks.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".sample") {
            continue;
        }
        let text = Text {
            text: read_plain(&entry.path()),
            runs: true,
            worktree: None,
        };
        now.insert(format!("the hook {name}"), text);
    }
}

/// What leads from the administrative directories of worktrees elsewhere.
fn read_links(common: &Path) -> BTreeMap<String, Text> {
    let mut links = BTreeMap::new();
    let all = fs::read_dir(common.join("worktrees")).into_iter().flatten();
    for admin in all.flatten() {
        let (name, path) = (admin.file_name(), admin.path());
        let is_file = path.join("gitdir").is_file();
        let worktree = is_file.then(|| worktree_of(&path)).flatten();
        for link in LINKS {
            let text = read_plain(&path.join(link));
            let text = Text {
                text: text.trim_ascii_end().to_owned(),
                runs: true,
                worktree: Some(worktree.clone().unwrap_or_default()),
            };
            let name = name.to_string_lossy();
            links.insert(format!("the link worktrees/{name}/{link}"), text);
        }
    }
    links
}

/// Whether git runs something, or takes one thing for another, for this setting.
fn runs(key: &str, value: &[u8]) -> bool {
    let (Some((section, _)), Some((_, name))) = (key.split_once('.'), key.rsplit_once('.')) else {
        return false;
    };
    let value = String::from_utf8_lossy(value).to_lowercase();
    let is_switch = ["", "0", "1", "true", "false", "yes", "no", "on", "off"].contains(&&*value);
    match key {
        "protocol.allow" | "protocol.ext.allow" => true,
        "core.fsmonitor" => !is_switch,
        // A command of the shell, or an address that is one.
        _ if value.starts_with('!') || value.contains("ext::") || key.contains("ext::") => true,
        _ => {
            let mut listed = RUNS.iter();
            let listed = listed.any(|(of, any)| *of == section && (*any == name || *any == "*"));
            listed && !(section == "pager" && is_switch)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn what_makes_git_run_something_is_told_from_what_only_sets_something() {
        for (key, value) in [
            ("alias.st", "status"),
            ("core.fsmonitor", "/bin/evil"),
            ("core.hookspath", ".husky/_"),
            ("credential.helper", "!evil"),
            ("credential.https://x.y/z.helper", "store"),
            ("diff.a.b.textconv", "evil"),
            ("filter.lfs.clean", "git-lfs clean -- %f"),
            ("gpg.ssh.defaultkeycommand", "evil"),
            ("includeif.gitdir:~/x/.path", "evil"),
            ("pager.log", "evil"),
            ("protocol.ext.allow", "always"),
            ("remote.origin.url", "ext::evil"),
            ("submodule.lib.update", "!evil"),
            ("url.ext::evil .insteadof", "https://"),
        ] {
            assert!(runs(key, value.as_bytes()), "{key} {value}");
        }
        for (key, value) in [
            ("branch.main.remote", "origin"),
            ("core.fsmonitor", "true"),
            ("pager.log", "false"),
            ("protocol.file.allow", "always"),
            ("remote.origin.url", "https://example.org/x"),
            ("submodule.lib.url", "../lib"),
            ("user.name", "Ada"),
            ("nonsense", ""),
        ] {
            assert!(!runs(key, value.as_bytes()), "{key} {value}");
        }
    }
}
