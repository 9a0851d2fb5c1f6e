//! Whether a value is what a schema says, for as much of JSON Schema as ours are written in. A word of a schema that is not
//! known here is an error, so that nothing passes unseen.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test that cannot go on must stop"
)]

use serde_json::Value;

/// Everything that is wrong with `value`, by place.
pub fn problems(name: &str, value: &Value) -> Vec<String> {
    let path = format!(
        "{}/src/report/schemas/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut found = Vec::new();
    check(&schema, &schema, value, name, &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (word, rule) in schema.as_object().unwrap() {
        let mut wrong = |what: &str| found.push(format!("{at}: {what}: {value}"));
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" | "pattern" => {}
            "type" => {
                let names: Vec<&str> = match rule {
                    Value::Array(names) => {
                        names.iter().map(|name| name.as_str().unwrap()).collect()
                    }
                    name => vec![name.as_str().unwrap()],
                };
                if !names.iter().any(|name| is_a(name, value)) {
                    wrong(&format!("is no {names:?}"));
                }
            }
            "const" => {
                if value != rule {
                    wrong(&format!("is not {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    wrong("is none of those that are named");
                }
            }
            "minimum" => {
                if value
                    .as_i64()
                    .is_some_and(|number| number < rule.as_i64().unwrap())
                {
                    wrong("is too small");
                }
            }
            "required" => {
                let missing = rule.as_array().unwrap().iter();
                let here = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                let missing: Vec<_> = missing.filter(|name| !here(name)).collect();
                if value.is_object() && !missing.is_empty() {
                    wrong(&format!("has no {missing:?}"));
                }
            }
            "additionalProperties" => {
                let known = &schema["properties"];
                let fields = value.as_object().into_iter().flatten();
                let more: Vec<_> = fields
                    .filter(|(name, _)| known.get(name).is_none())
                    .collect();
                if !more.is_empty() {
                    wrong(&format!("has {more:?} as well"));
                }
            }
            "properties" | "items" | "$ref" | "anyOf" => {
                within(root, (word, rule), value, at, found);
            }
            word => panic!("{at}: `{word}` is not known here"),
        }
    }
}

/// The rules that lead to other rules.
fn within(
    root: &Value,
    (word, rule): (&str, &Value),
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) {
    match word {
        "properties" => {
            for (name, rule) in rule.as_object().unwrap() {
                if let Some(field) = value.get(name) {
                    check(root, rule, field, &format!("{at}.{name}"), found);
                }
            }
        }
        "items" => {
            for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                check(root, rule, item, &format!("{at}[{n}]"), found);
            }
        }
        "$ref" => {
            let place = rule.as_str().unwrap().strip_prefix('#').unwrap();
            check(root, root.pointer(place).unwrap(), value, at, found);
        }
        "anyOf" => {
            let rules = rule.as_array().unwrap().iter();
            let fits = |rule: &Value| {
                let mut own = Vec::new();
                check(root, rule, value, at, &mut own);
                own.is_empty()
            };
            if !rules.into_iter().any(fits) {
                found.push(format!("{at}: fits none: {value}"));
            }
        }
        word => panic!("{at}: `{word}` is not known here"),
    }
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        name => panic!("no type `{name}`"),
    }
}
