//! What turns say, heard from each of them while the feed goes on.

use std::{collections::HashMap, time::Duration};

use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::SharedClient;
use crate::cli::client::{ClientError, events::Event};

/// What is heard and not shown yet; a turn that says more waits for the screen.
const ROOM: usize = 64;

/// A piece of speech that is longer than this is shown as a line, in bytes.
const LONGEST_LINE: usize = 4000;

/// A line that does not go on for so long is shown as far as it has come.
const HESITATION: Duration = Duration::from_secs(1);

/// How long the end of a turn waits for its last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Tries to hear on after a break.
const TRIES: u32 = 5;

/// The pause between two of them.
const PAUSE: Duration = Duration::from_millis(500);

/// Turns whose place is remembered after their connection was given up.
const MOST_LEFT: usize = 64;

/// Something that a turn does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Voice {
    pub(super) turn: String,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A line of what it says.
    Said(String),
    /// A tool that it calls.
    Tool(String),
    /// Trouble of its CLI.
    Trouble(String),
    /// Nothing more will be heard of it for now.
    Over {
        /// Where to go on; `None` where it has ended.
        seen: Option<String>,
    },
}

/// Those who are heard.
pub(super) struct Voices {
    sender: mpsc::Sender<Voice>,
    receiver: mpsc::Receiver<Voice>,
    /// They end with this.
    listeners: JoinSet<()>,
    heard: Vec<String>,
    /// Turns whose connection was given up: the last event that was seen of each.
    left: HashMap<String, String>,
}

impl Default for Voices {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(ROOM);
        Self {
            sender,
            receiver,
            listeners: JoinSet::new(),
            heard: Vec::new(),
            left: HashMap::new(),
        }
    }
}

impl Voices {
    /// Begins to hear a turn, or goes on where it was left.
    pub(super) fn hear(&mut self, turn: &str, client: SharedClient) {
        if self.is_heard(turn) {
            return;
        }
        self.heard.push(turn.to_owned());
        // Those that have ended are of no interest; they are gone from the set then.
        while self.listeners.try_join_next().is_some() {}
        let listener = Listener {
            turn: turn.to_owned(),
            seen: self.left.remove(turn),
            speech: String::new(),
            is_cut: false,
            sender: self.sender.clone(),
        };
        self.listeners.spawn(listener.listen(client));
    }

    pub(super) fn is_heard(&self, turn: &str) -> bool {
        self.heard.iter().any(|heard| heard == turn)
    }

    /// The next thing that somebody says; waits as long as nobody does.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    pub(super) async fn next(&mut self) -> Option<Voice> {
        loop {
            let voice = self.receiver.recv().await?;
            if let Some(voice) = self.unless_over(voice) {
                return Some(voice);
            }
        }
    }

    /// What is said by anyone until this turn is over; `None` then, or where that takes too long.
    pub(super) async fn rest_of(&mut self, turn: &str) -> Option<Voice> {
        while self.is_heard(turn) {
            let Ok(voice) = timeout(LAST_WORDS, self.receiver.recv()).await else {
                self.heard.retain(|heard| heard != turn);
                return None;
            };
            if let Some(voice) = self.unless_over(voice?) {
                return Some(voice);
            }
        }
        None
    }

    fn unless_over(&mut self, voice: Voice) -> Option<Voice> {
        let What::Over { seen } = voice.what else {
            return Some(voice);
        };
        self.heard.retain(|heard| *heard != voice.turn);
        if self.left.len() >= MOST_LEFT {
            self.left.clear();
        }
        self.left.extend(seen.map(|seen| (voice.turn, seen)));
        None
    }
}

/// Hears one turn.
struct Listener {
    turn: String,
    seen: Option<String>,
    /// Its last line, as far as it has come.
    speech: String,
    /// What it says next belongs to a line that was shown before its end.
    is_cut: bool,
    sender: mpsc::Sender<Voice>,
}

impl Listener {
    async fn listen(mut self, client: SharedClient) {
        let mut ended = false;
        for _ in 0..TRIES {
            match self.hear(&client).await {
                Ok(has_ended) => ended = has_ended,
                Err(ClientError::Refused { .. }) => break,
                Err(_broken) => {}
            }
            if ended {
                break;
            }
            sleep(PAUSE).await;
        }
        self.end_line().await;
        let seen = self.seen.take().filter(|_| !ended);
        self.say(What::Over { seen }).await;
    }

    /// Hears until its end or until the connection breaks; answers whether it has ended.
    async fn hear(&mut self, client: &SharedClient) -> Result<bool, ClientError> {
        let path = format!("/turns/{}/events", self.turn);
        let mut events = client.follow_after(&path, self.seen.as_deref()).await?;
        loop {
            let next = timeout(HESITATION, events.next());
            let Ok(event) = next.await else {
                self.hesitate().await;
                continue;
            };
            let Some(event) = event? else {
                return Ok(false);
            };
            if event.name == "exited" {
                return Ok(true);
            }
            self.event(&event).await;
            self.seen = event.id;
        }
    }

    async fn event(&mut self, event: &Event) {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let text = |key: &str| {
            let text = data.get(key).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        match event.name.as_str() {
            "said" => self.speak(&text("text")).await,
            "message_ended" => self.end_line().await,
            "tool" => {
                self.end_line().await;
                self.say(What::Tool(text("name"))).await;
            }
            "trouble" => {
                self.end_line().await;
                self.say(What::Trouble(text("text"))).await;
            }
            _ => {}
        }
    }

    /// Says what is whole lines by now.
    async fn speak(&mut self, piece: &str) {
        let whole = std::mem::take(&mut self.speech) + piece;
        let mut lines = whole.split('\n');
        let unfinished = lines.next_back().unwrap_or_default();
        for line in lines {
            // The end of a line that is shown already is no line.
            let is_end_alone = std::mem::take(&mut self.is_cut) && line.is_empty();
            if !is_end_alone {
                self.say(What::Said(line.to_owned())).await;
            }
        }
        unfinished.clone_into(&mut self.speech);
        if self.speech.len() > LONGEST_LINE {
            self.hesitate().await;
        }
    }

    /// Shows a line before its end.
    async fn hesitate(&mut self) {
        if !self.speech.is_empty() {
            self.end_line().await;
            self.is_cut = true;
        }
    }

    async fn end_line(&mut self) {
        let line = std::mem::take(&mut self.speech);
        self.is_cut = false;
        if !line.is_empty() {
            self.say(What::Said(line)).await;
        }
    }

    async fn say(&self, what: What) {
        let turn = self.turn.clone();
        // Nobody listens any more only when the command ends.
        self.sender.send(Voice { turn, what }).await.ok();
    }
}
