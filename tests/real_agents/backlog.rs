//! Six features, of which four are a diamond, and what a model does to write one of them.
//!
//! It must never know which program is asking: tools are found by the names that programs give them.

use crate::model::{Ask, Say, feature_in};
use crate::support::Site;
use serde_json::{Value, json};

/// Each with what it depends on.
pub(crate) const FEATURES: [(&str, &[&str]); 6] = [
    ("base", &[]),
    ("left", &["base"]),
    ("right", &["base"]),
    ("join", &["left", "right"]),
    ("alone", &[]),
    ("other", &[]),
];

/// Every file ends with its own name, and what is joined holds what it was joined from.
const CHECK: &str = "set -e
for file in base left right join alone other; do
    [ ! -e $file.txt ] || [ \"$(tail -n 1 $file.txt)\" = $file ]
done
[ ! -e join.txt ] || { grep -qx base join.txt && grep -qx left join.txt && grep -qx right join.txt; }
";

/// Writes the specs of so many features, from the last, and the gate.
pub(crate) fn write(site: &Site, features: &[&str]) {
    for (name, needs) in FEATURES {
        if features.contains(&name) {
            site.spec(name, &format!("depends_on: [{}]", needs.join(", ")));
        }
    }
    site.write("check.sh", CHECK);
}

/// What the model says next to who asks: it writes the feature's file from those that it needs, a note, a commit and the
/// claim, each with a tool.
pub(crate) fn next(ask: &Ask) -> Say {
    let feature = feature_in(&ask.said);
    let needs = FEATURES.iter().find(|(name, _)| *name == feature);
    let Some((_, needs)) = needs.filter(|_| ask.has_tools()) else {
        return Say::Text("A feature".to_owned());
    };
    let needs: Vec<_> = needs.iter().map(|name| format!("{name}.txt")).collect();
    match ask.turns {
        0 => shell(
            ask,
            &format!(
                "set -e; cat {} /dev/null > {feature}.txt; echo {feature} >> {feature}.txt",
                needs.join(" ")
            ),
        ),
        1 => file(
            ask,
            ".harness/note.md",
            &format!("Wrote {feature}.txt, and what it needs was there.\n"),
        ),
        2 => shell(
            ask,
            &format!(
                "git add -A && (git diff --cached --quiet || git commit -q -m 'Write {feature}') && \
                 echo 'wrote {feature}' > .harness/done"
            ),
        ),
        _ => Say::Text(format!("{feature}.txt is written.")),
    }
}

/// A call of the tool that runs commands.
fn shell(ask: &Ask, command: &str) -> Say {
    let names = [
        "Bash",
        "bash",
        "exec_command",
        "shell_command",
        "shell",
        "developer__shell",
    ];
    let Some((tool, schema)) = ask.tool_named(&names) else {
        return Say::Text("There is no tool that runs commands.".to_owned());
    };
    let fields = &schema["properties"];
    let field = if fields["cmd"].is_object() {
        "cmd"
    } else {
        "command"
    };
    let mut input = json!({field: command});
    if fields[field]["type"] == "array" {
        input[field] = json!(["sh", "-c", command]);
    }
    if fields["description"].is_object() {
        input["description"] = "Work on the feature".into();
    }
    call(tool, input)
}

/// A call of the tool that writes files, or of the other one where there is none.
fn file(ask: &Ask, path: &str, text: &str) -> Say {
    let Some((tool, schema)) = ask.tool_named(&["Write", "write"]) else {
        return shell(ask, &format!("printf '%s' '{text}' > {path}"));
    };
    let fields = &schema["properties"];
    let field = if fields["file_path"].is_object() {
        "file_path"
    } else {
        "filePath"
    };
    call(tool, json!({field: path, "content": text}))
}

fn call(tool: &str, input: Value) -> Say {
    Say::Call {
        tool: tool.to_owned(),
        input,
    }
}
