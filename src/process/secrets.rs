//! Values that must not stand in anything that harness writes or shows, and the sieve that output goes through.
//!
//! It is for accidents: an agent that prints its environment, a tool that echoes a header. Who wants to get a value
//! past it writes it in another way. This file must never print a value, also not for debugging.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A shorter value is as likely a word of the text.
const LEAST_BYTES: usize = 8;
/// The lines of a key are hidden one by one, too: they are often shown indented.
const LEAST_LINE_BYTES: usize = 16;
/// Letters of one case are a word up to this length.
const WORD_BYTES: usize = 12;

/// Parts of names, or their ends: `PGPASSWORD`.
const ENDINGS: [&str; 9] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "APIKEY",
    "ACCESSKEY",
    "PRIVATEKEY",
];
/// Whole parts of names: `PAT` is one, the end of `FORMAT` is not.
const PARTS: [&str; 4] = ["KEY", "PASS", "PWD", "PAT"];

/// One form of one value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Needle {
    bytes: Vec<u8>,
    /// What stands in its place.
    mark: String,
}

/// What to hide. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets {
    needles: Arc<Needles>,
}

/// All forms of all values.
#[derive(Default)]
struct Needles {
    all: Vec<Needle>,
    /// By the first two bytes of a form; empty without any. Most of an output is passed over by this.
    pairs: Vec<bool>,
}

impl Needles {
    fn new(all: Vec<Needle>) -> Self {
        let mut pairs = vec![false; if all.is_empty() { 0 } else { 1 << 16 }];
        for needle in &all {
            if let [first, second, ..] = needle.bytes[..] {
                pairs[pair(first, second)] = true;
            }
        }
        Self { all, pairs }
    }
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(u16::from_be_bytes([first, second]))
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marks = self.needles.all.iter().map(|needle| &needle.mark);
        formatter.debug_set().entries(marks).finish()
    }
}

impl Secrets {
    /// The values of those variables whose names say that they are secret, and the passwords in addresses. Not
    /// values that are short, or are a number, a path or a word.
    #[must_use]
    pub fn among<'a>(variables: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>) -> Self {
        let mut needles = BTreeMap::new();
        let mut add = |bytes: &[u8], mark: &str| {
            if bytes.len() >= LEAST_BYTES {
                needles
                    .entry(bytes.to_vec())
                    .or_insert_with(|| mark.to_owned());
            }
        };
        for (name, value) in variables {
            let mark = mark(name);
            let bytes = value.as_encoded_bytes();
            if is_secret_name(name) && !is_harmless(value) {
                forms(bytes, &mut |form| add(form, &mark));
            } else if let Some(password) = value.to_str().and_then(password) {
                forms(password.as_bytes(), &mut |form| add(form, &mark));
            }
        }
        let needles = needles.into_iter();
        let needles = needles.map(|(bytes, mark)| Needle { bytes, mark });
        Self {
            needles: Arc::new(Needles::new(needles.collect())),
        }
    }

    /// Everything that is hidden.
    #[cfg(feature = "fuzzing")]
    pub(super) fn forms(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.needles.all.iter();
        all.map(|needle| needle.bytes.as_slice())
    }

    /// The text with `[redacted NAME]` in place of every value.
    #[must_use]
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let out = self.hide_bytes(text.as_bytes(), false);
        if out == text.as_bytes() {
            Cow::Borrowed(text)
        } else {
            // Values are whole texts, but for those that are none, which no text holds.
            Cow::Owned(String::from_utf8_lossy(&out).into_owned())
        }
    }

    /// The same of bytes. Where they were cut off, what may be the beginning of a value at their end goes, too.
    #[must_use]
    pub fn hide_bytes(&self, bytes: &[u8], is_cut: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut sieve = Sieve::new(self);
        sieve.take(bytes, &mut |bytes| out.extend_from_slice(bytes));
        if !is_cut {
            sieve.finish(&mut |bytes| out.extend_from_slice(bytes));
        }
        out
    }
}

/// Whether a part of the name says that the value is secret.
fn is_secret_name(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    // Of git's settings these are the names.
    if name.starts_with("GIT_CONFIG_KEY_") {
        return false;
    }
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .map(|part| {
            part.strip_suffix('S')
                .filter(|_| part != "PASS")
                .unwrap_or(part)
        })
        .any(|part| PARTS.contains(&part) || ENDINGS.iter().any(|end| part.ends_with(end)))
}

/// Whether a value may well stand in a text without being meant.
fn is_harmless(value: &OsStr) -> bool {
    let bytes = value.as_encoded_bytes();
    let is_number = bytes
        .iter()
        .all(|byte| byte.is_ascii_digit() || b".,:-_ ".contains(byte));
    let (first, rest) = bytes.split_at(bytes.len().min(1));
    let is_word = bytes.len() < WORD_BYTES
        && first.iter().all(u8::is_ascii_alphabetic)
        && (rest.iter().all(u8::is_ascii_lowercase) || bytes.iter().all(u8::is_ascii_uppercase));
    is_number || is_word || is_path(value)
}

/// Random characters may begin with a slash; a path begins with something that exists.
fn is_path(value: &OsStr) -> bool {
    let path = Path::new(value);
    let begins = |start: &str| value.as_encoded_bytes().starts_with(start.as_bytes());
    let leads = |path: &Path| path.parent().is_some() && path.exists();
    ["~/", "./", "../"].into_iter().any(begins)
        || (path.is_absolute() && path.ancestors().any(leads))
}

/// The password in an address: `postgres://user:password@host/`.
fn password(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    (!is_harmless(OsStr::new(password))).then_some(password)
}

/// `[redacted NAME]`, of characters that mean nothing to JSON or a terminal.
fn mark(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    let plain = name.chars().take(64).map(|c| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '_'
        }
    });
    format!("[redacted {}]", plain.collect::<String>())
}

/// The ways in which a value is written: as it is, in JSON, in JSON in JSON, and its long lines.
fn forms(value: &[u8], tell: &mut impl FnMut(&[u8])) {
    let lines = value.split(|byte| *byte == b'\n');
    let long = lines.filter(|line| line.len() >= LEAST_LINE_BYTES && !line.starts_with(b"-----"));
    for plain in std::iter::once(value).chain(long) {
        tell(plain);
        let Ok(text) = std::str::from_utf8(plain) else {
            continue;
        };
        let once = in_json(text);
        tell(once.replace('/', "\\/").as_bytes());
        tell(in_json(&once).as_bytes());
        tell(once.as_bytes());
    }
}

/// What stands between the quotes.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// One stream on its way, a piece at a time. Holds back what may be the beginning of a value, never more.
///
/// Values may overlap: every byte that belongs to any of them goes, and each run of such bytes is marked once.
pub(super) struct Sieve {
    secrets: Secrets,
    /// Not passed on yet.
    held: Vec<u8>,
    /// How many of these belong to a value that is marked already.
    covered: usize,
}

impl fmt::Debug for Sieve {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Sieve").field(&self.secrets).finish()
    }
}

impl Sieve {
    pub(super) fn new(secrets: &Secrets) -> Self {
        Self {
            secrets: secrets.clone(),
            held: Vec::new(),
            covered: 0,
        }
    }

    /// Takes a piece, and passes on what is certain.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
        if self.secrets.needles.all.is_empty() {
            return out(bytes);
        }
        if self.held.is_empty() {
            let sure = self.sift(bytes, false, out);
            self.held.extend_from_slice(&bytes[sure..]);
        } else {
            let mut all = std::mem::take(&mut self.held);
            all.extend_from_slice(bytes);
            let sure = self.sift(&all, false, out);
            all.drain(..sure);
            self.held = all;
        }
    }

    /// Passes on the rest.
    pub(super) fn finish(mut self, out: &mut impl FnMut(&[u8])) {
        let rest = std::mem::take(&mut self.held);
        self.sift(&rest, true, out);
    }

    /// Passes on `bytes` up to where a value may have begun, and says where that is. With `is_end` nothing more
    /// comes, and all is passed on.
    fn sift(&mut self, bytes: &[u8], is_end: bool, out: &mut impl FnMut(&[u8])) -> usize {
        // What stands before was passed on or marked.
        let mut done = self.covered;
        let mut at = 0;
        let sure = loop {
            let Some(next) = self.next(&bytes[at..]) else {
                break bytes.len();
            };
            at += next;
            let (found, may_begin) = self.look(&bytes[at..]);
            if let Some(found) = found {
                if at >= done {
                    pass(&bytes[done..at], out);
                    out(found.mark.as_bytes());
                }
                done = done.max(at + found.bytes.len());
            }
            if may_begin && !is_end {
                break at;
            }
            at += 1;
        };
        pass(bytes.get(done..sure).unwrap_or_default(), out);
        self.covered = done.saturating_sub(sure);
        sure
    }

    /// Where a value may begin: at its first two bytes, or at the end, where only one of them would be here yet.
    fn next(&self, bytes: &[u8]) -> Option<usize> {
        let pairs = &self.secrets.needles.pairs;
        let mut windows = bytes.windows(2);
        let found = windows.position(|two| pairs[pair(two[0], two[1])]);
        found.or_else(|| bytes.len().checked_sub(1))
    }

    /// The longest value that stands at the beginning of `bytes`, and whether one may begin here that goes on beyond
    /// their end.
    fn look(&self, bytes: &[u8]) -> (Option<&Needle>, bool) {
        let mut found: Option<&Needle> = None;
        let mut may_begin = false;
        for needle in &self.secrets.needles.all {
            let value = &needle.bytes;
            may_begin |= bytes.len() < value.len() && value.starts_with(bytes);
            let is_longer = found.is_none_or(|found| found.bytes.len() < value.len());
            if is_longer && bytes.starts_with(value) {
                found = Some(needle);
            }
        }
        (found, may_begin)
    }
}

fn pass(bytes: &[u8], out: &mut impl FnMut(&[u8])) {
    if !bytes.is_empty() {
        out(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(variables: &[(&str, &str)]) -> Secrets {
        let variables = variables.iter();
        Secrets::among(variables.map(|(name, value)| (OsStr::new(name), OsStr::new(value))))
    }

    /// What comes out of these pieces.
    fn sifted(secrets: &Secrets, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut sieve = Sieve::new(secrets);
        for piece in pieces {
            sieve.take(piece, &mut |bytes| out.extend_from_slice(bytes));
        }
        sieve.finish(&mut |bytes| out.extend_from_slice(bytes));
        out
    }

    fn text(secrets: &Secrets, pieces: &[&str]) -> String {
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        String::from_utf8(sifted(secrets, &pieces)).unwrap()
    }

    #[test]
    fn a_value_is_found_wherever_it_is_cut() {
        let secrets = secrets(&[("API_KEY", "sk-12345")]);
        let whole = "say sk-12345.\nsk-1234, sk-123456";
        let hidden = "say [redacted API_KEY].\nsk-1234, [redacted API_KEY]6";
        for first in 0..=whole.len() {
            for second in first..=whole.len() {
                let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                assert_eq!(text(&secrets, &pieces), hidden, "{first} {second}");
            }
        }
        assert_eq!(text(&secrets, &["sk-12345"]), "[redacted API_KEY]");
        assert_eq!(text(&secrets, &["sk-1234"]), "sk-1234", "at the end");
        assert_eq!(secrets.hide("nothing"), "nothing");
    }

    #[test]
    fn values_that_overlap_go_together() {
        let secrets = secrets(&[
            ("A_KEY", "abcdef12"),
            ("B_KEY", "ef12ghij"),
            ("C_KEY", "abcdef12345"),
            ("D_KEY", "0abcdef12!"),
        ]);
        for (given, hidden) in [
            ("-abcdef12ghij-", "-[redacted A_KEY]-"),
            ("-abcdef12-ef12ghij-", "-[redacted A_KEY]-[redacted B_KEY]-"),
            ("abcdef12abcdef12", "[redacted A_KEY][redacted A_KEY]"),
            ("abcdef12345", "[redacted C_KEY]"),
            ("0abcdef12", "0[redacted A_KEY]"),
            ("0abcdef12!", "[redacted D_KEY]"),
        ] {
            assert_eq!(text(&secrets, &[given]), hidden);
            let bytes: Vec<String> = given.chars().map(String::from).collect();
            let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
            assert_ne!(text(&secrets, &bytes), given);
            assert_eq!(
                text(&secrets, &bytes).matches('[').count(),
                hidden.matches('[').count()
            );
        }
    }

    #[test]
    fn a_value_that_repeats_itself_is_not_collected() {
        let secrets = secrets(&[("A_KEY", "1a1a1a1a1a")]);
        let mut sieve = Sieve::new(&secrets);
        let mut out = Vec::new();
        for _ in 0..1000 {
            sieve.take(&b"1a".repeat(100), &mut |bytes| {
                out.extend_from_slice(bytes);
            });
            assert!(sieve.held.len() < 10);
        }
        sieve.finish(&mut |bytes| out.extend_from_slice(bytes));
        assert_eq!(out, b"[redacted A_KEY]");
    }

    #[test]
    fn a_value_is_known_in_json_too() {
        let secrets = secrets(&[
            ("DB_PASSWORD", "a\"b\\c/d€12"),
            ("PEM_KEY", "line one of a key\nline two of a key"),
        ]);
        let value = serde_json::json!({"out": "a\"b\\c/d€12"}).to_string();
        let twice = serde_json::Value::from(value.as_str()).to_string();
        for given in [value.as_str(), &twice, &value.replace('/', "\\/")] {
            let hidden = text(&secrets, &[given]);
            assert!(hidden.contains("[redacted DB_PASSWORD]"), "{hidden}");
            assert!(!hidden.contains("12"), "{hidden}");
            serde_json::from_str::<serde_json::Value>(&hidden).unwrap();
        }
        assert_eq!(
            text(&secrets, &["> line one of a key\n> line two of a key\n"]),
            "> [redacted PEM_KEY]\n> [redacted PEM_KEY]\n"
        );
    }

    #[test]
    fn only_what_is_secret_is_hidden() {
        for (name, value) in [
            ("OPENAI_API_KEY", "sk-abcdefgh"),
            ("PGPASSWORD", "hunter2hunter2"),
            ("NPM_TOKENS", "abc_defgh1"),
            ("github-pat", "ghp_1234567"),
            ("AWS_SECRET_ACCESS_KEY", "/nowhere-such/abc+def"),
            ("AWS_CREDENTIALS", "with blanks and all"),
        ] {
            assert_ne!(secrets(&[(name, value)]).hide(value), value, "{name}");
        }
        for (name, value) in [
            ("API_KEY", "short12"),
            ("API_KEY", "development"),
            ("API_KEY", "Changeme"),
            ("MAX_TOKENS", "12345678"),
            ("SSH_KEY", "/tmp/id_of_nobody"),
            ("SSH_KEY", "~/.ssh/id_ed25519"),
            ("KEYBOARD", "some-layout-1"),
            ("MONKEY", "some-animal-1"),
            ("FORMAT", "some-format-1"),
            ("BYPASS", "some-host-12345"),
            ("GIT_CONFIG_KEY_1", "maintenance.auto"),
            ("HOME", "sk-abcdefgh"),
        ] {
            assert_eq!(secrets(&[(name, value)]).hide(value), value, "{name}");
        }
        let url = secrets(&[("DATABASE_URL", "postgres://me:pass-w0rd@db:5432/x")]);
        assert_eq!(url.hide("me, pass-w0rd"), "me, [redacted DATABASE_URL]");
    }

    #[test]
    fn nothing_that_is_printed_for_debugging_holds_a_value() {
        let secrets = secrets(&[("API_KEY", "sk-abcdefgh")]);
        let mut sieve = Sieve::new(&secrets);
        sieve.take(b"sk-abcdef", &mut |_| {});
        for shown in [format!("{secrets:?}"), format!("{sieve:?}")] {
            assert!(shown.contains("[redacted API_KEY]"), "{shown}");
            assert!(!shown.contains("sk-"), "{shown}");
        }
    }

    #[test]
    fn what_may_be_the_beginning_of_a_value_goes_where_a_text_is_cut() {
        let secrets = secrets(&[("API_KEY", "sk-abcdefgh")]);
        assert_eq!(secrets.hide_bytes(b"x sk-abcd", true), b"x ");
        assert_eq!(secrets.hide_bytes(b"x sk-abcx", true), b"x sk-abcx");
    }

    /// Few letters, so that values overlap each other and themselves.
    fn letters(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'\n')], length)
    }

    proptest! {
        #[test]
        fn no_value_comes_through_and_nothing_else_is_lost(
            values in proptest::collection::vec(letters(8..12), 1..4),
            parts in proptest::collection::vec((letters(0..30), 0_usize..9), 1..6),
            cuts in proptest::collection::vec(1_usize..9, 1..60),
        ) {
            let needles = values
                .iter()
                .map(|bytes| Needle { bytes: bytes.clone(), mark: "#".to_owned() })
                .collect();
            let secrets = Secrets { needles: Arc::new(Needles::new(needles)) };
            let mut whole = Vec::new();
            for (noise, value) in &parts {
                whole.extend_from_slice(noise);
                whole.extend(values.get(*value).into_iter().flatten());
            }
            let mut pieces = Vec::new();
            let mut rest = whole.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            let out = sifted(&secrets, &pieces);
            prop_assert_eq!(&out, &sifted(&secrets, &[&whole]));
            prop_assert_eq!(out, plainly(&values, &whole));
        }

        #[test]
        fn what_holds_no_value_comes_out_as_it_went_in(
            whole in proptest::collection::vec(any::<u8>(), 0..300),
            cut in 0_usize..300,
        ) {
            let secrets = secrets(&[("A_KEY", "secret-value-1"), ("B_KEY", "sesame,\"open\"")]);
            let (first, second) = whole.split_at(cut.min(whole.len()));
            prop_assert_eq!(sifted(&secrets, &[first, second]), whole);
        }
    }

    /// The same, said as simply as can be: every byte of a value goes, and a `#` stands where a run of values that
    /// overlap begins.
    fn plainly(values: &[Vec<u8>], whole: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut covered = 0;
        for at in 0..whole.len() {
            let here = values.iter().filter(|value| whole[at..].starts_with(value));
            if let Some(longest) = here.map(Vec::len).max() {
                if at >= covered {
                    out.push(b'#');
                }
                covered = covered.max(at + longest);
            }
            if at >= covered {
                out.push(whole[at]);
            }
        }
        out
    }
}
