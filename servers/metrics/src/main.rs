//! The metrics server as a program of its own.

use std::process::ExitCode;

use kit::Shutdown;

fn main() -> ExitCode {
    let flags: foursight_metrics::Flags = kit::flags::parse();
    kit::log::init(flags.log_level, flags.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            tracing::error!(component = "main", error = %e, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let stop = Shutdown::new();
        stop.listen_for_signals();
        match foursight_metrics::run(flags, stop).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                tracing::error!(component = "main", error = %e, "the server cannot start");
                ExitCode::FAILURE
            }
        }
    })
}
