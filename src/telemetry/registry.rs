//! The registry of all metrics.

use prometheus::{IntGauge, Opts, Registry};

use super::log;

/// A registry with the metrics of the process and the build; every module registers its own.
pub fn registry() -> prometheus::Result<Registry> {
    let registry = Registry::new();
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;

    let opts =
        Opts::new("vingate_build_info", "Always 1; the label is the version that is running")
            .const_label("version", env!("CARGO_PKG_VERSION"));
    let build_info = IntGauge::with_opts(opts)?;
    build_info.set(1);
    registry.register(Box::new(build_info))?;
    registry.register(Box::new(log::DROPPED.clone()))?;
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn knows_the_process_and_the_build() {
        let text = TextEncoder::new()
            .encode_to_string(&registry().unwrap().gather())
            .unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert!(
            text.contains(&format!("vingate_build_info{{version=\"{version}\"}} 1\n")),
            "{text}"
        );
        #[cfg(target_os = "linux")]
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }
}
