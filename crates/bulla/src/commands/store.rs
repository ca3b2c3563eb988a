//! `bulla store`.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use bulla_api::SecretBytes;
use bulla_crypto::{RootKey, SystemRng};
use bulla_store::{DataDir, Existing, RecoveryForm, RootKeySource, Vault};

use crate::app::App;
use crate::cli::Store;
use crate::exit::{Exit, Failure};
use crate::opening;
use crate::output::{self, OutputRules};
use crate::say::error_line;

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
            let request = ("AcceptClock", serde_json::json!({}));
            Ok(local.administer(request, async |engine| engine.accept_clock().await, |_| Some(())).await?)
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
    bulla_store::backup(&directory, out, existing(app))
        .map_err(|error| opening::upkeep_failure(error, &directory))?;
    let event = serde_json::json!({ "event": "backed up", "output": out.display().to_string() });
    let summary =
        format!("backed up to `{}`; it holds no root key: keep a recovery key apart from it", out.display());
    app.say.done(&summary, &event, false)
}

async fn restore(
    app: &App,
    backup: &Path,
    recovery_key: Option<&Path>,
    private_key: Option<&Path>,
) -> Result<(), Failure> {
    let place = app.place()?;
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
    if !backup.exists() {
        return Err(Failure::new(
            Exit::Failed,
            format!("no backup at `{}`; check the path", backup.display()),
        ));
    }
    let directory =
        DataDir::open_or_create(&place.directory).map_err(|error| opening::directory_failure(&error))?;
    // This holds the directory itself, so that no one uses what it replaces; a lock is not taken twice.
    bulla_store::restore(backup, &directory, existing(app))
        .map_err(|error| opening::upkeep_failure(error, &directory))?;
    let held = directory.lock_offline().map_err(|error| opening::directory_failure(&error))?;
    if let (Some(root), RootKeySource::File(path)) = (&recovered, &place.root) {
        verify_root(&directory, root).await.map_err(|failure| {
            Failure::new(
                failure.exit,
                format!("the store was restored, but the recovery key is another store's and was not kept: {failure}"),
            )
        })?;
        write_root(path, root)?;
    }
    drop(held);
    let shown = place.directory.display();
    let event = serde_json::json!({ "event": "restored", "data_dir": shown.to_string() });
    app.say.done(&format!("restored into {shown}"), &event, false)?;
    if recovered.is_none()
        && let RootKeySource::File(path) = &place.root
        && !path.exists()
    {
        app.say.note(&format!(
            "bulla: the store opens with its root key only, which is not at {}; put it there, mode 0600",
            path.display()
        ));
    }
    Ok(())
}

/// A root key from the text that `recovery-key` gave.
fn read_recovery_key(path: &Path, private_key: Option<&Path>) -> Result<RootKey, Failure> {
    let text = read_text(path)?;
    let shown = crate::app::shown(path, "standard input");
    match private_key {
        None => RootKey::from_text(text.expose())
            .map_err(|error| Failure::new(Exit::NotIntact, format!("recovery key `{shown}`: {error}"))),
        Some(pem) => bulla_store::import_sealed_recovery_key(text.expose(), read_text(pem)?.expose())
            .map_err(|error| Failure::new(Exit::NotIntact, format!("recovery key `{shown}`: {error}"))),
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
    let rules = OutputRules { force: true, sync: true, mode: output::MODE_PRIVATE, inputs: &[] };
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
    let report = bulla_store::check(&directory, &root, Arc::new(SystemRng))
        .await
        .map_err(|error| opening::upkeep_failure(error, &directory))?;
    let mut faults: Vec<_> = report.first_faults.iter().map(ToString::to_string).collect();
    // Among records that can't be read, nothing can be said of those that are missing.
    if report.is_sound() {
        faults.extend(missing(&directory, &root).await?);
    }
    let shown = directory.path().display();
    let event = serde_json::json!({
        "event": "checked", "data_dir": shown.to_string(), "sound": report.sound, "faulty": report.faulty, "faults": faults,
    });
    app.say.done(&format!("{shown}: {} records are authentic", report.sound), &event, false)?;
    if report.is_sound() && faults.is_empty() {
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

/// What the store lacks of what its records speak of.
async fn missing(directory: &DataDir, root: &RootKey) -> Result<Vec<String>, Failure> {
    let store =
        bulla_store::open_store(directory).map_err(|error| opening::upkeep_failure(error, directory))?;
    let opened = Vault::open(store, root, Arc::new(SystemRng)).await;
    let vault = opened.map_err(|error| opening::upkeep_failure(error.into(), directory))?;
    let found = bulla_engine::check_references(&vault).await;
    vault.store().close().await.map_err(|error| opening::store_failure(&error, directory))?;
    let found = found.map_err(|error| opening::upkeep_failure(error.into(), directory))?;
    let mut told: Vec<_> = found.iter().take(FINDINGS_MAX).map(ToString::to_string).collect();
    if found.len() > told.len() {
        told.push(format!("and {} more", found.len() - told.len()));
    }
    Ok(told)
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
    let mut out = std::io::stdout().lock();
    let mut written = out.write_all(&text);
    if !text.ends_with(b"\n") {
        written = written.and_then(|()| out.write_all(b"\n"));
    }
    written
        .and_then(|()| out.flush())
        .map_err(|error| Failure::io("cannot write", "standard output", &error))?;
    drop(out);
    let request = ("RecoveryKeyExported", serde_json::json!({}));
    local.administer(request, async |engine| engine.record_recovery_exported().await, |_| Some(())).await?;
    app.say
        .note("bulla: keep this apart from the store and its backups: whoever has both can open everything");
    Ok(())
}
