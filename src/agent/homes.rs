//! Where agents keep their own state in the user's home: what each kind must be able to write in a sandbox, and what of
//! the others' nobody needs to see.
//!
//! Knows nothing about sandboxes.

use super::Profile;
use super::cli::Cli;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// What an agent must be able to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home {
    /// Directories and files.
    pub write: Vec<PathBuf>,
    /// Below these, what changes how the agent behaves in the user's own hands.
    pub read: Vec<PathBuf>,
    /// Of `write`, the directories, which are made if they are missing.
    directories: Vec<PathBuf>,
}

impl Home {
    /// Makes the directories that are missing: what is not there cannot be handed into a sandbox.
    pub fn make(&self) {
        for dir in self.directories.iter().filter(|dir| !dir.exists()) {
            // Without it the agent says what it misses.
            let _ = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        }
    }
}

/// Where the agents that are known keep what is theirs, their logins above all.
const ALL: [&str; 16] = [
    ".claude",
    ".claude.json",
    ".codex",
    ".gemini",
    ".qwen",
    ".copilot",
    ".config/github-copilot",
    ".config/goose",
    ".local/share/goose",
    ".config/opencode",
    ".local/share/opencode",
    ".local/state/opencode",
    ".cache/opencode",
    ".cursor",
    ".aider",
    ".aider.conf.yml",
];

/// What an agent of this profile must be able to write in the user's home.
#[must_use]
pub fn home(profile: &Profile, env: &BTreeMap<OsString, OsString>) -> Home {
    let set = |name: &str| {
        let own = profile.env.get(name).map(|value| Path::new(value.as_str()));
        own.or_else(|| env.get(OsStr::new(name)).map(Path::new))
    };
    let Some(user) = env.get(OsStr::new("HOME")).map(Path::new) else {
        return Home::default();
    };
    let mut home = Home::default();
    for place in Cli::of(profile.kind).home {
        let moved = set(place.variable).filter(|dir| dir.is_absolute());
        let path = match moved {
            // `join` with nothing would end in a slash.
            Some(dir) if place.inside.is_empty() => dir.to_owned(),
            Some(dir) => dir.join(place.inside),
            None => user.join(place.usual),
        };
        let settings = place.settings.iter().map(|name| path.join(name));
        home.read.extend(settings);
        if place.is_directory {
            home.directories.push(path.clone());
        }
        home.write.push(path);
    }
    home
}

/// What agents of any kind keep in the user's home.
#[must_use]
pub fn all_homes(env: &BTreeMap<OsString, OsString>) -> Vec<PathBuf> {
    let user = env.get(OsStr::new("HOME")).map(Path::new);
    let all = |user: &Path| ALL.iter().map(|name| user.join(name)).collect();
    user.map(all).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Kind;

    #[test]
    fn each_kind_may_write_what_is_its_own_and_variables_move_it() {
        let home_of = |kind, variables: &[(&str, &str)]| {
            let profile = Profile {
                kind,
                command: Vec::new(),
                model: None,
                args: Vec::new(),
                env: BTreeMap::new(),
                env_pass: Vec::new(),
                ..Profile::bare(kind)
            };
            let all = variables.iter().chain(&[("HOME", "/home/u")]);
            let env = all.map(|(name, value)| (name.into(), value.into()));
            home(&profile, &env.collect())
        };
        let written = |kind, variables: &[(&str, &str)]| {
            let home = home_of(kind, variables);
            let paths = home.write.iter().map(|path| path.display().to_string());
            paths.collect::<Vec<_>>().join(" ")
        };
        for (kind, expected) in [
            (Kind::Claude, "/home/u/.claude /home/u/.claude.json"),
            (Kind::Codex, "/home/u/.codex"),
            (
                Kind::Opencode,
                "/home/u/.local/share/opencode /home/u/.local/state/opencode /home/u/.cache/opencode \
                 /home/u/.config/opencode",
            ),
            (
                Kind::Goose,
                "/home/u/.local/state/goose /home/u/.config/goose",
            ),
            (Kind::Gemini, "/home/u/.gemini"),
            (Kind::Copilot, "/home/u/.copilot"),
            (Kind::Qwen, "/home/u/.qwen"),
            (Kind::Aider, "/home/u/.aider"),
            (Kind::Command, ""),
        ] {
            assert_eq!(written(kind, &[]), expected, "{kind:?}");
        }
        let moved = [
            ("CODEX_HOME", "/c"),
            ("XDG_CONFIG_HOME", "/x"),
            ("CLAUDE_CONFIG_DIR", "no"),
        ];
        assert_eq!(written(Kind::Codex, &moved), "/c");
        assert_eq!(
            written(Kind::Goose, &moved),
            "/home/u/.local/state/goose /x/goose"
        );
        assert_eq!(
            written(Kind::Claude, &moved),
            "/home/u/.claude /home/u/.claude.json"
        );
        let codex = home_of(Kind::Codex, &[]);
        assert!(
            codex
                .read
                .contains(&PathBuf::from("/home/u/.codex/config.toml"))
        );
    }
}
