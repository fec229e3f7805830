//! Who is greeted when, what is believed, and what is bounded.

use super::*;

fn peer(region: &str, name: &str, port: u16) -> Peer {
    Peer {
        region: region.to_owned(),
        name: name.to_owned(),
        id: format!("id-{region}-{name}"),
        address: format!("10.0.0.1:{port}"),
        datacenter: "dc1".to_owned(),
        build: "2.0.5".to_owned(),
        serf_port: 4648,
    }
}

fn from(peer: &Peer, others: &[Peer]) -> Greeting {
    Greeting { from: peer.clone(), others: others.to_vec() }
}

fn at(seconds: u64) -> Monotonic {
    Monotonic(seconds * 1_000_000_000)
}

fn greet(address: &str) -> Action {
    Action::Greet(address.to_owned())
}

fn regions() -> Regions {
    Regions::new(peer("west", "w", 1), Duration::from_secs(30), 7)
}

#[test]
fn one_side_that_is_told_of_the_other_is_enough() {
    let (west, east) = (peer("west", "w", 1), peer("east", "e", 2));
    let (mut of_west, mut of_east) = (regions(), Regions::new(east.clone(), Duration::from_secs(30), 8));
    assert_eq!(of_west.handle(at(0), Event::Configured(vec!["east.example:2".to_owned()])), [greet("east.example:2")]);
    let answer = of_east.visited(at(0), of_west.greeting()).unwrap();
    // What was heard counts once it was checked at the address that was told.
    assert_eq!(of_east.names(), ["east"]);
    assert_eq!(of_east.next_deadline(), Some(at(0)));
    assert_eq!(of_east.handle(at(0), Event::Tick), [greet("10.0.0.1:1")]);
    assert_eq!(of_west.handle(at(0), Event::Answered("east.example:2".to_owned(), answer)), [Action::Reached(east)]);
    let answer = of_west.visited(at(0), of_east.greeting()).unwrap();
    assert_eq!(of_east.handle(at(0), Event::Answered("10.0.0.1:1".to_owned(), answer)), [Action::Reached(west)]);
    for regions in [&of_west, &of_east] {
        assert_eq!(regions.names(), ["east", "west"]);
    }
    // The one that is reached already is not looked for at its other address.
    assert_eq!((of_west.ways("east"), of_east.ways("west")), (vec!["east.example:2".to_owned()], vec!["10.0.0.1:1".to_owned()]));
    assert_eq!((of_west.named_ways("east").len(), of_east.named_ways("west").len()), (1, 0));
    assert_eq!(of_west.next_deadline(), Some(at(3)));
}

#[test]
fn a_lost_server_is_tried_again_ever_less_often_and_told_once() {
    let east = peer("east", "e", 2);
    let mut regions = regions();
    let address = || "10.0.0.1:2".to_owned();
    regions.handle(at(0), Event::Configured(vec![address()]));
    regions.handle(at(0), Event::Answered(address(), from(&east, &[])));
    let lost = regions.handle(at(3), Event::Failed(address(), "gone".to_owned()));
    assert_eq!(lost, [Action::Lost(east.clone(), "gone".to_owned())]);
    assert_eq!((regions.names(), regions.ways("east")), (vec!["west".to_owned()], vec![]));
    assert_eq!(regions.members(), [Member { peer: east.clone(), reached: false }]);
    let mut pauses = Vec::new();
    let mut now = at(3);
    for _ in 0..10 {
        let next = regions.next_deadline().unwrap();
        pauses.push(next.since(now).as_secs());
        now = next;
        assert_eq!(regions.handle(now, Event::Tick), [greet("10.0.0.1:2")]);
        assert_eq!(regions.handle(now, Event::Failed(address(), "gone".to_owned())), []);
    }
    assert_eq!(pauses[0], 1);
    assert!(pauses.is_sorted_by_key(|pause| (*pause).min(30)) && pauses[9] >= 30 && pauses[9] <= 38, "{pauses:?}");
    // It need not wait for the next try when it comes back and says so itself.
    regions.visited(now, from(&east, &[])).unwrap();
    assert_eq!(regions.handle(now, Event::Tick), [greet("10.0.0.1:2")]);
    let again = regions.handle(now, Event::Answered(address(), from(&east, &[])));
    assert_eq!((again, regions.names()), (vec![Action::Reached(east)], vec!["east".to_owned(), "west".to_owned()]));
}

#[test]
fn what_others_tell_is_only_believed_at_the_address_itself() {
    let (east, north) = (peer("east", "e", 2), peer("north", "n", 3));
    let mut regions = regions();
    regions.handle(at(0), Event::Configured(vec!["10.0.0.1:2".to_owned()]));
    let actions = regions.handle(at(0), Event::Answered("10.0.0.1:2".to_owned(), from(&east, std::slice::from_ref(&north))));
    assert_eq!(actions, [Action::Reached(east.clone()), greet("10.0.0.1:3")]);
    assert_eq!(regions.names(), ["east", "west"]);
    // Somebody else is there: nothing that was asked for.
    let other = Peer { address: "10.0.0.1:3".to_owned(), ..peer("south", "s", 3) };
    assert_eq!(regions.handle(at(1), Event::Answered("10.0.0.1:3".to_owned(), from(&other, &[]))), []);
    assert_eq!(regions.members().len(), 1);
    // The configuration's own come first where several lead to a region.
    let second = peer("east", "a", 9);
    regions.visited(at(2), from(&second, &[])).unwrap();
    regions.handle(at(2), Event::Answered("10.0.0.1:9".to_owned(), from(&second, &[])));
    assert_eq!(regions.ways("east"), ["10.0.0.1:2", "10.0.0.1:9"]);
    assert_eq!(regions.named_ways("east"), ["10.0.0.1:2"]);
    // And of the others, who was there before comes before.
    let early = Peer { address: "10.0.0.0:1".to_owned(), ..peer("east", "b", 1) };
    regions.visited(at(3), from(&early, &[])).unwrap();
    regions.handle(at(3), Event::Answered("10.0.0.0:1".to_owned(), from(&early, &[])));
    regions.handle(at(6), Event::Answered("10.0.0.1:9".to_owned(), from(&second, &[])));
    assert_eq!(regions.ways("east"), ["10.0.0.1:2", "10.0.0.1:9", "10.0.0.0:1"]);
}

#[test]
fn nonsense_is_refused_and_what_is_kept_is_bounded() {
    let mut regions = regions();
    let refused = regions.visited(at(0), from(&peer("west", "second", 5), &[])).unwrap_err();
    assert!(refused.text.contains("region west has server w already"), "{refused}");
    for wrong in [
        Peer { region: String::new(), ..peer("east", "e", 2) },
        Peer { region: "a/b".to_owned(), ..peer("east", "e", 2) },
        Peer { address: "nowhere".to_owned(), ..peer("east", "e", 2) },
        Peer { name: "x".repeat(1_000), ..peer("east", "e", 2) },
        Peer { id: "a b".to_owned(), ..peer("east", "e", 2) },
    ] {
        assert!(regions.visited(at(0), from(&wrong, &[])).is_err(), "{wrong:?}");
    }
    // It may be named in its own configuration.
    assert!(regions.visited(at(0), from(&peer("west", "w", 1), &[])).is_ok());
    regions.handle(at(0), Event::Configured(vec!["10.0.0.1:1".to_owned(), "10.0.0.1:5".to_owned()]));
    assert_eq!(regions.handle(at(0), Event::Answered("10.0.0.1:1".to_owned(), from(&peer("west", "w", 1), &[]))), []);
    // Another one of this region is told of once, and tried again all the same.
    let twice: Vec<Action> = (0..2)
        .flat_map(|_| regions.handle(at(0), Event::Answered("10.0.0.1:5".to_owned(), from(&peer("west", "second", 5), &[]))))
        .collect();
    assert!(matches!(&twice[..], [Action::Useless(address, _)] if address == "10.0.0.1:5"), "{twice:?}");
    let many: Vec<Peer> = (1_000..3_000).map(|port| peer("east", "e", port)).collect();
    regions.visited(at(1), from(&peer("east", "e", 2), &many)).unwrap();
    assert!(regions.links.len() <= PEERS_MAX);
    // Those that never answer are forgotten in the end.
    for address in regions.links.keys().cloned().collect::<Vec<_>>() {
        regions.handle(at(1) + DOUBTED_AFTER, Event::Failed(address.clone(), "gone".to_owned()));
    }
    assert_eq!(regions.links.len(), 1, "only the configured one is left");
}
