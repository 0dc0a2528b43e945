use super::*;
use crate::dht::Neighbour;
use crate::onion::client::config::OWN_PATHS;
use crate::wire::Decode;
use crate::wire::onion::ReturnPath;

const NOW: Time = Time::from_secs(1_000);

struct World {
    rng: Rng,
    pool: Pool,
    relays: Vec<PublicKey>,
    allow_short: bool,
    pairs: Vec<KeyPair>,
}

fn address(number: usize) -> Address {
    Address::udp(([198, 18, 0, number as u8], 33445).into())
}

fn neighbour(pair: &KeyPair, number: usize) -> Neighbour {
    Neighbour { key: pair.public, address: address(number), alive: NOW }
}

impl World {
    /// A pool of so many nodes.
    fn new(count: usize) -> Self {
        let mut rng = Rng::from_seed([1; 32]);
        let pairs: Vec<_> = (0..count).map(|_| KeyPair::generate(&mut rng)).collect();
        let mut pool = Pool::new(PublicKey([0; 32]), false);
        let nodes = pairs.iter().enumerate().map(|(i, pair)| neighbour(pair, i));
        pool.offer(NOW, &mut rng, nodes);
        Self { rng, pool, relays: Vec::new(), allow_short: false, pairs }
    }

    fn node(&self, number: usize) -> Node {
        Node::new(self.pairs[number].public, &address(number)).unwrap()
    }

    fn choose<'a>(
        &mut self,
        paths: &'a mut Paths,
        now: Time,
        destination: &Node,
        wish: Wish,
    ) -> Option<&'a Path> {
        let mut ground = Ground {
            rng: &mut self.rng,
            pool: &mut self.pool,
            relays: &self.relays,
            allow_short: self.allow_short,
        };
        paths.choose(now, &mut ground, destination, wish)
    }

    fn secret_of(&self, node: &Node) -> &KeyPair {
        self.pairs.iter().find(|pair| pair.public == node.key).unwrap()
    }
}

#[test]
fn paths_have_three_distinct_nodes_none_of_them_at_the_end() {
    let mut world = World::new(6);
    let mut paths = Paths::new(OWN_PATHS);
    for round in 0..200 {
        let destination = world.node(round % 6);
        let path = world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap();
        assert_eq!(path.hops.len(), 3);
        assert_ne!(path.hops[0], path.hops[1]);
        assert_ne!(path.hops[1], path.hops[2]);
        assert_ne!(path.hops[0], path.hops[2]);
        assert!(!path.hops.contains(&destination));
        assert_eq!(path.first, FirstHop::Udp(path.hops[0].address()));
    }
    assert_eq!(paths.paths.len(), OWN_PATHS);
}

#[test]
fn four_nodes_are_needed_unless_short_paths_are_allowed() {
    let mut world = World::new(3);
    let mut paths = Paths::new(OWN_PATHS);
    let destination = world.node(0);
    assert!(world.choose(&mut paths, NOW, &destination, Wish::Any).is_none());
    world.allow_short = true;
    let path = world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap();
    let id = path.id;
    assert!(!path.hops.contains(&destination), "two others are enough");
    assert!(path.hops.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(world.choose(&mut paths, NOW, &destination, Wish::This(id)).unwrap().id, id);

    let (mut world, mut paths) = (World::new(2), Paths::new(OWN_PATHS));
    world.allow_short = true;
    let path = world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap();
    assert_eq!(path.hops, [world.node(1), destination, world.node(1)]);

    let (mut world, mut paths) = (World::new(1), Paths::new(OWN_PATHS));
    world.allow_short = true;
    for _ in 0..200 {
        let path = world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap();
        assert_eq!(path.hops, [destination; 3]);
    }
    assert_eq!(paths.paths.len(), OWN_PATHS, "such a path serves again");
    let (mut world, mut paths) = (World::new(0), Paths::new(OWN_PATHS));
    world.allow_short = true;
    let path = world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap();
    assert_eq!(path.hops, [destination; 3]);
}

#[test]
fn first_and_third_hops_are_of_different_sides_as_soon_as_enough_nodes_are_known() {
    let (mut world, mut paths) = (World::new(32), Paths::new(OWN_PATHS));
    assert!(world.pool.has_both_sides(world.node(0).kind()));
    for round in 0..200 {
        let destination = world.node(round % 32);
        let path = world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap();
        assert_eq!((path.hops[0].side(), path.hops[2].side()), (Side::Entry, Side::Exit));
    }
    let is_entry = |pair: &&KeyPair| Side::of(&pair.public) == Side::Entry;
    let mut poor = World::new(0);
    poor.pairs = world.pairs.iter().filter(is_entry).take(5).cloned().collect();
    let nodes: Vec<_> = poor.pairs.iter().enumerate().map(|(i, pair)| neighbour(pair, i)).collect();
    poor.pool.offer(NOW, &mut poor.rng, nodes.into_iter());
    let (mut paths, destination) = (Paths::new(1), poor.node(0));
    let makeshift = poor.choose(&mut paths, NOW, &destination, Wish::Any).unwrap().id;
    assert_eq!(poor.choose(&mut paths, NOW, &destination, Wish::Any).unwrap().id, makeshift);
    let more = world.pairs.iter().enumerate().map(|(i, pair)| neighbour(pair, 50 + i));
    poor.pool.offer(NOW, &mut poor.rng, more);
    let path = poor.choose(&mut paths, NOW, &destination, Wish::This(makeshift)).unwrap();
    assert!(path.id != makeshift && path.keeps_sides());
}

#[test]
fn a_relay_is_not_asked_through_itself() {
    let (mut world, mut paths) = (World::new(6), Paths::new(OWN_PATHS));
    let (relay, other) = (world.node(0), world.node(1));
    world.relays = vec![relay.key];
    assert!(world.choose(&mut paths, NOW, &relay, Wish::Any).is_none());
    let path = world.choose(&mut paths, NOW, &other, Wish::Any).unwrap();
    let id = path.id;
    assert_eq!(path.first, FirstHop::Relay(relay.key));
    assert!(world.choose(&mut paths, NOW, &relay, Wish::This(id)).is_none());
    world.relays.push(other.key);
    let path = world.choose(&mut paths, NOW, &relay, Wish::This(id)).unwrap();
    assert_eq!(path.first, FirstHop::Relay(other.key));
    let (mut alone, mut paths) = (World::new(6), Paths::new(OWN_PATHS));
    (alone.relays, alone.allow_short) = (vec![relay.key], true);
    let path = alone.choose(&mut paths, NOW, &relay, Wish::Any).unwrap();
    assert_eq!(path.first, FirstHop::Relay(relay.key), "only where short paths are allowed");
}

#[test]
fn each_hop_opens_its_own_layer() {
    let mut world = World::new(5);
    let destination = world.node(0);
    let request = [0x83; 177];
    let mut paths = Paths::new(1);
    let path = world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap();
    let mut packet = path.wrap(&mut Rng::from_seed([9; 32]), &destination, &request);
    for (number, hop) in Hop::ALL.into_iter().enumerate() {
        let (header, boxed, _) = SendHeader::split(&mut packet).unwrap();
        assert_eq!(header.hop, hop);
        let pair = world.secret_of(&path.hops[number]);
        let shared = pair.secret.shared_key(&header.key);
        let plain = shared.open_in_place(&header.nonce, boxed).unwrap();
        if hop == Hop::Third {
            let last = LastLayer::from_bytes(plain).unwrap();
            assert_eq!(
                last,
                LastLayer { destination: IpPort::udp(destination.endpoint), request: &request }
            );
            break;
        }
        let layer = Layer::from_bytes(plain).unwrap();
        assert_eq!(layer.next, IpPort::udp(path.hops[number + 1].endpoint));
        let next = SendHeader { hop: Hop::ALL[number + 1], nonce: header.nonce, key: layer.key };
        let mut onward = next.to_bytes();
        onward.extend_from_slice(layer.boxed);
        onward.extend_from_slice(&vec![0; hop.return_len()]);
        assert!(ReturnPath::from_slice(&vec![0; hop.return_len()]).is_some());
        packet = onward;
    }
}

#[test]
fn behind_a_relay_two_more_nodes_follow_and_never_the_relay_itself() {
    let mut world = World::new(4);
    let (destination, relay) = (world.node(0), world.node(1).key);
    let mut paths = Paths::new(1);
    world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap();
    world.relays = vec![relay];
    let path = world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap();
    assert_eq!(path.first, FirstHop::Relay(relay), "the path by UDP is given up");
    assert_eq!(path.hops.len(), 2);
    assert!(path.hops.iter().all(|hop| hop.key != relay && *hop != destination));
    let packet = path.wrap(&mut Rng::from_seed([9; 32]), &destination, &[0x83; 177]);
    let RelayPacket::OnionRequest { nonce, next, key, boxed } =
        RelayPacket::from_bytes(&packet).unwrap()
    else {
        panic!("an onion request");
    };
    assert_eq!(next, IpPort::udp(path.hops[0].endpoint));
    let shared = world.secret_of(&path.hops[0]).secret.shared_key(&key);
    assert!(shared.open(&nonce, boxed).is_ok());
    world.relays.clear();
    let path = world.choose(&mut paths, NOW, &destination, Wish::Any);
    assert!(matches!(path.map(|path| path.first), Some(FirstHop::Udp(_))));
}

#[test]
fn a_path_that_misses_answers_is_replaced_and_its_nodes_are_drawn_last() {
    let mut world = World::new(10);
    let destination = world.node(0);
    let mut paths = Paths::new(1);
    let (id, first, hops) = {
        let path = world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap();
        (path.id, path.first, path.hops.clone())
    };
    paths.missed(id, true);
    paths.answered(id, &mut world.pool);
    for _ in 1..PATH_MISSES {
        paths.missed(id, true);
    }
    assert_eq!(world.choose(&mut paths, NOW, &destination, Wish::This(id)).unwrap().id, id);
    paths.missed(id, true);
    let next = world.choose(&mut paths, NOW, &destination, Wish::This(id)).unwrap();
    assert_ne!(next.id, id);
    assert!(next.hops.iter().all(|hop| !hops.contains(hop)));
    let id = next.id;
    for _ in 0..NEW_PATH_MISSES {
        paths.missed(id, true);
    }
    assert_ne!(world.choose(&mut paths, NOW, &destination, Wish::This(id)).unwrap().id, id);
    assert!(paths.leads_from(NOW, &first), "data may still come along it");
    assert!(!paths.leads_from(NOW + PATH_ECHO, &first));
}

#[test]
fn a_path_lives_20_minutes() {
    let mut world = World::new(10);
    let destination = world.node(0);
    let mut paths = Paths::new(1);
    let id = world.choose(&mut paths, NOW, &destination, Wish::Any).unwrap().id;
    let end = NOW + PATH_LIFETIME;
    let before = end - core::time::Duration::from_secs(1);
    assert_eq!(world.choose(&mut paths, before, &destination, Wish::Any).unwrap().id, id);
    assert_ne!(world.choose(&mut paths, end, &destination, Wish::Any).unwrap().id, id);
}
