use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use actix::Handler;

use super::*;
use crate::{delivery::DeliveryError, testing::TokioClock};

/// Fails when it is told to, and counts its lives.
struct Fragile;

#[derive(Message)]
#[rtype(result = "()")]
struct Fail;

#[derive(Message)]
#[rtype(result = "u8")]
struct Ask;

impl Actor for Fragile {
    type Context = Context<Self>;
}

impl Handler<Fail> for Fragile {
    type Result = ();

    fn handle(&mut self, _: Fail, _: &mut Self::Context) {
        panic!("told to fail");
    }
}

impl Handler<Ask> for Fragile {
    type Result = u8;

    fn handle(&mut self, _: Ask, _: &mut Self::Context) -> u8 {
        7
    }
}

/// A mailbox whose actor is kept running, and how often it was made.
fn kept_running() -> (Mailbox<Fragile>, Arc<AtomicU32>) {
    tokio::time::pause();
    let mailbox = Mailbox::new("fragile");
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    let clock = Arc::new(TokioClock::start());
    actix_rt::spawn(keep_running(mailbox.clone(), clock, move || {
        count.fetch_add(1, Ordering::Relaxed);
        Fragile
    }));
    (mailbox, made)
}

async fn fail_and_wait(mailbox: &Mailbox<Fragile>, wait: Duration) {
    let failed = mailbox.ask(Fail, Duration::from_secs(1)).await;
    assert_eq!(failed, Err(DeliveryError::Closed("fragile")));
    tokio::time::sleep(wait).await;
}

#[actix::test]
async fn an_actor_that_panics_is_started_anew_behind_the_same_mailbox() {
    let (mailbox, made) = kept_running();
    tokio::time::sleep(Duration::from_millis(1)).await;
    fail_and_wait(&mailbox, Duration::from_secs(1)).await;
    assert_eq!(mailbox.ask(Ask, Duration::from_secs(1)).await, Ok(7));
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

#[actix::test]
async fn an_actor_that_panics_too_often_is_parked_and_says_so() {
    let (mailbox, made) = kept_running();
    tokio::time::sleep(Duration::from_millis(1)).await;
    for _ in 0..6 {
        fail_and_wait(&mailbox, Duration::from_secs(4)).await;
    }
    let parked = mailbox.ask(Ask, Duration::from_secs(1)).await;
    assert_eq!(parked, Err(DeliveryError::Closed("fragile")));
    assert_eq!(made.load(Ordering::Relaxed), 6);
}

#[actix::test]
async fn failures_far_apart_never_park() {
    let (mailbox, made) = kept_running();
    tokio::time::sleep(Duration::from_millis(1)).await;
    for _ in 0..12 {
        fail_and_wait(&mailbox, Duration::from_secs(20)).await;
    }
    assert_eq!(mailbox.ask(Ask, Duration::from_secs(1)).await, Ok(7));
    assert_eq!(made.load(Ordering::Relaxed), 13);
}
