//! What must hold of a spec, whatever an author wrote.

use super::text::{Split, split, title};
use crate::config;
use crate::model::acts;

/// Front matter and body are the text without its fences; the title is one harmless line.
pub(crate) fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let body = match split(text) {
        Split::Front { front, body } => {
            let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
            let fence = rest
                .strip_prefix(front)
                .and_then(|it| it.strip_suffix(body));
            let fence = fence.expect("front matter, a fence, the body");
            assert!(matches!(fence.trim_end(), "---" | "..."), "{fence:?}");
            config::fuzz_front_matter(front);
            body
        }
        Split::Plain | Split::Unclosed => text,
    };
    // Whatever is in front of them, these keys are read or refused.
    config::fuzz_front_matter(text);
    if let Some(title) = title(body) {
        assert!(!title.is_empty() && title.chars().count() <= 200);
        assert!(!title.chars().any(acts), "{title:?}");
    }
}
