//! The process's stdout and stderr. Whatever is written goes through here, so that a line never lands in
//! the middle of a list that is being drawn, and so that it is noticed when nobody reads any more.

use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::present::live::Live;

static SCREEN: Mutex<Screen> = Mutex::new(Screen { drawn: None, unread: None });

struct Screen {
    /// What is being drawn on the terminal behind stderr.
    drawn: Option<Weak<Live>>,
    /// Told when nobody reads any more.
    unread: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// Data, to stdout.
pub(super) fn out(text: &str) {
    line(anstream::stdout(), io::stdout().is_terminal(), text);
}

/// For people, to stderr.
pub(super) fn err(text: &str) {
    line(anstream::stderr(), true, text);
}

/// Makes a sound on the terminal behind stderr, if there is one.
pub(super) fn ring() {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // A terminal that can't be written to is silent.
        let _ = stderr.write_all(b"\x07").and_then(|()| stderr.flush());
    }
}

/// From now on this list is on the terminal, as long as it lives.
pub(super) fn draw(live: &Arc<Live>) {
    screen(|screen| screen.drawn = Some(Arc::downgrade(live)));
}

/// What was drawn stays as it is, and everything else goes below it.
pub(super) fn leave() {
    screen(|screen| screen.drawn = None);
}

/// From now on this is told when a line can't be written because nobody reads any more.
pub(super) fn when_unread(tell: impl Fn() + Send + Sync + 'static) {
    screen(|screen| screen.unread = Some(Arc::new(tell)));
}

fn screen<T>(with: impl FnOnce(&mut Screen) -> T) -> T {
    with(&mut SCREEN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A line that can't be written stops nothing by itself: what is recorded is in the journal.
fn line(mut stream: impl Write, is_beside_the_list: bool, text: &str) {
    let text = format!("{}\n", text.trim_end());
    let drawn = screen(|screen| screen.drawn.as_ref().and_then(Weak::upgrade));
    let mut write = || stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    let written = match drawn.filter(|_| is_beside_the_list) {
        Some(live) => live.beside(write),
        None => write(),
    };
    if let Err(error) = written
        && is_unread(&error)
        && let Some(tell) = screen(|screen| screen.unread.clone())
    {
        tell();
    }
}

/// A pipe without a reader, or a terminal that is gone. A full disk behind stdout is neither.
fn is_unread(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}
