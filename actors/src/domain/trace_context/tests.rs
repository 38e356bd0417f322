use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn message(number: u128) -> MessageId {
    MessageId::new(Uuid::from_u128(number))
}

fn read_and_written(header: &str) -> Option<String> {
    TraceContext::parse(header).map(|context| context.to_string())
}

#[test]
fn what_is_valid_is_read_and_written_again() {
    let context = TraceContext::parse(HEADER).unwrap();
    assert_eq!(context.to_string(), HEADER);
    assert_eq!(
        context.trace().to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(context.span().to_string(), "b7ad6b7169203331");
    assert!(context.is_sampled());
    let unsampled = HEADER.replace("-01", "-00");
    assert_eq!(read_and_written(&unsampled), Some(unsampled.clone()));
    assert!(!TraceContext::parse(&unsampled).unwrap().is_sampled());
    assert_eq!(
        read_and_written(&format!(" {HEADER}\t")).as_deref(),
        Some(HEADER)
    );
}

#[test]
fn flags_that_we_do_not_know_are_not_passed_on() {
    let context = TraceContext::parse(&HEADER.replace("-01", "-ff")).unwrap();
    assert_eq!(context.flags(), 3);
    assert!(context.is_sampled());
}

#[test]
fn a_later_version_is_read_as_far_as_we_know_it() {
    let later = HEADER.replace("00-0a", "cc-0a");
    assert_eq!(read_and_written(&later).as_deref(), Some(HEADER));
    assert_eq!(
        read_and_written(&format!("{later}-what-the-future-holds")).as_deref(),
        Some(HEADER)
    );
    assert_eq!(read_and_written(&format!("{later}.what")), None);
    assert_eq!(
        read_and_written(&format!("{later}-{}", "x".repeat(600))),
        None
    );
}

#[test]
fn what_is_invalid_is_as_good_as_none() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let span = "b7ad6b7169203331";
    for bad in [
        String::new(),
        "00".to_owned(),
        format!("00-{trace}-{span}"),
        format!("00-{trace}-{span}-"),
        format!("00-{trace}-{span}-1"),
        format!("00-{trace}-{span}-001"),
        format!("00-{trace}-{span}-0x"),
        format!("00-{trace}-{span}-01-"),
        format!("00-{trace}-{span}-01-more"),
        format!("ff-{trace}-{span}-01"),
        format!("0-{trace}-{span}-01"),
        format!("000-{trace}-{span}-01"),
        format!("00-{}-{span}-01", trace.to_uppercase()),
        format!("00-{trace}-{}-01", span.to_uppercase()),
        format!("00-{}-{span}-01", "0".repeat(32)),
        format!("00-{trace}-{}-01", "0".repeat(16)),
        format!("00-+{}-{span}-01", "1".repeat(31)),
        format!("00-{}-{span}-01", "1".repeat(31)),
        format!("00-{trace}0-{span}-01"),
        format!("00-{trace}-{span}-01,00-{trace}-{span}-01"),
        format!("00_{trace}_{span}_01"),
        format!("00-é{}-{span}-01", "1".repeat(30)),
    ] {
        assert_eq!(TraceContext::parse(&bad), None, "{bad}");
    }
}

#[test]
fn every_part_of_one_message_has_an_id_of_its_own() {
    let (id, turn) = (message(7), TurnId::new(Uuid::from_u128(7)));
    let ids = [
        SpanId::of_message(id),
        SpanId::of_accept(id),
        SpanId::of_inbox_write(id),
        SpanId::of_wait(id, turn),
        SpanId::of_wait(message(8), turn),
        SpanId::of_turn(turn),
        SpanId::of_call(id, 0),
        SpanId::of_call(id, 1),
        SpanId::of_delivery(id, 0),
        SpanId::of_delivery(id, 1),
    ];
    let different: HashSet<SpanId> = ids.into_iter().collect();
    assert_eq!(different.len(), ids.len());
}

/// Contexts are in the store: a later version must find the same parents.
#[test]
fn derived_ids_never_change() {
    let id = MessageId::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
    let context = TraceContext::begun_by(id, Sampling::default());
    assert_eq!(
        context.to_string(),
        "00-66e91f26994e08f919a7c1e3fc90c4ae-699a84194d3e3110-03"
    );
    assert_eq!(
        SpanId::of_turn(TurnId::new(id.as_uuid())).to_string(),
        "25ea85a7644dcb99"
    );
}

#[test]
fn a_child_stays_in_its_trace() {
    let parent = TraceContext::parse(HEADER).unwrap();
    let child = parent.child(SpanId::of_message(message(1)));
    assert_eq!(child.trace(), parent.trace());
    assert_eq!(child.flags(), parent.flags());
    assert_ne!(child.span(), parent.span());
}

#[test]
fn about_as_many_traces_are_recorded_as_are_asked_for() {
    for (percent, least, most) in [
        (0, 0, 0),
        (1, 50, 150),
        (50, 4800, 5200),
        (100, 10_000, 10_000),
        (u16::MAX, 10_000, 10_000),
    ] {
        let sampling = Sampling::percent(percent);
        let first = 0x0190_0000_0000_7000_8000_0000_0000_0000_u128;
        let sampled = (0..10_000)
            .map(|number| TraceContext::begun_by(message(first + number), sampling))
            .filter(|context| context.is_sampled())
            .count();
        assert!((least..=most).contains(&sampled), "{percent}: {sampled}");
    }
}

#[test]
fn what_is_recorded_at_a_low_share_is_recorded_at_every_higher_one() {
    for number in 0..1000 {
        let is_sampled =
            |percent| TraceContext::begun_by(message(number), Sampling::percent(percent));
        let few = is_sampled(20).is_sampled();
        let many = is_sampled(60).is_sampled();
        assert!(!few || many, "{number}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_ignored(text in any::<String>()) {
        if let Some(context) = TraceContext::parse(&text) {
            prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
        }
    }

    #[test]
    fn anything_that_looks_like_a_header_is_read_or_ignored(text in "[0-9a-fA-F]{2}(-[0-9a-fA-F]{0,33}){0,5}[ -~]{0,3}") {
        if let Some(context) = TraceContext::parse(&text) {
            prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
        }
    }

    #[test]
    fn what_is_valid_comes_back(trace in 1_u128.., span in 1_u64.., flags in 0_u8..4) {
        let header = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
        prop_assert_eq!(read_and_written(&header), Some(header));
    }

    #[test]
    fn a_new_trace_can_be_read_by_others(id in any::<u128>(), percent in 0_u16..=100) {
        let context = TraceContext::begun_by(message(id), Sampling::percent(percent));
        prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
    }
}
