//! The dashboards host alone.

fn main() -> std::process::ExitCode {
    foursight_dashboards::cli::server(&kit::flags::parse())
}
