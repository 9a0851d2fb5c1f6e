//! Text cut to columns of a terminal, or filled up to them, by whatever is known of how many a character takes there.
//!
//! Knows nothing about what the text says; it must be safe for a terminal already.

/// How many columns each character takes.
#[derive(Clone, Copy, Debug)]
pub struct Columns(pub fn(char) -> usize);

impl Columns {
    /// Columns of a text.
    #[must_use]
    pub fn of(self, text: &str) -> usize {
        text.chars().map(self.0).sum()
    }

    /// As much of the beginning as fits.
    #[must_use]
    pub fn fitting(self, text: &str, most: usize) -> &str {
        let mut used = 0;
        for (at, c) in text.char_indices() {
            used += self.0(c);
            if used > most {
                return &text[..at];
            }
        }
        text
    }

    /// At most so many columns; a cut is marked with `…`.
    #[must_use]
    pub fn cut(self, text: &str, most: usize) -> String {
        if self.of(text) <= most {
            return text.to_owned();
        }
        let mut out = self.fitting(text, most.saturating_sub(1)).to_owned();
        if most > 0 {
            out.push('…');
        }
        out
    }

    /// Cut or filled up with spaces to exactly so many columns.
    #[must_use]
    pub fn padded(self, text: &str, exactly: usize) -> String {
        let mut out = self.cut(text, exactly);
        let missing = exactly.saturating_sub(self.of(&out));
        out.extend(std::iter::repeat_n(' ', missing));
        out
    }
}

/// A name of one-column characters, at most so many columns wide: of a long one, its beginning and its end. Names that belong
/// together often begin alike.
#[must_use]
pub fn name_cut(name: &str, most: usize) -> String {
    let length = name.chars().count();
    if length <= most {
        return name.to_owned();
    }
    let kept = most.saturating_sub(1);
    let tail = kept / 2;
    let mut out: String = name.chars().take(kept - tail).collect();
    if most > 0 {
        out.push('…');
    }
    out.extend(name.chars().skip(length - tail));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_fits() {
        let columns = Columns(|c| if c.is_ascii() || c == '…' { 1 } else { 2 });
        assert_eq!(columns.cut("日本語", 6), "日本語");
        assert_eq!(columns.cut("日本語", 5), "日本…");
        assert_eq!(columns.cut("日本語", 4), "日…");
        assert_eq!(columns.cut("abc", 0), "");
        assert_eq!(columns.padded("日本語", 4), "日… ");
        assert_eq!(columns.padded("a", 3), "a  ");
        assert_eq!(
            name_cut("feature-with-a-long-name-28", 16),
            "feature-…name-28"
        );
        assert_eq!(name_cut("abc", 1), "…");
        assert_eq!(name_cut("abc", 0), "");
    }
}
