//! Looks at the disks of store and inbox, and has new work refused while one of them is low.

use std::{path::PathBuf, time::Duration};

use actix_web::web;
use postroom_actors::domain::disk_guard::{DiskGuard, DiskShortage, DiskSpace};

use crate::{
    adapters::disk,
    http::{SharedState, intake::Intake},
    settings::Settings,
};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks once, before the first request comes, then goes on on this thread's arbiter.
pub(super) fn start(settings: &Settings, shared: &web::Data<SharedState>) {
    let intake = shared.intake.clone();
    intake.show();
    if settings.store.min_free == 0 {
        return;
    }
    let disks = [
        ("store", settings.store.path.clone()),
        ("inbox", settings.mailbox.inbox.clone()),
    ];
    let mut guard = DiskGuard::new(settings.store.min_free);
    note(&intake, guard.look(&spaces(&disks)));
    actix_rt::spawn(async move {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let disks = disks.clone();
            // A disk that hangs holds up this look, not the service.
            if let Ok(seen) = tokio::task::spawn_blocking(move || spaces(&disks)).await {
                note(&intake, guard.look(&seen));
            }
        }
    });
}

/// A disk that cannot be looked at says nothing: if it is ill, the store says so itself.
fn spaces(disks: &[(&'static str, PathBuf)]) -> Vec<(&'static str, DiskSpace)> {
    let looked = disks
        .iter()
        .map(|(name, path)| Some((*name, disk::space(path).ok()?)));
    looked.flatten().collect()
}

fn note(intake: &Intake, shortage: Option<DiskShortage>) {
    match (intake.shortage(), shortage) {
        (None, Some(shortage)) => tracing::error!(
            disk = shortage.disk,
            "no new work is taken: {shortage}; free some space"
        ),
        (Some(_), None) => tracing::info!("the disks have room again; new work is taken"),
        _ => {}
    }
    intake.note_disks(shortage);
}
