//! The three pipes of one job: stdin is fed while stdout and stderr are read.
//!
//! This file must never wait for end-of-file on its own account: a grandchild may hold a pipe for ever.

use super::capture::Capture;
use super::{Finished, Stream};
use crate::model::Ending;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

/// As much as a pipe holds.
const BUFFER: usize = 64 << 10;

/// The pipes of one job and what becomes of its output.
pub(super) struct Pipes<F> {
    feed: Feed,
    out: Source<ChildStdout>,
    err: Source<ChildStderr>,
    capture: Capture<F>,
    last_byte: Instant,
}

impl<F: FnMut(Stream, &str)> Pipes<F> {
    /// Takes the pipes of `child`; `input` goes to its stdin.
    pub(super) fn new(child: &mut Child, input: Vec<u8>, capture: Capture<F>) -> Self {
        Self {
            feed: Feed {
                pipe: child.stdin.take(),
                input,
                written: 0,
            },
            out: Source::new(child.stdout.take()),
            err: Source::new(child.stderr.take()),
            capture,
            last_byte: Instant::now(),
        }
    }

    /// Moves bytes once, in whichever pipe is ready first, and then lets others have their turn: a pipe that is
    /// written to without end is always ready. Pending for ever once all are closed. Cancel safe.
    pub(super) async fn step(&mut self) {
        self.move_bytes().await;
        yield_now().await;
    }

    async fn move_bytes(&mut self) {
        let (stream, bytes) = tokio::select! {
            count = self.out.read() => (Stream::Out, &self.out.buffer[..count]),
            count = self.err.read() => (Stream::Err, &self.err.buffer[..count]),
            () = self.feed.write() => return,
        };
        if !bytes.is_empty() {
            self.last_byte = Instant::now();
            self.capture.take(stream, bytes);
        }
    }

    /// Moves bytes for so long.
    pub(super) async fn pump(&mut self, time: Duration) {
        let forever = async {
            loop {
                self.step().await;
            }
        };
        // The only way out is the time limit.
        let _ = timeout(time, forever).await;
    }

    /// Closes stdin and reads what is left, but waits at most `limit` for it. Says whether the end was
    /// reached: if not, somebody still holds a pipe.
    pub(super) async fn drain(&mut self, limit: Duration) -> bool {
        self.feed.pipe = None;
        let to_the_end = async {
            while self.out.pipe.is_some() || self.err.pipe.is_some() {
                self.step().await;
            }
        };
        timeout(limit, to_the_end).await.is_ok()
    }

    /// How much of `limit` is left before the job counts as idle; without a limit, all the time there is.
    pub(super) fn idle_left(&self, limit: Option<Duration>) -> Duration {
        limit.map_or(Duration::MAX, |limit| {
            limit.saturating_sub(self.last_byte.elapsed())
        })
    }

    /// Completes the log and sums up.
    /// `starved` is for the caller to say.
    pub(super) fn finish(self, ending: Ending, elapsed: Duration, leftovers: usize) -> Finished {
        let (output_bytes, output_error) = self.capture.finish();
        Finished {
            ending,
            elapsed,
            output_bytes,
            output_error,
            leftovers,
            starved: false,
        }
    }
}

/// stdin, until everything is written or nobody wants it.
struct Feed {
    pipe: Option<ChildStdin>,
    input: Vec<u8>,
    written: usize,
}

impl Feed {
    async fn write(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return std::future::pending().await;
        };
        let written = pipe.write(&self.input[self.written..]).await;
        self.written += written.as_ref().map_or(0, |count| *count);
        // A child need not read its stdin: a broken pipe is the end of the feeding, not an error.
        if written.is_err() || self.written == self.input.len() {
            self.pipe = None;
            self.input = Vec::new();
        }
    }
}

/// stdout or stderr, until its end.
struct Source<R> {
    pipe: Option<R>,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Source<R> {
    fn new(pipe: Option<R>) -> Self {
        Self {
            pipe,
            buffer: vec![0; BUFFER],
        }
    }

    /// Bytes read into `buffer`; 0 once at the end, then pending for ever.
    async fn read(&mut self) -> usize {
        let Some(pipe) = &mut self.pipe else {
            return std::future::pending().await;
        };
        let count = pipe.read(&mut self.buffer).await.unwrap_or(0);
        if count == 0 {
            self.pipe = None;
        }
        count
    }
}
