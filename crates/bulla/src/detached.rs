//! Detached keys beside a sealed file: where they are, and how the two appear so that at no moment a file stands under its
//! name that nobody can open.
//!
//! `F` goes with `F.keys`. Where both are replaced, the new keys first stand under `F.keys.new`, then the new `F` takes its
//! name, then the new keys take theirs; whoever opens `F` in between finds them in one place or the other. Commands of
//! this program that publish in a directory take turns by a lock on it. Objects have other rules: see [`object`].

pub(crate) mod here;
pub(crate) mod object;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bulla_api::EncryptionContext;
use bulla_envelope::{
    DETACHED_KEYS_BYTES_MAX, DetachedKeys, EncryptedDataKey, EnvelopeError, FileKey, Header, HeaderLimits,
    Input, Keyring, OpenedKeys, Output, Summary,
};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::app::App;
use crate::at::At;
use crate::exit::{Exit, Failure};
use crate::output::{self, Fresh, OutputRules, Target};
use crate::small_file;
use crate::storage::{self, ObjectName, Outgoing, Pinned, StorageOptions, is_object};
use crate::unlocking::Unlocking;
use crate::work::STREAM;

/// What is added to a file's name for that of its keys.
pub(crate) const SUFFIX: &str = ".keys";
/// And to that while both are being replaced.
const NEXT: &str = ".new";
/// How long another command's turn to publish may take.
const TURN: Duration = Duration::from_secs(10);

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Where the keys of a file are: as an option says, or beside it.
pub(crate) fn keys_of(file: &Path, given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| with_suffix(file, SUFFIX), Path::to_owned)
}

/// Where they are while both are being replaced: beside what a link leads to.
fn next_of(keys: At<'_>) -> PathBuf {
    with_suffix(&keys.target().unwrap_or_else(|_| keys.path.to_owned()), NEXT)
}

/// The file that keys of this name belong to, by their name.
pub(crate) fn file_of(keys: &Path) -> Option<PathBuf> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let name = keys.file_name()?.as_bytes();
    let name = name.strip_suffix(NEXT.as_bytes()).unwrap_or(name).strip_suffix(SUFFIX.as_bytes())?;
    (!name.is_empty()).then(|| keys.with_file_name(OsString::from_vec(name.to_vec())))
}

/// Refuses `--keys` where it can't be meant.
pub(crate) fn check_option(given: Option<&Path>, inputs: usize) -> Result<(), Failure> {
    match given {
        Some(given) if given == Path::new(STREAM) => {
            Err(Failure::usage("--keys -: keys are read from and written to a file; name one"))
        }
        Some(given) if storage::resolve(given)? != given => Err(Failure::usage(format!(
            "--keys {}: keys are in a file of this host or in an object; give its path, or s3://BUCKET/KEY",
            given.display()
        ))),
        Some(given) if inputs > 1 => Err(Failure::usage(format!(
            "--keys {}: several inputs have several files with keys; leave out --keys, or run once for each",
            given.display()
        ))),
        _ => Ok(()),
    }
}

/// Refuses `--keys` for the files of a directory.
pub(crate) fn refuse_for_directory(given: Option<&Path>) -> Result<(), Failure> {
    match given {
        Some(given) => Err(Failure::usage(format!(
            "--keys {}: the files of a directory have their keys beside them; leave it out",
            given.display()
        ))),
        None => Ok(()),
    }
}

/// Refuses keys in object storage of another provider than that of the object: what is compared of both must be in one.
fn refuse_elsewhere(keys: &ObjectName, object: &ObjectName) -> Result<(), Failure> {
    if keys.provider == object.provider {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "--keys {keys}: keys in an object stand in the same storage as `{object}`; name an object there, or a file"
    )))
}

/// Keys that were found, and where.
pub(crate) struct Found {
    /// The message with the keys.
    pub(crate) keys: DetachedKeys,
    /// Where it is.
    pub(crate) place: Where,
}

/// Where keys are.
pub(crate) enum Where {
    /// In a file.
    File(PathBuf),
    /// In an object.
    Object(Box<object::KeysObject>),
}

impl Found {
    /// Where they are, for messages.
    pub(crate) fn shown(&self) -> String {
        match &self.place {
            Where::File(path) => path.display().to_string(),
            Where::Object(object) => object.name().to_string(),
        }
    }

    /// From now on no output takes their place.
    pub(crate) fn keep(&self) {
        if let Where::File(path) = &self.place
            && let Ok(file) = std::fs::metadata(path)
        {
            crate::kept::keep_key(&file);
        }
    }

    /// Opens the file key, by the keys of the command.
    pub(crate) async fn open(
        &self,
        app: &mut App,
        unlocking: &mut Unlocking<'_>,
    ) -> Result<OpenedKeys<'_>, Failure> {
        let shown = self.shown();
        unlocking.open_keys(app, &self.keys, |error| Failure::envelope(error, &shown, "nothing")).await
    }
}

/// Looks for the keys of a file or object with this header: where the option says, or beside it.
pub(crate) async fn find(
    app: &mut App,
    options: &StorageOptions,
    (file, object): (At<'_>, Option<&Pinned>),
    given: Option<&Path>,
    header: &Header,
    limits: HeaderLimits,
) -> Result<Found, Failure> {
    let Some(name) = ObjectName::of(&keys_of(file.path, given))? else {
        return find_file(file, given, header, limits);
    };
    if let Some(object) = object {
        refuse_elsewhere(&name, &object.name)?;
    }
    let shown = crate::app::shown(file.path, "standard input");
    object::find(&app.storage(options, name.provider).await?, &name, &shown, object, header, limits)
}

/// Looks for them in a file: beside it by the name of the file itself, where it was reached by a link.
pub(crate) fn find_file(
    file: At<'_>,
    given: Option<&Path>,
    header: &Header,
    limits: HeaderLimits,
) -> Result<Found, Failure> {
    let shown = crate::app::shown(file.path, "standard input");
    let nameless = file.path == Path::new(STREAM) || is_object(file.path) || !file.is_file();
    if given.is_none() && nameless {
        return Err(Failure::usage(format!(
            "`{shown}` was sealed with detached keys, and has no name that leads to them; name their file with --keys"
        )));
    }
    let first = keys_of(file.path, given);
    // In the end again: they may have gone from the one to the other meanwhile.
    let mut places = vec![first.clone(), next_of(file.beside(&first)), first.clone()];
    if given.is_none()
        && let Ok(target) = file.target()
        && target != file.path
    {
        let there = keys_of(&target, None);
        places.extend([there.clone(), next_of(At::path(&there))]);
    }
    let mut failed: Option<Failure> = None;
    for path in places {
        let keys = match read(file.beside(&path), limits) {
            Ok(Some(keys)) => keys,
            Ok(None) => continue,
            Err(failure) => {
                failed.get_or_insert(failure);
                continue;
            }
        };
        match keys.check_belong_to(header) {
            Ok(()) => return Ok(Found { keys, place: Where::File(path) }),
            Err(error) => {
                failed.get_or_insert(of_another(&path.display().to_string(), &error, &shown));
            }
        }
    }
    Err(failed.unwrap_or_else(|| not_found(&shown, &first.display().to_string())))
}

fn of_another(keys: &str, error: &EnvelopeError, shown: &str) -> Failure {
    Failure::new(Exit::NotIntact, format!("`{keys}`: {error}; get the keys that belong to `{shown}`"))
}

fn not_found(shown: &str, keys: &str) -> Failure {
    Failure::new(
        Exit::NotIntact,
        format!(
            "`{shown}` was sealed with detached keys, and `{keys}` is not there; get it back, or name it with --keys"
        ),
    )
}

/// The keys in a file, if it is there.
pub(crate) fn read(at: At<'_>, limits: HeaderLimits) -> Result<Option<DetachedKeys>, Failure> {
    let bytes = match at.read(DETACHED_KEYS_BYTES_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if small_file::is_too_long(&error) => {
            let path = at.path.display();
            return Err(Failure::new(
                Exit::NotIntact,
                format!("`{path}`: {error}, which no keys are; get an undamaged copy"),
            ));
        }
        bytes => bytes.map_err(|error| Failure::io("cannot read", at.path.display(), &error))?,
    };
    let shown = at.path.display().to_string();
    DetachedKeys::read(bytes.expose().to_vec(), limits)
        .map(Some)
        .map_err(|error| Failure::envelope(&error, &shown, "nothing"))
}

/// A place for the keys of a file or object that is about to be sealed, and can be written.
pub(crate) enum Place<'a> {
    /// A file.
    File(KeysFile<'a>),
    /// An object.
    Object(object::Place),
}

/// Keys without a name yet, and where they go.
pub(crate) struct KeysFile<'a> {
    path: PathBuf,
    within: Option<BorrowedFd<'a>>,
    fresh: Fresh<'a>,
}

impl<'a> Place<'a> {
    /// Opens it before anything is sealed. `output` is where the file goes.
    pub(crate) async fn open(
        app: &mut App,
        options: &StorageOptions,
        output: &Path,
        given: Option<&Path>,
        rules: OutputRules<'a>,
        limits: HeaderLimits,
    ) -> Result<Self, Failure> {
        let path = keys_of(output, given);
        if let Some(name) = ObjectName::of(&path)? {
            if !is_object(output) {
                return Err(Failure::usage(format!(
                    "--keys {name}: keys in an object are those of an object; name a file, or an object with -o"
                )));
            }
            if path == output {
                return Err(no_own_place(&path));
            }
            if let Some(object) = ObjectName::of(output)? {
                refuse_elsewhere(&name, &object)?;
            }
            let storage = app.storage(options, name.provider).await?;
            return object::Place::open(storage, name, rules.force).map(Self::Object);
        }
        let at = At { path: output, within: rules.within };
        let nameless = output == Path::new(STREAM) || is_special(at);
        if given.is_none() && nameless {
            return Err(Failure::usage(format!(
                "--detached-keys: `{}` is no file beside which keys could be; name theirs with --keys",
                crate::app::shown(output, "standard output")
            )));
        }
        if rules.within.is_none() && !is_object(output) && same_file(&path, output) {
            return Err(no_own_place(&path));
        }
        if is_special(at.beside(&path)) {
            return Err(no_regular_file(&path));
        }
        if let Some(object) = ObjectName::of(output)?
            && rules.force
        {
            here::check(&app.storage(options, object.provider).await?, &object, &path, limits)?;
        }
        // Whatever becomes of the file, its keys are on the disk first.
        match output::open(&path, OutputRules { sync: true, ..rules })? {
            Target::Fresh(fresh) => Ok(Self::File(KeysFile { path, within: rules.within, fresh })),
            Target::Stream(_) => Err(no_regular_file(&path)),
        }
    }

    /// Seals a new file key for the recipients.
    pub(crate) async fn seal(
        mut self,
        recipients: &[Keyring],
        context: &EncryptionContext,
        limits: HeaderLimits,
        shown: &str,
    ) -> Result<Pending<'a>, Failure> {
        let failed = |error: &EnvelopeError| Failure::envelope(error, shown, "nothing");
        let key = FileKey::generate();
        let keyring = key.keyring().map_err(|error| failed(&error))?;
        let bytes = key.seal(recipients, context, limits).await.map_err(|error| failed(&error))?;
        if let Self::File(KeysFile { path, fresh, .. }) = &mut self {
            let written = fresh.file.write_all(&bytes);
            written.map_err(|error| Failure::io("cannot write", path.display(), &error))?;
        }
        let keys = DetachedKeys::read(bytes, limits).map_err(|error| failed(&error))?;
        Ok(Pending { place: self, keys, keyring: [keyring], limits })
    }
}

fn no_own_place(keys: &Path) -> Failure {
    Failure::usage(format!("--keys {}: the keys go into a file of their own; name another", keys.display()))
}

fn no_regular_file(keys: &Path) -> Failure {
    Failure::usage(format!("--keys {}: it is no regular file; name one", keys.display()))
}

/// Whether two paths lead to one file, that need not be there yet.
fn same_file(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| {
        let path = output::follow_links(path).ok()?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Some(std::fs::canonicalize(parent.unwrap_or(Path::new("."))).ok()?.join(path.file_name()?))
    };
    one == other || resolved(one).is_some_and(|one| resolved(other) == Some(one))
}

/// Sealed keys without a name yet.
pub(crate) struct Pending<'a> {
    place: Place<'a>,
    keys: DetachedKeys,
    /// The file key, to seal the file.
    pub(crate) keyring: [Keyring; 1],
    limits: HeaderLimits,
}

impl Pending<'_> {
    /// The recipients.
    pub(crate) fn recipients(&self) -> &[EncryptedDataKey] {
        &self.keys.header().encrypted_data_keys
    }

    /// Lets `run` write the file, and gives first the keys and then the file their names.
    pub(crate) fn write_to(
        self,
        output: &Path,
        target: Outgoing<'_>,
        run: impl FnOnce(Output<'_>) -> Result<Summary, EnvelopeError>,
        failed: impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<Summary, Failure> {
        let Self { place, keys, limits, .. } = self;
        match (place, target) {
            // Whoever reads the stream may have all of it before this program comes to an end.
            (Place::File(KeysFile { path, within, fresh }), Outgoing::Local(Target::Stream(file))) => {
                let _turn = Turn::take(At { path: &path, within })?;
                fresh.commit()?;
                drop(_turn);
                run(Output::stream(file)).map_err(|error| failed(&error))
            }
            (Place::File(keys), Outgoing::Local(Target::Fresh(file))) => {
                let summary = run(Output::unpublished(&file.file)).map_err(|error| failed(&error))?;
                keys.publish(output, file, limits)?;
                Ok(summary)
            }
            (Place::File(KeysFile { path, fresh, .. }), Outgoing::Object(mut upload)) => {
                let summary = run(Output::private(&mut upload));
                let summary = summary.map_err(|error| upload.given_up(failed(&error)))?;
                here::publish((&path, fresh), upload, limits)?;
                Ok(summary)
            }
            (Place::Object(place), Outgoing::Object(mut upload)) => {
                let summary = run(Output::private(&mut upload));
                let summary = summary.map_err(|error| upload.given_up(failed(&error)))?;
                place.publish(&keys, limits, upload)?;
                Ok(summary)
            }
            (Place::Object(place), Outgoing::Local(_)) => {
                Err(Failure::usage(format!("--keys {}: name a file", place.name())))
            }
        }
    }
}

impl KeysFile<'_> {
    fn publish(self, output: &Path, file: Fresh<'_>, limits: HeaderLimits) -> Result<(), Failure> {
        let Self { path, within, fresh: keys } = self;
        let at = At { path: &path, within };
        let _turn = Turn::take(at)?;
        let output = at.beside(output);
        settle(output, at, limits)?;
        if output.exists() && at.exists() {
            publish_next(keys, at, limits)?;
            file.commit()?;
            return take_name(at);
        }
        keys.commit()?;
        file.commit().inspect_err(|_| {
            // Nobody has another file that they could belong to.
            let _ = at.remove();
        })
    }
}

/// Whether a device, pipe or socket is there.
fn is_special(at: At<'_>) -> bool {
    // In an open directory such is refused when the file is made.
    at.within.is_none() && std::fs::metadata(at.path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// Gives new keys the name that they have for a moment. Keys that a killed command has left there for a file that never came
/// make way; nothing else does.
fn publish_next(keys: Fresh<'_>, at: At<'_>, limits: HeaderLimits) -> Result<(), Failure> {
    let next = next_of(at);
    let next = at.beside(&next);
    let not_ours = |why: &str| {
        let next = next.path.display();
        Failure::new(
            Exit::Failed,
            format!(
                "`{next}` is there, and {why}; nothing was written; the name is needed for new keys: move it away"
            ),
        )
    };
    keys.spare_kept()?;
    if next.exists() {
        if !next.is_own_file() {
            return Err(not_ours("is no file of this user's own"));
        }
        if !matches!(read(next, limits), Ok(Some(_))) {
            return Err(not_ours("holds no detached keys"));
        }
        next.remove().map_err(|error| Failure::io("cannot write", next.path.display(), &error))?;
    }
    if keys.commit_beside(NEXT)? { Ok(()) } else { Err(not_ours("was put there meanwhile")) }
}

/// Gives the new keys their name.
fn take_name(keys: At<'_>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io("cannot write", keys.path.display(), &error);
    let target = keys.target().map_err(failed)?;
    let target = keys.beside(&target);
    keys.beside(&next_of(keys)).rename_to(target).map_err(failed)?;
    // A directory that can't be opened can't be synced either: the name is there all the same.
    if let Ok(directory) = target.directory() {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// Ends what a killed command has begun: keys that belong to the file, and still stand under their other name, take
/// theirs. Not where keys of the file stand under that name: what is beside them was not put there by a command that was
/// killed after the file had changed, and whether it opens the file is not known. In a turn only.
pub(crate) fn settle(file: At<'_>, keys: At<'_>, limits: HeaderLimits) -> Result<(), Failure> {
    if !keys.beside(&next_of(keys)).exists() {
        return Ok(());
    }
    match header_of(file, limits) {
        Some(header) => here::settle_by(&header, keys, limits).map(drop),
        None => Ok(()),
    }
}

/// What a file says of itself, if it is sealed.
pub(crate) fn header_of(file: At<'_>, limits: HeaderLimits) -> Option<Header> {
    if !file.is_file() {
        return None;
    }
    let input = Input::file(file.open().ok()?).ok()?;
    Some(bulla_envelope::inspect(input, limits).ok()?.header)
}

/// This command's turn to publish in a directory, until it is dropped.
pub(crate) struct Turn {
    _directory: Option<File>,
}

impl Turn {
    /// Waits for it. Where there are no locks, or the directory can't be read, nobody waits.
    pub(crate) fn take(at: At<'_>) -> Result<Self, Failure> {
        let Ok(file) = at.directory() else { return Ok(Self { _directory: None }) };
        let until = Instant::now() + TURN;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(Errno::WOULDBLOCK) => {
                    return Err(Failure::new(
                        Exit::Unreachable,
                        format!(
                            "`{}` is locked by another program; try again",
                            at.directory_path().display()
                        ),
                    ));
                }
                Err(Errno::INTR) => {}
                Err(_) | Ok(()) => return Ok(Self { _directory: Some(file) }),
            }
        }
    }
}
