//! What a command has opened, in whichever form it was sealed: a message, or an object of the S3 Encryption Client.

use std::time::Duration;

use bulla_envelope::{EnvelopeError, Header, Input, Job, Opener, Output, S3ecObject, S3ecOpener, Summary};

use crate::app::App;
use crate::exit::Failure;
use crate::range::Range;
use crate::storage::sealed::{self, Told};
use crate::work::{self, Done};

/// Content whose key is open.
pub(crate) struct Content {
    form: Form,
    /// Bytes to read, where that is known.
    pub(crate) length: Option<u64>,
    /// The key that opened it.
    pub(crate) by: String,
}

enum Form {
    Message(Box<Opener<'static>>),
    Object(Box<S3ecOpener>, Input<'static>),
}

impl Content {
    /// Of a message.
    pub(crate) fn of_message(opener: Opener<'static>, length: Option<u64>, by: String) -> Self {
        Self { form: Form::Message(Box::new(opener)), length, by }
    }

    /// Of an object that is read from its start by `reading`.
    pub(crate) fn of_object(opener: S3ecOpener, reading: Input<'static>) -> Self {
        let (length, by) = (reading.length(), opener.opened_by().to_owned());
        Self { form: Form::Object(Box::new(opener), reading), length, by }
    }

    /// Refuses what [`Content::run`] would of it, or of the range, into a stream before it wrote anything.
    pub(crate) fn check_into_stream(&self, range: Option<&Range>) -> Result<(), EnvelopeError> {
        match (&self.form, range) {
            (Form::Message(opener), Some(range)) => opener.check_range(range),
            (Form::Message(opener), None) => opener.check_into_stream(),
            (Form::Object(..), None) => Ok(()),
            (Form::Object(..), Some(_)) => Err(no_range_of_object()),
        }
    }

    /// Opens all of it, or the range.
    pub(crate) fn run(
        self,
        range: Option<&Range>,
        output: Output<'_>,
        job: &Job,
    ) -> Result<Summary, EnvelopeError> {
        match (self.form, range) {
            (Form::Message(opener), Some(range)) => opener.run_range(range.clone(), output, job),
            (Form::Message(opener), None) => opener.run(output, job),
            (Form::Object(opener, reading), None) => opener.run(reading, output, job),
            (Form::Object(..), Some(_)) => Err(no_range_of_object()),
        }
    }
}

fn no_range_of_object() -> EnvelopeError {
    EnvelopeError::Usage(
        "an object of the S3 Encryption Client is opened whole: its tag covers all of it".to_owned(),
    )
}

/// What a sealed file or object says of itself.
pub(crate) enum About {
    /// A message, and the key that opened it.
    Message(Header, String),
    /// An object of the S3 Encryption Client.
    Object(S3ecObject),
}

impl About {
    /// Refuses the keys of a file as if they were one: whoever opened them so would have a file's key on the disk.
    pub(crate) fn refuse_file_key(&self, shown: &str) -> Result<(), Failure> {
        match self {
            Self::Message(header, _) if header.detached_keys_id().is_some() => Err(Failure::usage(format!(
                "`{shown}` holds the key of another file, which is not for a disk; nothing was written; decrypt that file"
            ))),
            _ => Ok(()),
        }
    }

    /// Tells what was done with it, as far as the options ask for that.
    pub(crate) fn report(
        &self,
        app: &App,
        what: &'static str,
        input: &str,
        output: Option<&str>,
        data_on_stdout: bool,
        summary: Option<(Summary, Duration)>,
    ) -> Result<(), Failure> {
        match self {
            Self::Message(header, by) => {
                let by = Some(by.as_str());
                work::report(app, &Done { what, input, output, data_on_stdout, header, by, summary })
            }
            Self::Object(object) => {
                sealed::report(app, &Told { what, input, output, data_on_stdout, summary }, object)
            }
        }
    }
}
