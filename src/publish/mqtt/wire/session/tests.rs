use super::*;

fn publication() -> Publication {
    Publication { topic: "t".into(), acknowledged: true, retain: true, ..Publication::default() }
}

fn publish(session: &mut Session) -> u16 {
    match session.request(Request::Publish(publication(), Origin::Queue)) {
        Outgoing::Publish(_, id) => id,
        other => panic!("{other:?}"),
    }
}

fn acknowledge(session: &mut Session, id: u16) -> Happened {
    session.take(Incoming::PubAck { id, refused: None }).unwrap().0
}

#[test]
fn packet_ids_wrap_and_pass_over_those_in_use() {
    let mut session = Session::default();
    session.granted.receive_maximum = 100;
    let stuck = publish(&mut session);
    let Outgoing::Subscribe(_, asked) = session.request(Request::Subscribe("f".into())) else { panic!() };
    let mut last = asked;
    for _ in 0..200_000 {
        let id = publish(&mut session);
        assert!(id != 0 && id != stuck && id != asked, "{id}");
        assert!(id == last.wrapping_add(1) || (last == u16::MAX && id == 3), "{id} after {last}");
        assert_eq!(acknowledge(&mut session, id), Happened::Acknowledged { id, refused: None });
        last = id;
    }
    assert_eq!(acknowledge(&mut session, stuck), Happened::Acknowledged { id: stuck, refused: None });
    assert_eq!(acknowledge(&mut session, stuck), Happened::Nothing, "a second one does nothing");
    let (happened, _) = session.take(Incoming::SubAck { id: asked, refused: vec![None] }).unwrap();
    assert_eq!(happened, Happened::Subscribed { filter: "f".into(), refused: None });
}

#[test]
fn no_more_is_in_flight_than_the_broker_takes() {
    for (maximum, takes) in [(1, 1), (100, 100), (u16::MAX, INFLIGHT)] {
        let mut session = Session::new(Granted { receive_maximum: maximum, ..Granted::default() });
        let mut ids = Vec::new();
        while session.has_room() {
            ids.push(publish(&mut session));
        }
        assert_eq!(ids.len(), takes);
        acknowledge(&mut session, ids[0]);
        assert!(session.has_room());
    }
}

#[test]
fn what_is_received_is_answered_by_its_qos() {
    let mut session = Session::default();
    let message = Received { topic: "t".into(), payload: vec![1], retain: false };
    let mut take = |qos, id| {
        let (happened, answer) = session.take(Incoming::Publish { message: message.clone(), qos, id }).unwrap();
        (happened == Happened::Message(message.clone()), format!("{answer:?}"))
    };
    assert_eq!(take(0, 0), (true, "None".into()));
    assert_eq!(take(1, 7), (true, "Some(PubAck(7))".into()));
    assert_eq!(take(2, 8), (true, "Some(PubRec(8))".into()));
    assert_eq!(take(2, 8), (false, "Some(PubRec(8))".into()), "delivered once");
    let (_, answer) = session.take(Incoming::PubRel { id: 8 }).unwrap();
    assert!(matches!(answer, Some(Outgoing::PubComp(8))));
    let (happened, _) = session.take(Incoming::Publish { message: message.clone(), qos: 2, id: 8 }).unwrap();
    assert_eq!(happened, Happened::Message(message), "the id is free again");
}

#[test]
fn odd_answers_do_no_harm_or_end_the_connection() {
    let mut session = Session::default();
    let nothing =
        |taken: Result<(Happened, Option<Outgoing>), WireError>| matches!(taken, Ok((Happened::Nothing, None)));
    assert!(nothing(session.take(Incoming::SubAck { id: 5, refused: vec![] })));
    assert!(nothing(session.take(Incoming::UnsubAck { id: 5 })));
    assert!(nothing(session.take(Incoming::Ping)));
    for answers in [vec![], vec![None, None]] {
        let Outgoing::Subscribe(_, id) = session.request(Request::Subscribe("f".into())) else { panic!() };
        let taken = session.take(Incoming::SubAck { id, refused: answers });
        assert!(matches!(taken, Err(WireError::Protocol(_))), "{taken:?}");
    }
    let id = publish(&mut session);
    let (happened, _) = session.take(Incoming::PubAck { id, refused: Some("no".into()) }).unwrap();
    let refused = Refused { topic: "t".into(), reason: "no".into() };
    assert_eq!(happened, Happened::Acknowledged { id, refused: Some(refused) });
    let taken = session.take(Incoming::Disconnect { code: 0x8e, reason: None });
    assert!(matches!(taken, Err(WireError::Disconnected { code: 0x8e, .. })));
}

#[test]
fn a_broker_without_retained_messages_is_sent_none_and_pings_need_an_answer() {
    let mut session = Session::new(Granted { retains: false, ..Granted::default() });
    let Outgoing::Publish(publication, _) = session.request(Request::Publish(publication(), Origin::Queue)) else {
        panic!()
    };
    assert!(!publication.retain);
    assert!(session.ping(false).is_ok());
    assert!(session.ping(true).is_ok(), "something came");
    session.take(Incoming::Ping).unwrap();
    assert!(session.ping(false).is_ok());
    assert!(matches!(session.ping(false), Err(WireError::Silent)));
}
