//! Hash tables with the crate's hasher: fast, seeded at random.

/// A table.
pub(crate) type HashMap<K, V> = hashbrown::HashMap<K, V, foldhash::fast::RandomState>;

/// A set.
pub(crate) type HashSet<T> = hashbrown::HashSet<T, foldhash::fast::RandomState>;
