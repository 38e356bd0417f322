use std::sync::Mutex;

use uuid::Uuid;

use super::*;

#[derive(Default)]
struct Kept(Mutex<Vec<Span>>);

impl SpanSink for Kept {
    fn take(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

fn id() -> MessageId {
    MessageId::new(Uuid::from_u128(7))
}

fn sender(flags: &str) -> TraceContext {
    let header = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    TraceContext::parse(&header).unwrap()
}

fn recording() -> (Arc<Kept>, Traces) {
    let sink = Arc::new(Kept::default());
    (sink.clone(), Traces::new(Some(sink), Sampling::default()))
}

#[test]
fn a_message_hangs_on_its_sender_and_what_is_done_with_it_on_the_message() {
    let (sink, traces) = recording();
    let placed = traces.message(Some(sender("01")), id());
    let span = placed.span.unwrap();
    assert_eq!(span.parent, Some(sender("01").span()));
    assert!(span.has_remote_parent);
    assert_eq!(placed.kept.trace(), sender("01").trace());
    assert_eq!(placed.kept.span(), SpanId::of_message(id()));
    let call = traces.span(
        Some(placed.kept),
        || SpanId::of_call(id(), 0),
        SpanKind::Client,
    );
    let call = call.unwrap();
    assert_eq!(call.parent, Some(placed.kept.span()));
    assert_eq!(
        passed_on(Some(&call), Some(placed.kept)),
        Some(call.context)
    );
    let (begin, end) = (DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC);
    traces.end(call.begun("call", begin), end);
    assert_eq!(sink.0.lock().unwrap()[0].ended_at, end);
}

#[test]
fn a_message_without_a_sender_s_trace_begins_one() {
    let (_, traces) = recording();
    let placed = traces.message(None, id());
    let span = placed.span.unwrap();
    assert_eq!(span.parent, None);
    assert!(!span.has_remote_parent);
    assert_eq!(placed.kept, span.context);
    assert!(placed.kept.is_sampled());
}

#[test]
fn what_is_not_recorded_is_no_parent_and_its_context_goes_on_as_it_came() {
    let turn = TurnId::new(Uuid::from_u128(8));
    let (_, on) = recording();
    for (traces, sender) in [(Traces::default(), sender("01")), (on, sender("00"))] {
        let placed = traces.message(Some(sender), id());
        assert_eq!(placed.span, None);
        assert_eq!(placed.kept, sender);
        assert_eq!(traces.turn(Some(sender), turn), Some(sender));
        let never = || -> SpanId { panic!("no id is made") };
        assert_eq!(traces.span(Some(sender), never, SpanKind::Client), None);
    }
}

#[test]
fn without_any_recording_a_message_still_begins_a_trace_that_others_may_record() {
    let kept = Traces::default().message(None, id()).kept;
    assert_eq!(kept, TraceContext::begun_by(id(), Sampling::default()));
    assert!(kept.is_sampled());
    let never = Traces::new(None, Sampling::percent(0));
    assert!(!never.message(None, id()).kept.is_sampled());
}

#[test]
fn a_turn_is_found_again_from_what_is_kept() {
    let turn = TurnId::new(Uuid::from_u128(8));
    let (_, traces) = recording();
    let kept = traces.message(None, id()).kept;
    let told = traces.turn(Some(kept), turn);
    let span = traces.span(Some(kept), || SpanId::of_turn(turn), SpanKind::Client);
    assert_eq!(told, span.map(|span| span.context));
    assert_eq!(traces.turn(None, turn), None);
}

#[test]
fn a_long_text_is_cut_and_a_clock_that_went_back_is_made_good() {
    let (sink, traces) = recording();
    let span = traces.message(None, id()).span.unwrap();
    let late = DateTime::<Utc>::MAX_UTC;
    let mut span = span.begun("x", late).with("long", "é".repeat(100));
    span.fail("busy");
    traces.end(span, DateTime::UNIX_EPOCH);
    let kept = sink.0.lock().unwrap();
    assert_eq!(kept[0].ended_at, late);
    assert_eq!(
        kept[0].attributes,
        [
            ("long", AttributeValue::Text("é".repeat(64).into())),
            ("error.type", AttributeValue::Text("busy".into())),
        ]
    );
    assert_eq!(kept[0].failure, Some("busy"));
}
