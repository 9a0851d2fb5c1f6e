//! What an agent, and a project's own commands, inherit of harness's environment: an allow-list.
//!
//! Knows nothing about one call. A variable that is not named here or by the user never reaches a child.

use super::cli::Cli;
use super::{Kind, Profile};
use std::collections::BTreeMap;
use std::ffi::OsString;

type Environment = BTreeMap<OsString, OsString>;

/// Passed to everything harness starts; `*` stands for any ending.
const USUAL: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TERM",
    "TZ",
    "TMPDIR",
    "XDG_*",
    "SSH_AUTH_SOCK",
    // Toolchains.
    "CARGO_HOME",
    "RUSTUP_HOME",
    "GOPATH",
    "GOCACHE",
    "GOMODCACHE",
    "NVM_DIR",
    "NVM_BIN",
    "FNM_*",
    "VOLTA_HOME",
    "PNPM_HOME",
    "JAVA_HOME",
    "PYENV_ROOT",
    "VIRTUAL_ENV",
    "NIX_*",
    // The way out.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    // Who commits.
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
];

/// Passed to Claude Code besides when it is told to use a cloud provider.
const CLOUD: &[&str] = &["AWS_*", "GOOGLE_*", "CLOUD_ML_REGION"];
pub(super) const CLOUD_SWITCHES: [&str; 2] = ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"];

/// Never inherited, whoever asks: harness-loop's variables are meant for harness itself (a child that
/// is a test runner would take `PARALLEL` for its own), git's would lead a child's git astray.
const NEVER: &[&str] = &[
    "HARNESS",
    "HARNESS_*",
    "PARALLEL",
    "MAX_ITERATIONS",
    "CLAUDE_TIMEOUT",
    "ONLY",
    "STUCK_LIMIT",
    "SLEEP_BETWEEN",
    "ORDER_FILE",
    "DRY_RUN",
    "MODEL",
    "SPECS_DIR",
    "SPEC_FILE",
    "GIT_*",
];

/// What a project's own commands inherit of `parent`: the usual variables and those of `extra_pass`
/// (`NAME_*` means all that begin so).
#[must_use]
pub fn base_env(parent: &Environment, extra_pass: &[String]) -> Environment {
    let extra: Vec<&str> = extra_pass.iter().map(String::as_str).collect();
    inherited(parent, &[USUAL, &extra])
}

/// What an agent of this profile inherits, with the profile's own variables set.
pub(super) fn agent_env(parent: &Environment, profile: &Profile, is_root: bool) -> Environment {
    let extra: Vec<&str> = profile.env_pass.iter().map(String::as_str).collect();
    let cli = Cli::of(profile.kind);
    let mut lists = vec![USUAL, extra.as_slice()];
    lists.extend(cli.passes);
    if profile.kind == Kind::Claude {
        let is_set = |name: &str| {
            parent.contains_key(&OsString::from(name)) || profile.env.contains_key(name)
        };
        if CLOUD_SWITCHES.into_iter().any(is_set) {
            lists.push(CLOUD);
        }
    }
    let mut env = inherited(parent, &lists);
    // A question nobody can answer must fail at once, and a repack must not race with the others' work:
    // all worktrees share one object store. What the agent commits must be on the disk when the journal says that
    // the iteration ended: git alone does not sync objects.
    for (name, value) in [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_CONFIG_COUNT", "4"),
        ("GIT_CONFIG_KEY_0", "gc.auto"),
        ("GIT_CONFIG_VALUE_0", "0"),
        ("GIT_CONFIG_KEY_1", "maintenance.auto"),
        ("GIT_CONFIG_VALUE_1", "false"),
        ("GIT_CONFIG_KEY_2", "core.fsync"),
        ("GIT_CONFIG_VALUE_2", "committed,reference"),
        ("GIT_CONFIG_KEY_3", "core.fsyncMethod"),
        ("GIT_CONFIG_VALUE_3", "batch"),
    ] {
        env.insert(name.into(), value.into());
    }
    // What a person has set for sessions of their own is not meant for these.
    for (name, value) in cli.sets {
        env.insert(name.into(), value.into());
    }
    if profile.kind == Kind::Claude && is_root {
        // Claude Code refuses to work without asking when it runs as root, unless told that it is boxed in.
        env.entry("IS_SANDBOX".into()).or_insert_with(|| "1".into());
    }
    for (name, value) in &profile.env {
        env.insert(name.into(), value.into());
    }
    env
}

fn inherited(parent: &Environment, lists: &[&[&str]]) -> Environment {
    let passes = |name: &str| {
        let usual = USUAL.contains(&name);
        let allowed = lists
            .iter()
            .any(|list| list.iter().any(|pattern| fits(pattern, name)));
        allowed && (usual || !NEVER.iter().any(|pattern| fits(pattern, name)))
    };
    parent
        .iter()
        .filter(|(name, _)| name.to_str().is_some_and(passes))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent() -> Environment {
        [
            "PATH",
            "HOME",
            "LC_ALL",
            "XDG_CONFIG_HOME",
            "https_proxy",
            "GIT_AUTHOR_NAME",
            "GIT_DIR",
            "GIT_INDEX_FILE",
            "GIT_CONFIG_GLOBAL",
            "PARALLEL",
            "MODEL",
            "CLAUDE_TIMEOUT",
            "HARNESS_RUN_ID",
            "ANTHROPIC_API_KEY",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDECODE",
            "AWS_PROFILE",
            "OPENAI_API_KEY",
            "MY_SECRET",
            "LD_PRELOAD",
        ]
        .into_iter()
        .map(|name| (name.into(), "v".into()))
        .collect()
    }

    fn profile(kind: Kind) -> Profile {
        Profile {
            kind,
            command: Vec::new(),
            model: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            env_pass: Vec::new(),
            ..Profile::bare(kind)
        }
    }

    fn names(env: &Environment) -> Vec<&str> {
        let sets = [Kind::Claude, Kind::Opencode, Kind::Goose].map(|kind| Cli::of(kind).sets);
        let is_set = |name: &str| sets.concat().iter().any(|(set, _)| *set == name);
        let ours = |name: &&str| {
            !name.starts_with("GIT_CONFIG_") && *name != "GIT_TERMINAL_PROMPT" && !is_set(name)
        };
        env.keys()
            .filter_map(|name| name.to_str())
            .filter(ours)
            .collect()
    }

    const PLAIN: [&str; 6] = [
        "GIT_AUTHOR_NAME",
        "HOME",
        "LC_ALL",
        "PATH",
        "XDG_CONFIG_HOME",
        "https_proxy",
    ];

    #[test]
    fn only_what_is_listed_passes() {
        assert_eq!(names(&base_env(&parent(), &[])), PLAIN);
        let command = agent_env(&parent(), &profile(Kind::Command), true);
        assert_eq!(names(&command), PLAIN);
        let claude = agent_env(&parent(), &profile(Kind::Claude), false);
        let mut expected = vec!["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"];
        expected.extend(PLAIN);
        assert_eq!(names(&claude), expected);
        let codex = agent_env(&parent(), &profile(Kind::Codex), false);
        let mut expected = PLAIN.to_vec();
        expected.insert(3, "OPENAI_API_KEY");
        assert_eq!(names(&codex), expected);
    }

    #[test]
    fn what_keeps_a_call_from_asking_is_set_unless_the_profile_says_otherwise() {
        let mode = OsString::from("GOOSE_MODE");
        let mut goose = profile(Kind::Goose);
        let mut parent = parent();
        parent.insert(mode.clone(), "approve".into());
        assert_eq!(agent_env(&parent, &goose, false)[&mode], "auto");
        goose
            .env
            .insert("GOOSE_MODE".into(), "smart_approve".into());
        assert_eq!(agent_env(&parent, &goose, false)[&mode], "smart_approve");
    }

    /// What makes an interpreter, a linker or a shell run more than it was asked to.
    #[test]
    fn nothing_that_injects_code_passes_by_itself() {
        let injecting = [
            "NODE_OPTIONS",
            "NODE_PATH",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "LD_AUDIT",
            "DYLD_INSERT_LIBRARIES",
            "BASH_ENV",
            "ENV",
            "ZDOTDIR",
            "PROMPT_COMMAND",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PERL5OPT",
            "RUBYOPT",
            "JAVA_TOOL_OPTIONS",
            "RUSTC_WRAPPER",
            "GIT_SSH_COMMAND",
            "GIT_EXTERNAL_DIFF",
            "EDITOR",
            "PAGER",
            "MAKEFLAGS",
        ];
        let mut parent = parent();
        parent.extend(injecting.map(|name| (name.into(), "v".into())));
        for env in [
            base_env(&parent, &[]),
            agent_env(&parent, &profile(Kind::Command), false),
            agent_env(&parent, &profile(Kind::Claude), false),
            agent_env(&parent, &profile(Kind::Codex), false),
            agent_env(&parent, &profile(Kind::Opencode), false),
            agent_env(&parent, &profile(Kind::Goose), false),
            agent_env(&parent, &profile(Kind::Gemini), false),
            agent_env(&parent, &profile(Kind::Copilot), false),
            agent_env(&parent, &profile(Kind::Qwen), false),
            agent_env(&parent, &profile(Kind::Aider), false),
        ] {
            let passed = names(&env);
            assert!(
                !passed.iter().any(|name| injecting.contains(name)),
                "{passed:?}"
            );
        }
    }

    #[test]
    fn the_user_can_pass_more_but_never_what_leads_a_child_astray() {
        let pass: Vec<String> = ["OPENAI_*", "MY_SECRET", "PARALLEL", "GIT_DIR", "*"]
            .map(str::to_owned)
            .into();
        let env = base_env(&parent(), &pass);
        for name in ["OPENAI_API_KEY", "MY_SECRET", "LD_PRELOAD"] {
            assert!(names(&env).contains(&name), "{name}");
        }
        for name in [
            "PARALLEL",
            "MODEL",
            "CLAUDE_TIMEOUT",
            "HARNESS_RUN_ID",
            "GIT_DIR",
            "GIT_CONFIG_GLOBAL",
        ] {
            assert!(!env.contains_key(&OsString::from(name)), "{name}");
        }
    }

    #[test]
    fn cloud_credentials_pass_only_when_claude_is_told_to_use_them() {
        let mut bedrock = profile(Kind::Claude);
        bedrock
            .env
            .insert("CLAUDE_CODE_USE_BEDROCK".into(), "1".into());
        let aws = OsString::from("AWS_PROFILE");
        assert!(agent_env(&parent(), &bedrock, false).contains_key(&aws));
        assert!(!agent_env(&parent(), &profile(Kind::Claude), false).contains_key(&aws));
        bedrock.kind = Kind::Command;
        assert!(!agent_env(&parent(), &bedrock, false).contains_key(&aws));
    }

    #[test]
    fn the_profiles_own_variables_win() {
        let mut own = profile(Kind::Claude);
        own.env.insert("HOME".into(), "/elsewhere".into());
        own.env.insert("IS_SANDBOX".into(), "0".into());
        let env = agent_env(&parent(), &own, true);
        let value = |name: &str| env.get(&OsString::from(name)).cloned();
        assert_eq!(value("HOME"), Some("/elsewhere".into()));
        assert_eq!(value("IS_SANDBOX"), Some("0".into()));
        assert_eq!(value("GIT_CONFIG_VALUE_0"), Some("0".into()));
        own.env.clear();
        let env = agent_env(&parent(), &own, true);
        assert_eq!(env.get(&OsString::from("IS_SANDBOX")), Some(&"1".into()));
    }
}
