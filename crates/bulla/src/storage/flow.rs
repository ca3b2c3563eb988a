//! Inputs and outputs of commands: files, streams and objects.

use std::io::IsTerminal;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulla_envelope::{EnvelopeError, Input, Output, Summary};

use super::reader::ObjectReader;
use super::{Access, ObjectName, Pinned, Storage, StorageOptions, Upload};
use crate::app::App;
use crate::exit::Failure;
use crate::output::{self, MODE_PRIVATE, OutputRules, Source, Target};

/// An opened input.
pub(crate) struct Incoming {
    /// For messages.
    pub(crate) shown: String,
    kind: Kind,
}

enum Kind {
    File(Source),
    Object(Arc<Storage>, Pinned),
}

impl Incoming {
    /// Opens what an argument names, for reading.
    pub(crate) async fn open(app: &mut App, options: &StorageOptions, path: &Path) -> Result<Self, Failure> {
        Ok(match ObjectName::of(path)? {
            None => Self::of(Source::open(path)?),
            Some(name) => {
                let storage = app.storage(options, name.provider).await?;
                let object = storage.look(&name)?;
                Self { shown: name.to_string(), kind: Kind::Object(storage, object) }
            }
        })
    }

    /// An object that was looked at already.
    pub(crate) fn of_object(storage: &Arc<Storage>, object: Pinned) -> Self {
        Self { shown: object.name.to_string(), kind: Kind::Object(Arc::clone(storage), object) }
    }

    /// A file or stream that is open already.
    pub(crate) fn of(source: Source) -> Self {
        Self { shown: source.shown.clone(), kind: Kind::File(source) }
    }

    /// The object that it is, and where.
    pub(crate) fn object(&self) -> Option<(&Arc<Storage>, &Pinned)> {
        match &self.kind {
            Kind::File(_) => None,
            Kind::Object(storage, object) => Some((storage, object)),
        }
    }

    /// Where it is, for what stands beside it.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.kind {
            Kind::File(source) => source.path.clone(),
            Kind::Object(_, object) => object.name.to_string().into(),
        }
    }

    /// The directory that it was found in, when that is walked.
    pub(crate) fn within(&self) -> Option<BorrowedFd<'_>> {
        match &self.kind {
            Kind::File(source) => source.at().within,
            Kind::Object(..) => None,
        }
    }

    /// Bytes in it, where that is known before they are read.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.kind {
            Kind::File(source) => source.length(),
            Kind::Object(_, object) => Some(object.bytes),
        }
    }

    /// Permission bits that a file made from this input gets.
    pub(crate) fn mode(&self) -> u32 {
        match &self.kind {
            Kind::File(source) => source.mode(),
            Kind::Object(..) => MODE_PRIVATE,
        }
    }

    /// The input from its start.
    pub(crate) fn reading(&self, access: Access) -> Result<Input<'static>, Failure> {
        let reading = match &self.kind {
            Kind::File(source) => source.file.try_clone().and_then(Input::file),
            Kind::Object(storage, object) => {
                Input::positioned(ObjectReader::new(Arc::clone(storage), object.clone(), access))
            }
        };
        reading.map_err(|error| Failure::io("cannot read", &self.shown, &error))
    }
}

/// An opened output.
pub(crate) enum Outgoing<'a> {
    /// On this host.
    Local(Target<'a>),
    /// An object.
    Object(Upload),
}

impl<'a> Outgoing<'a> {
    /// Opens what an argument names, for writing.
    pub(crate) async fn open(
        app: &mut App,
        options: &StorageOptions,
        path: &Path,
        rules: OutputRules<'a>,
    ) -> Result<Self, Failure> {
        let Some(name) = ObjectName::of(path)? else {
            return output::open(path, rules).map(Self::Local);
        };
        let upload = Upload::new(app.storage(options, name.provider).await?, name, rules.force);
        upload.check_absent()?;
        Ok(Self::Object(upload))
    }

    /// Whether it is a terminal, under whatever name.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Local(Target::Stream(stream)) if stream.is_terminal())
    }

    /// Most bytes that will come, when that is known.
    pub(crate) fn expect(&mut self, bytes: Option<u64>) {
        if let Self::Object(upload) = self {
            upload.expect(bytes);
        }
    }

    /// Lets `run` write, and makes what it wrote visible only when that succeeded.
    pub(crate) fn write(
        self,
        run: impl FnOnce(Output<'_>) -> Result<Summary, EnvelopeError>,
        failed: impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<Summary, Failure> {
        match self {
            Self::Local(target) => crate::work::write_to(target, run, failed),
            Self::Object(mut upload) => {
                let summary = run(Output::private(&mut upload));
                let summary = summary.map_err(|error| upload.given_up(failed(&error)))?;
                upload.finish()?;
                Ok(summary)
            }
        }
    }
}

/// Refuses an output that is the input, which would be gone with an earlier version of it.
pub(crate) fn refuse_same_object(input: &Path, output: &Path) -> Result<(), Failure> {
    match ObjectName::of(input)? {
        Some(name) if ObjectName::of(output)?.as_ref() == Some(&name) => Err(Failure::usage(format!(
            "the input is the output, `{name}`; nothing was written; name another with -o"
        ))),
        _ => Ok(()),
    }
}
