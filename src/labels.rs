//! Closed sets of metric labels, each declared once.

/// Declares an enum whose variants are the values of a metric label.
///
/// It gets `ALL`, every variant in order, `as_str`, the label, and `index`, the place in `ALL`. An
/// array with a value for each, such as handles that are resolved once, is indexed by it.
///
/// `counters` registers a counter with this label and resolves each.
macro_rules! labels {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident = $label:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$doc])* $variant,)+ }

        #[allow(dead_code, reason = "not every set needs all of them")]
        impl $name {
            /// Every one, in the order of `index`.
            $vis const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// The metric label.
            $vis fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            /// A counter for each, which `registry` knows by `name`. Fails if it knows another.
            $vis fn counters(
                registry: &prometheus::Registry,
                name: &str,
                label: &str,
                help: &str,
            ) -> prometheus::Result<[prometheus::IntCounter; Self::ALL.len()]> {
                let counters = prometheus::register_int_counter_vec_with_registry!(
                    name, help, &[label], registry
                )?;
                Ok(Self::ALL.map(|value| counters.with_label_values(&[value.as_str()])))
            }

            /// The place in `ALL`.
            $vis fn index(self) -> usize {
                self as usize
            }
        }

        impl<T> std::ops::Index<$name> for [T; $name::ALL.len()] {
            type Output = T;

            fn index(&self, label: $name) -> &T {
                &self.as_slice()[label.index()]
            }
        }
    };
}

pub(crate) use labels;

#[cfg(test)]
mod tests {
    labels! {
        enum Fruit { Apple = "apple", Pear = "pear", }
    }

    #[test]
    fn every_label_has_its_place() {
        for (index, fruit) in Fruit::ALL.into_iter().enumerate() {
            assert_eq!((fruit.index(), ["apple", "pear"][fruit]), (index, fruit.as_str()));
        }
        assert_eq!(Fruit::ALL.map(Fruit::as_str), ["apple", "pear"]);
    }
}
