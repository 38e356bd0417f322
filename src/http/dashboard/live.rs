//! Keeps pages up to date: server-sent events with the sections that have changed.
//!
//! A page is rendered at most once a second, however many look at it; nobody looks, nothing is
//! rendered.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::json;
use tokio::time::Instant;

use super::{
    answer::PageError,
    gate::{self, Visitor},
    page::Page,
    sections::{self, Look, Section},
};
use crate::http::{AppState, SharedState, error::ApiError, incoming, sse};

/// Pages that are kept up to date at one time; for one more there is no room.
const MOST: usize = 64;

/// Between two renderings of one page.
const INTERVAL: Duration = Duration::from_secs(1);

/// A rendering younger than this is taken by others too.
const FRESH: Duration = Duration::from_millis(900);

/// Silence after which a comment is sent: one who has gone is noticed by what cannot be written.
const SILENCE: Duration = Duration::from_secs(3);

const COMMENT: Bytes = Bytes::from_static(b": still here\n\n");

const VIEWERS: &str = "postroom_dashboard_viewers";

/// Who watches which pages.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    count: AtomicUsize,
    pages: Mutex<HashMap<String, Shared>>,
}

/// A page that is watched: its newest rendering.
#[derive(Debug, Clone, Default)]
struct Shared {
    newest: Arc<tokio::sync::Mutex<Option<(Instant, Rendering)>>>,
}

/// The sections of a page, or nothing where it is not there any more.
type Rendering = Option<Arc<Vec<Section>>>;

/// Somebody's place; free again when dropped.
struct Place {
    state: web::Data<SharedState>,
    page: String,
    shared: Shared,
}

impl Place {
    fn take(state: &web::Data<SharedState>, page: String) -> Option<Self> {
        let watchers = &state.dashboard.watchers;
        let one_more = |count: usize| (count < MOST).then_some(count + 1);
        let count = watchers
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        show(count + 1);
        let mut pages = watchers
            .pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let shared = pages.entry(page.clone()).or_default().clone();
        drop(pages);
        Some(Self {
            state: web::Data::clone(state),
            page,
            shared,
        })
    }

    /// The page as it is now, or was a moment ago.
    async fn rendering(&self, page: &Page) -> Rendering {
        let mut newest = self.shared.newest.lock().await;
        if let Some((at, rendering)) = newest.as_ref()
            && at.elapsed() < FRESH
        {
            return rendering.clone();
        }
        let view = sections::view(&Look::new(&self.state, page)).await;
        let rendering = view.ok().map(|view| Arc::new(view.sections));
        *newest = Some((Instant::now(), rendering.clone()));
        rendering
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let watchers = &self.state.dashboard.watchers;
        let mut pages = watchers
            .pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // One is in the table, one is ours.
        if Arc::strong_count(&self.shared.newest) <= 2 {
            pages.remove(&self.page);
        }
        drop(pages);
        show(watchers.count.fetch_sub(1, Ordering::Relaxed) - 1);
    }
}

fn show(viewers: usize) {
    metrics::gauge!(VIEWERS).set(f64::from(u32::try_from(viewers).unwrap_or(u32::MAX)));
}

pub(super) fn describe() {
    metrics::describe_gauge!(VIEWERS, "Pages of the dashboard that are kept up to date");
    show(0);
}

/// Follows the page that `page` names: `section` events with `{"name", "revision", "html"}`, and
/// `ended` where whoever looks has to log in again.
///
/// # Errors
/// 403 without a session, 404 for what is no page, 503 where there is no room.
pub(super) async fn follow(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let visitor = gate::actor(&request)?;
    let address = incoming::query(&request).remove("page");
    let page = address.as_deref().and_then(Page::parse);
    let page = page.ok_or(PageError::unknown("There is no such page."))?;
    if state.shared.stopping.has_begun() {
        return Err(ApiError::stopping().into());
    }
    let place = Place::take(&state.shared, page.path()).ok_or_else(ApiError::busy)?;
    let watch = Watch {
        place,
        page,
        visitor,
        sent: HashMap::new(),
        next: Instant::now(),
        spoken: Instant::now(),
        is_over: false,
    };
    Ok(sse::head(StatusCode::OK)
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .streaming(sse::kept_alive(watch.events())))
}

/// One who watches a page.
struct Watch {
    place: Place,
    page: Page,
    visitor: Visitor,
    /// The revisions that were sent.
    sent: HashMap<&'static str, String>,
    next: Instant,
    /// When something was sent last.
    spoken: Instant,
    is_over: bool,
}

impl Watch {
    fn events(self) -> impl Stream<Item = Bytes> + 'static {
        stream::unfold(self, |mut watch| async move {
            let bytes = watch.more().await?;
            Some((bytes, watch))
        })
    }

    /// What is new, perhaps nothing; `None` at the end.
    async fn more(&mut self) -> Option<Bytes> {
        tokio::time::sleep_until(self.next).await;
        self.next = Instant::now() + INTERVAL;
        let shared = &self.place.state;
        if self.is_over || shared.stopping.has_begun() {
            return None;
        }
        if !self.visitor.may_stay(shared) {
            self.is_over = true;
            return Some(sse::event("ended", None, "{}"));
        }
        let rendering = self.place.rendering(&self.page).await;
        let changes = self.changes(rendering.as_deref().map_or(&[], Vec::as_slice));
        if changes.is_empty() && self.spoken.elapsed() < SILENCE {
            return Some(changes);
        }
        self.spoken = Instant::now();
        Some(if changes.is_empty() { COMMENT } else { changes })
    }

    fn changes(&mut self, sections: &[Section]) -> Bytes {
        let mut bytes = Vec::new();
        let look = Look::new(&self.place.state, &self.page);
        for section in sections {
            let sent = self.sent.get(section.name);
            if sent.is_some_and(|sent| *sent == section.revision) {
                continue;
            }
            self.sent.insert(section.name, section.revision.clone());
            let html = look.for_visitor(section.html(), &self.visitor);
            let data = json!({
                "name": section.name,
                "revision": section.revision,
                "html": html,
            });
            bytes.extend_from_slice(&sse::event("section", None, &data.to_string()));
        }
        bytes.into()
    }
}
