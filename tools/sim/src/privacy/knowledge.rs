//! What each node has seen, and whether it can tell from it who is where.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;

use toktok_mesh::{PublicKey, Time};

use super::atoms::{self, Atom};
use super::reading::Part;
use crate::kernel::NodeIndex;

/// Names a person of the simulation.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Person(pub usize);

/// What some known bytes tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mark {
    Identity(Person),
    DhtKey(Person),
}

/// One thing that a node saw.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) at: Time,
    /// What it was, for the report.
    pub(super) what: &'static str,
    pub(super) kind: u8,
    /// By these it is recognised as a part of the same story as others.
    pub(super) atoms: Vec<Atom>,
    /// Persons whose identity stands in it.
    identities: Vec<Person>,
    /// Persons whose own packet it was, from their own address, or whose DHT key stands in it.
    places: Vec<Person>,
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:02x}", self.at, self.what, self.kind)?;
        self.identities.iter().try_for_each(|person| write!(f, " identity-{}", person.0))?;
        self.places.iter().try_for_each(|person| write!(f, " place-{}", person.0))
    }
}

/// A node that can tell that who has an identity is, or seeks, who is at a place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// The node.
    pub node: NodeIndex,
    /// Whose identity.
    pub identity: Person,
    /// Whose address or DHT key: the same person's, or one's that looks for it.
    pub place: Person,
    /// From one sight to the other, each of which shares bytes with the next.
    pub chain: Vec<String>,
}

#[derive(Debug, Default)]
struct Facts {
    host: Option<NodeIndex>,
    /// Persons that this one has made friends: they may know.
    friends: BTreeSet<Person>,
}

/// All nodes' knowledge, kept apart.
#[derive(Debug, Default)]
pub struct Watch {
    people: Vec<Facts>,
    /// By the first half of the key.
    marks: HashMap<[u8; 16], Mark>,
    /// Windows of DHT keys: everybody knows them all.
    public: HashSet<Atom>,
    sights: BTreeMap<NodeIndex, Vec<Sight>>,
    /// Packets and hellos that persons made, by their hash.
    origins: HashMap<u64, Person>,
    numbers: u64,
}

impl Watch {
    /// A person with this identity comes to live at `host`.
    pub fn add_person(&mut self, host: NodeIndex, identity: PublicKey) -> Person {
        let person = Person(self.people.len());
        self.people.push(Facts { host: Some(host), ..Facts::default() });
        self.mark(identity, Mark::Identity(person));
        person
    }

    /// `person` has made `friend` a friend: that one may know where `person` is.
    pub fn add_friend(&mut self, person: Person, friend: Person) {
        self.people[person.0].friends.insert(friend);
    }

    /// A node has this DHT key from now on; it is a person's if one is named.
    pub(super) fn add_dht_key(&mut self, key: PublicKey, owner: Option<Person>) {
        self.public.extend(atoms::windows(key.as_bytes()));
        if let Some(person) = owner {
            self.mark(key, Mark::DhtKey(person));
        }
    }

    /// The identity of a leaky person may be its DHT key too: then the identity counts.
    fn mark(&mut self, key: PublicKey, mark: Mark) {
        if let Some(half) = key.as_bytes().first_chunk() {
            self.marks.entry(*half).or_insert(mark);
        }
    }

    /// A number that was not given before.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A person made these bytes and sends them itself.
    pub(super) fn note_origin(&mut self, person: Person, bytes: &[u8]) {
        self.origins.insert(atoms::hash_all(bytes), person);
    }

    /// The person that made these bytes and sent them here itself.
    pub(super) fn origin(&self, bytes: &[u8]) -> Option<Person> {
        self.origins.get(&atoms::hash_all(bytes)).copied()
    }

    /// A node sees something. `origin` is the person from whose own address it came.
    pub(super) fn see(
        &mut self,
        node: NodeIndex,
        (at, what, kind): (Time, &'static str, u8),
        parts: &[Part],
        mut own_atoms: Vec<Atom>,
        origin: Option<Person>,
    ) {
        let (mut identities, mut places) = (BTreeSet::new(), BTreeSet::from_iter(origin));
        for part in parts {
            for window in part.bytes.windows(16).filter_map(|window| window.first_chunk()) {
                match self.marks.get(window) {
                    Some(Mark::Identity(person)) => drop(identities.insert(*person)),
                    Some(Mark::DhtKey(person)) if !part.is_directory => {
                        places.insert(*person);
                    }
                    _ => {}
                }
            }
            if !part.is_directory {
                atoms::of(&part.bytes, &mut own_atoms);
            }
        }
        own_atoms.retain(|atom| !self.public.contains(atom));
        let is_dull = kind < 0x10 && identities.is_empty() && places.is_empty();
        if !is_dull {
            let (identities, places) =
                (identities.into_iter().collect(), places.into_iter().collect());
            let sight = Sight { at, what, kind, atoms: own_atoms, identities, places };
            self.sights.entry(node).or_default().push(sight);
        }
    }

    /// How much was seen in all.
    pub fn sight_count(&self) -> usize {
        self.sights.values().map(Vec::len).sum()
    }

    /// How many nodes saw an identity, and how many the place of a person: a check that sees neither
    /// says nothing.
    pub fn witnesses(&self) -> (usize, usize) {
        let count = |sees: fn(&Sight) -> bool| {
            self.sights.values().filter(|sights| sights.iter().any(sees)).count()
        };
        (count(|sight| !sight.identities.is_empty()), count(|sight| !sight.places.is_empty()))
    }

    /// True if the one at `node` may know who and where these are.
    fn may_know(&self, node: NodeIndex, identity: Person, place: Person) -> bool {
        [identity, place].iter().any(|person| {
            let facts = &self.people[person.0];
            let is_at = |person: &Person| self.people[person.0].host == Some(node);
            facts.host == Some(node) || facts.friends.iter().any(is_at)
        })
    }

    /// Every link that somebody can make who is no friend: one a node and pair of persons.
    pub fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        for (node, sights) in &self.sights {
            let stories = Stories::of(sights);
            for (identity, place) in stories.pairs(sights) {
                if !self.may_know(*node, identity, place) {
                    let chain = stories.chain(sights, identity, place);
                    links.push(Link { node: *node, identity, place, chain });
                }
            }
        }
        links
    }
}

/// Sights of one node, put together by their atoms.
struct Stories {
    /// Of each sight one that stands for its story.
    parents: Vec<usize>,
}

impl Stories {
    fn of(sights: &[Sight]) -> Self {
        let mut stories = Self { parents: (0..sights.len()).collect() };
        let mut first: HashMap<Atom, usize> = HashMap::new();
        for (index, sight) in sights.iter().enumerate() {
            for atom in &sight.atoms {
                let other = *first.entry(*atom).or_insert(index);
                let (one, other) = (stories.root(index), stories.root(other));
                stories.parents[one.max(other)] = one.min(other);
            }
        }
        for index in 0..sights.len() {
            stories.parents[index] = stories.root(index);
        }
        stories
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.parents[index] != index {
            self.parents[index] = self.parents[self.parents[index]];
            index = self.parents[index];
        }
        index
    }

    /// Identities and places that stand in one story.
    fn pairs(&self, sights: &[Sight]) -> BTreeSet<(Person, Person)> {
        let mut marks: BTreeMap<usize, (BTreeSet<Person>, BTreeSet<Person>)> = BTreeMap::new();
        for (index, sight) in sights.iter().enumerate() {
            if !sight.identities.is_empty() || !sight.places.is_empty() {
                let (identities, places) = marks.entry(self.parents[index]).or_default();
                identities.extend(&sight.identities);
                places.extend(&sight.places);
            }
        }
        let pairs = marks.values().flat_map(|(identities, places)| {
            identities.iter().flat_map(|identity| places.iter().map(|place| (*identity, *place)))
        });
        pairs.collect()
    }

    /// The shortest way from a sight of the identity to one of the place.
    fn chain(&self, sights: &[Sight], identity: Person, place: Person) -> Vec<String> {
        let mut holders: HashMap<Atom, Vec<usize>> = HashMap::new();
        for (index, sight) in sights.iter().enumerate() {
            sight.atoms.iter().for_each(|atom| holders.entry(*atom).or_default().push(index));
        }
        let is_start = |index: &usize| sights[*index].identities.contains(&identity);
        let mut queue: VecDeque<usize> = (0..sights.len()).filter(is_start).collect();
        let mut came_from: BTreeMap<usize, usize> =
            queue.iter().map(|index| (*index, *index)).collect();
        while let Some(index) = queue.pop_front() {
            if sights[index].places.contains(&place) {
                return way_to(index, &came_from, sights);
            }
            for other in sights[index].atoms.iter().flat_map(|atom| &holders[atom]) {
                if !came_from.contains_key(other) {
                    came_from.insert(*other, index);
                    queue.push_back(*other);
                }
            }
        }
        Vec::new()
    }
}

/// What lies between the beginning of a search and where it came to.
fn way_to(mut index: usize, came_from: &BTreeMap<usize, usize>, sights: &[Sight]) -> Vec<String> {
    let mut chain = vec![sights[index].to_string()];
    while came_from[&index] != index {
        index = came_from[&index];
        chain.push(sights[index].to_string());
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use toktok_mesh::Rng;

    const NODE: NodeIndex = NodeIndex(7);

    struct World {
        watch: Watch,
        rng: Rng,
        alice: Person,
        identity: PublicKey,
    }

    impl World {
        fn new() -> Self {
            let (mut watch, mut rng) = (Watch::default(), Rng::from_seed([1; 32]));
            let identity = PublicKey(rng.bytes());
            let alice = watch.add_person(NodeIndex(0), identity);
            Self { watch, rng, alice, identity }
        }

        fn see(&mut self, node: NodeIndex, bytes: &[u8], origin: Option<Person>) {
            let part = Part { bytes: bytes.to_vec(), is_directory: false };
            self.watch.see(node, (Time::ZERO, "saw", 0x80), &[part], Vec::new(), origin);
        }
    }

    #[test]
    fn two_sights_are_a_link_only_if_others_join_them() {
        let mut world = World::new();
        let (one, other): ([u8; 24], [u8; 24]) = (world.rng.bytes(), world.rng.bytes());
        let (alice, identity) = (world.alice, *world.identity.as_bytes());
        world.see(NODE, &[&identity[..], &one[..]].concat(), None);
        world.see(NODE, &other, Some(alice));
        assert_eq!(world.watch.links(), []);
        world.see(NodeIndex(8), &[&one[..], &other[..]].concat(), None);
        assert_eq!(world.watch.links(), [], "another node's knowledge is its own");
        world.see(NODE, &[&one[..], &[0; 9][..], &other[..]].concat(), None);
        let links = world.watch.links();
        assert_eq!(links.len(), 1);
        assert_eq!((links[0].node, links[0].identity, links[0].place), (NODE, alice, alice));
        assert_eq!(links[0].chain.len(), 3);
    }

    #[test]
    fn friends_and_oneself_may_know() {
        let mut world = World::new();
        let (alice, identity) = (world.alice, *world.identity.as_bytes());
        let bob = world.watch.add_person(NODE, PublicKey([9; 32]));
        world.see(NODE, &identity, Some(alice));
        world.see(NodeIndex(0), &identity, Some(alice));
        assert_eq!(world.watch.links().len(), 1);
        world.watch.add_friend(bob, alice);
        assert_eq!(world.watch.links().len(), 1, "alice did not choose bob");
        world.watch.add_friend(alice, bob);
        assert_eq!(world.watch.links(), []);
    }

    #[test]
    fn a_dht_key_is_a_place_but_a_list_of_nodes_is_none() {
        let mut world = World::new();
        let key = PublicKey(world.rng.bytes());
        world.watch.add_dht_key(key, Some(world.alice));
        let bytes = [&world.identity.as_bytes()[..], &key.as_bytes()[..]].concat();
        let list = Part { bytes, is_directory: true };
        world.watch.see(
            NODE,
            (Time::ZERO, "saw", 0x04),
            core::slice::from_ref(&list),
            Vec::new(),
            None,
        );
        assert_eq!(world.watch.links(), []);
        world.see(NODE, &list.bytes, None);
        assert_eq!(world.watch.links().len(), 1);
    }
}
