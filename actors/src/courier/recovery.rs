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
    let page = read_page(Arc::clone(&courier.parts.store), after);
    ctx.spawn(page.into_actor(courier).map(Courier::take_over));
}

async fn read_page(store: Arc<dyn DeliveryStore>, after: Sequence) -> Vec<WaitingDelivery> {
    loop {
        match store.waiting_deliveries(after, PAGE).await {
            Ok(page) => return page,
            Err(error) => {
                tracing::warn!(%error, "cannot read what waits for delivery yet");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

impl Courier {
    fn take_over(page: Vec<WaitingDelivery>, courier: &mut Self, ctx: &mut Context<Self>) {
        let Some(last) = page.last().map(|delivery| delivery.sequence) else {
            courier.all_read(ctx);
            return;
        };
        let now = courier.parts.clock.now();
        for delivery in page {
            let terms = recipients::terms(&courier.parts, &delivery.to);
            courier.queue.push_paced(delivery, terms, now);
        }
        read_on(courier, last, ctx);
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
