//! Posting lists: the ids that carry one label pair, in memory and as they stand on disk.
//!
//! Most label values belong to very few series and a few to very many. In memory a list is up to three ids in place or
//! a roaring bitmap; on disk it is one of the forms of [`Ids`], read in place. [`Union`] collects many lists into one set.

use roaring::RoaringBitmap;

use super::format::IndexError;

/// Ids kept in place before a bitmap is made.
const IN_PLACE: usize = 3;

/// A posting list in memory.
#[derive(Clone, Debug)]
pub(super) enum Posting {
    Few { len: u8, ids: [u32; IN_PLACE] },
    Many(Box<RoaringBitmap>),
}

impl Posting {
    pub(super) fn of(id: u32) -> Self {
        Self::Few { len: 1, ids: [id, 0, 0] }
    }

    fn few(&self) -> &[u32] {
        match self {
            Self::Few { len, ids } => &ids[..usize::from(*len)],
            Self::Many(_) => &[],
        }
    }

    /// Adds an id; false when it was there.
    pub(super) fn insert(&mut self, id: u32) -> bool {
        let at = match self {
            Self::Many(bitmap) => return bitmap.insert(id),
            Self::Few { .. } => match self.few().binary_search(&id) {
                Ok(_) => return false,
                Err(at) => at,
            },
        };
        if let Self::Few { len, ids } = self {
            let count = usize::from(*len);
            if count < IN_PLACE {
                ids.copy_within(at..count, at + 1);
                ids[at] = id;
                *len += 1;
                return true;
            }
        }
        let mut bitmap: RoaringBitmap = self.few().iter().copied().collect();
        bitmap.insert(id);
        *self = Self::Many(Box::new(bitmap));
        true
    }

    /// Removes an id; false when it was not there. The list may be empty afterwards.
    pub(super) fn remove(&mut self, id: u32) -> bool {
        match self {
            Self::Many(bitmap) => {
                let removed = bitmap.remove(id);
                if bitmap.len() <= IN_PLACE as u64 {
                    let mut ids = [0; IN_PLACE];
                    let mut len = 0;
                    for (slot, id) in ids.iter_mut().zip(bitmap.iter()) {
                        *slot = id;
                        len += 1;
                    }
                    *self = Self::Few { len, ids };
                }
                removed
            }
            Self::Few { len, ids } => {
                let count = usize::from(*len);
                let Some(at) = ids[..count].iter().position(|&i| i == id) else { return false };
                ids.copy_within(at + 1..count, at);
                *len -= 1;
                true
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few { len, .. } => *len == 0,
            Self::Many(bitmap) => bitmap.is_empty(),
        }
    }

    pub(super) fn ids(&self) -> Ids<'_> {
        match self {
            Self::Few { .. } => Ids::Few(self.few()),
            Self::Many(bitmap) => Ids::Bitmap(bitmap),
        }
    }

    /// Heap bytes, about.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Few { .. } => 0,
            Self::Many(bitmap) => {
                let containers = bitmap.statistics();
                // A container's head is about 40 bytes beside its content.
                let bytes = containers.n_bytes_array_containers
                    + containers.n_bytes_run_containers
                    + containers.n_bytes_bitset_containers;
                usize::try_from(bytes).unwrap_or(usize::MAX) + 32 + containers.n_containers as usize * 40
            }
        }
    }
}

/// A posting list, borrowed from an index.
#[derive(Clone, Copy, Debug)]
pub enum Ids<'a> {
    /// A single id.
    One(u32),
    /// Some ids, ascending.
    Few(&'a [u32]),
    /// A bitmap in memory.
    Bitmap(&'a RoaringBitmap),
    /// All ids below this number.
    Below(u32),
    /// Ids as varints of their distances, this many.
    Deltas(&'a [u8], u32),
    /// A bitmap in roaring's portable format, with this many ids.
    Roaring(&'a [u8], u32),
}

impl Ids<'_> {
    /// How many ids there are.
    pub fn len(&self) -> u64 {
        match *self {
            Ids::One(_) => 1,
            Ids::Few(ids) => ids.len() as u64,
            Ids::Bitmap(bitmap) => bitmap.len(),
            Ids::Below(count) | Ids::Deltas(_, count) | Ids::Roaring(_, count) => u64::from(count),
        }
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids as a set of their own.
    ///
    /// # Errors
    /// When bytes on disk are damaged.
    pub fn to_bitmap(&self) -> Result<RoaringBitmap, IndexError> {
        Ok(match *self {
            Ids::One(id) => std::iter::once(id).collect(),
            Ids::Few(ids) => ids.iter().copied().collect(),
            Ids::Bitmap(bitmap) => bitmap.clone(),
            Ids::Below(count) => (0..count).collect(),
            Ids::Deltas(bytes, count) => {
                let mut bitmap = RoaringBitmap::new();
                each_delta(bytes, count, |id| {
                    bitmap.insert(id);
                })?;
                bitmap
            }
            Ids::Roaring(bytes, _) => deserialize(bytes)?,
        })
    }

    /// Whether an id of the list is in `set`.
    ///
    /// # Errors
    /// As [`Ids::to_bitmap`].
    pub fn intersects(&self, set: &RoaringBitmap) -> Result<bool, IndexError> {
        Ok(match *self {
            Ids::One(id) => set.contains(id),
            Ids::Few(ids) => ids.iter().any(|&id| set.contains(id)),
            Ids::Bitmap(bitmap) => !bitmap.is_disjoint(set),
            Ids::Below(count) => set.min().is_some_and(|id| id < count),
            Ids::Deltas(bytes, count) => {
                let mut found = false;
                each_delta(bytes, count, |id| found |= set.contains(id))?;
                found
            }
            Ids::Roaring(bytes, _) => !deserialize(bytes)?.is_disjoint(set),
        })
    }
}

fn deserialize(bytes: &[u8]) -> Result<RoaringBitmap, IndexError> {
    RoaringBitmap::deserialize_from(bytes).map_err(|_| IndexError::Damaged("a posting list is no roaring bitmap"))
}

/// Calls `visit` with each id of a list of distances.
fn each_delta(mut bytes: &[u8], count: u32, mut visit: impl FnMut(u32)) -> Result<(), IndexError> {
    let mut next = 0u32;
    for _ in 0..count {
        let delta = super::format::read_varint32(&mut bytes)?;
        let id = next.checked_add(delta).ok_or(IndexError::Damaged("a posting list runs past the last id"))?;
        visit(id);
        next = id.saturating_add(1);
    }
    Ok(())
}

/// Collects posting lists into one set.
#[derive(Debug, Default)]
pub(super) struct Union {
    /// Ids of short lists, in no order.
    loose: Vec<u32>,
    bitmap: RoaringBitmap,
}

impl Union {
    pub(super) fn add(&mut self, ids: Ids<'_>) -> Result<(), IndexError> {
        match ids {
            Ids::One(id) => self.loose.push(id),
            Ids::Few(ids) => self.loose.extend_from_slice(ids),
            Ids::Bitmap(bitmap) => self.bitmap |= bitmap,
            Ids::Below(count) => {
                self.bitmap.insert_range(0..count);
            }
            Ids::Deltas(bytes, count) => each_delta(bytes, count, |id| self.loose.push(id))?,
            Ids::Roaring(bytes, _) => self.bitmap |= deserialize(bytes)?,
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> RoaringBitmap {
        self.loose.sort_unstable();
        self.loose.dedup();
        let loose = RoaringBitmap::from_sorted_iter(self.loose).unwrap_or_default();
        if self.bitmap.is_empty() { loose } else { self.bitmap | loose }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_like_a_set(changes in prop::collection::vec((any::<bool>(), 0u32..12), 1..60)) {
            let mut posting = Posting::of(100);
            let mut set = BTreeSet::from([100]);
            for (add, id) in changes {
                if add {
                    prop_assert_eq!(posting.insert(id), set.insert(id));
                } else {
                    prop_assert_eq!(posting.remove(id), set.remove(&id));
                }
                prop_assert_eq!(posting.ids().to_bitmap().unwrap(), set.iter().copied().collect::<RoaringBitmap>());
                prop_assert_eq!(posting.ids().len(), set.len() as u64);
                prop_assert_eq!(posting.is_empty(), set.is_empty());
            }
        }
    }
}
