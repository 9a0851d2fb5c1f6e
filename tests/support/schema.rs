//! JSON Schema, as much of it as the published schemas use, and nothing that it does not know: a word that it cannot judge
//! fails.

#![allow(unreachable_pub, reason = "some test files include this one alone")]

use harness::report::SCHEMAS;
use serde_json::Value;

/// What does not fit the published schema of this name, with its place.
pub fn problems(name: &str, value: &Value) -> Vec<String> {
    let known = SCHEMAS.iter().find(|schema| schema.name == name);
    let known = known.unwrap_or_else(|| panic!("`{name}` has no schema"));
    misfits(&serde_json::from_str(known.text).unwrap(), value)
}

/// Checks `value` against a schema of draft 2020-12, and that it has no field that the schema does not name; what does not
/// fit, with its place.
pub fn misfits(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let root = Root {
        schema,
        is_closed: true,
    };
    check(root, schema, value, "", &mut found);
    found
}

/// What references are resolved in.
#[derive(Clone, Copy)]
struct Root<'a> {
    schema: &'a Value,
    /// Published schemas allow fields that they do not name, as every schema does that does not say otherwise: the next
    /// version may have more. What is printed today has none.
    is_closed: bool,
}

const ABOUT: [&str; 5] = ["$schema", "title", "description", "$defs", "required"];

fn check(root: Root<'_>, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let rules = schema.as_object().expect("a schema is an object");
    let mut miss = |what: String| found.push(format!("{at}: {what}"));
    for (word, rule) in rules {
        match word.as_str() {
            word if ABOUT.contains(&word) => {}
            "type" => {
                let all = rule
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![rule.clone()]);
                if !all.iter().any(|name| is(value, name.as_str().unwrap())) {
                    miss(format!("{value} is not of type {rule}"));
                }
            }
            "const" if value != rule => miss(format!("{value} is not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                miss(format!("{value} is none of {rule}"));
            }
            "maximum" if value.as_f64().is_some_and(|n| n > rule.as_f64().unwrap()) => {
                miss(format!("{value} is more than {rule}"));
            }
            "format" => {
                assert_eq!(rule, "date-time");
                let text = value.as_str();
                if let Some(text) = text.filter(|text| text.parse::<jiff::Timestamp>().is_err()) {
                    miss(format!("{text} is no {rule}"));
                }
            }
            "minimum" if value.as_f64().is_some_and(|n| n < rule.as_f64().unwrap()) => {
                miss(format!("{value} is less than {rule}"));
            }
            "pattern" => {
                // The only one that is used: that of a feature's name.
                assert_eq!(rule, "^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$");
                if let Some(text) = value.as_str().filter(|text| !is_slug(text)) {
                    miss(format!("{text} does not match {rule}"));
                }
            }
            "const" | "enum" | "minimum" | "maximum" => {}
            "properties" | "additionalProperties" | "items" | "oneOf" | "anyOf" | "$ref" => {}
            word => panic!("{at}: the word `{word}` is not known here"),
        }
    }
    if let Some(name) = rules.get("$ref") {
        let name = name.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
        check(root, &root.schema["$defs"][name], value, at, found);
    }
    check_ways(root, schema, value, at, found);
    if let (Some(items), Some(list)) = (rules.get("items"), value.as_array()) {
        for (n, item) in list.iter().enumerate() {
            check(root, items, item, &format!("{at}/{n}"), found);
        }
    }
    if let Some(fields) = value.as_object() {
        check_fields(root, schema, fields, at, found);
    }
}

fn check_ways(root: Root<'_>, rules: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (word, exactly) in [("oneOf", true), ("anyOf", false)] {
        let Some(ways) = rules.get(word) else {
            continue;
        };
        let number = |root: Root<'_>| {
            let fits = |way: &&Value| {
                let mut found = Vec::new();
                check(root, way, value, at, &mut found);
                found.is_empty()
            };
            ways.as_array().unwrap().iter().filter(fits).count()
        };
        // Fields that nobody names must not make one way of another.
        let most = number(Root {
            is_closed: false,
            ..root
        });
        if number(root) == 0 || (exactly && most > 1) {
            found.push(format!("{at}: {value} fits {most} ways of {word}"));
        }
    }
}

fn check_fields(
    root: Root<'_>,
    rules: &Value,
    fields: &serde_json::Map<String, Value>,
    at: &str,
    found: &mut Vec<String>,
) {
    let required = rules.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, field) in fields {
        let at = format!("{at}/{name}");
        let own = rules.get("properties").and_then(|all| all.get(name));
        match (own, rules.get("additionalProperties")) {
            (Some(schema), _) => check(root, schema, field, &at, found),
            (None, Some(Value::Bool(false))) => {
                found.push(format!("{at}: nobody knows this field"));
            }
            (None, Some(schema)) if schema.is_object() => check(root, schema, field, &at, found),
            (None, None) if root.is_closed && rules.get("properties").is_some() => {
                found.push(format!("{at}: nobody knows this field"));
            }
            (None, _) => {}
        }
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        name => panic!("the type `{name}` is not known here"),
    }
}

fn is_slug(text: &str) -> bool {
    harness::model::Slug::new(text).is_ok()
}
