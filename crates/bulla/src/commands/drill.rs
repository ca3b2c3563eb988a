//! `bulla drill`: the rehearsal of a restore. A backup of the store is restored where nobody else looks, and files are
//! opened with it, whole, and written nowhere.

use std::path::Path;
use std::sync::Arc;

use bulla_crypto::{RootKey, SystemRng};
use bulla_store::{BackupSource, DataDir, Existing, Restoring};

use crate::app::App;
use crate::cli::Drill;
use crate::commands::open;
use crate::exit::{Exit, Failure};
use crate::opening;
use crate::scratch::Scratch;

/// The directory of the restored store, in the temporary one.
const STORE: &str = "store";

/// Restores the store, opens each file, and takes the store away again.
pub(crate) async fn run(app: &mut App, command: &Drill) -> Result<(), Failure> {
    if app.common.root_key.is_none() {
        return Err(Failure::usage(
            "drill needs the root key of the store that was backed up; name it with --root-key",
        ));
    }
    if app.common.data_dir.is_some() {
        return Err(Failure::usage(
            "drill restores into a directory of its own, which it removes; leave out --data-dir",
        ));
    }
    let scratch = Scratch::within(&std::env::temp_dir())?;
    let directory = scratch.path().join(STORE);
    app.use_restored_store(&directory, &command.store_backup, "--store-backup");
    let records = restore(app, &command.store_backup, &directory).await?;
    app.say.done(
        &format!("the backup `{}` has {records} authentic records", command.store_backup.display()),
        &serde_json::json!({
            "event": "restored", "input": command.store_backup.display().to_string(), "records": records,
        }),
        false,
    )?;
    open::rehearse(app, &command.opening, &command.input).await
}

/// Makes the store of the backup; all of its records must be authentic.
async fn restore(app: &App, backup: &Path, path: &Path) -> Result<u64, Failure> {
    std::fs::metadata(backup).map_err(|error| Failure::io("cannot read", backup.display(), &error))?;
    let directory = DataDir::open_or_create(path).map_err(|error| opening::directory_failure(&error))?;
    let named = format!("the backup `{}`", backup.display());
    let failed = |error| opening::upkeep_failure_of(error, &named);
    let restoring =
        Restoring::begin(BackupSource::File(backup), &directory, Existing::Refuse).map_err(failed)?;
    let source = app.place()?.root;
    let params = match source.is_passphrase() {
        true => restoring.passphrase_params().await.map_err(failed)?,
        false => None,
    };
    let root: RootKey = source.obtain(params.as_ref()).map_err(|error| opening::root_failure(&error))?;
    let report = restoring.check(&root, Arc::new(SystemRng)).await.map_err(|error| {
        let failure = Failure::from(opening::by_passphrase(&source, failed(error)));
        let is_named = failure.message.contains(&*backup.to_string_lossy());
        if is_named { failure } else { Failure::new(failure.exit, format!("{named}: {failure}")) }
    })?;
    if !report.is_sound() {
        return Err(Failure::new(
            Exit::NotIntact,
            format!(
                "{named} is damaged: {} of {} records are not authentic; take another",
                report.faulty,
                report.sound + report.faulty
            ),
        ));
    }
    restoring.land().map_err(failed)?;
    Ok(report.sound)
}
