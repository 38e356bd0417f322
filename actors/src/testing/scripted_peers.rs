//! Peers without a network: a test says how they behave, and sees what was posted to them.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::pending,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    domain::{ids::MessageId, party::Party},
    ports::{
        LocalFuture,
        courier::{PeerTransport, PostAnswer, PostError, PostOrder},
    },
};

/// How a peer behaves.
#[derive(Debug, Clone, Default)]
pub enum PeerMood {
    /// It takes everything.
    #[default]
    Takes,
    /// It answers with a status, and how long it wants to be left alone.
    Answers(u16, Option<Duration>),
    /// There is no answer, for this reason.
    Fails(PostError),
    /// It never answers.
    Hangs,
}

/// One post that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// To whom.
    pub to: Party,
    /// Which message.
    pub id: MessageId,
    /// What was posted.
    pub body: Bytes,
    /// When it began.
    pub at: Instant,
    /// Whether it was taken.
    pub is_taken: bool,
}

/// A transport whose peers are played by a test. Those that it says nothing of take everything.
#[derive(Debug, Default, Clone)]
pub struct ScriptedPeers(Rc<State>);

#[derive(Debug, Default)]
struct State {
    moods: RefCell<HashMap<Party, PeerMood>>,
    moods_for: RefCell<HashMap<MessageId, PeerMood>>,
    delay: Cell<Duration>,
    posted: RefCell<Vec<Posted>>,
    under_way: RefCell<HashMap<Party, usize>>,
    most_at_once: RefCell<HashMap<Party, usize>>,
}

impl ScriptedPeers {
    /// From now on a peer behaves so.
    pub fn set_mood(&self, peer: Party, mood: PeerMood) {
        self.0.moods.borrow_mut().insert(peer, mood);
    }

    /// From now on everybody behaves so towards one message.
    pub fn set_mood_for(&self, message: MessageId, mood: PeerMood) {
        self.0.moods_for.borrow_mut().insert(message, mood);
    }

    /// From now on every answer takes this long.
    pub fn set_delay(&self, delay: Duration) {
        self.0.delay.set(delay);
    }

    /// All posts in the order of their beginnings.
    pub fn posted(&self) -> Vec<Posted> {
        self.0.posted.borrow().clone()
    }

    /// The messages that a peer has taken, in order.
    pub fn taken_by(&self, peer: &Party) -> Vec<MessageId> {
        let posted = self.0.posted.borrow();
        let taken = posted
            .iter()
            .filter(|post| post.is_taken && post.to == *peer);
        taken.map(|post| post.id).collect()
    }

    /// The most posts that were under way to a peer at once.
    pub fn most_at_once(&self, peer: &Party) -> usize {
        let most = self.0.most_at_once.borrow();
        most.get(peer).copied().unwrap_or_default()
    }

    /// Posts under way now, to all peers.
    pub fn under_way(&self) -> usize {
        self.0.under_way.borrow().values().sum()
    }
}

/// Counts a post for as long as somebody waits for its answer.
struct UnderWay(Rc<State>, Party);

impl UnderWay {
    fn begin(state: &Rc<State>, peer: &Party) -> Self {
        let mut under_way = state.under_way.borrow_mut();
        let now = under_way.entry(peer.clone()).or_default();
        *now = now.saturating_add(1);
        let mut most = state.most_at_once.borrow_mut();
        let most = most.entry(peer.clone()).or_default();
        *most = (*most).max(*now);
        Self(Rc::clone(state), peer.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(now) = self.0.under_way.borrow_mut().get_mut(&self.1) {
            *now = now.saturating_sub(1);
        }
    }
}

impl PeerTransport for ScriptedPeers {
    fn post(&self, order: PostOrder) -> LocalFuture<Result<PostAnswer, PostError>> {
        let state = Rc::clone(&self.0);
        let of_message = state.moods_for.borrow().get(&order.id).cloned();
        let of_peer = state.moods.borrow().get(&order.to).cloned();
        let mood = of_message.or(of_peer).unwrap_or_default();
        let under_way = UnderWay::begin(&state, &order.to);
        let place = state.posted.borrow().len();
        state.posted.borrow_mut().push(Posted {
            to: order.to,
            id: order.id,
            body: order.body,
            at: Instant::now(),
            is_taken: false,
        });
        let delay = state.delay.get();
        Box::pin(async move {
            let _under_way = under_way;
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let answer = play(mood).await?;
            if let Some(post) = state.posted.borrow_mut().get_mut(place) {
                post.is_taken = (200..300).contains(&answer.status);
            }
            Ok(answer)
        })
    }
}

async fn play(mood: PeerMood) -> Result<PostAnswer, PostError> {
    let answer = |status, retry_after| PostAnswer {
        status,
        retry_after,
        excerpt: String::new(),
    };
    match mood {
        PeerMood::Takes => Ok(answer(200, None)),
        PeerMood::Answers(status, retry_after) => Ok(answer(status, retry_after)),
        PeerMood::Fails(error) => Err(error),
        PeerMood::Hangs => pending().await,
    }
}
