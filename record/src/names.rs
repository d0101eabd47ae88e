//! Names in one string.
//!
//! A table of strings is a table of addresses, which the loader must write for
//! every process that uses the library; this is one string and small numbers.

/// `N` names, one after the other.
#[derive(Debug)]
pub(crate) struct Names<const N: usize> {
    text: &'static str,
    ends: [u16; N],
}

impl<const N: usize> Names<N> {
    /// Names of these lengths.
    pub(crate) const fn new(text: &'static str, mut lens: [u16; N]) -> Self {
        let mut end = 0;
        let mut rest: &mut [u16] = &mut lens;
        while let Some((len, others)) = rest.split_first_mut() {
            end += *len;
            *len = end;
            rest = others;
        }
        assert!(end as usize == text.len());
        Self { text, ends: lens }
    }

    /// The name at this place; empty if there is none.
    pub(crate) fn get(&self, place: usize) -> &'static str {
        let start = place.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |&end| usize::from(end));
        let end = self.ends.get(place).map_or(0, |&end| usize::from(end));
        self.text.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_at_its_place() {
        const NAMES: Names<3> = Names::new("onetwothree", [3, 3, 5]);
        assert_eq!([0, 1, 2, 3].map(|place| NAMES.get(place)), ["one", "two", "three", ""]);
    }
}
