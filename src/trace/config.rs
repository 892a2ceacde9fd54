use http::Uri;

/// What the `[trace]` table says of requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// Of requests that do not come with a sampled `traceparent`, the part that is sampled, 0 to 1.
    pub sample: f64,
    /// Whether responses say where their time went.
    pub server_timing: bool,
}

/// What it says of the collector.
#[derive(Clone, Debug)]
pub struct ExporterConfig {
    /// Where spans are posted to.
    pub endpoint: Uri,
}
