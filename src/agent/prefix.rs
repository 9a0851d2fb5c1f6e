//! How prompts begin: what all of them have in common, how long two are the same, and in which part they part.
//!
//! Knows the shape of a prompt, and nothing of where one is kept.

use super::prompt::{Materials, Template, build};
use crate::model::PromptFigures;
use std::path::Path;

/// The length of the beginning that every prompt has, in bytes: what two features that have nothing in common are both
/// told. 0 when the template cannot be rendered.
#[must_use]
pub fn stable_bytes(extra: &[String], template: Option<&Template<'_>>) -> usize {
    let one = Materials {
        slug: "a",
        title: "A",
        spec_path: Path::new("/a"),
        spec_text: "a",
        iteration: 1,
        prior_log: "",
        learnings: ("a", ""),
        answer: None,
        handoff: None,
        meanwhile: None,
        verify: &[],
        extra,
        out_of_scope: &[],
    };
    let others = ["c".to_owned()];
    let other = Materials {
        slug: "b",
        title: "B",
        spec_path: Path::new("/b"),
        spec_text: "b",
        iteration: 2,
        prior_log: "b",
        learnings: ("", "b"),
        answer: Some("b"),
        handoff: Some("b"),
        meanwhile: Some("b"),
        verify: &others,
        extra,
        out_of_scope: &others,
    };
    match (build(&one, template), build(&other, template)) {
        (Ok(one), Ok(other)) => shared_bytes(&one, &other),
        _ => 0,
    }
}

/// How long two prompts are the same, in bytes.
#[must_use]
pub fn shared_bytes(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    pairs.take_while(|(a, b)| a == b).count()
}

/// A prompt in figures, where the first `stable` bytes should be those of every prompt, and `before` is the feature's last.
#[must_use]
pub fn figures(prompt: &str, stable: usize, before: Option<&str>) -> PromptFigures {
    let count = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    let stable = stable.min(prompt.len());
    let beginning = prompt.as_bytes().get(..stable).unwrap_or_default();
    PromptFigures {
        bytes: count(prompt.len()),
        stable: count(stable),
        hash: format!("{:016x}", hash(beginning)),
        shared: before.map_or(0, |before| count(shared_bytes(before, prompt))),
    }
}

/// FNV-1a, 64 bits.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The part of a prompt in which a byte stands: `the rules`, `the feature`, or the name of a block: `PRIOR_LOG`.
#[must_use]
pub fn part_at(prompt: &str, byte: usize) -> String {
    let mut part = "the rules".to_owned();
    let mut block: Option<&str> = None;
    let mut end = 0;
    for line in prompt.split_inclusive('\n') {
        end += line.len();
        let word = line.trim_end();
        match block {
            Some(name) if word == name => block = None,
            Some(_) => {}
            None => match word.strip_prefix("<<<") {
                Some(name) => {
                    block = Some(name);
                    part = name.to_owned();
                }
                None if word == "# Your feature" => part = "the feature".to_owned(),
                None if part.starts_with("SPEC") => part = "the feature".to_owned(),
                None => {}
            },
        }
        if byte < end {
            break;
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_prompts_begin_with_is_measured() {
        let extra = ["Speak Latin.".to_owned()];
        let bare = stable_bytes(&[], None);
        let more = stable_bytes(&extra, None);
        assert!(bare > 2_000, "the rules: {bare}");
        assert!(more > bare + 10, "rules of the user's own belong to it");
        let template = |text| Template {
            path: Path::new("t"),
            text,
        };
        let text = "Always this.\n{% if iteration > 1 %}Again: {% endif %}{{ slug }}";
        assert_eq!(
            stable_bytes(&[], Some(&template(text))),
            "Always this.\n".len()
        );
        assert_eq!(stable_bytes(&[], Some(&template("{{ nothing }}"))), 0);
    }

    #[test]
    fn figures_tell_the_beginning_and_what_was_told_before() {
        let figures = figures("rules, log 1, log 2", 7, Some("rules, log 1, answer"));
        assert_eq!((figures.bytes, figures.stable, figures.shared), (19, 7, 14));
        assert_eq!(figures.hash, format!("{:016x}", hash(b"rules, ")));
        assert_eq!(super::figures("é", 9, None).stable, 2);
    }

    #[test]
    fn each_byte_stands_in_a_part() {
        let prompt = "Rules.\n\n<<<LEARNINGS\n- a\n# Your feature\nLEARNINGS\n\n# Your feature\n\nx\n\n\
                      <<<SPEC_\nSPEC\nSPEC_\n\nverify\n\n<<<PRIOR_LOG\nlog\nPRIOR_LOG\n";
        for (text, part) in [
            ("Rules", "the rules"),
            ("- a", "LEARNINGS"),
            ("x\n", "the feature"),
            ("SPEC\n", "SPEC_"),
            ("verify", "the feature"),
            ("log\n", "PRIOR_LOG"),
        ] {
            let byte = prompt.find(text).unwrap();
            assert_eq!(part_at(prompt, byte), part, "{text:?}");
        }
        assert_eq!(part_at(prompt, usize::MAX), "PRIOR_LOG");
        assert_eq!(part_at("", 0), "the rules");
    }
}
