//! Whether new work is taken: the one place that knows.
//!
//! What belongs to work that was taken before goes on either way: reads, cancels, what running turns
//! send, answers of agents, deliveries, the writing of the inbox.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU8, Ordering},
};

use postroom_actors::domain::{disk_guard::DiskShortage, metric::Metric};

use super::{error::ApiError, metrics::REQUESTS_REFUSED};

const STOPPING: u8 = 1;
const DISK_LOW: u8 = 2;

const INTAKE_OPEN: &str = "postroom_intake_open";

/// What is told of the intake.
pub const METRICS: &[Metric] = &[Metric::gauge(
    INTAKE_OPEN,
    &[],
    "Whether new work is taken: 0 while a disk is low or the service stops, else 1",
)];

/// Whether new work is taken. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Intake(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Why it is closed; 0: it is open.
    closed: AtomicU8,
    shortage: Mutex<Option<DiskShortage>>,
}

impl Intake {
    /// Lets new work in, or says why not. One load where it does.
    ///
    /// # Errors
    /// 503 while the service stops or a disk has too little room.
    pub fn admit(&self) -> Result<(), ApiError> {
        match self.0.closed.load(Ordering::Relaxed) {
            0 => Ok(()),
            closed => Err(self.refusal(closed)),
        }
    }

    /// The same for what keeps nothing on disk.
    ///
    /// # Errors
    /// 503 while the service stops.
    pub fn admit_what_is_not_kept(&self) -> Result<(), ApiError> {
        if self.is_stopping() {
            return Err(ApiError::stopping());
        }
        Ok(())
    }

    /// From now on nothing is taken any more.
    pub fn begin_to_stop(&self) {
        self.close(STOPPING);
    }

    /// Whether the service stops.
    pub fn is_stopping(&self) -> bool {
        self.0.closed.load(Ordering::Relaxed) & STOPPING != 0
    }

    /// Takes over what a look at the disks has found.
    pub fn note_disks(&self, shortage: Option<DiskShortage>) {
        *self.shortage_lock() = shortage;
        if shortage.is_some() {
            self.close(DISK_LOW);
        } else {
            self.0.closed.fetch_and(!DISK_LOW, Ordering::Relaxed);
            self.show();
        }
    }

    /// The disk that has too little room.
    pub fn shortage(&self) -> Option<DiskShortage> {
        *self.shortage_lock()
    }

    /// In one word: `open`, `stopping` or `disk_low`.
    pub fn state(&self) -> &'static str {
        match self.0.closed.load(Ordering::Relaxed) {
            0 => "open",
            closed if closed & STOPPING != 0 => "stopping",
            _ => "disk_low",
        }
    }

    fn refusal(&self, closed: u8) -> ApiError {
        if closed & STOPPING != 0 {
            return ApiError::stopping();
        }
        ::metrics::counter!(REQUESTS_REFUSED, "reason" => "disk_low").increment(1);
        ApiError::disk_low(self.shortage().as_ref())
    }

    fn close(&self, why: u8) {
        self.0.closed.fetch_or(why, Ordering::Relaxed);
        self.show();
    }

    /// Shows in the metrics whether it is open.
    pub fn show(&self) {
        let is_open = self.0.closed.load(Ordering::Relaxed) == 0;
        ::metrics::gauge!(INTAKE_OPEN).set(f64::from(u8::from(is_open)));
    }

    fn shortage_lock(&self) -> std::sync::MutexGuard<'_, Option<DiskShortage>> {
        self.0
            .shortage
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use postroom_actors::domain::disk_guard::ShortOf;

    use super::*;

    fn shortage() -> DiskShortage {
        DiskShortage {
            disk: "store",
            of: ShortOf::Bytes,
            free: 5,
            needed: 10,
        }
    }

    #[test]
    fn a_low_disk_refuses_new_work_until_it_has_room_again() {
        let intake = Intake::default();
        intake.admit().unwrap();
        intake.note_disks(Some(shortage()));
        let refusal = intake.admit().unwrap_err();
        assert_eq!(refusal.body().error.code, "disk_low");
        assert!(refusal.to_string().contains("5 bytes left"), "{refusal}");
        intake.admit_what_is_not_kept().unwrap();
        assert_eq!(intake.state(), "disk_low");
        intake.note_disks(None);
        intake.admit().unwrap();
        assert_eq!(intake.state(), "open");
    }

    #[test]
    fn a_service_that_stops_takes_nothing_whatever_its_disks_say() {
        let intake = Intake::default();
        intake.begin_to_stop();
        intake.note_disks(Some(shortage()));
        assert!(intake.admit().unwrap_err().to_string().contains("stopping"));
        intake.note_disks(None);
        assert!(intake.admit().is_err());
        assert!(intake.admit_what_is_not_kept().is_err());
        assert_eq!(intake.state(), "stopping");
    }
}
