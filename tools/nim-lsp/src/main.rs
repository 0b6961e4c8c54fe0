//! `nim-lsp`: speaks the language server protocol on the standard streams.

use lsp_server::Connection;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(argument) = std::env::args().nth(1).filter(|a| a != "--stdio") {
        // Editors pass `--stdio`; people ask what this is.
        println!("nim-lsp {}: speaks the language server protocol on its standard streams", env!("CARGO_PKG_VERSION"));
        let asked = ["--help", "-h", "--version", "-V"].contains(&argument.as_str());
        return if asked { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    let (connection, threads) = Connection::stdio();
    let result = nim_text::on_deep_stack(|| nim_lsp::server::serve(connection));
    match result.and_then(|()| threads.join().map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nim-lsp: {error}");
            ExitCode::FAILURE
        }
    }
}
