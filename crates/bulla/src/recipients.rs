//! The keys that can open what is sealed: which of them a command keeps, adds and removes.

use std::collections::BTreeSet;

use bulla_envelope::{EncryptedDataKey, Keyring};

use crate::app::App;
use crate::cli::Rewrap;
use crate::exit::Failure;
use crate::keys;

/// What a key is called in a message, by which keys are told apart: the provider, or namespace, and the ARN, or name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyName {
    /// `aws-kms`, or the namespace of a raw key.
    pub(crate) provider: String,
    /// The ARN, or the raw key's name.
    pub(crate) name: Vec<u8>,
}

impl KeyName {
    /// That of a key in a header.
    pub(crate) fn of(key: &EncryptedDataKey) -> Self {
        Self { provider: key.provider_id.clone(), name: key.key_name().to_vec() }
    }

    /// For people.
    pub(crate) fn shown(&self) -> String {
        let key = EncryptedDataKey {
            provider_id: self.provider.clone(),
            provider_info: self.name.clone(),
            ciphertext: Vec::new(),
        };
        key.display_name()
    }
}

/// A key that is to be a recipient.
pub(crate) struct Wanted {
    /// Its name in messages.
    pub(crate) name: KeyName,
    /// The key.
    pub(crate) keyring: Keyring,
}

/// A key that is to be none any longer.
struct Unwanted {
    text: String,
    /// What a message would call it; none when only a message can say, by showing the same name.
    name: Option<KeyName>,
}

impl Unwanted {
    fn is(&self, key: &EncryptedDataKey) -> bool {
        self.name.as_ref().is_some_and(|name| *name == KeyName::of(key)) || self.text == key.display_name()
    }
}

/// What a command changes about the recipients of each of its files.
pub(crate) struct Changes {
    to: Option<Vec<Wanted>>,
    add: Vec<Wanted>,
    remove: Vec<Unwanted>,
}

/// What that comes to for one file.
pub(crate) struct Plan<'a> {
    /// Recipients that stay.
    pub(crate) kept: Vec<EncryptedDataKey>,
    /// Those that come.
    pub(crate) added: Vec<&'a Wanted>,
    /// Those that go.
    pub(crate) removed: Vec<EncryptedDataKey>,
    /// Names of those that were to go and were not there.
    pub(crate) absent: Vec<&'a str>,
}

impl Changes {
    /// As the options say. Keys with another name at their KMS are asked for their ARN.
    pub(crate) async fn of(app: &mut App, command: &Rewrap) -> Result<Self, Failure> {
        if command.to.is_empty() && command.add.is_empty() && command.remove.is_empty() {
            return Err(Failure::usage(
                "rewrap: say what is to change: --add KEY, --remove KEY, or --to KEY for all that may open the files then",
            ));
        }
        keys::check(&command.to)?;
        keys::check(&command.add)?;
        let mut remove = Vec::new();
        for text in &command.remove {
            let name = keys::name_to_remove(app, text).await?;
            remove.push(Unwanted { text: text.clone(), name });
        }
        let to = match command.to.as_slice() {
            [] => None,
            to => Some(keys::wanted(app, to).await?),
        };
        Ok(Self { to, add: keys::wanted(app, &command.add).await?, remove })
    }

    /// The keys that are at hand to seal for, whether a file has them already or not.
    pub(crate) fn at_hand(&self) -> impl Iterator<Item = &Wanted> {
        self.to.iter().flatten().chain(&self.add)
    }

    /// What they come to for a file with these recipients.
    pub(crate) fn plan(&self, now: &[EncryptedDataKey]) -> Plan<'_> {
        let there: BTreeSet<_> = now.iter().map(KeyName::of).collect();
        let goes = |key: &EncryptedDataKey| match &self.to {
            Some(to) => !to.iter().any(|one| one.name == KeyName::of(key)),
            // Who is added and removed at once is removed.
            None => self.remove.iter().any(|one| one.is(key)),
        };
        let (removed, kept) = now.iter().cloned().partition(goes);
        let mut added: Vec<&Wanted> = Vec::new();
        for one in self.at_hand() {
            let twice = added.iter().any(|other| other.name == one.name);
            let unwanted =
                self.remove.iter().any(|other| other.name.as_ref().is_some_and(|name| *name == one.name));
            if !there.contains(&one.name) && !twice && !unwanted {
                added.push(one);
            }
        }
        let absent =
            self.remove.iter().filter(|one| !now.iter().any(|key| one.is(key))).map(|one| one.text.as_str());
        Plan { kept, added, removed, absent: absent.collect() }
    }
}

impl Plan<'_> {
    /// Whether the file has the recipients that it is to have.
    pub(crate) fn is_nothing(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Whether anybody could open the file afterwards.
    pub(crate) fn leaves_nobody(&self) -> bool {
        self.kept.is_empty() && self.added.is_empty()
    }

    /// The names of those that come.
    pub(crate) fn added_shown(&self) -> Vec<String> {
        self.added.iter().map(|one| one.name.shown()).collect()
    }

    /// The names of those that go.
    pub(crate) fn removed_shown(&self) -> Vec<String> {
        self.removed.iter().map(EncryptedDataKey::display_name).collect()
    }

    /// The names of those that can open it then.
    pub(crate) fn all_shown(&self) -> Vec<String> {
        let kept = self.kept.iter().map(EncryptedDataKey::display_name);
        kept.chain(self.added_shown()).collect()
    }
}
