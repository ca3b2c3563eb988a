//! The connections over which nobody known has called yet, and which of them makes room for another.
//!
//! They cost the peer nothing but a socket, so whoever holds many of them must not keep others out: when room is
//! needed, the source with the most of them gives it, and there the connection that came first. A source that holds
//! fewer than others loses none, however many they hold.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

/// Where connections come from: an IPv4 address, or the 64 bits of an IPv6 address that name a network, since its owner
/// has all the addresses in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    V4(Ipv4Addr),
    V6Network(u64),
}

impl Source {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            // The low half is the host's own choice.
            IpAddr::V6(ip) => Self::V6Network((ip.to_bits() >> 64) as u64),
        }
    }
}

/// Newcomers by source, each with what is to be told when it must go. Ids are given in the order of arrival.
#[derive(Debug)]
pub(crate) struct Newcomers<T> {
    by_source: HashMap<Source, BTreeMap<u64, T>>,
    /// Number of newcomers and first of them, of each source: the last one gives room first.
    order: BTreeSet<(usize, Reverse<u64>, Source)>,
}

impl<T> Default for Newcomers<T> {
    fn default() -> Self {
        Self { by_source: HashMap::new(), order: BTreeSet::new() }
    }
}

impl<T> Newcomers<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_source.is_empty()
    }

    /// How many are of a source.
    pub(crate) fn count(&self, source: Source) -> usize {
        self.by_source.get(&source).map_or(0, BTreeMap::len)
    }

    pub(crate) fn add(&mut self, source: Source, id: u64, newcomer: T) {
        self.change(source, |of_source| of_source.insert(id, newcomer));
    }

    /// Takes one out, because it is known, gone or told to go.
    pub(crate) fn remove(&mut self, source: Source, id: u64) -> Option<T> {
        self.change(source, |of_source| of_source.remove(&id))
    }

    /// Those of a source, first the one that is to go first.
    pub(crate) fn of(&self, source: Source) -> impl Iterator<Item = (Source, u64, &T)> {
        let of_source = self.by_source.get(&source).into_iter().flatten();
        of_source.map(move |(id, newcomer)| (source, *id, newcomer))
    }

    /// All, first the one that is to go first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Source, u64, &T)> {
        self.order.iter().rev().flat_map(|(.., source)| self.of(*source))
    }

    fn change<R>(&mut self, source: Source, change: impl FnOnce(&mut BTreeMap<u64, T>) -> R) -> R {
        let of_source = self.by_source.entry(source).or_default();
        if let Some(place) = place_in_order(source, of_source) {
            self.order.remove(&place);
        }
        let result = change(of_source);
        match place_in_order(source, of_source) {
            Some(place) => drop(self.order.insert(place)),
            None => drop(self.by_source.remove(&source)),
        }
        result
    }
}

fn place_in_order<T>(source: Source, of_source: &BTreeMap<u64, T>) -> Option<(usize, Reverse<u64>, Source)> {
    of_source.keys().next().map(|first| (of_source.len(), Reverse(*first), source))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn source(ip: &str) -> Source {
        Source::of(ip.parse().unwrap())
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_a_mapped_address_is_its_own() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn the_source_with_the_most_goes_first_and_of_equals_the_one_that_came_first() {
        let mut newcomers = Newcomers::default();
        let (many, few, late) = (source("192.0.2.1"), source("192.0.2.9"), source("2001:db8::1"));
        for (id, source) in [(1, few), (2, many), (3, many), (4, late), (5, many)] {
            newcomers.add(source, id, ());
        }
        let mut gone = Vec::new();
        for _ in 0..5 {
            let (source, id) = newcomers.all().next().map(|(source, id, ())| (source, id)).unwrap();
            newcomers.remove(source, id).unwrap();
            gone.push(id);
        }
        assert_eq!(gone, [2, 3, 1, 4, 5]);
        assert!(newcomers.is_empty() && newcomers.order.is_empty());
    }

    proptest! {
        #[test]
        fn whoever_goes_is_the_oldest_of_a_source_that_none_exceeds(
            steps in proptest::collection::vec((any::<bool>(), 0u8..5, 0u64..40), 0..200)
        ) {
            let mut newcomers = Newcomers::default();
            let mut model: Vec<(Source, u64)> = Vec::new();
            for (arrives, host, id) in steps {
                let source = Source::V4(Ipv4Addr::new(192, 0, 2, host));
                if arrives {
                    // An id belongs to one connection.
                    if model.iter().all(|(_, known)| *known != id) {
                        newcomers.add(source, id, ());
                        model.push((source, id));
                    }
                } else {
                    let before = model.len();
                    model.retain(|known| *known != (source, id));
                    prop_assert_eq!(newcomers.remove(source, id).is_some(), model.len() < before);
                }
                let count = |of: Source| model.iter().filter(|(source, _)| *source == of).count();
                prop_assert_eq!(newcomers.count(source), count(source));
                prop_assert_eq!(newcomers.all().count(), model.len());
                let expected = model.iter().map(|(source, id)| (count(*source), Reverse(*id), *source));
                // Among the sources with the most, the one whose oldest is the oldest of all of them.
                let expected = expected.max().map(|(_, id, source)| (source, id.0));
                prop_assert_eq!(newcomers.all().next().map(|(source, id, ())| (source, id)), expected);
            }
        }
    }
}
