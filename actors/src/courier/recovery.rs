//! At a start: what the store says waits. Nothing is tried before all of it is known, so that
//! nothing new overtakes what is older in its conversation; new messages are kept meanwhile.

use std::sync::Arc;

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Courier, STORE_PAUSE, recipients};
use crate::{
    domain::{envelope::Sequence, ids::MessageId, post::WaitingDelivery},
    ports::{StoreError, courier::DeliveryStore},
};

/// Deliveries that are read at once.
const PAGE: usize = 1000;

pub(super) fn begin(courier: &Courier, ctx: &mut Context<Courier>) {
    let now = courier.parts.clock.now();
    let settled = former_changes(Arc::clone(&courier.parts.store), now);
    ctx.spawn(settled.into_actor(courier).map(|(), courier, ctx| {
        read_on(courier, Sequence(i64::MIN), ctx);
    }));
}

/// Waits for what a former run gave to the store and did not hear of any more: changes are made in
/// the order of the calls, so that they are done once a change that changes nothing is.
async fn former_changes(store: Arc<dyn DeliveryStore>, now: DateTime<Utc>) {
    let nothing = MessageId::new(Uuid::nil());
    while store.cancel_delivery(nothing, now).await == Err(StoreError::Busy) {
        tokio::time::sleep(STORE_PAUSE).await;
    }
}

fn read_on(courier: &Courier, after: Sequence, ctx: &mut Context<Courier>) {
    let page = courier.parts.store.waiting_deliveries(after, PAGE);
    let read = page.into_actor(courier);
    ctx.spawn(read.map(move |read, courier, ctx| match read {
        Ok(page) => courier.take_over(page, ctx),
        Err(error) => courier.read_later(&error, after, ctx),
    }));
}

impl Courier {
    fn take_over(&mut self, page: Vec<WaitingDelivery>, ctx: &mut Context<Self>) {
        self.cannot_read = None;
        let Some(last) = page.last().map(|delivery| delivery.sequence) else {
            self.all_read(ctx);
            return;
        };
        let now = self.parts.clock.now();
        for delivery in page {
            let terms = recipients::terms(&self.parts, &delivery.to);
            self.queue.push_paced(delivery, terms, now);
        }
        read_on(self, last, ctx);
    }

    fn read_later(&mut self, error: &StoreError, after: Sequence, ctx: &mut Context<Self>) {
        tracing::warn!(%error, "cannot read what waits for delivery yet");
        self.cannot_read = Some(error.to_string());
        ctx.run_later(STORE_PAUSE, move |courier, ctx| {
            read_on(courier, after, ctx);
        });
    }

    fn all_read(&mut self, ctx: &mut Context<Self>) {
        if !self.queue.is_empty() {
            let waiting = self.queue.len();
            tracing::info!(waiting, "taking up deliveries from before the start");
        }
        self.queue.open();
        self.run(ctx);
    }
}
