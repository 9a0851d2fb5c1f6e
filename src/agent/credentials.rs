//! Whether an agent has what it needs to ask its service, and whose money a call costs, as far as names tell.
//!
//! It looks whether variables and files are there. It must never read, show or keep what is in them.

use super::cli::PROVIDERS;
use super::env::{CLOUD_SWITCHES, agent_env, fits};
use super::{Kind, Profile};
use crate::model::{CredentialKind, Credentials};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where a kind of agent looks, the first first.
pub(super) struct Places {
    /// Who sets one of these has chosen whom to ask, and so what that costs.
    pub(super) elsewhere: &'static [&'static str],
    pub(super) keys: &'static [&'static str],
    /// Logins, as variables.
    pub(super) tokens: &'static [&'static str],
    /// A login's file: the variable that moves its directory, the path below that, the path below the home.
    files: &'static [(&'static str, &'static str, &'static str)],
}

const NONE: Places = Places {
    elsewhere: &[],
    keys: &[],
    tokens: &[],
    files: &[],
};

pub(super) fn places(kind: Kind) -> Option<Places> {
    Some(match kind {
        Kind::Claude => Places {
            elsewhere: &[CLOUD_SWITCHES[0], CLOUD_SWITCHES[1], "ANTHROPIC_BASE_URL"],
            keys: &["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"],
            tokens: &["CLAUDE_CODE_OAUTH_TOKEN"],
            files: &[(
                "CLAUDE_CONFIG_DIR",
                ".credentials.json",
                ".claude/.credentials.json",
            )],
        },
        Kind::Codex => Places {
            keys: &["CODEX_API_KEY", "OPENAI_API_KEY"],
            files: &[("CODEX_HOME", "auth.json", ".codex/auth.json")],
            ..NONE
        },
        Kind::Opencode => Places {
            keys: &PROVIDERS,
            files: &[(
                "XDG_DATA_HOME",
                "opencode/auth.json",
                ".local/share/opencode/auth.json",
            )],
            ..NONE
        },
        Kind::Gemini => Places {
            keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
            files: &[("", "", ".gemini/oauth_creds.json")],
            ..NONE
        },
        Kind::Copilot => Places {
            keys: &["COPILOT_PROVIDER_API_KEY"],
            tokens: &["COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"],
            ..NONE
        },
        Kind::Qwen => Places {
            keys: &["OPENAI_API_KEY", "DASHSCOPE_API_KEY"],
            files: &[("", "", ".qwen/oauth_creds.json")],
            ..NONE
        },
        Kind::Goose | Kind::Aider => Places {
            keys: &PROVIDERS,
            ..NONE
        },
        Kind::Command => return None,
    })
}

/// What an agent of this profile would go by, of all that it is given of `parent` and finds in its home.
#[must_use]
pub fn credentials(profile: &Profile, parent: &BTreeMap<OsString, OsString>) -> Credentials {
    let found = |kind, name: &str| Credentials {
        kind,
        name: name.to_owned(),
    };
    let Some(places) = places(profile.kind) else {
        return found(CredentialKind::Unknown, "");
    };
    let env = agent_env(parent, profile, false);
    let set = |pattern: &&str| {
        let mut fitting = env.iter().filter(|(name, value)| {
            let name = name.to_str().unwrap_or_default();
            fits(pattern, name) && !value.is_empty() && is_a_credential(pattern, name)
        });
        fitting.next().and_then(|(name, _)| name.to_str())
    };
    for (names, kind) in [
        (places.elsewhere, CredentialKind::Elsewhere),
        (places.keys, CredentialKind::Key),
        (places.tokens, CredentialKind::Login),
    ] {
        if let Some(name) = names.iter().find_map(set) {
            return found(kind, name);
        }
    }
    let value = |name: &str| {
        let value = env.get(OsStr::new(name)).filter(|value| !value.is_empty());
        value.map(OsString::as_os_str)
    };
    match places.login(value) {
        Some(path) => found(CredentialKind::Login, &path.to_string_lossy()),
        None => found(CredentialKind::Nothing, ""),
    }
}

impl Places {
    /// The file of a login, if there is one, where the agent has these variables.
    pub(super) fn login<'a>(&self, value: impl Fn(&str) -> Option<&'a OsStr>) -> Option<PathBuf> {
        let mut files = self.files.iter().filter_map(|(variable, inside, usual)| {
            match (value(variable), value("HOME")) {
                (Some(dir), _) => Some(Path::new(dir).join(inside)),
                (None, Some(home)) => Some(Path::new(home).join(usual)),
                (None, None) => None,
            }
        });
        files.find(|path| path.is_file())
    }
}

/// Of variables that are named by a pattern, addresses and models are none.
fn is_a_credential(pattern: &str, name: &str) -> bool {
    !pattern.contains('*') || name.ends_with("_KEY") || name.ends_with("_TOKEN")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(kind: Kind) -> Profile {
        Profile::bare(kind)
    }

    fn environment(variables: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
        let variables = variables.iter();
        variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    /// What an agent of this kind goes by with these variables, in this home.
    fn found(kind: Kind, home: &Path, variables: &[(&str, &str)]) -> (CredentialKind, String) {
        let mut env = environment(variables);
        env.insert("HOME".into(), home.into());
        let found = credentials(&profile(kind), &env);
        (found.kind, found.name)
    }

    #[test]
    fn keys_logins_and_services_are_told_apart_by_their_names() {
        const KEY: (&str, &str) = ("ANTHROPIC_API_KEY", "x");
        let cloud = ("CLAUDE_CODE_USE_BEDROCK", "1");
        let token = ("CLAUDE_CODE_OAUTH_TOKEN", "x");
        let openai = ("OPENAI_API_KEY", "x");
        let github = ("GH_TOKEN", "x");
        let none = Path::new("/nowhere");
        for (kind, variables, expected) in [
            (Kind::Claude, &[KEY][..], (CredentialKind::Key, KEY.0)),
            (Kind::Claude, &[(KEY.0, "")], (CredentialKind::Nothing, "")),
            (
                Kind::Claude,
                &[KEY, cloud],
                (CredentialKind::Elsewhere, cloud.0),
            ),
            (Kind::Claude, &[token], (CredentialKind::Login, token.0)),
            (Kind::Codex, &[openai], (CredentialKind::Key, openai.0)),
            (
                Kind::Aider,
                &[("OPENAI_BASE_URL", "x")],
                (CredentialKind::Nothing, ""),
            ),
            (Kind::Aider, &[openai], (CredentialKind::Key, openai.0)),
            (Kind::Copilot, &[github], (CredentialKind::Login, github.0)),
            // What it is not given does not count.
            (Kind::Copilot, &[openai], (CredentialKind::Nothing, "")),
            (Kind::Command, &[openai], (CredentialKind::Unknown, "")),
        ] {
            let (found, name) = found(kind, none, variables);
            assert_eq!((found, name.as_str()), expected, "{kind:?} {variables:?}");
        }
    }

    #[test]
    fn a_login_is_found_where_its_kind_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".codex/auth.json");
        std::fs::create_dir(dir.path().join(".codex")).unwrap();
        std::fs::write(&file, "").unwrap();
        let login = (CredentialKind::Login, file.to_str().unwrap().to_owned());
        assert_eq!(found(Kind::Codex, dir.path(), &[]), login);
        let nothing = (CredentialKind::Nothing, String::new());
        assert_eq!(found(Kind::Claude, dir.path(), &[]), nothing);
    }
}
