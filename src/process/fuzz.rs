//! What must hold of the sieve that takes secrets out of output, however the output comes in pieces.

use super::secrets::{Secrets, Sieve};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// The first two bytes say how long the secret is and how the rest, which is the output, is cut. No secret is left, the
/// cuts do not matter, and nothing else is touched.
pub(crate) fn fuzz(data: &[u8]) {
    let [length, cut, rest @ ..] = data else {
        return;
    };
    let (secret, output) = rest.split_at(rest.len().min(usize::from(*length)));
    // A mark could be a piece of such a value.
    let is_odd = |byte: &u8| matches!(byte, b'[' | b']' | b'r' | b'T' | 0);
    if secret.iter().any(is_odd) {
        return;
    }
    let secrets = Secrets::among([(OsStr::new("A_TOKEN"), OsStr::from_bytes(secret))]);
    let whole = secrets.hide_bytes(output, false);
    let mut pieces = Vec::new();
    let mut sieve = Sieve::new(&secrets);
    let mut step = usize::from(*cut);
    let mut left = output;
    while !left.is_empty() {
        step = step.wrapping_mul(5).wrapping_add(3) % 17;
        let (piece, rest) = left.split_at(step.min(left.len()));
        sieve.take(piece, &mut |bytes| pieces.extend_from_slice(bytes));
        left = rest;
    }
    sieve.finish(&mut |bytes| pieces.extend_from_slice(bytes));
    assert_eq!(pieces, whole, "pieces matter");
    let forms: Vec<&[u8]> = secrets.forms().collect();
    assert_eq!(whole, plainly(&forms, output), "another text");
    for form in &forms {
        let is_left = whole.windows(form.len()).any(|window| window == *form);
        assert!(!is_left, "a secret is left");
    }
    assert_eq!(secrets.hide_bytes(&whole, false), whole, "twice");
    let cut = secrets.hide_bytes(output, true);
    assert!(whole.starts_with(&cut) || cut.len() <= whole.len() + 64);
}

/// The same with all of the output at hand: every byte of a value goes, and each run of them is marked once.
fn plainly(forms: &[&[u8]], output: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut hidden = 0;
    for at in 0..output.len() {
        let here = forms.iter().filter(|form| output[at..].starts_with(form));
        let longest = here.map(|form| form.len()).max();
        if let Some(longest) = longest {
            if at >= hidden {
                out.extend_from_slice(b"[redacted A_TOKEN]");
            }
            hidden = hidden.max(at + longest);
        }
        if at >= hidden {
            out.push(output[at]);
        }
    }
    out
}
