//! The command line as a function, for this binary and for one that has it as a subcommand.

use std::process::ExitCode;

use kit::Shutdown;

use crate::{Flags, reset_admin_password, run};

/// Does what the flags say: runs the server until a signal, or resets the administrator's password.
pub fn server(flags: &Flags) -> ExitCode {
    let log = kit::log::init(kit::log::Level::Info, kit::log::Format::Logfmt);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("foursight-dashboards: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let options = flags.options();
    let result = runtime.block_on(async {
        if flags.reset_admin_password {
            let (login, password) = reset_admin_password(options).await?;
            println!("The password of {login:?} is now {password:?}.");
            return Ok(());
        }
        if let Ok((level, format)) = options.log_settings() {
            log.set_level(level);
            log.set_format(format);
        }
        let shutdown = Shutdown::new();
        shutdown.listen_for_signals();
        run(options, shutdown).await
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("foursight-dashboards: {error}");
            ExitCode::FAILURE
        }
    }
}
