//! What must hold of what agents print and leave, whatever they do.

use super::call::Progress;
use super::cli::Cli;
use super::reader::End;
use super::{deeds, outbox};
use crate::config::Kind;
use crate::model::{Ending, acts};
use crate::process::{Secrets, Stream};

/// The most bytes of a text that is kept, and what escaping and a mark may add to it.
const MOST_BYTES: usize = 80 * 1024;

fn is_shown_as_it_is(text: &str) -> bool {
    !text.chars().any(|c| acts(c) && !matches!(c, '\n' | '\t'))
}

/// Records, cut records, plain text: all texts that come of it are harmless and short, and the same every time.
pub(crate) fn fuzz_output(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    let ending = match choice % 4 {
        0 => Ending::TimedOut,
        1 => Ending::Signalled { signal: 9 },
        code => Ending::Exited {
            code: i32::from(code) - 2,
        },
    };
    let kind = Kind::ALL[usize::from(choice >> 5) % Kind::ALL.len()];
    let at = jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let read = || {
        let mut reader = (Cli::of(kind).reader)();
        for (n, line) in text.split('\n').enumerate() {
            let is_error = choice & 0x10 != 0 && n % 3 == 0;
            let stream = if is_error { Stream::Err } else { Stream::Out };
            reader.line(stream, line, &mut |progress| {
                if let Progress::Line(line) = progress {
                    assert!(
                        line.chars().count() <= 200 && !line.contains('\n'),
                        "{line:?}"
                    );
                    assert!(is_shown_as_it_is(&line), "{line:?}");
                }
            });
        }
        let (ending, at) = (&ending, &at);
        reader.finish(End { ending, at })
    };
    let verdict = read();
    assert_eq!(verdict, read());
    assert!(is_shown_as_it_is(&verdict.message) && verdict.message.len() <= MOST_BYTES);
    let failure = verdict.failure.iter().map(|failure| &failure.text);
    for text in failure.chain(&verdict.oddities) {
        assert!(is_shown_as_it_is(text) && !text.contains('\n'), "{text:?}");
        assert!(text.chars().count() <= 2_000);
    }
    deeds::fuzz(&text);
}

/// Whatever stands in the outbox: at most so many lines and bytes of it are taken, harmless, and without secrets.
pub(crate) fn fuzz_outbox(data: &[u8]) {
    let secret = "s3cr3t/v4lue\"1";
    let variables = [("A_TOKEN".as_ref(), secret.as_ref())];
    outbox::fuzz(data, &Secrets::among(variables), secret);
}
