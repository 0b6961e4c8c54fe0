//! `nim-doc`: writes the reference pages.

use clap::{Arg, Command, value_parser};
use nim_doc::{corpus::Corpus, html, pages};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> ExitCode {
    nim_text::on_deep_stack(|| match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    })
}

fn run() -> Result<(), String> {
    let folder = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FOLDER").value_parser(value_parser!(PathBuf)).help(help)
    };
    let matches = Command::new("nim-doc")
        .about("Writes reference pages of every op, type, attribute, pass and diagnostic, made of their definitions")
        .version(env!("CARGO_PKG_VERSION"))
        .arg(folder("tests", "The test-suite, which the examples are taken from").default_value("test-suite"))
        .arg(folder("markdown", "Write Markdown, one file a dialect, here"))
        .arg(folder("html", "Write one static page with search, index.html, here"))
        .arg(folder("textmate", "Write a TextMate grammar, nir.tmLanguage.json, here"))
        .get_matches();
    let path = |name: &str| matches.get_one::<PathBuf>(name).map(PathBuf::as_path);
    let tests = path("tests").unwrap_or(Path::new("test-suite"));
    let corpus = Corpus::load(tests).map_err(|why| format!("{}: {why}", tests.display()))?;
    let mut registry = nim_pass::Registry::new();
    nim_opt::register_passes(&mut registry);
    let pages = pages::pages(&nim_opt::dialects(), &registry, &nim_doc::codes(), &corpus)
        .map_err(|missing| format!("without an example:\n  {}", missing.join("\n  ")))?;
    if let Some(folder) = path("markdown") {
        for page in &pages {
            write(folder, &format!("{}.md", page.name), &page.text)?;
        }
    }
    if let Some(folder) = path("html") {
        write(folder, "index.html", &html::page(&pages))?;
    }
    if let Some(folder) = path("textmate") {
        write(folder, "nir.tmLanguage.json", &nim_doc::textmate::grammar(&nim_opt::dialects()))?;
    }
    if ["markdown", "html", "textmate"].into_iter().all(|name| path(name).is_none()) {
        return Err("say where the pages go: `--markdown FOLDER`, `--html FOLDER`, `--textmate FOLDER`".into());
    }
    Ok(())
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = folder.join(name);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
    written.map_err(|why| format!("cannot write {}: {why}", path.display()))
}
