//! Places for the series of one shard: numbered, in pages that never move, used again after a series is gone.
//!
//! A place's generation changes whenever its series is removed, so that a reference kept for too long is noticed.

use model::Labels;

use super::series::Series;

/// Series in one page.
const PAGE: usize = 256;

/// Places that one shard can have.
pub(crate) const MAX_PLACES: u32 = 1 << 28;

#[derive(Default)]
pub(crate) struct Slab {
    pages: Vec<Vec<Place>>,
    free: Vec<u32>,
    len: usize,
}

struct Place {
    generation: u32,
    series: Option<Series>,
}

impl Slab {
    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts a series down; returns place and generation, or `None` when the shard is full.
    pub(crate) fn insert(&mut self, labels: Labels) -> Option<(u32, u32)> {
        let series = Series::new(labels);
        if let Some(at) = self.free.pop()
            && let Some(place) = self.place_mut(at)
        {
            place.series = Some(series);
            let generation = place.generation;
            self.len += 1;
            return Some((at, generation));
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            if self.pages.len() * PAGE >= MAX_PLACES as usize {
                return None;
            }
            self.pages.push(Vec::with_capacity(PAGE));
        }
        let number = self.pages.len() - 1;
        let page = self.pages.last_mut()?;
        let at = number * PAGE + page.len();
        page.push(Place { generation: 0, series: Some(series) });
        self.len += 1;
        Some((at as u32, 0))
    }

    fn place_mut(&mut self, at: u32) -> Option<&mut Place> {
        self.pages.get_mut(at as usize / PAGE)?.get_mut(at as usize % PAGE)
    }

    /// The series at a place, if it is still the one of this generation.
    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32, generation: u32) -> Option<&mut Series> {
        let place = self.place_mut(at)?;
        if place.generation == generation { place.series.as_mut() } else { None }
    }

    /// As [`Slab::get_mut`].
    #[inline]
    pub(crate) fn get(&self, at: u32, generation: u32) -> Option<&Series> {
        let (generation_now, series) = self.at(at)?;
        (generation_now == generation).then_some(series)
    }

    /// The series at a place and its generation.
    pub(crate) fn at(&self, at: u32) -> Option<(u32, &Series)> {
        let place = self.pages.get(at as usize / PAGE)?.get(at as usize % PAGE)?;
        Some((place.generation, place.series.as_ref()?))
    }

    /// As [`Slab::at`], to change it.
    pub(crate) fn at_mut(&mut self, at: u32) -> Option<&mut Series> {
        self.place_mut(at)?.series.as_mut()
    }

    /// Removes the series at a place.
    pub(crate) fn remove(&mut self, at: u32) -> Option<Series> {
        let place = self.place_mut(at)?;
        let series = place.series.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(at);
        self.len -= 1;
        Some(series)
    }

    /// All series with place and generation.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32, &Series)> {
        self.pages.iter().enumerate().flat_map(|(number, page)| {
            page.iter().enumerate().filter_map(move |(i, place)| {
                Some(((number * PAGE + i) as u32, place.generation, place.series.as_ref()?))
            })
        })
    }

    /// As [`Slab::iter`], to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, u32, &mut Series)> {
        self.pages.iter_mut().enumerate().flat_map(|(number, page)| {
            page.iter_mut().enumerate().filter_map(move |(i, place)| {
                Some(((number * PAGE + i) as u32, place.generation, place.series.as_mut()?))
            })
        })
    }

    /// Bytes of the pages, without what series hold on the heap.
    pub(crate) fn page_bytes(&self) -> usize {
        self.pages.len() * PAGE * size_of::<Place>() + self.free.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_under_another_generation() {
        let mut slab = Slab::default();
        let labels = |i: u32| Labels::from_pairs([("n", i.to_string())]);
        let refs: Vec<(u32, u32)> = (0..600).map(|i| slab.insert(labels(i)).unwrap()).collect();
        assert_eq!(slab.len(), 600);
        assert_eq!(slab.get(refs[300].0, refs[300].1).unwrap().labels(), &labels(300));
        assert_eq!(slab.remove(refs[300].0).unwrap().labels(), &labels(300));
        assert!(slab.get(refs[300].0, refs[300].1).is_none());
        assert!(slab.remove(refs[300].0).is_none());
        let again = slab.insert(labels(1_000)).unwrap();
        assert_eq!(again, (refs[300].0, refs[300].1 + 1));
        assert!(slab.get_mut(refs[300].0, refs[300].1).is_none());
        assert_eq!(slab.get(again.0, again.1).unwrap().labels(), &labels(1_000));
        assert_eq!(slab.iter().count(), 600);
        assert!(slab.get(100_000, 0).is_none());
    }
}
