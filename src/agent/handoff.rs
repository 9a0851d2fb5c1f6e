//! The part of a prompt that hands a merge back: what clashed or failed, what landed meanwhile, and what is
//! asked.
//!
//! Knows nothing of git: it is told.

use super::text::visible;
use crate::model::{ConflictKind, Conflicted, Oid, Red};

/// Most conflicted paths that are named.
const NAMED_PATHS: usize = 60;

/// A merge that is this iteration's task.
#[derive(Clone, Copy, Debug)]
pub struct Handoff<'a> {
    /// What is to be merged into the feature's branch.
    pub onto: &'a Oid,
    /// Which round this is, from 1.
    pub round: u32,
    /// What is in conflict; empty when git could merge by itself and the merge is in the branch already.
    pub conflicts: &'a [Conflicted],
    /// The conflicting lines.
    pub excerpts: &'a str,
    /// How generated files are made: the patterns that name them and the command, in words.
    pub generated: &'a [(String, String)],
    /// What landed since the feature's work began, a line each, the newest first.
    pub landed: &'a [String],
    /// What fails on the merge, if it was tried.
    pub red: Option<&'a Red>,
}

/// The paragraphs for the prompt.
#[must_use]
pub fn handoff(task: &Handoff<'_>) -> String {
    let mut out = String::from("# This iteration's task: a merge\n\n");
    out.push_str("You have claimed this feature done. Meanwhile other features have landed");
    out.push_str(&format!(" (up to {}).\n", task.onto.short()));
    if task.round > 1 {
        out.push_str(&format!("This is round {} of the merge.\n", task.round));
    }
    if !task.landed.is_empty() {
        out.push_str("\nWhat landed, as far as it concerns this:\n");
        for line in task.landed {
            out.push_str(&format!("- {}\n", one_line(line)));
        }
    }
    if task.conflicts.is_empty() {
        merged(&mut out, task.red);
    } else {
        conflicted(&mut out, task);
    }
    out
}

fn merged(out: &mut String, red: Option<&Red>) {
    out.push_str("\nThat is merged into your branch: it is what stands in this worktree.\n");
    if let Some(red) = red {
        out.push_str(&format!(
            "Merged, `{}` fails, and by itself what landed passes. Its output ended:\n\n",
            one_line(&red.command)
        ));
        for line in visible(&red.tail).lines() {
            out.push_str(&format!("    {line}\n"));
        }
        out.push_str(
            "\nMake it pass without undoing what landed or what your feature is for, commit, and claim done \
             again.\n",
        );
    } else {
        out.push_str("See that everything still works, and claim done again.\n");
    }
}

fn conflicted(out: &mut String, task: &Handoff<'_>) {
    out.push_str(
        "\nYour branch conflicts with that. The merge is laid into this worktree, in progress, with conflict \
         markers (`<<<<<<<` is yours, `|||||||` what both began from, `>>>>>>>` what landed):\n",
    );
    for conflict in task.conflicts.iter().take(NAMED_PATHS) {
        let path = one_line(&conflict.path);
        out.push_str(&format!("- {path}: {}\n", kind(conflict.kind)));
    }
    if let Some(more) = task
        .conflicts
        .len()
        .checked_sub(NAMED_PATHS)
        .filter(|n| *n > 0)
    {
        out.push_str(&format!("- and {more} more (`git status`)\n"));
    }
    let has_generated = |conflict: &Conflicted| conflict.kind == ConflictKind::Generated;
    if task.conflicts.iter().any(has_generated) {
        out.push_str("\nGenerated files are made by:\n");
        for (paths, command) in task.generated {
            out.push_str(&format!("- {}: `{}`\n", one_line(paths), one_line(command)));
        }
    }
    if !task.excerpts.trim().is_empty() {
        out.push_str("\nThe places:\n\n");
        for line in visible(task.excerpts).lines() {
            out.push_str(&format!("    {line}\n"));
        }
    }
    out.push_str(
        "\nResolve it: keep what both sides are for; drop nothing that landed; touch no unrelated file; leave \
         no marker. Then `git add` and `git commit` (do not abort, reset or rebase), run the checks, and claim \
         done again. If a side must go, write the reason into `$HARNESS_OUTBOX/dropped`.\n",
    );
}

fn kind(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::BothModified => "both changed the same lines",
        ConflictKind::BothAdded => "both added it",
        ConflictKind::DeletedByTarget => "you changed it, what landed deleted it",
        ConflictKind::DeletedByFeature => "you deleted it, what landed changed it",
        ConflictKind::Binary => "binary: choose or make one version",
        ConflictKind::Mode => "the same text, executable on one side only",
        ConflictKind::Link => "both point the link elsewhere: choose where to",
        ConflictKind::Submodule => "both moved the submodule",
        ConflictKind::Generated => "generated: make it anew, do not merge its text",
        ConflictKind::Other => "renamed, or a file here and a directory there",
    }
}

fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_says_what_where_who_and_how() {
        let onto = Oid::parse(&"a".repeat(40)).unwrap();
        let conflict = |path: &str, kind| Conflicted {
            path: path.into(),
            kind,
        };
        let conflicts = [
            conflict("src/lib\n.rs", ConflictKind::BothModified),
            conflict("Cargo.lock", ConflictKind::Generated),
        ];
        let text = handoff(&Handoff {
            onto: &onto,
            round: 2,
            conflicts: &conflicts,
            excerpts: "<<<<<<< mine\nPRIOR_LOG\n",
            generated: &[("Cargo.lock".into(), "cargo update".into())],
            landed: &["1a2b Merge search: search works".into()],
            red: None,
        });
        for part in [
            "round 2",
            "src/lib\\n.rs: both changed the same lines",
            "Merge search",
            "Cargo.lock: generated",
            "- Cargo.lock: `cargo update`",
            "    <<<<<<< mine",
            "    PRIOR_LOG",
            "claim done again",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_merge_that_fails_shows_the_gates_output() {
        let onto = Oid::parse(&"a".repeat(40)).unwrap();
        let red = Red {
            command: "make test".into(),
            tail: "assertion failed\n[exit 1]".into(),
        };
        let text = handoff(&Handoff {
            onto: &onto,
            round: 1,
            conflicts: &[],
            excerpts: "",
            generated: &[],
            landed: &[],
            red: Some(&red),
        });
        assert!(text.contains("`make test` fails"), "{text}");
        assert!(text.contains("    assertion failed\n"), "{text}");
    }
}
