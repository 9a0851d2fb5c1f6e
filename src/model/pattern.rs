//! Patterns that name files, in the syntax of `.gitignore`.

/// Why a text is no pattern that could name files of a repository, if it is none.
#[must_use]
pub fn not_a_pattern(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() || text == "/" {
        Some("it is empty")
    } else if text.contains(['\n', '\r', '\0']) {
        Some("it is more than one line")
    } else if text.starts_with('#') {
        Some("git takes it for a comment; write `\\#`")
    } else if text.split('/').any(|part| part == "..") {
        Some("`..` leads out of the repository")
    } else {
        None
    }
}
