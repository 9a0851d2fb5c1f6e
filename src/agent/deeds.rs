//! Which files of the user's checkout an agent's own output says it worked on.
//!
//! What counts is what it did, as far as that is told: the input of its tools that can write, and the plain output of
//! agents that tell no records. What a tool answered counts for nothing, or a listing would accuse whoever asked for it.
//! This file reads one log and decides nothing.

use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// Longer lines are no words of an agent's.
const LINE_MAX: usize = 8 << 20;
/// Tools that change no file by themselves.
const HARMLESS: [&str; 10] = [
    "Glob",
    "Grep",
    "LS",
    "NotebookRead",
    "Read",
    "Task",
    "TaskOutput",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
];
/// Tools of the others that can change files.
const WRITING: [&str; 16] = [
    "apply_patch",
    "bash",
    "create",
    "developer__shell",
    "developer__text_editor",
    "edit",
    "multiedit",
    "patch",
    "replace",
    "run_shell_command",
    "shell",
    "str_replace",
    "str_replace_editor",
    "text_editor",
    "write",
    "write_file",
];
/// What stands before a directory that a command goes to.
const GOES_TO: [&str; 4] = ["cd ", "pushd ", "-C ", "--work-tree="];

/// For each of `paths`, which are below `root`: whether the output names it by its absolute path, or goes to a
/// directory of `root` above it and names it from there, in one command.
///
/// # Errors
/// The output cannot be read.
pub fn named(output: &Path, root: &Path, paths: &[PathBuf]) -> io::Result<Vec<bool>> {
    let mut found = vec![false; paths.len()];
    let mut reader = BufReader::new(File::open(output)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        if line.len() > LINE_MAX {
            continue;
        }
        each_deed(&String::from_utf8_lossy(&line), &mut |text| {
            for (path, is_named) in paths.iter().zip(&mut found) {
                *is_named = *is_named || names(text, root, path);
            }
        });
    }
}

/// Passes on the texts of a line that tell what the agent did.
fn each_deed(line: &str, tell: &mut impl FnMut(&str)) {
    let bare = line.trim();
    if bare.starts_with(['{', '[']) {
        match serde_json::from_str(bare) {
            Ok(Value::Array(records)) => records.iter().for_each(|record| in_record(record, tell)),
            Ok(record @ Value::Object(_)) => in_record(&record, tell),
            _ => tell(bare),
        }
    } else {
        tell(bare);
    }
}

fn in_record(record: &Value, tell: &mut impl FnMut(&str)) {
    let is = |value: &Value, name: &str, what: &str| {
        value.get(name).and_then(Value::as_str) == Some(what)
    };
    if !is(record, "type", "assistant") {
        return others(record, tell);
    }
    let blocks = record.pointer("/message/content").and_then(Value::as_array);
    for block in blocks.into_iter().flatten() {
        let is_harmless = HARMLESS.iter().any(|tool| is(block, "name", tool));
        if is(block, "type", "tool_use") && !is_harmless {
            each_text(block.get("input").unwrap_or(&Value::Null), tell);
        }
    }
}

/// The records of agents that speak another language than Claude Code: of which tool, and with what.
fn others(record: &Value, tell: &mut impl FnMut(&str)) {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let mut used = |name: Option<&str>, input: Option<&Value>| {
        if name.is_some_and(|name| WRITING.contains(&name)) {
            each_text(input.unwrap_or(&Value::Null), tell);
        }
    };
    match text("/type").unwrap_or_default() {
        "item.started" | "item.completed" => match text("/item/type") {
            Some("command_execution") => used(Some("shell"), record.pointer("/item/command")),
            Some("file_change") => used(Some("edit"), record.pointer("/item/changes")),
            _ => {}
        },
        "tool_use" if record.get("part").is_some() => {
            used(text("/part/tool"), record.pointer("/part/state/input"));
        }
        "tool_use" => used(text("/tool_name"), record.get("parameters")),
        "tool.execution_start" => used(text("/data/toolName"), record.pointer("/data/arguments")),
        "message" => {
            let parts = record.pointer("/message/content").and_then(Value::as_array);
            for part in parts.into_iter().flatten() {
                let name = part.pointer("/toolCall/value/name").and_then(Value::as_str);
                let input = part.pointer("/toolCall/value/arguments");
                let only_looks = input.is_some_and(|it| it.get("command") == Some(&"view".into()));
                used(name.filter(|_| !only_looks), input);
            }
        }
        _ => {}
    }
}

fn each_text(value: &Value, tell: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => tell(text),
        Value::Array(all) => all.iter().for_each(|value| each_text(value, tell)),
        Value::Object(all) => all.values().for_each(|value| each_text(value, tell)),
        _ => {}
    }
}

fn names(text: &str, root: &Path, path: &Path) -> bool {
    let shown = |path: &Path| path.to_str().map(str::to_owned);
    // A name that is no text is found by nobody.
    let Some(whole) = shown(&root.join(path)) else {
        return false;
    };
    if has_word(text, &whole) {
        return true;
    }
    let mut above = path.parent();
    while let Some(dir) = above {
        let rest = path.strip_prefix(dir).ok().and_then(shown);
        // `join` with nothing would end in a slash.
        let dir_at = if dir.as_os_str().is_empty() {
            root.to_owned()
        } else {
            root.join(dir)
        };
        if let (Some(place), Some(rest)) = (shown(&dir_at), rest)
            && goes_to(text, &place)
            && has_word(text, &rest)
        {
            return true;
        }
        above = dir.parent();
    }
    false
}

/// What an output says that was done names a file only if the file's name stands in it.
#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(text: &str) {
    let (root, path) = (Path::new("/home/u/app"), Path::new("src/a.rs"));
    for line in text.split('\n') {
        each_deed(line, &mut |deed| {
            assert!(!names(deed, root, path) || deed.contains("a.rs"), "{deed}");
        });
    }
}

fn goes_to(text: &str, place: &str) -> bool {
    let mut words = GOES_TO.iter();
    words.any(|word| {
        ["", "'", "\""].iter().any(|quote| {
            let begins = format!("{word}{quote}{place}");
            let mut at = text.match_indices(&begins);
            at.any(|(at, found)| ends(&text[at + found.len()..]))
        })
    })
}

/// Whether a path stands in the text and is no part of a longer one.
fn has_word(text: &str, path: &str) -> bool {
    let mut at = text.match_indices(path);
    at.any(|(at, found)| {
        let before = text[..at].strip_suffix("./").unwrap_or(&text[..at]);
        let begins = !before.chars().next_back().is_some_and(is_part);
        begins && ends(&text[at + found.len()..])
    })
}

/// Whether a path ends where this follows: a full stop or a slash may end a sentence or a directory.
fn ends(rest: &str) -> bool {
    let rest = rest.strip_prefix(['.', '/']).unwrap_or(rest);
    !rest.chars().next().is_some_and(is_part)
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accuses(line: &str) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("output.log");
        std::fs::write(&output, format!("first\n{line}\nlast")).unwrap();
        let paths = [PathBuf::from("src/a.rs")];
        named(&output, Path::new("/home/u/app"), &paths).unwrap() == [true]
    }

    #[test]
    fn who_says_that_it_changes_the_very_file_is_accused() {
        for line in [
            "wrote /home/u/app/src/a.rs.",
            "sed -i s/a/b/ '/home/u/app/src/a.rs'",
            "cd /home/u/app && sed -i s/a/b/ src/a.rs",
            "cd \"/home/u/app/src/\"; echo > ./a.rs",
            "git -C /home/u/app checkout src/a.rs",
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"x"},{"type":"tool_use","name":"Edit","input":{"file_path":"/home/u/app/src/a.rs"}}]}}"#,
            r#"[{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Bash","input":{"command":"cd /home/u/app\ntouch src/a.rs"}}]}}]"#,
            r#"{"type":"item.started","item":{"type":"command_execution","command":"/bin/bash -lc 'echo > /home/u/app/src/a.rs'"}}"#,
            r#"{"type":"item.completed","item":{"type":"file_change","changes":[{"path":"/home/u/app/src/a.rs","kind":"update"}]}}"#,
            r#"{"type":"tool_use","part":{"tool":"write","state":{"input":{"filePath":"/home/u/app/src/a.rs"}}}}"#,
            r#"{"type":"tool_use","tool_name":"replace","parameters":{"file_path":"/home/u/app/src/a.rs"}}"#,
            r#"{"type":"tool.execution_start","data":{"toolName":"edit","arguments":{"path":"/home/u/app/src/a.rs"}}}"#,
            r#"{"type":"message","message":{"content":[{"type":"toolRequest","toolCall":{"value":{"name":"shell","arguments":{"command":"rm /home/u/app/src/a.rs"}}}}]}}"#,
        ] {
            assert!(accuses(line), "{line}");
        }
    }

    #[test]
    fn nobody_is_accused_for_its_own_files_a_listing_or_a_look() {
        for line in [
            "wrote src/a.rs",
            "wrote /home/u/app.harness/w1/src/a.rs",
            "wrote /home/u/app/src/a.rs.bak",
            "wrote /mnt/home/u/app/src/a.rs",
            "/home/u/app  1234567 [main] src/a.rs",
            "cd /home/u/app.harness/w1 && sed -i s/a/b/ src/a.rs",
            "cd /home/u/app && ls",
            r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"/home/u/app/src/a.rs"}]}}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Read","input":{"file_path":"/home/u/app/src/a.rs"}}]}}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"I leave /home/u/app/src/a.rs alone"}]}}"#,
            r#"{"type":"result","result":"/home/u/app/src/a.rs"}"#,
            r#"{"type":"item.completed","item":{"type":"agent_message","text":"see /home/u/app/src/a.rs"}}"#,
            r#"{"type":"tool_use","part":{"tool":"read","state":{"input":{"filePath":"/home/u/app/src/a.rs"}}}}"#,
            r#"{"type":"tool_use","tool_name":"read_file","parameters":{"file_path":"/home/u/app/src/a.rs"}}"#,
            r#"{"type":"message","message":{"content":[{"type":"toolRequest","toolCall":{"value":{"name":"text_editor","arguments":{"command":"view","path":"/home/u/app/src/a.rs"}}}}]}}"#,
        ] {
            assert!(!accuses(line), "{line}");
        }
    }
}
