//! What each code means, and what to do: the pages of `harness explain`.
//!
//! A page for each code that is printed anywhere, and none besides. The texts stand in `pages`.

use super::reason::Reason;
use super::text::padded;
use crate::core::BREAKERS;
use crate::model::{Code, Finding};
use std::fmt::Write as _;

/// Files of pages. Each begins with a line about them all.
const FILES: [&str; 3] = [
    include_str!("pages/errors.md"),
    include_str!("pages/reasons.md"),
    include_str!("pages/findings.md"),
];

/// One page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The code that it explains.
    pub code: &'static str,
    /// What it means, in a sentence.
    pub summary: &'static str,
    /// All of it but the code.
    text: &'static str,
}

impl Page {
    /// The page, as it is shown.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n\n{}\n", self.code, self.text)
    }
}

/// All pages, in the order in which they are listed.
pub fn pages() -> impl Iterator<Item = Page> {
    FILES.iter().flat_map(|file| pages_of(file))
}

fn pages_of(file: &'static str) -> impl Iterator<Item = Page> {
    file.split("\n## ").skip(1).map(|page| {
        let (code, text) = page.split_once('\n').unwrap_or((page, ""));
        let text = text.trim();
        Page {
            code: code.trim(),
            summary: text.lines().next().unwrap_or_default(),
            text,
        }
    })
}

/// All codes and their meaning, a line each, below what they are the codes of.
#[must_use]
pub fn codes_list() -> String {
    let widest = pages().map(|page| page.code.len()).max().unwrap_or(0);
    let mut out = String::new();
    for file in FILES {
        let about = file.split("\n## ").next().unwrap_or_default();
        let _ = writeln!(out, "{}\n", about.trim());
        for page in pages_of(file) {
            let code = padded(page.code, widest);
            let _ = writeln!(out, "  {code}  {}", page.summary);
        }
        out.push('\n');
    }
    out.push_str("`harness explain <code>` shows a page, `harness help exit-codes` what a run's exit code means.\n");
    out
}

/// The codes that are printed with problems, reasons, findings and breakers; those of the checks of an examination are
/// known to who makes it.
#[must_use]
pub fn printed_codes() -> Vec<&'static str> {
    let problems = Code::ALL.iter().map(|code| code.name());
    let reasons = Reason::ALL.iter().map(|reason| reason.name());
    let mut all: Vec<&str> = problems.chain(reasons).chain(BREAKERS).collect();
    all.extend(Finding::CODES);
    all
}
