//! A map that forgets old entries. It has two halves and drops the older one when the younger is full, so it
//! never holds more than twice `max` entries. A look-up costs as much as in a plain map, and the order of use
//! does not matter.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A map of two halves.
#[derive(Debug)]
pub struct Halves<K, V> {
    max: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Halves<K, V> {
    /// Creates an empty map with at most `max` entries in each half.
    pub fn new(max: usize) -> Self {
        Halves { max, young: HashMap::new(), old: HashMap::new() }
    }

    /// Returns the last value stored under `key`, if the map has not forgotten it.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Stores `value` under `key`.
    pub fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.max && !self.young.contains_key(&key) {
            self.grow_old();
        }
        self.young.insert(key, value);
    }

    /// Drops the older half. The younger half takes its place.
    pub fn grow_old(&mut self) {
        self.old = std::mem::take(&mut self.young);
    }

    /// Counts the entries of both halves. A key that is in both counts twice.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether the map has no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_the_oldest_go() {
        let mut map = Halves::new(2);
        map.put("a", 1);
        map.put("a", 2);
        map.put("b", 3);
        assert_eq!(map.get("a"), Some(&2));
        map.put("c", 4);
        map.put("a", 5);
        assert_eq!((map.get("a"), map.get("b"), map.get("c")), (Some(&5), Some(&3), Some(&4)));
        map.put("d", 6);
        assert_eq!((map.get("a"), map.get("b"), map.len()), (Some(&5), None, 3));
    }

    #[test]
    fn it_does_not_grow() {
        let mut map = Halves::new(10);
        (0..1000).for_each(|key| map.put(key, key));
        assert!(map.len() <= 20 && map.get(&0).is_none() && map.get(&999).is_some());
    }
}
