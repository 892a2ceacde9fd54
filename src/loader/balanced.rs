//! Cutting many vehicles into few calls.

/// The sizes of the fewest calls of at most `max` vehicles that take `count` of them, as equal
/// as they can be: 501 is 251 and 250, not 500 and 1, so that no call is much slower than the
/// others.
///
/// # Panics
///
/// When `max` is 0.
pub fn balanced(count: usize, max: usize) -> impl ExactSizeIterator<Item = usize> + Clone {
    let calls = count.div_ceil(max);
    // The first calls take what does not divide evenly.
    (0..calls).map(move |nth| count / calls + usize::from(nth < count % calls))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits_501_vehicles_into_251_and_250() {
        for (count, sizes) in [
            (0, vec![]),
            (1, vec![1]),
            (500, vec![500]),
            (501, vec![251, 250]),
            (1001, vec![334, 334, 333]),
            (5000, vec![500; 10]),
        ] {
            assert_eq!(balanced(count, 500).collect::<Vec<_>>(), sizes, "{count}");
        }
    }

    proptest! {
        #[test]
        fn makes_the_fewest_calls_and_the_most_equal(count in 0..20_000usize, max in 1..=500usize) {
            let sizes: Vec<_> = balanced(count, max).collect();
            prop_assert_eq!(sizes.iter().sum::<usize>(), count);
            prop_assert_eq!(sizes.len(), count.div_ceil(max));
            let (least, most) = (sizes.iter().min(), sizes.iter().max());
            prop_assert!(most.is_none_or(|&most| most <= max && most - least.unwrap() <= 1));
        }
    }
}
