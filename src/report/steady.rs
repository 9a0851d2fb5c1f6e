//! Text that takes the same columns on every terminal.
//!
//! It must never know what the text says.

/// The same text with only characters to which every terminal gives the same columns as indicatif does:
/// it relies on lines that fill the terminal exactly, and one character more or less would shift the
/// whole picture. What joins or tints emoji is left out; anything else unsure becomes `?`.
pub(super) fn steady(text: &str) -> String {
    let one = |c: char| match c {
        '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' => None,
        c if is_narrow(c) || is_combining(c) || is_wide(c) => Some(c),
        _ => Some('?'),
    };
    text.chars().filter_map(one).collect()
}

/// Surely one column.
fn is_narrow(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{377}'
        | '\u{37a}'..='\u{37f}' | '\u{384}'..='\u{482}' | '\u{48a}'..='\u{52f}' | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{205e}' | '\u{20a0}'..='\u{20c0}' | '\u{2190}'..='\u{22ff}' | '\u{2500}'..='\u{25fc}'
        | '\u{26a0}' | '\u{2713}'..='\u{2718}' | '\u{2764}')
}

/// Surely none: accents on the letter before.
pub(super) fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{34e}' | '\u{350}'..='\u{36f}')
}

/// Surely two: East Asian scripts, and emoji that need no mark to be shown as such.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x2705 | 0x270a..=0x270b | 0x2728 | 0x274c | 0x274e | 0x2753..=0x2755 | 0x2757 | 0x2795..=0x2797
        | 0x26a1 | 0x26d4 | 0x2b50 | 0x3000..=0x3029 | 0x3030..=0x303e | 0x3041..=0x3096 | 0x309b..=0x30ff
        | 0x3105..=0x312f | 0x3131..=0x3163 | 0x3165..=0x318e | 0x3200..=0x321e | 0x3220..=0x3247
        | 0x3250..=0x4dbf | 0x4e00..=0xa48c | 0xac00..=0xd7a3 | 0xf900..=0xfa6d | 0xff01..=0xff60
        | 0xffe0..=0xffe6 | 0x1f300..=0x1f320 | 0x1f32d..=0x1f335 | 0x1f337..=0x1f37c | 0x1f37e..=0x1f393
        | 0x1f3a0..=0x1f3ca | 0x1f3cf..=0x1f3d3 | 0x1f3e0..=0x1f3f0 | 0x1f400..=0x1f43e | 0x1f440
        | 0x1f442..=0x1f4fc | 0x1f4ff..=0x1f53d | 0x1f550..=0x1f567 | 0x1f5fb..=0x1f64f | 0x1f680..=0x1f6c5
        | 0x1f7e0..=0x1f7eb | 0x1f90c..=0x1f93a | 0x1f93c..=0x1f945 | 0x1f947..=0x1f9ff | 0x20000..=0x2a6df)
}
