//! At start: what the store says is not written yet.

use std::{sync::Arc, time::Duration};

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};

use super::InboxWriter;
use crate::{
    domain::envelope::{PendingItem, Sequence},
    ports::{MessageStore, StoreError},
};

/// Messages read at once.
const PAGE: usize = 4096;

/// Between two tries to read a store that cannot be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Loads what is pending. The mailbox waits meanwhile, so that nothing is taken in twice.
pub(super) fn load_pending(writer: &InboxWriter, ctx: &mut Context<InboxWriter>) {
    let loaded = read_all(Arc::clone(&writer.parts.store)).into_actor(writer);
    ctx.wait(loaded.map(|items, writer, ctx| {
        if !items.is_empty() {
            tracing::info!(
                pending = items.len(),
                "writing what was accepted before the start"
            );
        }
        // The router may announce some of them too: by then they may even be written.
        writer.recovered_through = items.last().map_or(Sequence(0), |item| item.sequence);
        for item in items {
            // The relay that it waited for ended with the process that ran it.
            writer.batcher.push(PendingItem {
                reply_due: None,
                ..item
            });
        }
        writer.write_due(ctx);
    }));
}

async fn read_all(store: Arc<dyn MessageStore>) -> Vec<PendingItem> {
    let mut items: Vec<PendingItem> = Vec::new();
    loop {
        let after = items.last().map_or(Sequence(0), |item| item.sequence);
        match store.pending_inbox(after, PAGE).await {
            Ok(page) if page.is_empty() => return items,
            Ok(page) => items.extend(page),
            Err(StoreError::Closed) => return items,
            Err(error) => {
                tracing::error!(%error, "cannot read what is pending; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
