//! Whose money a call costs, as far as the environment tells: a login's, or that of a key beside it.
//!
//! It looks whether variables and files are there. It must never read, show or keep what is in them.

use super::credentials::places;
use super::env::fits;
use super::{Kind, Profile};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// The variable of harness's own environment that is charged although there is a login to a subscription, and
/// nothing in the profile says that it should be. Without a login such a key is simply how it is paid.
#[must_use]
pub fn charged(profile: &Profile, parent: &BTreeMap<OsString, OsString>) -> Option<&'static str> {
    // Those that take a key before any login.
    if !matches!(profile.kind, Kind::Claude | Kind::Codex) {
        return None;
    }
    let places = places(profile.kind)?;
    // What the agent will find, the profile's own first.
    let value = |name: &str| {
        let own = profile.env.get(name).map(OsStr::new);
        let value = own.or_else(|| parent.get(OsStr::new(name)).map(OsString::as_os_str));
        value.filter(|value| !value.is_empty())
    };
    let is_set = |name: &&str| value(name).is_some();
    if places.elsewhere.iter().any(is_set) {
        return None;
    }
    let key = *places.keys.iter().find(|name| is_set(name))?;
    let names = |pattern: &String| pattern != "*" && fits(pattern, key);
    let is_meant = profile.env.contains_key(key) || profile.env_pass.iter().any(names);
    let has_login = places.tokens.iter().any(is_set) || places.login(value).is_some();
    (has_login && !is_meant).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::super::env::CLOUD_SWITCHES;
    use super::*;

    const ELSEWHERE: &str = "ANTHROPIC_BASE_URL";
    const LOGIN: &str = "CLAUDE_CODE_OAUTH_TOKEN";

    fn profile(kind: Kind, env: &[(&str, &str)], env_pass: &[&str]) -> Profile {
        let env = env.iter();
        Profile {
            kind,
            command: Vec::new(),
            model: None,
            args: Vec::new(),
            env: env
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            env_pass: env_pass.iter().map(|name| (*name).to_owned()).collect(),
            ..Profile::bare(kind)
        }
    }

    fn parent(variables: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
        let variables = variables.iter();
        variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn a_key_beside_a_login_is_told_unless_it_is_meant() {
        let key = ("ANTHROPIC_API_KEY", "sk-x");
        let token = ("ANTHROPIC_AUTH_TOKEN", "t");
        let login = (LOGIN, "o");
        let api = Some("ANTHROPIC_API_KEY");
        let claude = profile(Kind::Claude, &[], &[]);
        for (profile, variables, told) in [
            (claude.clone(), &[key, login][..], api),
            (claude.clone(), &[key, token, login], Some(token.0)),
            (claude.clone(), &[key], None),
            (claude.clone(), &[login], None),
            (claude.clone(), &[(key.0, ""), login], None),
            (claude.clone(), &[key, login, (ELSEWHERE, "http://x")], None),
            (claude, &[key, login, (CLOUD_SWITCHES[0], "1")], None),
            (profile(Kind::Command, &[], &[]), &[key, login], None),
            (profile(Kind::Claude, &[key], &[]), &[key, login], None),
            (profile(Kind::Claude, &[login], &[]), &[key], api),
            (profile(Kind::Claude, &[], &[key.0]), &[key, login], None),
            (
                profile(Kind::Claude, &[], &["ANTHROPIC_*"]),
                &[key, login],
                None,
            ),
            (profile(Kind::Claude, &[], &["*"]), &[key, login], api),
            (
                profile(Kind::Claude, &[(key.0, "")], &[]),
                &[key, login],
                None,
            ),
        ] {
            assert_eq!(
                charged(&profile, &parent(variables)),
                told,
                "{profile:?} {variables:?}"
            );
        }
    }

    #[test]
    fn a_login_is_found_where_claude_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        let claude = profile(Kind::Claude, &[], &[]);
        let key = ("ANTHROPIC_API_KEY", "sk-x");
        assert_eq!(charged(&claude, &parent(&[key, ("HOME", home)])), None);
        let config = dir.path().join(".claude");
        std::fs::create_dir(&config).unwrap();
        std::fs::write(config.join(".credentials.json"), "{}").unwrap();
        assert_eq!(
            charged(&claude, &parent(&[key, ("HOME", home)])),
            Some(key.0)
        );
        let config = config.to_str().unwrap();
        let moved = parent(&[key, ("CLAUDE_CONFIG_DIR", config), ("HOME", "/nowhere")]);
        assert_eq!(charged(&claude, &moved), Some(key.0));
        let own = profile(Kind::Claude, &[("CLAUDE_CONFIG_DIR", "/nowhere")], &[]);
        assert_eq!(charged(&own, &moved), None);
    }

    #[test]
    fn a_key_beside_a_login_of_codex_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let home = ("HOME", dir.path().to_str().unwrap());
        let codex = profile(Kind::Codex, &[], &[]);
        let key = ("OPENAI_API_KEY", "sk-x");
        assert_eq!(charged(&codex, &parent(&[key, home])), None);
        std::fs::create_dir(dir.path().join(".codex")).unwrap();
        std::fs::write(dir.path().join(".codex/auth.json"), "{}").unwrap();
        assert_eq!(charged(&codex, &parent(&[home])), None);
        assert_eq!(charged(&codex, &parent(&[key, home])), Some(key.0));
        let both = parent(&[key, ("CODEX_API_KEY", "sk-y"), home]);
        assert_eq!(charged(&codex, &both), Some("CODEX_API_KEY"));
        let meant = profile(Kind::Codex, &[], &[key.0]);
        assert_eq!(charged(&meant, &parent(&[key, home])), None);
    }
}
