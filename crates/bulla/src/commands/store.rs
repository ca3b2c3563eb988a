//! `bulla store`.

use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulla_api::{Effect, SecretBytes};
use bulla_crypto::recovery::RecoveryError;
use bulla_crypto::{RootKey, SystemRng};
use bulla_store::{
    BackupSource, DataDir, Existing, RecoveryForm, Report, Restoring, RootKeySource, UpkeepError, Vault,
    names,
};

use crate::app::App;
use crate::cli::Store;
use crate::commands::audit;
use crate::exit::{Exit, Failure};
use crate::kms::socket::AdminRequest;
use crate::opening;
use crate::output::{self, FileId, OutputRules, Spot};
use crate::place::Place;
use crate::say::error_line;
use crate::scratch::Scratch;
use crate::work::STREAM;

/// Longer than any form of a recovery key or of a PEM file.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Does what the command says.
pub(crate) async fn run(app: &App, command: &Store) -> Result<(), Failure> {
    match command {
        Store::Backup { out } => backup(app, out),
        Store::Restore { backup, recovery_key, private_key } => {
            restore(app, backup, recovery_key.as_deref(), private_key.as_deref()).await
        }
        Store::Check => check(app).await,
        Store::RecoveryKey { to } => recovery_key(app, to.as_deref()).await,
        Store::AcceptClock => {
            let local = app.local()?;
            let request = AdminRequest::bare("AcceptClock", Effect::Changes);
            local.administer(request, async |engine| engine.accept_clock().await, |_| Some(())).await?;
            app.say.done("the clock was accepted", &serde_json::json!({ "event": "clock_accepted" }), false)
        }
    }
}

fn existing(app: &App) -> Existing {
    if app.common.force { Existing::Replace } else { Existing::Refuse }
}

fn directory(app: &App) -> Result<DataDir, Failure> {
    Ok(DataDir::open(&app.place()?.directory).map_err(|error| opening::directory_failure(&error))?)
}

fn backup(app: &App, out: &Path) -> Result<(), Failure> {
    let directory = directory(app)?;
    let to_stdout = out == Path::new(STREAM);
    let store = directory.file(names::STORE);
    let inputs = FileId::of_inputs([store.as_path()]);
    let rules = OutputRules {
        force: app.common.force,
        sync: true,
        mode: output::MODE_PRIVATE,
        // A file that is the store is refused by what makes the backup, in better words.
        inputs: if to_stdout { &inputs } else { &[] },
        within: None,
    };
    let failed = |error| opening::upkeep_failure(error, &directory);
    let shown = crate::app::shown(out, "standard output");
    match output::spot(out, rules) {
        Ok(Spot::Stream(stream)) if stream.is_terminal() => {
            return Err(Failure::usage(
                "a backup is not for a terminal; redirect standard output, or name a file",
            ));
        }
        Ok(Spot::Stream(mut stream)) => {
            let mut copy = {
                let scratch = Scratch::held_within(directory.path())?;
                bulla_store::backup_stream(&directory, scratch.path()).map_err(failed)?
            };
            std::io::copy(&mut copy, &mut stream)
                .map_err(|error| Failure::io("cannot write", &shown, &error))?;
        }
        Ok(Spot::File) => {
            // What a symbolic link leads to is replaced, as for sealed files.
            let cannot_write = |error| Failure::io("cannot write", &shown, &error);
            let target = output::follow_links(out).map_err(cannot_write)?;
            let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            std::fs::metadata(parent).map_err(cannot_write)?;
            crate::kept::spare_path(&target, out)?;
            let scratch = Scratch::held_within(parent)?;
            bulla_store::backup(&directory, &target, scratch.path(), existing(app)).map_err(failed)?;
        }
        Err(failure) => return Err(failure),
    }
    let event = serde_json::json!({ "event": "backed_up", "output": shown });
    let summary = format!("backed up to `{shown}`; it holds no root key: keep a recovery key apart from it");
    app.say.done(&summary, &event, to_stdout)
}

/// What a restored store's root key was put aside as.
const REPLACED_ROOT_KEY: &str = "replaced";

async fn restore(
    app: &App,
    backup: &Path,
    recovery_key: Option<&Path>,
    private_key: Option<&Path>,
) -> Result<(), Failure> {
    let place = app.place()?;
    let from_stdin = backup == Path::new(STREAM);
    if from_stdin && [recovery_key, private_key].contains(&Some(backup)) {
        return Err(Failure::usage(
            "only one thing can be read from standard input; name a file for the other",
        ));
    }
    if from_stdin && std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "a backup does not come from a terminal; name a file, or redirect standard input",
        ));
    }
    // Everything that can be wrong with the key shows before anything is changed.
    let recovered = recovery_key.map(|path| read_recovery_key(path, private_key)).transpose()?;
    if let (Some(_), RootKeySource::File(path)) = (&recovered, &place.root) {
        if path.exists() && !app.common.force {
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "root key `{}` exists; nothing was restored; replace it with --force, or name another with --root-key",
                    path.display()
                ),
            ));
        }
    } else if recovered.is_some() {
        return Err(Failure::usage(format!(
            "--recovery-key makes a root key file, and --root-key names {}; use --root-key file:PATH",
            place.root
        )));
    }
    if !from_stdin && !backup.exists() {
        return Err(Failure::new(
            Exit::Failed,
            format!("no backup at `{}`; check the path", backup.display()),
        ));
    }
    let before = Before::of(&place.directory);
    let restored = restore_into(app, &place, backup, recovered.as_ref()).await;
    if restored.is_err() {
        before.come_back(&place.directory);
    }
    let damage = restored?;
    let shown = place.directory.display();
    if let Some(damage) = damage {
        return Err(Failure::new(
            Exit::NotIntact,
            format!("restored into {shown}, but the backup is damaged: {damage}; see bulla store check"),
        ));
    }
    if recovered.is_none()
        && let RootKeySource::File(path) = &place.root
        && !path.exists()
    {
        app.say.note(&format!(
            "bulla: the store opens with its root key only, which is not at {}; put it there, mode 0600; until then the \
             records can't be checked",
            path.display()
        ));
    }
    let log = place.directory.join(names::AUDIT_LOG);
    if !log.exists() {
        app.say.note(&format!(
            "bulla: a backup holds no audit log; put a copy of it at {} before the store is used, or the new one will begin \
             in the middle",
            log.display()
        ));
    }
    Ok(())
}

/// What a data directory lacked before a restore, which one that failed takes away again.
struct Before {
    /// Those of the directory and the directories above it that were not there, the innermost first.
    absent: Vec<PathBuf>,
    had_lock: bool,
}

impl Before {
    fn of(directory: &Path) -> Self {
        Self {
            absent: directory.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect(),
            had_lock: directory.join(names::SERVE_LOCK).exists(),
        }
    }

    fn come_back(&self, directory: &Path) {
        // Where a store is, others may hold the lock.
        if !self.had_lock && !directory.join(names::STORE).exists() {
            let _ = std::fs::remove_file(directory.join(names::SERVE_LOCK));
        }
        for made in &self.absent {
            // One with something in it stays.
            let _ = std::fs::remove_dir(made);
        }
    }
}

/// Puts a backup in place; gives back what is wrong with it, where it was restored all the same.
async fn restore_into(
    app: &App,
    place: &Place,
    backup: &Path,
    recovered: Option<&RootKey>,
) -> Result<Option<String>, Failure> {
    crate::kept::let_store_go(place);
    let directory =
        DataDir::open_or_create(&place.directory).map_err(|error| opening::directory_failure(&error))?;
    let from_stdin = backup == Path::new(STREAM);
    let mut stdin = std::io::stdin().lock();
    let source = if from_stdin {
        BackupSource::Stream(&mut stdin as &mut dyn Read, Path::new("standard input"))
    } else {
        BackupSource::File(backup)
    };
    let failed = |error| opening::upkeep_failure(error, &directory);
    let restoring = Restoring::begin(source, &directory, existing(app)).map_err(failed)?;
    let checked = check_restored(&restoring, &directory, recovered, place).await?;
    let damage = checked.as_ref().and_then(damage_of);
    if let (Some(damage), false) = (&damage, app.common.force) {
        return Err(Failure::new(
            Exit::NotIntact,
            format!(
                "the backup is damaged: {damage}; nothing was restored; take another, or restore what is left with --force"
            ),
        ));
    }
    let (held, aside) = restoring.land().map_err(failed)?;
    let shown = place.directory.display();
    if aside {
        app.say.note(&format!(
            "bulla: the store that was there is now {}",
            directory.file(names::REPLACED_STORE).display()
        ));
    }
    if let (Some(root), RootKeySource::File(path)) = (recovered, &place.root) {
        put_root_aside(app, path, root)?;
        write_root(path, root)?;
    }
    drop(held);
    let event = serde_json::json!({ "event": "restored", "data_dir": shown.to_string(), "checked": checked.is_some() });
    app.say.done(&format!("restored into {shown}"), &event, false)?;
    Ok(damage)
}

/// Checks a backup's records with the root key, as far as one is at hand without asking for a passphrase.
async fn check_restored(
    restoring: &Restoring<'_>,
    directory: &DataDir,
    recovered: Option<&RootKey>,
    place: &Place,
) -> Result<Option<Report>, Failure> {
    let failed = |error| opening::upkeep_failure(error, directory);
    let (found, whose) = match (recovered, &place.root) {
        (Some(root), _) => (opening::copy_of(root)?, "the recovery key"),
        (None, RootKeySource::PassphraseTty) => return Ok(None),
        (None, RootKeySource::File(path)) if !path.exists() => return Ok(None),
        (None, source) => {
            let params = match source.is_passphrase() {
                true => restoring.passphrase_params().await.map_err(failed)?,
                false => None,
            };
            (source.obtain(params.as_ref()).map_err(|error| opening::root_failure(&error))?, "the root key")
        }
    };
    match restoring.check(&found, Arc::new(SystemRng)).await {
        Ok(report) => Ok(Some(report)),
        Err(bulla_store::UpkeepError::Open(bulla_store::OpenError::WrongRootKey { needed, given })) => {
            let option = if recovered.is_some() { "--recovery-key" } else { "--root-key" };
            Err(Failure::new(
                Exit::NotIntact,
                format!(
                    "nothing was restored: {whose} is another store's (wrong root key): the backup needs the one with fingerprint \
                     {needed}, this one has {given}; give that with {option}"
                ),
            ))
        }
        Err(error) => {
            let failure = Failure::from(failed(error));
            Err(Failure::new(
                failure.exit,
                format!("nothing was restored: {whose} does not open the backup: {failure}"),
            ))
        }
    }
}

/// What is wrong with a store's records, in words.
fn damage_of(report: &Report) -> Option<String> {
    if report.is_sound() {
        return None;
    }
    let first = report.first_faults.first().map(ToString::to_string).unwrap_or_default();
    Some(format!(
        "{} of {} records are not authentic, first: {first}",
        report.faulty,
        report.sound + report.faulty
    ))
}

/// Keeps a root key that another takes the place of: the store that was put aside opens with no other.
fn put_root_aside(app: &App, path: &Path, new: &RootKey) -> Result<(), Failure> {
    let source = RootKeySource::file(path);
    let same = source
        .obtain(None)
        .is_ok_and(|old| bulla_crypto::constant_time_eq(old.to_line().expose(), new.to_line().expose()));
    if same || !path.exists() {
        return Ok(());
    }
    let aside = path.with_added_extension(REPLACED_ROOT_KEY);
    std::fs::rename(path, &aside).map_err(|error| Failure::io("cannot put aside", path.display(), &error))?;
    app.say.note(&format!("bulla: the root key that was there is now {}", aside.display()));
    Ok(())
}

/// A root key from the text that `recovery-key` gave.
fn read_recovery_key(path: &Path, private_key: Option<&Path>) -> Result<RootKey, Failure> {
    let text = read_text(path)?;
    let shown = crate::app::shown(path, "standard input");
    match private_key {
        None if bulla_store::is_sealed_recovery_key(text.expose()) => Err(Failure::usage(format!(
            "recovery key `{shown}` is sealed to a public key; give the private key with --private-key"
        ))),
        None => RootKey::from_text(text.expose())
            .map_err(|error| Failure::new(Exit::NotIntact, format!("recovery key `{shown}`: {error}"))),
        Some(pem) => bulla_store::import_sealed_recovery_key(text.expose(), read_text(pem)?.expose())
            .map_err(|error| not_opened(error, &shown, pem)),
    }
}

/// Why a sealed recovery key did not open, and which of the two files it is about.
fn not_opened(error: RecoveryError, recovery_key: &str, private_key: &Path) -> Failure {
    use RecoveryError as E;
    let pem = private_key.display();
    match error {
        E::Pem(_) | E::UnusableKey | E::PublicKeyGiven => {
            Failure::usage(format!("--private-key `{pem}`: {error}"))
        }
        E::WrongPrivateKey => {
            let what =
                format!("recovery key `{recovery_key}`, private key `{pem}`: {error}; name the other half");
            Failure::new(Exit::NotIntact, format!("{what} of the public key that it was sealed to"))
        }
        _ => Failure::new(Exit::NotIntact, format!("recovery key `{recovery_key}`: {error}")),
    }
}

fn read_text(path: &Path) -> Result<SecretBytes, Failure> {
    crate::small_file::read(path, TEXT_BYTES_MAX)
        .map_err(|error| Failure::io("cannot read", crate::app::shown(path, "standard input"), &error))
}

fn write_root(path: &Path, root: &RootKey) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|error| Failure::io("cannot make", parent.display(), &error))?;
    }
    let line = root.to_line();
    let mut text = zeroize::Zeroizing::new(Vec::with_capacity(line.len() + 1));
    text.extend_from_slice(line.expose());
    text.push(b'\n');
    let rules =
        OutputRules { force: true, sync: true, mode: output::MODE_PRIVATE, inputs: &[], within: None };
    output::write_whole(path, rules, &text)
}

/// Whether the root key is that of the store. Only reads.
async fn verify_root(directory: &DataDir, root: &RootKey) -> Result<(), Failure> {
    let store =
        bulla_store::open_store(directory).map_err(|error| opening::upkeep_failure(error, directory))?;
    let opened = Vault::open(store, root, Arc::new(SystemRng)).await;
    let vault = opened.map_err(|error| opening::upkeep_failure(error.into(), directory))?;
    Ok(vault.store().close().await.map_err(|error| opening::store_failure(&error, directory))?)
}

async fn check(app: &App) -> Result<(), Failure> {
    let directory = directory(app)?;
    let root = app.local()?.root_key().await?;
    let (report, missing) = checked(&directory, &root).await?;
    let mut faults: Vec<_> = report.first_faults.iter().map(ToString::to_string).collect();
    let mut log = None;
    if report.is_sound() {
        faults.extend(missing);
        log = audit::misfit_at_the_end(&directory, &root).await?;
    }
    let shown = directory.path().display();
    let event = serde_json::json!({
        "event": "checked", "data_dir": shown.to_string(), "sound": report.sound, "faulty": report.faulty, "faults": faults,
        "audit_log": log,
    });
    app.say.done(&format!("{shown}: {} records are authentic", report.sound), &event, false)?;
    if report.is_sound() && faults.is_empty() {
        if let Some(misfit) = &log {
            app.say.note(&format!("bulla: {misfit}; see bulla audit verify"));
        }
        return Ok(());
    }
    for fault in faults.iter().skip(1) {
        error_line(&format!("bulla: {fault}"));
    }
    let first = faults.first().map_or("records that are not authentic", String::as_str);
    Err(Failure::new(
        Exit::NotIntact,
        format!(
            "the store in {shown} is damaged: {first}; restore a backup with bulla store restore --force"
        ),
    ))
}

/// The most findings that are told.
const FINDINGS_MAX: usize = 10;

/// What the store's records are, and what it lacks of what they speak of. While all is well, each is read once; the file's structure
/// is looked at beside that.
async fn checked(directory: &DataDir, root: &RootKey) -> Result<(Report, Vec<String>), Failure> {
    let failed = |error: UpkeepError| Failure::from(opening::upkeep_failure(error, directory));
    let store = bulla_store::open_store(directory).map_err(failed)?;
    let (file, (tell, told)) = (directory.file(names::STORE), tokio::sync::oneshot::channel());
    let looking = std::thread::Builder::new().name("structure".to_owned()).spawn(move || {
        // Nobody waits for it any more where the store doesn't open.
        let _ = tell.send(bulla_store::check_file(&file));
    });
    looking.map_err(|error| Failure::new(Exit::Failed, format!("cannot start a thread: {error}")))?;
    let vault = Vault::open(store, root, Arc::new(SystemRng)).await.map_err(|error| failed(error.into()))?;
    let through = bulla_engine::look_through(&vault).await;
    vault.store().close().await.map_err(|error| opening::store_failure(&error, directory))?;
    let structure = told.await.map_err(|_| Failure::new(Exit::Failed, "the check's thread ended"))?;
    let is_whole = structure.map_err(failed)?.is_empty();
    match through {
        Ok(through) if is_whole => {
            let mut told: Vec<_> =
                through.findings.iter().take(FINDINGS_MAX).map(ToString::to_string).collect();
            if through.findings.len() > told.len() {
                told.push(format!("and {} more", through.findings.len() - told.len()));
            }
            // And the one that the keys of all others are in.
            Ok((Report { sound: through.records + 1, ..Report::default() }, told))
        }
        // Among records that can't be read, nothing can be said of those that are missing; but all of the first kind are told.
        _ => {
            let report = bulla_store::check(directory, root, Arc::new(SystemRng)).await.map_err(failed)?;
            match through {
                // It was for a moment.
                Err(error) if report.is_sound() => Err(failed(error.into())),
                _ => Ok((report, Vec::new())),
            }
        }
    }
}

async fn recovery_key(app: &App, to: Option<&Path>) -> Result<(), Failure> {
    let directory = directory(app)?;
    let local = app.local()?;
    let root = local.root_key().await?;
    // A key on paper that opens nothing would show too late.
    verify_root(&directory, &root).await?;
    let pem = to.map(read_text).transpose()?;
    let form = match &pem {
        Some(pem) => RecoveryForm::SealedTo { pem: pem.expose() },
        None => RecoveryForm::Paper,
    };
    let text = bulla_store::export_recovery_key(&root, form).map_err(|error| {
        let shown = to.map(|path| path.display().to_string()).unwrap_or_default();
        Failure::usage(format!("--to `{shown}`: {error}"))
    })?;
    let mut out = output::standard_output()?;
    let shown = match (app.say.json, std::str::from_utf8(&text)) {
        // Of base 32 or 64 and white space alone.
        (true, Ok(plain)) => {
            let lines: Vec<&str> = plain.lines().collect();
            zeroize::Zeroizing::new(format!(
                "{{\"event\":\"recovery_key\",\"RecoveryKey\":\"{}\"}}\n",
                zeroize::Zeroizing::new(lines.join("\\n")).as_str()
            ))
        }
        (_, plain) => zeroize::Zeroizing::new(format!("{}\n", plain.unwrap_or_default().trim_end())),
    };
    out.write_all(shown.as_bytes())
        .map_err(|error| Failure::io("cannot write", "standard output", &error))?;
    let request = AdminRequest::bare("RecoveryKeyExported", Effect::Changes);
    local.administer(request, async |engine| engine.record_recovery_exported().await, |_| Some(())).await?;
    app.say
        .note("bulla: keep this apart from the store and its backups: whoever has both can open everything");
    Ok(())
}
