//! What an inbox file holds.
use super::envelope::StoredMessage;
/// x
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemExtras { /// x
pub instruction: Option<String>, /// x
pub skill_path: Option<String> }
/// x
#[derive(Debug, Clone)]
pub struct InboxItem(serde_json::Value);
/// x
pub fn render(m: &StoredMessage, reply: Option<&str>, _: &ItemExtras) -> InboxItem { let mut v = serde_json::json!({"latest-user-prompt": m.prompt.as_deref(), "form": format!("{:?}", m.form)}); if let Some(r)=reply { v["backend-llm-reply"]=r.into(); } InboxItem(v) }
/// x
pub fn render_batch(mut items: Vec<InboxItem>) -> InboxItem { let all: Vec<_>=items.iter().map(|i|i.0.clone()).collect(); let mut l=items.pop().unwrap(); l.0["batch"]=all.into(); l }
impl InboxItem { /// x
pub fn to_file_text(&self) -> String { self.0.to_string() } }
