//! What is particular to each kind of agent, as one table: its program, its flags, its variables, its places, its reader.
//!
//! The entries stand in one file a kind. This file must never know what any of them mean.

use super::reader::Reader;
use super::{Kind, aider, claude, codex, command, copilot, gemini, goose, opencode, qwen, version};
use std::path::Path;

/// One kind of agent.
pub(super) struct Cli {
    /// The program, unless the profile names another. Empty: the profile must.
    pub(super) program: &'static str,
    /// The fixed part of its arguments.
    pub(super) args: fn(&Invocation<'_>) -> Vec<String>,
    /// Arguments of which earlier versions know nothing.
    pub(super) later: Option<Later>,
    /// How it goes on with a conversation; `None`: it cannot be told to.
    pub(super) resume: Option<Resume>,
    /// Whether it takes the prompt on stdin; else from the file that its arguments name, and its stdin is empty.
    pub(super) is_fed: bool,
    /// Variables of harness's own environment that it gets besides the usual ones; `*` stands for any ending.
    pub(super) passes: &'static [&'static [&'static str]],
    /// Variables that it is given unless its profile sets them: what keeps an unattended call from asking, updating or chatting.
    pub(super) sets: &'static [(&'static str, &'static str)],
    /// Variables that lead what is not for several at once to a path below the call's own temporary directory.
    pub(super) apart: &'static [(&'static str, &'static str)],
    /// What it keeps in the user's home.
    pub(super) home: &'static [Place],
    /// What its output tells of what it used.
    pub(super) tells: Tells,
    /// How the names of caches begin that it leaves at the top of its worktree.
    pub(super) litter: Option<&'static str>,
    /// Reads its output.
    pub(super) reader: fn() -> Box<dyn Reader>,
}

/// What a kind of agent tells of what it used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// Nothing.
    Nothing,
    /// Tokens.
    Tokens,
    /// Tokens, and what they cost.
    Money,
}

/// Arguments that came with a version.
pub(super) struct Later {
    pub(super) words: &'static [&'static str],
    /// The first version that has them.
    pub(super) since: [u32; 3],
}

/// How a kind of agent goes on with a conversation.
pub(super) struct Resume {
    /// The words that name it, behind all others.
    pub(super) words: fn(&str) -> Vec<String>,
    /// Whether the usage that it tells is that of the whole conversation, and not of the call.
    pub(super) tells_all: bool,
}

/// What the arguments of one call depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Invocation<'a> {
    pub(super) model: Option<&'a str>,
    /// The conversation to go on with.
    pub(super) session: Option<&'a str>,
    /// The program's version, where it was asked.
    pub(super) version: Option<&'a str>,
    /// The file that holds the prompt, for those that do not take it on stdin.
    pub(super) prompt: &'a Path,
    /// Where what nobody needs afterwards may go.
    pub(super) scratch: &'a Path,
    /// The user's own arguments, which come behind these.
    pub(super) own: &'a [String],
}

/// Something that a kind of agent keeps in the user's home.
pub(super) struct Place {
    /// The variable that moves it; empty when none does.
    pub(super) variable: &'static str,
    /// Where it is below what the variable names.
    pub(super) inside: &'static str,
    /// Where it is below the home when the variable is not set.
    pub(super) usual: &'static str,
    /// Whether it is a directory, which is made if it is missing.
    pub(super) is_directory: bool,
    /// What in it changes how the agent behaves in the user's own hands: not for the agent to write.
    pub(super) settings: &'static [&'static str],
}

/// Variables with which those that serve many providers find them: keys and addresses.
pub(super) const PROVIDERS: [&str; 14] = [
    "ANTHROPIC_*",
    "OPENAI_*",
    "AZURE_*",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_GENERATIVE_AI_API_KEY",
    "OPENROUTER_*",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "XAI_API_KEY",
    "CEREBRAS_API_KEY",
    "OLLAMA_*",
    "DATABRICKS_*",
];

impl Cli {
    /// The entry of a kind.
    pub(super) fn of(kind: Kind) -> &'static Self {
        match kind {
            Kind::Claude => &claude::CLAUDE,
            Kind::Codex => &codex::CODEX,
            Kind::Opencode => &opencode::OPENCODE,
            Kind::Goose => &goose::GOOSE,
            Kind::Gemini => &gemini::GEMINI,
            Kind::Copilot => &copilot::COPILOT,
            Kind::Qwen => &qwen::QWEN,
            Kind::Aider => &aider::AIDER,
            Kind::Command => &command::COMMAND,
        }
    }

    /// All arguments after the program of `command`. The user's own come after all that could be meant otherwise, and so
    /// win.
    pub(super) fn command_line(&self, command: &[String], call: &Invocation<'_>) -> Vec<String> {
        let first = command.iter().skip(1).cloned();
        let resume = self.resume.as_ref().zip(call.session);
        let resume = resume.map(|(resume, session)| (resume.words)(session));
        let later = self.later.as_ref();
        let later = later.filter(|it| version::is_since(call.version, it.since));
        let later = later.into_iter().flat_map(|it| it.words);
        let all = first
            .chain((self.args)(call))
            .chain(later.map(|word| (*word).to_owned()))
            .chain(call.own.iter().cloned());
        all.chain(resume.into_iter().flatten()).collect()
    }
}

impl Invocation<'_> {
    /// These words, and the model behind its flag if one is asked for.
    pub(super) fn words(&self, fixed: &[&str], model_flag: &str) -> Vec<String> {
        let model = self.model.map(|model| [model_flag, model]);
        let words = fixed.iter().copied().chain(model.into_iter().flatten());
        words.map(str::to_owned).collect()
    }

    /// Whether the user's own arguments use one of these flags.
    pub(super) fn has_own(&self, flags: &[&str]) -> bool {
        self.own.iter().any(|word| {
            flags.iter().any(|flag| {
                let rest = word.strip_prefix(flag);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profile;
    use std::collections::BTreeMap;

    fn line(kind: Kind, own: &[&str]) -> String {
        with(kind, own, None, None)
    }

    fn with(kind: Kind, own: &[&str], session: Option<&str>, version: Option<&str>) -> String {
        let profile = Profile {
            kind,
            command: vec!["program".into(), "--first".into()],
            model: None,
            args: own.iter().map(|word| (*word).to_owned()).collect(),
            env: BTreeMap::new(),
            env_pass: Vec::new(),
            ..Profile::bare(kind)
        };
        let (prompt, scratch) = (Path::new("/r/prompt.md"), Path::new("/t"));
        let call = Invocation {
            model: Some("big"),
            session,
            version,
            prompt,
            scratch,
            own: &profile.args,
        };
        Cli::of(kind)
            .command_line(&profile.command, &call)
            .join(" ")
    }

    #[test]
    fn a_conversation_is_named_behind_all_else_by_those_that_can_go_on_with_one() {
        let own = &["--own", "x"];
        for kind in Kind::ALL {
            let (anew, on) = (line(kind, own), with(kind, own, Some("id-1"), None));
            assert_eq!(kind.can_resume(), anew != on, "{kind:?}");
        }
        let claude = with(Kind::Claude, own, Some("id-1"), None);
        assert!(
            claude.ends_with("--model big --own x --resume id-1"),
            "{claude}"
        );
        let codex = with(Kind::Codex, own, Some("id-1"), None);
        assert!(
            codex.ends_with("--model big --own x resume id-1 -"),
            "{codex}"
        );
    }

    #[test]
    fn what_came_with_a_version_is_passed_to_no_earlier_one_and_to_none_that_is_unknown() {
        for (version, passed) in [
            (Some("2.1.330 (Claude Code)"), true),
            (Some("2.1.98 (Claude Code)"), true),
            (Some("2.1.97 (Claude Code)"), false),
            (Some("3.0.0"), true),
            (Some("1.9.200"), false),
            (Some("a build of mine"), false),
            (None, false),
        ] {
            let line = with(Kind::Claude, &["--own"], None, version);
            let flag = "--exclude-dynamic-system-prompt-sections --own";
            assert_eq!(line.contains(flag), passed, "{version:?}: {line}");
        }
    }

    #[test]
    fn each_kind_is_called_headless_with_all_permissions_and_the_users_arguments_last() {
        for (kind, expected) in [
            (
                Kind::Claude,
                "-p --output-format stream-json --verbose --permission-mode bypassPermissions --model big",
            ),
            (
                Kind::Codex,
                "exec --json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox --model big -",
            ),
            (Kind::Opencode, "run --format json --auto --model big"),
            (
                Kind::Goose,
                "run --quiet --output-format stream-json --model big -i -",
            ),
            (
                Kind::Gemini,
                "--yolo --skip-trust --output-format stream-json --model big",
            ),
            (
                Kind::Copilot,
                "--allow-all-tools --no-auto-update --output-format json --model big",
            ),
            (Kind::Qwen, "--yolo --output-format stream-json --model big"),
            (
                Kind::Aider,
                "--yes-always --no-check-update --analytics-disable --no-show-model-warnings --no-gitignore \
                 --no-pretty --no-stream --model big --chat-history-file /t/aider.chat.md \
                 --input-history-file /t/aider.input --message-file /r/prompt.md",
            ),
            (Kind::Command, ""),
        ] {
            let expected = format!("--first {expected} --own x").replace("  ", " ");
            assert_eq!(line(kind, &["--own", "x"]), expected, "{kind:?}");
        }
    }

    #[test]
    fn who_asks_codex_for_a_sandbox_of_its_own_gets_it() {
        for own in [
            &["--sandbox", "workspace-write"][..],
            &["-s=read-only"],
            &["--full-auto"],
        ] {
            assert!(!line(Kind::Codex, own).contains("bypass"), "{own:?}");
        }
    }
}
