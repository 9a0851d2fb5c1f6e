//! Where agents keep their own state in the user's home: what each kind must be able to write in a sandbox, and what of
//! the others' nobody needs to see.
//!
//! Knows nothing about sandboxes.

use super::{Kind, Profile};
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
    /// Of `write`, the directory that is made if it is missing.
    directory: Option<PathBuf>,
}

impl Home {
    /// Makes the directory if it is missing: what is not there cannot be handed into a sandbox.
    pub fn make(&self) {
        if let Some(dir) = self.directory.as_ref().filter(|dir| !dir.exists()) {
            // Without it the agent says what it misses.
            let _ = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        }
    }
}

/// Claude Code's, in its directory.
const CLAUDE_SETTINGS: [&str; 10] = [
    "settings.json",
    "settings.local.json",
    "CLAUDE.md",
    "agents",
    "commands",
    "hooks",
    "output-styles",
    "plugins",
    "rules",
    "skills",
];

/// Where the agents that are known keep what is theirs, their logins above all.
const ALL: [&str; 14] = [
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
    ".cursor",
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
    match profile.kind {
        Kind::Claude => {
            let moved = set("CLAUDE_CONFIG_DIR").filter(|dir| dir.is_absolute());
            let dir = moved.map_or_else(|| user.join(".claude"), Path::to_owned);
            let read = CLAUDE_SETTINGS.iter().map(|name| dir.join(name)).collect();
            Home {
                write: vec![dir.clone(), user.join(".claude.json")],
                read,
                directory: Some(dir),
            }
        }
        Kind::Command => Home::default(),
    }
}

/// What agents of any kind keep in the user's home.
#[must_use]
pub fn all_homes(env: &BTreeMap<OsString, OsString>) -> Vec<PathBuf> {
    let user = env.get(OsStr::new("HOME")).map(Path::new);
    let all = |user: &Path| ALL.iter().map(|name| user.join(name)).collect();
    user.map(all).unwrap_or_default()
}
