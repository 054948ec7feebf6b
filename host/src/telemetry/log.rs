//! The program's own log, in lines without secrets.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::secret::{Scrub, Scrubber};

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A filter that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{filter}` does not say what to log: {problem}")]
pub struct FilterError {
    /// What was given.
    pub filter: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The log of this process. It knows the secrets that it has been told of, and keeps them to itself.
#[derive(Clone, Default)]
pub struct Log {
    scrubbers: Arc<RwLock<Vec<Scrubber>>>,
}

impl Log {
    /// Begins to log: each event goes to `sink` as one line. `filter` is in the syntax of `tracing`'s
    /// `EnvFilter`, `info` or `warn,ripcord::pipeline=debug`; without one, warnings and errors are logged.
    ///
    /// # Errors
    /// If the filter can't be understood. Nothing is logged then.
    pub fn begin(
        filter: Option<&str>,
        format: Format,
        sink: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, FilterError> {
        let filter = parse(filter.unwrap_or_default())?;
        let log = Self::default();
        let lines = Lines { log: log.clone(), sink: Arc::new(sink) };
        // With `info`, a line for each call, step and run that is over.
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_span_events(FmtSpan::CLOSE);
        let subscriber = subscriber.with_writer(lines).with_ansi(false);
        // Of two logs in one process the first one goes on: that is a test, which tells them apart itself.
        let _ = match format {
            Format::Text => subscriber.try_init(),
            Format::Json => subscriber.json().try_init(),
        };
        Ok(log)
    }

    /// From now on takes out what this scrubber knows, and what it will know.
    pub fn hide(&self, scrubber: &Scrubber) {
        self.scrubbers.write().unwrap_or_else(PoisonError::into_inner).push(scrubber.clone());
    }

    fn clean(&self, line: &[u8]) -> String {
        let mut line = line.to_vec();
        let scrubbers = self.scrubbers.read().unwrap_or_else(PoisonError::into_inner);
        scrubbers.iter().for_each(|scrubber| line.scrub(scrubber));
        String::from_utf8_lossy(&line).into_owned()
    }
}

/// `EnvFilter` takes a single word for the name of a module: `RIPCORD_LOG=verbose` would log nothing, and
/// nobody would know why.
fn parse(filter: &str) -> Result<EnvFilter, FilterError> {
    let wrong = |problem: String| FilterError { filter: filter.to_owned(), problem };
    let is_word = |directive: &&str| !directive.is_empty() && !directive.contains(['=', '[', ':']);
    for word in filter.split(',').map(str::trim).filter(is_word) {
        word.parse::<LevelFilter>().map_err(|_| wrong(format!("`{word}` is no level")))?;
    }
    let builder = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into());
    builder.parse(filter).map_err(|error| wrong(error.to_string()))
}

/// `tracing` writes each event at once.
struct Lines {
    log: Log,
    sink: Arc<dyn Fn(&str) + Send + Sync>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl io::Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        (self.sink)(&self.log.clean(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_would_log_nothing_by_mistake_is_refused() {
        for (filter, problem) in [
            ("", None),
            ("info", None),
            ("off", None),
            ("warn,ripcord::pipeline=debug", None),
            ("ripcord[call{ripcord.role=x}]=trace", None),
            ("verbose", Some("`verbose` is no level")),
            ("info, debugg", Some("`debugg` is no level")),
            ("ripcord=loud", Some("expected one of")),
        ] {
            let found = parse(filter).err().map(|error| error.problem);
            match problem {
                None => assert_eq!(found, None, "{filter}"),
                Some(problem) => assert!(found.as_deref().unwrap().contains(problem), "{filter}: {found:?}"),
            }
        }
    }

    #[test]
    fn secrets_stay_out_of_the_lines_whenever_they_become_known() {
        let (log, scrubber) = (Log::default(), Scrubber::default());
        log.hide(&scrubber);
        assert_eq!(log.clean(b"token s3cr3t-t0k3n"), "token s3cr3t-t0k3n");
        scrubber.add("s3cr3t-t0k3n");
        assert_eq!(log.clean(b"token s3cr3t-t0k3n"), "token [redacted]");
    }
}
