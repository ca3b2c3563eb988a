//! The KEYs of the command line: which keyrings they mean.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use bulla_api::{DescribeKeyInput, EncryptionContext, GetCallerIdentityInput, KeyRef, Kms, SecretBytes};
use bulla_envelope::{FILE_KEY_NAME, Keyring, KmsDiscovery, KmsKey, RawAesKey, RawRsaKey, RsaPadding};

use crate::app::{App, FoundKms};
use crate::exit::{Exit, Failure};
use crate::kms::{self, choice::split_at};
use crate::recipients::{KeyName, Wanted};

/// A file with a raw key of this size holds none.
const KEY_FILE_BYTES_MAX: usize = 64 << 10;
/// Provider of the encrypted data keys that a KMS opens.
pub(crate) const KMS_PROVIDER: &str = "aws-kms";
/// What a KEY says after its `@` for the store on this host.
const EMBEDDED_AT: &str = "embedded";

/// A KEY, taken apart.
#[derive(Debug, PartialEq, Eq)]
enum KeyArgument<'a> {
    Kms { key: &'a str, at: Option<&'a str> },
    RawAes { namespace: &'a str, name: &'a str, file: &'a str },
    RawRsa { namespace: &'a str, name: &'a str, padding: RsaPadding, file: &'a str },
}

impl<'a> KeyArgument<'a> {
    fn parse(text: &'a str) -> Result<Self, Failure> {
        let form = |form: &str| Failure::usage(format!("key `{text}` is not of the form {form}"));
        if let Some(rest) = text.strip_prefix("raw-aes:") {
            let mut fields = rest.splitn(3, ':').filter(|field| !field.is_empty());
            return match (fields.next(), fields.next(), fields.next()) {
                (Some(namespace), Some(name), Some(file)) => Ok(Self::RawAes { namespace, name, file }),
                _ => Err(form("raw-aes:NAMESPACE:NAME:FILE")),
            };
        }
        if let Some(rest) = text.strip_prefix("raw-rsa:") {
            let wanted = "raw-rsa:NAMESPACE:NAME:PADDING:PEM-FILE";
            let mut fields = rest.splitn(4, ':').filter(|field| !field.is_empty());
            let all = (fields.next(), fields.next(), fields.next(), fields.next());
            let (Some(namespace), Some(name), Some(padding), Some(file)) = all else {
                return Err(form(wanted));
            };
            let padding = match padding {
                "PKCS1" => RsaPadding::Pkcs1,
                "OAEP_SHA1" => RsaPadding::OaepSha1,
                "OAEP_SHA256" => RsaPadding::OaepSha256,
                "OAEP_SHA384" => RsaPadding::OaepSha384,
                "OAEP_SHA512" => RsaPadding::OaepSha512,
                _ => {
                    return Err(form(&format!(
                        "{wanted}, PADDING one of PKCS1, OAEP_SHA1, OAEP_SHA256, OAEP_SHA384, OAEP_SHA512"
                    )));
                }
            };
            return Ok(Self::RawRsa { namespace, name, padding, file });
        }
        let (key, at) = split_at(text);
        Ok(Self::Kms { key, at })
    }
}

impl KeyArgument<'_> {
    /// Whether it is the very same key: by the same words or, of a raw one, in the same file.
    fn is_same(&self, other: &Self) -> bool {
        let same = |one: &str, other: &str| one == other || is_same_file(Path::new(one), Path::new(other));
        match (self, other) {
            (
                Self::RawAes { namespace, name, file },
                Self::RawAes { namespace: other_namespace, name: other_name, file: other },
            ) => namespace == other_namespace && name == other_name && same(file, other),
            (
                Self::RawRsa { namespace, name, padding, file },
                Self::RawRsa {
                    namespace: other_namespace,
                    name: other_name,
                    padding: other_padding,
                    file: other,
                },
            ) => {
                (namespace, name, padding) == (other_namespace, other_name, other_padding)
                    && same(file, other)
            }
            (one, other) => one == other,
        }
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| {
        let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some((meta.dev(), meta.ino()))
    };
    id(one).is_some_and(|one| id(other) == Some(one))
}

/// The KEYs, taken apart, and each that was given twice once.
fn each_once(arguments: &[String]) -> Result<Vec<KeyArgument<'_>>, Failure> {
    let mut all: Vec<KeyArgument<'_>> = Vec::with_capacity(arguments.len());
    for text in arguments {
        let key = KeyArgument::parse(text)?;
        if !all.iter().any(|known| known.is_same(&key)) {
            all.push(key);
        }
    }
    Ok(all)
}

/// Refuses KEYs that can't be any, before a file is looked at.
pub(crate) fn check(arguments: &[String]) -> Result<(), Failure> {
    for text in arguments {
        if let KeyArgument::Kms { key, .. } = KeyArgument::parse(text)? {
            check_kms_key(key)?;
        }
    }
    Ok(())
}

/// Keyrings, and what sealing under them calls for.
pub(crate) struct Keys {
    /// In the order of the command line.
    pub(crate) keyrings: Vec<Keyring>,
    /// The store that alone can open what these seal, if it is one.
    pub(crate) only_in: Option<FoundKms>,
}

/// The keys to seal under.
pub(crate) async fn for_sealing(app: &mut App, arguments: &[String]) -> Result<Keys, Failure> {
    let mut keyrings = Vec::new();
    let mut local = None;
    let mut elsewhere = false;
    for key in each_once(arguments)? {
        match key {
            KeyArgument::Kms { key, at } => {
                check_kms_key(key)?;
                let found = app.kms(at).await?;
                require_store(&found)?;
                elsewhere |= found.local.is_none();
                keyrings.push(KmsKey::new(Arc::clone(&found.kms), key).into());
                if found.local.is_some() {
                    local = Some(found);
                }
            }
            raw => {
                elsewhere = true;
                refuse_file_keys(&raw)?;
                keyrings.push(raw_keyring(&raw)?);
            }
        }
    }
    Ok(Keys { keyrings, only_in: local.filter(|_| !elsewhere) })
}

/// The keys to open with. A key id or alias is asked for its ARN: only ARNs are compared with the file. A KMS that can't
/// be reached for that is given back as a failure beside the other keys, one of which may open.
pub(crate) async fn for_opening(
    app: &mut App,
    arguments: &[String],
) -> Result<(Vec<Keyring>, Option<Failure>), Failure> {
    let mut keyrings = Vec::new();
    let mut unreachable = None;
    let arguments = each_once(arguments)?;
    let several = arguments.len() > 1;
    let mut known: Vec<(Arc<dyn Kms>, String)> = Vec::new();
    for key in arguments {
        match key {
            KeyArgument::Kms { key, at } => {
                check_kms_key(key)?;
                let found = app.kms(at).await?;
                require_store(&found)?;
                let arn = match arn_of(&found, key).await {
                    Ok(arn) => arn,
                    Err(failure) if failure.exit == Exit::Unreachable && several => {
                        unreachable.get_or_insert(failure);
                        continue;
                    }
                    Err(failure) => return Err(failure),
                };
                // An alias of a key that was named already.
                if known.iter().any(|(kms, known)| Arc::ptr_eq(kms, &found.kms) && *known == arn) {
                    continue;
                }
                known.push((Arc::clone(&found.kms), arn.clone()));
                let key = KmsKey::new(found.kms, arn);
                keyrings.push(if found.local.is_some() { key.on_this_host() } else { key }.into());
            }
            raw => keyrings.push(raw_keyring(&raw)?),
        }
    }
    match unreachable {
        Some(failure) if keyrings.is_empty() => Err(failure),
        unreachable => Ok((keyrings, unreachable)),
    }
}

/// The ARN of a key, which is asked for where it has another name.
async fn arn_of(found: &FoundKms, key: &str) -> Result<String, Failure> {
    if is_key_arn(key) {
        return Ok(key.to_owned());
    }
    let input = DescribeKeyInput { key_id: key.to_owned(), ..DescribeKeyInput::default() };
    Ok(found.kms.describe_key(input).await?.key_metadata.arn)
}

/// Keys that are to open something, with the names by which it will know them.
pub(crate) async fn wanted(app: &mut App, arguments: &[String]) -> Result<Vec<Wanted>, Failure> {
    let mut all = Vec::new();
    for key in each_once(arguments)? {
        all.push(match key {
            KeyArgument::Kms { key, at } => {
                check_kms_key(key)?;
                let found = app.kms(at).await?;
                require_store(&found)?;
                let arn = arn_of(&found, key).await?;
                Wanted { name: kms_name(&arn), keyring: KmsKey::new(found.kms, arn).into() }
            }
            KeyArgument::RawAes { namespace, name, .. } | KeyArgument::RawRsa { namespace, name, .. } => {
                refuse_file_keys(&key)?;
                let keyring = raw_keyring(&key)?;
                let name = KeyName { provider: namespace.to_owned(), name: name.as_bytes().to_vec() };
                Wanted { name, keyring }
            }
        });
    }
    Ok(all)
}

/// The KMS key that a message names, to seal for it again: at the KMS of the options, or at one of `also` that knows it.
pub(crate) async fn wanted_again(app: &mut App, arn: &str, also: &[String]) -> Result<Wanted, Failure> {
    let wanted =
        |found: FoundKms| Wanted { name: kms_name(arn), keyring: KmsKey::new(found.kms, arn).into() };
    if also.is_empty() {
        let found = app.kms(None).await?;
        require_store(&found)?;
        return Ok(wanted(found));
    }
    let mut first = None;
    for at in [None].into_iter().chain(also.iter().map(|at| Some(at.as_str()))) {
        match described_at(app, at, arn).await {
            Ok(found) => return Ok(wanted(found)),
            Err(failure) => {
                first.get_or_insert(failure);
            }
        }
    }
    Err(first.unwrap_or_else(|| Failure::usage(format!("`{arn}` is at no KMS that was named"))))
}

/// A KMS that knows this key.
async fn described_at(app: &mut App, at: Option<&str>, arn: &str) -> Result<FoundKms, Failure> {
    let found = app.kms(at).await?;
    require_store(&found)?;
    let input = DescribeKeyInput { key_id: arn.to_owned(), ..DescribeKeyInput::default() };
    found.kms.describe_key(input).await?;
    Ok(found)
}

/// The KMS that KEYs name after their `@`, each once.
pub(crate) fn named_at<'a>(arguments: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for text in arguments {
        if let Ok(KeyArgument::Kms { at: Some(at), .. }) = KeyArgument::parse(text)
            && !all.iter().any(|known| known == at)
        {
            all.push(at.to_owned());
        }
    }
    all
}

fn kms_name(arn: &str) -> KeyName {
    KeyName { provider: KMS_PROVIDER.to_owned(), name: arn.as_bytes().to_vec() }
}

/// The name that messages have for a key, whose material is not needed: a KEY, of raw ones without the file, or as
/// `bulla inspect` shows it (then it is none that can be told from here).
pub(crate) async fn name_to_remove(app: &mut App, text: &str) -> Result<Option<KeyName>, Failure> {
    if let Some(rest) = text.strip_prefix("raw-aes:").or_else(|| text.strip_prefix("raw-rsa:")) {
        let mut fields = rest.splitn(3, ':').filter(|field| !field.is_empty());
        let (Some(namespace), Some(name)) = (fields.next(), fields.next()) else {
            return Err(Failure::usage(format!("key `{text}` is not of the form raw-aes:NAMESPACE:NAME")));
        };
        return Ok(Some(KeyName { provider: namespace.to_owned(), name: name.as_bytes().to_vec() }));
    }
    let (key, at) = split_at(text);
    if is_key_arn(key) {
        return Ok(Some(kms_name(key)));
    }
    if key.parse::<KeyRef>().is_err() && text.contains(':') && !text.starts_with("arn:") {
        return Ok(None);
    }
    check_kms_key(key)?;
    let found = app.kms(at).await?;
    require_store(&found)?;
    let arn = arn_of(&found, key).await.map_err(|failure| {
        failure.although("nothing was changed; a key that is gone from its KMS is removed by its ARN")
    })?;
    Ok(Some(kms_name(&arn)))
}

/// Nothing is sealed for a name that means the key of one file.
fn refuse_file_keys(key: &KeyArgument<'_>) -> Result<(), Failure> {
    match key {
        KeyArgument::RawAes { namespace, .. } | KeyArgument::RawRsa { namespace, .. }
            if *namespace == FILE_KEY_NAME =>
        {
            Err(Failure::usage(format!(
                "the key namespace `{FILE_KEY_NAME}` is kept for --detached-keys; choose another"
            )))
        }
        _ => Ok(()),
    }
}

/// Whether the key of a file itself is among these.
pub(crate) fn has_file_key(arguments: &[String]) -> bool {
    let is_one = |text: &String| matches!(KeyArgument::parse(text), Ok(KeyArgument::RawAes { namespace, .. }) if namespace == FILE_KEY_NAME);
    arguments.iter().any(is_one)
}

/// The KMS keys that a file names, of the caller's own account and of `accounts`, at the KMS of the options, at those of
/// `also`, and, when the first can't be reached, in the store on this host.
pub(crate) struct Discovered {
    /// One for each KMS.
    pub(crate) keyrings: Vec<Keyring>,
    /// In words which KMS and accounts these are.
    pub(crate) asked: String,
    /// Why one of the KMS was not asked: an error only if no key of the others opens.
    pub(crate) missed: Option<Failure>,
}

/// Asks each KMS who calls. An embedded store is left open for the next call: the caller sees to it that it doesn't stay so
/// ([`App::release`]).
pub(crate) async fn discovered(
    app: &mut App,
    accounts: &[String],
    also: &[String],
) -> Result<Discovered, Failure> {
    for account in accounts {
        account
            .parse::<bulla_api::AccountId>()
            .map_err(|error| Failure::usage(format!("--discovery-account {account}: {error}")))?;
    }
    let (mut keyrings, mut asked, mut missed) = (Vec::new(), Vec::new(), None);
    for at in [None].into_iter().chain(also.iter().map(|at| Some(at.as_str()))) {
        match discovered_at(app, at, accounts).await {
            Ok((keyring, one)) => {
                keyrings.push(keyring);
                asked.push(one);
            }
            Err(failure) => {
                missed.get_or_insert(failure);
            }
        }
    }
    if keyrings.is_empty()
        && missed.as_ref().is_some_and(|failure| failure.exit == Exit::Unreachable)
        && app.kms(None).await?.local.is_none()
        && let Ok((keyring, one)) = discovered_at(app, Some(EMBEDDED_AT), accounts).await
    {
        keyrings.push(keyring);
        asked.push(one);
    }
    // Nobody waits for this host's store while another KMS is waited for.
    if keyrings.len() > 1 || missed.is_some() {
        app.release().await?;
    }
    match missed {
        Some(failure) if keyrings.is_empty() => Err(failure),
        missed => Ok(Discovered { keyrings, asked: asked.join(", and "), missed }),
    }
}

/// The keys of the store on this host, for what the KMS of the options was to open; unless that is this store, or there is none.
pub(crate) async fn of_this_host(app: &mut App, accounts: &[String]) -> Option<Keyring> {
    if app.kms(None).await.ok()?.local.is_some() {
        return None;
    }
    let found = discovered_at(app, Some(EMBEDDED_AT), accounts).await;
    found.ok().map(|(keyring, _)| keyring)
}

async fn discovered_at(
    app: &mut App,
    at: Option<&str>,
    accounts: &[String],
) -> Result<(Keyring, String), Failure> {
    let found = app.kms(at).await?;
    require_store(&found)?;
    let (partition, account) = match &found.local {
        Some(local) => local.acting().await?,
        None => {
            let caller = found.kms.get_caller_identity(GetCallerIdentityInput::default()).await?;
            (kms::partition_of(&caller.arn), caller.account)
        }
    };
    let accounts: Vec<_> = accounts.iter().cloned().chain([account]).collect();
    // A store's own accounts are acted in, one at a time; elsewhere the credentials say in which.
    let option = match found.local {
        Some(_) => "--account-id for another account of that store",
        None => "--discovery-account for another account there",
    };
    let asked = format!("{} was asked as account {} ({option})", found.kms.describe(), accounts.join(", "));
    Ok((KmsDiscovery::new(found.kms, partition).accounts(accounts).into(), asked))
}

/// Where no store is, each key is unknown.
pub(crate) fn require_store(found: &FoundKms) -> Result<(), Failure> {
    match found.local.as_ref().and_then(|local| local.absence()) {
        Some(absence) => Err(Failure::new(Exit::KeyUnusable, absence)),
        None => Ok(()),
    }
}

/// The encryption context of `-c NAME=VALUE` options.
pub(crate) fn context(pairs: &[String]) -> Result<EncryptionContext, Failure> {
    let mut context = EncryptionContext::new();
    for pair in pairs {
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::usage(format!("-c {pair}: a context pair is NAME=VALUE")));
        };
        if !context.insert(name, value) {
            return Err(Failure::usage(format!("-c {pair}: the name `{name}` is given twice")));
        }
    }
    Ok(context)
}

/// The encryption context of what is sealed.
pub(crate) fn context_to_seal(pairs: &[String]) -> Result<EncryptionContext, Failure> {
    let context = context(pairs)?;
    match context.get(FILE_KEY_NAME) {
        None => Ok(context),
        Some(_) => Err(Failure::usage(format!(
            "-c {FILE_KEY_NAME}=…: the name is kept for --detached-keys; choose another"
        ))),
    }
}

/// Refuses what no KMS could take, before one is asked.
fn check_kms_key(key: &str) -> Result<(), Failure> {
    // ARNs of other partitions are for AWS's own KMS to judge.
    if key.starts_with("arn:") && !key.starts_with("arn:aws:") {
        return Ok(());
    }
    match key.parse::<KeyRef>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::usage(format!(
            "`{key}` names no key; use a key id, a key ARN, alias/NAME, an alias ARN, raw-aes:… or raw-rsa:…"
        ))),
    }
}

fn is_key_arn(key: &str) -> bool {
    key.starts_with("arn:") && key.splitn(6, ':').nth(5).is_some_and(|resource| resource.starts_with("key/"))
}

fn raw_keyring(key: &KeyArgument<'_>) -> Result<Keyring, Failure> {
    let wrong = |error: bulla_envelope::EnvelopeError| Failure::usage(error.to_string());
    match key {
        KeyArgument::Kms { key, .. } => Err(Failure::usage(format!("`{key}` is no raw key"))),
        KeyArgument::RawAes { namespace, name, file } => {
            let key = read_key(Path::new(file), crate::small_file::read_private)?;
            Ok(RawAesKey::new(namespace, name, key).map_err(wrong)?.into())
        }
        KeyArgument::RawRsa { namespace, name, padding, file } => {
            let pem = read_key(Path::new(file), crate::small_file::read_private_pem)?;
            Ok(RawRsaKey::from_pem(namespace, name, *padding, &pem).map_err(wrong)?.into())
        }
    }
}

fn read_key(
    path: &Path,
    read: impl FnOnce(&Path, usize) -> std::io::Result<SecretBytes>,
) -> Result<SecretBytes, Failure> {
    read(path, KEY_FILE_BYTES_MAX)
        .map_err(|error| Failure::io("cannot read key file", path.display(), &error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn keys_are_taken_apart() {
        let parse = |text| KeyArgument::parse(text).unwrap();
        assert_eq!(parse("alias/a@prod"), KeyArgument::Kms { key: "alias/a", at: Some("prod") });
        assert_eq!(
            parse("raw-aes:ns:n:/a:b/c"),
            KeyArgument::RawAes { namespace: "ns", name: "n", file: "/a:b/c" }
        );
        assert_eq!(
            parse("raw-rsa:ns:n:OAEP_SHA256:k.pem"),
            KeyArgument::RawRsa {
                namespace: "ns",
                name: "n",
                padding: RsaPadding::OaepSha256,
                file: "k.pem"
            }
        );
        for wrong in ["raw-aes:ns:n", "raw-aes:ns::f", "raw-rsa:ns:n:OAEP:f", "raw-rsa:ns:n:PKCS1"] {
            assert!(KeyArgument::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn context_splits_at_the_first_equals_sign() {
        let parsed = context(&["a=b=c".to_owned(), "e=".to_owned()]).unwrap();
        assert_eq!(parsed.get("a"), Some("b=c"));
        assert_eq!(parsed.get("e"), Some(""));
        assert!(context(&["a".to_owned()]).is_err());
        assert!(context(&["=a".to_owned()]).is_err());
        assert!(context(&["a=1".to_owned(), "a=2".to_owned()]).is_err());
    }

    #[test]
    fn what_names_no_key_is_wrong_usage() {
        assert!(check_kms_key("alias/x").is_ok());
        assert!(check_kms_key("arn:aws-cn:kms:cn-north-1:123456789012:key/x").is_ok());
        assert!(check_kms_key("backup").is_err());
    }
}
