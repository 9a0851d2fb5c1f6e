//! What must hold of everything that is printed, whatever it says.

use super::out::ascii_where_it_acts;
use crate::model::{acts, escaped, escaped_lines};

/// Nothing acts on a terminal; what does not act stays; doing it twice changes nothing; JSON says the same.
pub(crate) fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (line, lines) = (escaped(&text), escaped_lines(&text));
    assert!(!line.chars().any(acts), "{line:?}");
    assert!(!lines.chars().any(|c| acts(c) && !matches!(c, '\n' | '\t')));
    assert_eq!(escaped(&line), line);
    assert_eq!(escaped_lines(&lines), lines);
    assert_eq!(escaped(&lines), line, "in two steps");
    let stays = |text: &str| -> String { text.chars().filter(|c| c.is_alphabetic()).collect() };
    if !text.chars().any(acts) {
        assert_eq!(line, text);
    } else {
        assert!(stays(&line).len() >= stays(&text).len());
    }
    let value = serde_json::json!({ text.as_ref(): [text.as_ref()] });
    let json = serde_json::to_string_pretty(&value).expect("plain data");
    let shown = ascii_where_it_acts(&json);
    assert!(!shown.chars().any(|c| acts(c) && c != '\n'), "{shown:?}");
    let read: serde_json::Value = serde_json::from_str(&shown).expect("still JSON");
    assert_eq!(read, value);
}
