//! A map that forgets what was used longest ago.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

#[derive(Debug)]
pub(super) struct Recent<K, V> {
    most: usize,
    entries: HashMap<K, (u64, V)>,
    /// Keys by when they were used last.
    by_use: BTreeMap<u64, K>,
    uses: u64,
}

impl<K: Hash + Eq + Copy, V> Recent<K, V> {
    /// An empty map of at most so many entries.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// An entry that is there; does not count as a use.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// Uses an entry; makes it where there is none.
    pub(super) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.uses = self.uses.saturating_add(1);
        match self.entries.get(&key) {
            Some((used, _)) => {
                self.by_use.remove(used);
            }
            None if self.entries.len() >= self.most => {
                if let Some((_, oldest)) = self.by_use.pop_first() {
                    self.entries.remove(&oldest);
                }
            }
            None => {}
        }
        self.by_use.insert(self.uses, key);
        let (used, value) = self.entries.entry(key).or_insert_with(|| (0, make()));
        *used = self.uses;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_is_forgotten_first() {
        let mut recent = Recent::new(2);
        *recent.entry('a', || 0) = 1;
        *recent.entry('b', || 0) = 2;
        recent.entry('a', || 0);
        *recent.entry('c', || 0) = 3;
        assert_eq!(recent.get_mut(&'a'), Some(&mut 1));
        assert_eq!(recent.get_mut(&'b'), None);
        assert_eq!(recent.get_mut(&'c'), Some(&mut 3));
        assert_eq!((recent.entries.len(), recent.by_use.len()), (2, 2));
    }
}
