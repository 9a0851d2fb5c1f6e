//! All keys, in words: for the page that `?` shows, and those that the bottom line has room for.
//!
//! Never knows what the keys do.

/// A key, and what it does.
pub(super) const KEYS: &[(&str, &str)] = &[
    (
        "↑ ↓  j k",
        "select a feature; move in the text that Enter leads into",
    ),
    ("Enter →", "into the text; Esc or ← leads back"),
    ("Tab  1 2 3 4", "another text: log, diff, why, graph"),
    ("o", "what the agent prints now, or the log again"),
    ("z", "the text on all of the screen"),
    ("w", "wrap long lines, or cut them"),
    ("PgUp PgDn", "a page back or on; so do b and space"),
    ("Home End", "to the beginning or the end; so do g and G"),
    ("J K", "move the text without leaving the list"),
    (
        "/",
        "show only features whose name, stage or words hold this",
    ),
    ("Esc", "all features again"),
    ("p", "pause: start nothing new; resume"),
    ("r", "retry the feature: put it back in the queue"),
    (
        "u",
        "answer the feature's question; say what to change of one that waits for a review",
    ),
    ("a", "approve the feature: let it land as its branch stands"),
    (
        "x",
        "leave the feature out: what its agent does is stopped and kept",
    ),
    ("S", "stop: the run ends when what is under way has ended"),
    ("Ctrl-L", "look at everything anew"),
    ("Ctrl-Z", "back to the shell for a while; fg leads here"),
    ("q  Ctrl-C", "leave; the run goes on"),
];
