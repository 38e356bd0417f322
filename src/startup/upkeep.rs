//! Backups, and the upkeep of the store's files: what commands do without the service.

use std::{
    io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};

pub use crate::adapters::{
    backups::{MadeBackup, Manifest, Placed},
    store_sqlite::upkeep::{Checked, Compacted, StoreFacts, UpkeepError, check, compact},
};
use crate::{
    adapters::{
        backups::{self, Backup, BackupPlan, Origin},
        disk,
        store_sqlite::{
            OpenError,
            upkeep::{ClaimedStore, DATABASE},
        },
    },
    cli::exit,
    settings::{ConfigError, Settings},
};

/// What a backup is asked for.
#[derive(Debug, Clone)]
pub struct BackupOrder {
    /// The folder that gets it.
    pub target: PathBuf,
    /// Its name there; `None`: `postroom-backup-<UTC time>`.
    pub name: Option<String>,
    /// The agents' workspaces too.
    pub with_workspaces: bool,
    /// Now.
    pub at: DateTime<Utc>,
}

/// Makes a backup of what the settings name.
///
/// # Errors
/// [`UpkeepError`].
pub fn backup(
    settings: &Settings,
    order: BackupOrder,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<MadeBackup, UpkeepError> {
    let named = || format!("postroom-backup-{}", stamp(order.at));
    let plan = BackupPlan {
        from: Origin {
            home: settings.home.clone(),
            store: settings.store.path.clone(),
            inbox: settings.mailbox.inbox.clone(),
            config_file: settings.config_file.clone(),
        },
        name: order.name.unwrap_or_else(named),
        target: order.target,
        with_workspaces: order.with_workspaces,
        min_free: settings.store.min_free,
        at: order.at,
        version: env!("CARGO_PKG_VERSION"),
    };
    backups::make(&plan, progress)
}

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// The store's folder.
    pub store: PathBuf,
    /// Where the store is that was there before.
    pub aside: Option<PathBuf>,
    /// The inbox that the messages are for now.
    pub inbox: PathBuf,
    /// The messages are for another inbox than in the backup.
    pub is_other_inbox: bool,
    /// The configuration, and files of the home folder.
    pub placed: Vec<Placed>,
}

/// Puts a backup in place of the store that `load` names, and files of the home folder where they are
/// missing. `load` is asked again once there is a configuration.
///
/// # Errors
/// [`UpkeepError`] or [`ConfigError`]; the store is as it was then.
pub fn restore(
    path: &Path,
    load: impl Fn() -> Result<Settings, ConfigError>,
    is_forced: bool,
    at: DateTime<Utc>,
    progress: &mut dyn FnMut(u64, u64),
) -> anyhow::Result<Restored> {
    let backup = Backup::open(path)?;
    let (settings, config) = configured(&backup, load)?;
    let store = &settings.store.path;
    let claimed = ClaimedStore::claim(store)?;
    let is_other_inbox = is_other_inbox(&backup, &settings.mailbox.inbox, is_forced)?;
    check_room(&backup, store)?;
    let inbox = is_other_inbox.then_some(&*settings.mailbox.inbox);
    let aside = format!("before-restore-{}", stamp(at));
    let replaced = claimed.replace(&backup.database(), &aside, inbox, progress)?;
    let mut placed: Vec<Placed> = config.into_iter().collect();
    placed.extend(backup.place_home(&settings.home)?);
    Ok(Restored {
        manifest: backup.manifest().clone(),
        store: store.clone(),
        aside: replaced.aside,
        inbox: settings.mailbox.inbox,
        is_other_inbox,
        placed,
    })
}

/// The settings; without a configuration file here, those of the backup's, which is put in place.
fn configured(
    backup: &Backup,
    load: impl Fn() -> Result<Settings, ConfigError>,
) -> anyhow::Result<(Settings, Option<Placed>)> {
    let settings = load()?;
    if settings.config_file.is_some() {
        return Ok((settings, None));
    }
    // A service may run without one; nothing is put under its feet.
    if settings.store.path.join(DATABASE).is_file() {
        drop(ClaimedStore::claim(&settings.store.path)?);
    }
    let placed = backup.place_config(&settings.home)?;
    Ok((load()?, placed))
}

/// Whether messages of the backup wait for another inbox than the one here.
fn is_other_inbox(backup: &Backup, inbox: &Path, is_forced: bool) -> Result<bool, UpkeepError> {
    let facts = &backup.manifest().store;
    match &facts.inbox {
        Some(remembered) if remembered != inbox && facts.pending_inbox > 0 => {
            if is_forced {
                return Ok(true);
            }
            Err(UpkeepError::OtherInbox {
                remembered: remembered.clone(),
                configured: inbox.to_owned(),
                pending: facts.pending_inbox,
            })
        }
        _ => Ok(false),
    }
}

fn check_room(backup: &Backup, store: &Path) -> Result<(), UpkeepError> {
    let failed = |source| UpkeepError::Files {
        path: store.to_owned(),
        source,
    };
    let needed = std::fs::metadata(backup.database()).map_err(failed)?.len();
    let free = disk::space(store).map_err(failed)?.free_bytes;
    let path = store.to_owned();
    if free < needed {
        return Err(UpkeepError::NoRoom { path, free, needed });
    }
    Ok(())
}

fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

/// The exit code of work on a store that failed: 65 damaged, 66 not there, 73 cannot be made, 74
/// disk, 75 in use, 77 not allowed, 78 for another inbox.
pub fn exit_code(error: &UpkeepError) -> u8 {
    match error {
        UpkeepError::NoStore(_) => exit::NO_INPUT,
        UpkeepError::Damaged { .. }
        | UpkeepError::BadBackup { .. }
        | UpkeepError::Open(OpenError::NewerSchema { .. }) => exit::DATA,
        UpkeepError::Exists(_) | UpkeepError::NoRoom { .. } => exit::CANNOT_CREATE,
        UpkeepError::Open(OpenError::InUse { .. })
        | UpkeepError::Database { is_busy: true, .. } => exit::TEMPORARY,
        UpkeepError::OtherInbox { .. } | UpkeepError::Open(OpenError::OtherInbox { .. }) => {
            exit::CONFIG
        }
        UpkeepError::Files { source, .. } | UpkeepError::Open(OpenError::Folder { source, .. })
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            exit::NO_PERMISSION
        }
        _ => exit::IO,
    }
}
