//! Sorting the elements of an instant vector.

use std::cmp::Ordering;

use super::Series;

/// Orders by value: ascending, or descending; NaN comes last either way. Equal values keep their order.
pub fn by_value(series: &mut [Series], descending: bool) {
    series.sort_by(|a, b| {
        let (a, b) = (a.column.floats.first().copied(), b.column.floats.first().copied());
        let (a, b) = (a.unwrap_or(f64::NAN), b.unwrap_or(f64::NAN));
        match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ if descending => b.total_cmp(&a).then(Ordering::Equal),
            _ => a.total_cmp(&b),
        }
    });
}

/// Orders by the values of some labels in natural order, then by all labels.
pub fn by_labels(series: &mut [Series], names: &[String], descending: bool) {
    series.sort_by(|a, b| {
        let order =
            names.iter().map(|name| (a.labels.value(name), b.labels.value(name))).find(|(a, b)| a != b).map_or_else(
                || a.labels.cmp(&b.labels),
                |(a, b)| if natural_less(a, b) { Ordering::Less } else { Ordering::Greater },
            );
        if descending { order.reverse() } else { order }
    });
}

/// Natural order: runs of digits compare as numbers, everything else byte by byte.
fn natural_less(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a, b);
    loop {
        match (next_part(&mut a), next_part(&mut b)) {
            (None, None | Some(_)) => return true,
            (Some(_), None) => return false,
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => {
                let numbers = x.as_bytes()[0].is_ascii_digit() && y.as_bytes()[0].is_ascii_digit();
                if !numbers {
                    return x < y;
                }
                let (short_x, short_y) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
                match short_x.len().cmp(&short_y.len()).then(short_x.cmp(short_y)) {
                    Ordering::Less => return true,
                    Ordering::Greater => return false,
                    // The same number: fewer leading zeros first.
                    Ordering::Equal => return x.len() < y.len(),
                }
            }
        }
    }
}

/// The next run of digits or of anything else.
fn next_part<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let digits = rest.as_bytes().first()?.is_ascii_digit();
    let end = rest.bytes().position(|b| b.is_ascii_digit() != digits).unwrap_or(rest.len());
    let (part, tail) = rest.split_at(end);
    *rest = tail;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn natural_order() {
        let sorted = ["", "1", "2", "10", "a", "a1", "a01", "a2", "a10b1", "a10b2", "b"];
        for pair in sorted.windows(2) {
            assert!(natural_less(pair[0], pair[1]), "{pair:?}");
            assert!(!natural_less(pair[1], pair[0]), "{pair:?}");
        }
    }
}
