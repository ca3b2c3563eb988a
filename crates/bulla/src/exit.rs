//! Exit codes and the one line that tells why: the only place where a failure becomes a number.

use std::fmt;
use std::io;

use bulla_api::{ErrorCode, KmsError, LocalFailure, is_unprintable};
use bulla_envelope::{EnvelopeError, ErrorClass, FormatError, KeyFailure, Side};

use crate::place::OF_BACKUP;

/// What a process ends with. Scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// The disk, permissions, and all else.
    Failed = 1,
    /// The command line, a variable or a configuration file is wrong.
    Usage = 2,
    /// Not a sealed message, damaged, truncated, extended, another context, no key opens it.
    NotIntact = 3,
    /// Denied, or credentials that aren't valid.
    Denied = 4,
    /// The KMS is unreachable, throttling or failing: the only one worth retrying unchanged.
    Unreachable = 5,
    /// The key is unknown, disabled or pending deletion.
    KeyUnusable = 6,
    /// The command after `--` failed, or could not be run.
    Command = 7,
    /// The terminal went away: 128 + SIGHUP.
    HungUp = 129,
    /// Interrupted: 128 + SIGINT.
    Interrupted = 130,
    /// Quit from the terminal: 128 + SIGQUIT.
    Quit = 131,
    /// Nobody reads the output any more: 128 + SIGPIPE.
    BrokenPipe = 141,
    /// Told to end: 128 + SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The process's exit code.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

/// A failed command: its exit code and one line: what happened, to what, what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Decides the exit code.
    pub(crate) exit: Exit,
    /// One line, without the program's name.
    pub(crate) message: String,
}

impl Failure {
    /// A failure of any class.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Wrong usage.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A failed system call on `what`, with the advice that fits its cause.
    pub(crate) fn io(doing: &str, what: impl fmt::Display, error: &io::Error) -> Self {
        // What is no system call's: it says by itself what failed.
        if let Some(failure) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return failure.clone();
        }
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(
                Exit::BrokenPipe,
                format!("{doing} `{what}`: the reader went away before the end; its input is not whole"),
            );
        }
        let what = what.to_string();
        let next = match error.kind() {
            // What is written straight is there as far as it came.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
                if is_stream(&what) =>
            {
                "; free space or write elsewhere"
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                "; nothing was left behind; free space or write elsewhere"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "; check who owns it and its permissions"
            }
            io::ErrorKind::NotFound => "; check the path",
            _ => "",
        };
        Self::new(Exit::Failed, format!("{doing} `{what}`: {}{next}", cause(error)))
    }
}

/// Whether what a message names is written in place: a standard stream or a device, and no file that appears whole.
fn is_stream(what: &str) -> bool {
    what.starts_with("standard ")
        || std::fs::metadata(what).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

impl Failure {
    /// The same, with what happened all the same.
    pub(crate) fn although(self, what: &str) -> Self {
        Self { exit: self.exit, message: format!("{}; {what}", self.message) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_numbers(&one_line(&self.message)))
    }
}

impl std::error::Error for Failure {}

impl From<KmsError> for Failure {
    fn from(error: KmsError) -> Self {
        let exit = exit_of_kms(&error);
        let next = match (&error, exit) {
            (KmsError::Store(_), _) => "",
            (KmsError::Unanswered { operation, .. }, _) => {
                let next = match where_a_change_shows(operation) {
                    Some(look) => format!("look with {look} before you try it again"),
                    None => "doing it again changes nothing more".to_owned(),
                };
                return Self::new(exit, format!("{error}; the change may have been made: {next}"));
            }
            (KmsError::Answered { error, kms }, Exit::KeyUnusable) if kms.starts_with(OF_BACKUP) => {
                in_backup(error.code)
            }
            (_, Exit::KeyUnusable) => {
                "; check the key with `bulla key list`, or name another KMS with --kms or --endpoint-url"
            }
            (KmsError::Answered { error, .. }, _)
                if matches!(error.code, ErrorCode::ExpiredToken | ErrorCode::ExpiredTokenException) =>
            {
                "; get new credentials, which last for a while only"
            }
            (_, Exit::Denied) => "; check the credentials and what they may do",
            (_, Exit::Unreachable) => "; try again later, or wait longer with --kms-wait",
            (_, Exit::NotIntact) => "; check the file and its encryption context",
            // AWS gives it no text.
            (KmsError::Answered { error, .. }, _)
                if error.code == ErrorCode::UnsupportedOperationException && error.message.is_empty() =>
            {
                "; this is not done with a key of that spec, origin or key store: see bulla key describe"
            }
            _ => "",
        };
        Self::new(exit, format!("{error}{next}"))
    }
}

/// The command that shows whether an operation's change was made; none for one that can be made any number of times.
fn where_a_change_shows(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "AcceptClock" | "RecoveryKeyExported" => return None,
        "CreateKey" | "CreateAlias" => "`bulla key list`",
        "TagResource" | "UntagResource" => "`bulla key tags`",
        "PutKeyPolicy" | "ResetKeyPolicy" => "`bulla key policy get`",
        "EnableKeyRotation" | "DisableKeyRotation" | "RotateKeyOnDemand" | "ImportKeyMaterial" => {
            "`bulla key rotation`"
        }
        "CreateAccount" => "`bulla account list`",
        "ResetRootAccessKey" | "DisableRootAccessKey" => return None,
        "CreateUser"
        | "PutUserPolicy"
        | "CreateAccessKey"
        | "DeleteAccessKey"
        | "DeleteUser"
        | "DeleteUserPolicy"
        | "DetachUserPolicy"
        | "RemoveUserFromGroup"
        | "DeleteUserPermissionsBoundary" => "`bulla access list`",
        _ => "`bulla key describe`",
    })
}

impl From<LocalFailure> for Failure {
    fn from(failure: LocalFailure) -> Self {
        KmsError::Store(failure).into()
    }
}

impl Failure {
    /// Sealing or opening failed: `input` and `output` are what messages call them.
    pub(crate) fn envelope(error: &EnvelopeError, input: &str, output: &str) -> Self {
        if let Some(failure) = crate::command::failure_of(error) {
            return failure;
        }
        if let EnvelopeError::Io { side, source } = error {
            return match side {
                Side::Input => Self::io("cannot read", input, source),
                Side::Output => Self::io("cannot write", output, source),
            };
        }
        let exit = exit_of(error.class());
        let backup = next_in_backup(error).filter(|_| exit == Exit::KeyUnusable);
        let next = backup.unwrap_or_else(|| next_step(error, exit));
        Self::new(exit, format!("`{input}`: {error}{next}{}", raw_form(error)))
    }
}

/// What to do about a message that did not open, or a key that did not seal.
fn next_step(error: &EnvelopeError, exit: Exit) -> &'static str {
    match (error, exit) {
        (EnvelopeError::Format(FormatError::NotAMessage), _) => {
            "; give a file that bulla or an AWS Encryption SDK made"
        }
        (EnvelopeError::Format(FormatError::Base64 | FormatError::TooManyDataKeys { .. }), _) => "",
        (EnvelopeError::Format(FormatError::Truncated(_)), _) => "; get the whole file",
        (EnvelopeError::ContextMismatch { .. }, _) => "; see the file's context with bulla inspect",
        (EnvelopeError::NoKeyOpens(none), _) if none.trials.is_empty() => "; name one of these with -k",
        (_, Exit::NotIntact) => "; get an undamaged copy",
        (_, Exit::Denied) => "; check the credentials and what they may do",
        (_, Exit::Unreachable) => "; try again later, or wait longer with --kms-wait",
        (_, Exit::KeyUnusable) => "; see bulla key list, or name another KMS with --kms or --endpoint-url",
        _ => "",
    }
}

/// What to do about a key that a backup of a store has not, or not for use: no other KMS is asked there.
const fn in_backup(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NotFoundException => "; the backup does not have this key: take a newer backup",
        _ => "; so it was when the backup was made: enable the key after a restore, or take a newer backup",
    }
}

/// The same, where a key of a backup was tried.
fn next_in_backup(error: &EnvelopeError) -> Option<&'static str> {
    let EnvelopeError::NoKeyOpens(none) = error else { return None };
    none.trials.iter().find_map(|trial| match &trial.cause {
        KeyFailure::Kms(error @ KmsError::Answered { error: answer, kms })
            if kms.starts_with(OF_BACKUP) && exit_of_kms(error) == Exit::KeyUnusable =>
        {
            Some(in_backup(answer.code))
        }
        _ => None,
    })
}

/// How a raw key that a message was sealed for is given: the header has no more of it than its names.
fn raw_form(error: &EnvelopeError) -> String {
    let EnvelopeError::NoKeyOpens(none) = error else { return String::new() };
    let raw = none.sealed_for.iter().find(|name| !name.starts_with("arn:") && name.contains(':'));
    match raw.filter(|_| none.trials.is_empty()) {
        Some(raw) => format!(", a raw one as raw-aes:{raw}:FILE or raw-rsa:{raw}:PADDING:PEM-FILE"),
        None => String::new(),
    }
}

/// The exit code of a failed KMS call.
pub(crate) fn exit_of_kms(error: &KmsError) -> Exit {
    exit_of(ErrorClass::of_kms(error))
}

const fn exit_of(class: ErrorClass) -> Exit {
    match class {
        ErrorClass::Failed => Exit::Failed,
        ErrorClass::Usage => Exit::Usage,
        ErrorClass::NotAuthentic => Exit::NotIntact,
        ErrorClass::Denied => Exit::Denied,
        ErrorClass::Unreachable => Exit::Unreachable,
        ErrorClass::KeyUnusable => Exit::KeyUnusable,
    }
}

/// The cause in the system's words, without Rust's `(os error N)`.
pub(crate) fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => {
            // The system's words begin with a capital; what follows them may be a name.
            let mut text = text.get(..end).unwrap_or(&text).to_owned();
            if let Some(first) = text.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            text
        }
        None => text,
    }
}

/// Without Rust's `(os error N)`, which the system's own words before it say better.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => out.push_str(rest),
            _ => {
                out.push_str(" (os error ");
                out.push_str(part);
            }
        }
    }
    out
}

/// Whatever a message carries (file names, a server's text), it stays one line, can't drive a terminal, and is shown in the
/// order in which it stands.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_unprintable(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulla_api::{ApiError, LocalFailure, LocalFailureKind};

    fn answered(code: ErrorCode) -> Exit {
        exit_of_kms(&KmsError::Answered { error: ApiError::new(code, ""), kms: String::new() })
    }

    #[test]
    fn kms_failures_have_the_codes_that_scripts_rely_on() {
        assert_eq!(answered(ErrorCode::AccessDeniedException).code(), 4);
        assert_eq!(answered(ErrorCode::InvalidSignatureException).code(), 4);
        assert_eq!(answered(ErrorCode::ThrottlingException).code(), 5);
        assert_eq!(answered(ErrorCode::NotFoundException).code(), 6);
        assert_eq!(answered(ErrorCode::DisabledException).code(), 6);
        assert_eq!(answered(ErrorCode::KMSInvalidStateException).code(), 6);
        assert_eq!(answered(ErrorCode::InvalidCiphertextException).code(), 3);
        assert_eq!(answered(ErrorCode::AlreadyExistsException).code(), 1);
        let store =
            |kind| exit_of_kms(&KmsError::Store(LocalFailure { kind, message: String::new() })).code();
        assert_eq!(store(LocalFailureKind::NotAuthentic), 3);
        assert_eq!(store(LocalFailureKind::Busy), 5);
        assert_eq!(store(LocalFailureKind::Failed), 1);
        assert_eq!(store(LocalFailureKind::NoStore), 6);
        assert_eq!(answered(ErrorCode::ValidationException).code(), 2);
        assert_eq!(answered(ErrorCode::LimitExceededException).code(), 1);
    }

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        let failure = Failure::usage("a\nb\u{1b}[31mc");
        assert_eq!(failure.to_string(), "a b\\u{1b}[31mc");
        assert_eq!(one_line("x\u{202e}\u{9b}\u{2028}é"), "x\\u{202e}\\u{9b}\\u{2028}é");
        let failure =
            Failure::usage("the log: No space left on device (os error 28); free some (os error x)");
        assert_eq!(failure.to_string(), "the log: No space left on device; free some (os error x)");
    }
}
