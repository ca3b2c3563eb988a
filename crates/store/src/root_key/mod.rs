//! Where the root key comes from.
//!
//! Absent on purpose: TPM, PKCS#11, Shamir shares and a key management service above this one.

mod file;
mod passphrase;
mod terminal;

pub use passphrase::PassphraseParams;

use bulla_crypto::barrier::{RootKey, RootKeyTextError};
use bulla_crypto::{LockedMemoryFull, Rng};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where the root key comes from, as `--root-key` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootKeySource {
    /// `file:PATH`: one line in a file that nobody else can read.
    File(PathBuf),
    /// `env:NAME`: the line in an environment variable. It stays in the environment, and so with child processes
    /// that inherit it, for the standard library can't remove it safely; the process itself can't be inspected
    /// by others.
    Env(String),
    /// `passphrase:tty`: derived from a passphrase that is asked on the terminal.
    PassphraseTty,
    /// `passphrase:file:PATH`: derived from a passphrase in a file that nobody else can read.
    PassphraseFile(PathBuf),
    /// `passphrase:file:/dev/fd/N`: the same, read from an inherited descriptor, whatever its path would lead to.
    PassphraseFd(Descriptor),
    /// `fd:N`: the line, read to its end from an inherited descriptor.
    Fd(Descriptor),
    /// `credential:NAME`: the line in a systemd credential.
    Credential(String),
}

/// An inherited descriptor that a root key is read from.
#[derive(Debug, Clone)]
pub struct Descriptor {
    number: u32,
    /// Absent until [`RootKeySource::with_descriptor`] gave it.
    file: Option<Arc<File>>,
}

impl PartialEq for Descriptor {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Descriptor {}

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The text names no provider.
    #[error(
        "`{0}` names no root key; use file:PATH, env:NAME, passphrase:tty, passphrase:file:PATH, fd:N or credential:NAME"
    )]
    UnknownProvider(String),
    /// There is nothing where the key should be.
    #[error(
        "the root key is not at `{0}`; a store opens with no other: put it back, or restore it from the recovery key"
    )]
    Missing(RootKeySource),
    /// There is nothing where the key of a new store should be.
    #[error(
        "there is no root key for the new store at `{0}`; put one there, or name file:PATH, where it is made"
    )]
    MissingForNew(RootKeySource),
    /// Group or others may read the file.
    #[error("`{}` can be read by other users (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// `fd:N` is no descriptor that the caller gave.
    #[error("descriptor {0} was not open for reading when bulla was started; give it with {0}<FILE")]
    NotInherited(u32),
    /// Another user owns the file, who could replace it.
    #[error("`{}` belongs to user {owner}; it must belong to you or to root", path.display())]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
    },
    /// What is there is not a regular file.
    #[error("`{}` is not a regular file; put what it gives into one", .0.display())]
    NotAFile(PathBuf),
    /// `passphrase:tty` without a terminal.
    #[error("there is no terminal to ask for the passphrase; use passphrase:file:PATH or another --root-key")]
    NoTerminal,
    /// The passphrase was not entered.
    #[error("no passphrase was entered")]
    Cancelled,
    /// The passphrase was entered differently the second time.
    #[error("the two passphrases differ; nothing was made")]
    Mismatch,
    /// The passphrase is empty or too long.
    #[error("a passphrase has 1 to {} bytes", passphrase::PASSPHRASE_BYTES_MAX)]
    PassphraseLength,
    /// A passphrase was given for a store that was not made with one.
    #[error("the store was not made with a passphrase; give its root key (--root-key file:PATH)")]
    NotByPassphrase,
    /// What was found is not the text of a root key.
    #[error("`{from}`: {source}")]
    Text {
        /// Where it was found.
        from: RootKeySource,
        /// What is wrong with it.
        #[source]
        source: RootKeyTextError,
    },
    /// There is no locked memory for the key.
    #[error(transparent)]
    LockedMemoryFull(#[from] LockedMemoryFull),
    /// A system call failed.
    #[error("can't {what} `{from}`: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On which root key.
        from: RootKeySource,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl RootKeyError {
    /// The same, of a store that is yet to be made: no key of its own can be put back.
    fn for_new(self) -> Self {
        match self {
            Self::Missing(from) => Self::MissingForNew(from),
            other => other,
        }
    }
}

/// A root key made for a new store.
pub struct NewRootKey {
    /// The key.
    pub key: RootKey,
    /// How it follows from its passphrase, when it does: kept in the store.
    pub passphrase: Option<PassphraseParams>,
    /// Whether this call made the key, rather than finding it where it was to be made.
    pub made: bool,
}

impl RootKeySource {
    /// The file in a data directory that serves when no other place is named.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self::File(path.to_owned())
    }

    /// Reads what `--root-key` says; the same as [`str::parse`].
    ///
    /// # Errors
    /// [`RootKeyError::UnknownProvider`].
    pub fn parse(text: &str) -> Result<Self, RootKeyError> {
        text.parse()
    }

    /// The same, with the descriptor that `fd:N` or `passphrase:file:/dev/fd/N` means. `inherited` gives one that the process was started with: by its
    /// number alone it can't be told from one that the program has opened itself.
    ///
    /// # Errors
    /// [`RootKeyError::NotInherited`].
    pub fn with_descriptor(
        self,
        inherited: impl FnOnce(u32) -> std::io::Result<File>,
    ) -> Result<Self, RootKeyError> {
        let given = |number| match inherited(number) {
            Ok(file) => Ok(Descriptor { number, file: Some(Arc::new(file)) }),
            Err(_) => Err(RootKeyError::NotInherited(number)),
        };
        match self {
            Self::Fd(Descriptor { number, .. }) => Ok(Self::Fd(given(number)?)),
            Self::PassphraseFile(path) => match file::descriptor_of(&path) {
                Some(number) => Ok(Self::PassphraseFd(given(number)?)),
                None => Ok(Self::PassphraseFile(path)),
            },
            other => Ok(other),
        }
    }

    /// Whether [`RootKeySource::obtain`] needs the parameters that [`crate::passphrase_params`] gives.
    #[must_use]
    pub fn is_passphrase(&self) -> bool {
        matches!(self, Self::PassphraseTty | Self::PassphraseFile(_) | Self::PassphraseFd(_))
    }

    /// The root key of an existing store. Never makes one: a key made anew would open nothing. May wait for the
    /// terminal, so no lock is held around it.
    ///
    /// # Errors
    /// [`RootKeyError`].
    pub fn obtain(&self, passphrase: Option<&PassphraseParams>) -> Result<RootKey, RootKeyError> {
        if self.is_passphrase() {
            let params = passphrase.ok_or(RootKeyError::NotByPassphrase)?;
            return params.derive(&self.read_passphrase(false)?);
        }
        self.key_of(&self.read_text()?)
    }

    /// The root key of a store that is about to be made. A file that isn't there is made, durably; one that is
    /// there is used, as left by a run that was interrupted. Other providers must have the key.
    ///
    /// # Errors
    /// [`RootKeyError`].
    pub fn create_new(&self, rng: &dyn Rng) -> Result<NewRootKey, RootKeyError> {
        if self.is_passphrase() {
            let params = PassphraseParams::generate(rng);
            let key = params.derive(&self.read_passphrase(true).map_err(RootKeyError::for_new)?)?;
            return Ok(NewRootKey { key, passphrase: Some(params), made: true });
        }
        if let Self::File(path) = self
            && !path.exists()
        {
            let key = RootKey::generate(rng)?;
            if file::write_new(self, path, key.to_line().expose())? {
                return Ok(NewRootKey { key, passphrase: None, made: true });
            }
        }
        let text = self.read_text().map_err(RootKeyError::for_new)?;
        Ok(NewRootKey { key: self.key_of(&text)?, passphrase: None, made: false })
    }

    /// Whether [`RootKeySource::create_new`] would find what it needs. Makes nothing, and asks nobody.
    ///
    /// # Errors
    /// [`RootKeyError`].
    pub fn check_for_new(&self) -> Result<(), RootKeyError> {
        match self {
            Self::PassphraseTty => Ok(()),
            Self::File(path) if !path.exists() => Ok(()),
            _ if self.is_passphrase() => self.read_passphrase(true).map(drop).map_err(RootKeyError::for_new),
            _ => self.key_of(&self.read_text().map_err(RootKeyError::for_new)?).map(drop),
        }
    }

    fn key_of(&self, text: &[u8]) -> Result<RootKey, RootKeyError> {
        RootKey::from_text(text).map_err(|source| RootKeyError::Text { from: self.clone(), source })
    }

    fn read_passphrase(&self, new: bool) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
        let passphrase = match self {
            Self::PassphraseFile(_) | Self::PassphraseFd(_) => passphrase::first_line(self.read_text()?),
            _ if new => terminal::ask_twice()?,
            _ => terminal::ask("passphrase of the root key: ")?,
        };
        if (1..=passphrase::PASSPHRASE_BYTES_MAX).contains(&passphrase.len()) {
            Ok(passphrase)
        } else {
            Err(RootKeyError::PassphraseLength)
        }
    }

    fn read_text(&self) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
        match self {
            Self::File(path) | Self::PassphraseFile(path) => file::read_private(self, path),
            Self::Env(name) => match std::env::var_os(name) {
                Some(text) => Ok(Zeroizing::new(OsString::into_vec(text))),
                None => Err(RootKeyError::Missing(self.clone())),
            },
            Self::Fd(Descriptor { file: Some(file), .. })
            | Self::PassphraseFd(Descriptor { file: Some(file), .. }) => file::read_descriptor(self, file),
            Self::Fd(Descriptor { number, file: None })
            | Self::PassphraseFd(Descriptor { number, file: None }) => {
                Err(RootKeyError::NotInherited(*number))
            }
            Self::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                // systemd has made the file readable by this service alone, by means that its mode needn't show.
                Some(directory) => file::read(self, &Path::new(&directory).join(name)),
                None => Err(RootKeyError::Missing(self.clone())),
            },
            Self::PassphraseTty => Err(RootKeyError::NoTerminal),
        }
    }
}

impl FromStr for RootKeySource {
    type Err = RootKeyError;

    fn from_str(text: &str) -> Result<Self, RootKeyError> {
        let unknown = || {
            // What follows an unknown name may be a key that someone pasted.
            let name = text.split(':').next().unwrap_or_default();
            RootKeyError::UnknownProvider(name.chars().take(32).collect())
        };
        let (provider, rest) = text.split_once(':').ok_or_else(unknown)?;
        let is_name =
            |name: &str| !name.is_empty() && !name.contains(['/', '=', '\0']) && name != "." && name != "..";
        match (provider, rest) {
            ("file", path) if !path.is_empty() => Ok(Self::File(path.into())),
            ("env", name) if is_name(name) => Ok(Self::Env(name.to_owned())),
            ("credential", name) if is_name(name) => Ok(Self::Credential(name.to_owned())),
            ("fd", number) => {
                let number = number.parse().map_err(|_| unknown())?;
                Ok(Self::Fd(Descriptor { number, file: None }))
            }
            ("passphrase", "tty") => Ok(Self::PassphraseTty),
            ("passphrase", rest) => match rest.strip_prefix("file:") {
                Some(path) if !path.is_empty() => Ok(Self::PassphraseFile(path.into())),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for RootKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::PassphraseTty => f.write_str("passphrase:tty"),
            Self::PassphraseFile(path) => write!(f, "passphrase:file:{}", path.display()),
            Self::PassphraseFd(descriptor) => write!(f, "passphrase:file:/dev/fd/{}", descriptor.number),
            Self::Fd(descriptor) => write!(f, "fd:{}", descriptor.number),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}
