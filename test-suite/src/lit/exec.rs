//! Runs pipelines. `FileCheck`, `not`, `env` and `split-file` are part of the runner; all else are programs.
//!
//! A pipeline fails when any of its commands fails, and every command that failed is reported.

use super::shell::{Command, Pipeline, Target};
use super::split_file;
use super::tools::Tools;
use crate::filecheck;
use std::fs::OpenOptions;
use std::io::{PipeReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Rust's exit code after a panic.
const PANICKED: i32 = 101;
/// What of a failed command's messages is shown, in bytes.
const SHOWN: usize = 6000;

/// Where and with what commands run.
#[derive(Clone, Debug)]
pub struct Environment<'a> {
    /// The folder of the suite: names in commands are relative to it.
    pub folder: &'a Path,
    /// The programs.
    pub tools: &'a Tools,
    /// How long one command may take.
    pub limit: Duration,
    /// Write checks that do not match anew.
    pub bless: bool,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Code(i32),
    Signal(i32),
    TimedOut,
}

impl End {
    /// A crash is not an answer: `not` does not take it for the failure that a test expects.
    fn is_crash(self) -> bool {
        matches!(self, End::Signal(_) | End::Code(PANICKED))
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> End {
        use std::os::unix::process::ExitStatusExt;
        status.code().map(End::Code).or(status.signal().map(End::Signal)).unwrap_or(End::TimedOut)
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Code(PANICKED) => f.write_str("panicked (exit code 101)"),
            End::Code(code) => write!(f, "exited with {code}"),
            End::Signal(signal) => write!(f, "was ended by signal {signal}"),
            End::TimedOut => f.write_str("took too long and was ended"),
        }
    }
}

struct Ended {
    end: End,
    output: Vec<u8>,
    messages: Vec<u8>,
    /// Whether `not` turned the verdict round.
    negated: bool,
    may_crash: bool,
}

impl Ended {
    fn own(code: i32, messages: String) -> Ended {
        Ended {
            end: End::Code(code),
            output: Vec::new(),
            messages: messages.into_bytes(),
            negated: false,
            may_crash: false,
        }
    }

    fn succeeded(&self) -> bool {
        match (self.negated, self.may_crash) {
            (false, _) => self.end == End::Code(0),
            (true, true) => self.end.is_crash(),
            (true, false) => self.end != End::Code(0) && !self.end.is_crash() && self.end != End::TimedOut,
        }
    }
}

/// Runs pipelines one after the other up to the first that fails; the output of the last.
///
/// # Errors
/// What failed, and what it said.
pub fn run(pipelines: &[Pipeline], environment: &Environment<'_>) -> Result<Vec<u8>, String> {
    let mut last = Vec::new();
    for pipeline in pipelines {
        let mut failures = String::new();
        let mut fed = Vec::new();
        for command in pipeline {
            let ended = run_command(command, fed, environment)?;
            if !ended.succeeded() {
                failures += &report(command, &ended);
            }
            fed = ended.output;
        }
        if !failures.is_empty() {
            // the output that nobody consumed says most of what a program without a check did
            let tail = String::from_utf8_lossy(&fed);
            return Err(if tail.trim().is_empty() {
                failures
            } else {
                format!("{failures}output:\n{}", shortened(&tail))
            });
        }
        last = fed;
    }
    Ok(last)
}

fn report(command: &Command, ended: &Ended) -> String {
    let expected = match (ended.negated, ended.may_crash) {
        (true, true) => ", but was expected to crash",
        (true, false) if ended.end == End::Code(0) => ", but was expected to fail",
        _ => "",
    };
    let said = String::from_utf8_lossy(&ended.messages);
    format!("`{}` {}{expected}\n{}", command.words.join(" "), ended.end, shortened(&said))
}

fn shortened(text: &str) -> String {
    let text = text.trim_end();
    if text.is_empty() {
        return String::new();
    }
    let half = SHOWN / 2;
    if text.len() <= SHOWN {
        return format!("{text}\n");
    }
    let (first, last) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
    format!("{}\n[... {} bytes ...]\n{}\n", &text[..first], last - first, &text[last..])
}

fn run_command(command: &Command, fed: Vec<u8>, environment: &Environment<'_>) -> Result<Ended, String> {
    let input = match &command.stdin {
        Some(path) => read(path, environment)?,
        None => fed,
    };
    let (words, negated, may_crash, variables) = prefixes(&command.words)?;
    let mut ended = match words[0].as_str() {
        "FileCheck" => file_check(&words[1..], input, environment)?,
        "split-file" => split(&words[1..], environment)?,
        "same" => same(&words[1..], &input, environment)?,
        program => run_program(program, &words[1..], &variables, input, command.merge, environment)?,
    };
    ended.negated = negated;
    ended.may_crash = may_crash;
    if let Some(target) = &command.stderr {
        write(target, &ended.messages, environment)?;
        ended.messages.clear();
    }
    if command.merge {
        ended.output.append(&mut ended.messages);
    }
    if let Some(target) = &command.stdout {
        write(target, &ended.output, environment)?;
        ended.output.clear();
    }
    Ok(ended)
}

type Prefixed<'a> = (&'a [String], bool, bool, Vec<(&'a str, &'a str)>);

/// Takes `not`, `not --crash` and `env NAME=value` off the front.
fn prefixes(words: &[String]) -> Result<Prefixed<'_>, String> {
    let (mut rest, mut negated, mut may_crash, mut variables) = (words, false, false, Vec::new());
    loop {
        match rest.first().map(String::as_str) {
            Some("not") => {
                negated = !negated;
                rest = &rest[1..];
                if rest.first().is_some_and(|word| word == "--crash") {
                    may_crash = true;
                    rest = &rest[1..];
                }
            }
            Some("env") => {
                rest = &rest[1..];
                while let Some(assignment) = rest.first().and_then(|word| word.split_once('=')) {
                    variables.push(assignment);
                    rest = &rest[1..];
                }
            }
            Some(_) => return Ok((rest, negated, may_crash, variables)),
            None => return Err("a command is missing after `not` or `env`".into()),
        }
    }
}

fn resolve(path: &str, environment: &Environment<'_>) -> PathBuf {
    environment.folder.join(path)
}

fn read(path: &str, environment: &Environment<'_>) -> Result<Vec<u8>, String> {
    std::fs::read(resolve(path, environment)).map_err(|why| format!("{path}: {why}"))
}

fn write(target: &Target, bytes: &[u8], environment: &Environment<'_>) -> Result<(), String> {
    let path = resolve(&target.path, environment);
    let file = OpenOptions::new().create(true).write(true).append(target.append).truncate(!target.append).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|why| format!("{}: {why}", target.path))
}

fn file_check(arguments: &[String], input: Vec<u8>, environment: &Environment<'_>) -> Result<Ended, String> {
    let options = filecheck::Options::parse(arguments).map_err(|why| format!("FileCheck: {why}"))?;
    let check_text = String::from_utf8_lossy(&read(&options.check_file, environment)?).into_owned();
    let input = options.input_file.as_ref().map_or(Ok(input), |path| read(path, environment))?;
    Ok(match filecheck::check(&options, &check_text, &input) {
        Ok(()) => Ended::own(0, String::new()),
        Err(error @ filecheck::Error::Failed(_)) => {
            let blessed = environment.bless.then(|| filecheck::bless::rewrite(&options, &check_text, &input)).flatten();
            match blessed {
                Some(text) => {
                    let path = resolve(&options.check_file, environment);
                    std::fs::write(path, text).map_err(|why| format!("{}: {why}", options.check_file))?;
                    Ended::own(0, String::new())
                }
                None => Ended::own(1, error.to_string()),
            }
        }
        Err(error) => Ended::own(2, format!("{}: {error}", options.check_file)),
    })
}

/// `same FILE`: the input is the file's own text. Lines that are empty or hold only a comment do not count.
fn same(arguments: &[String], input: &[u8], environment: &Environment<'_>) -> Result<Ended, String> {
    let [file] = arguments else { return Err("usage: same FILE".into()) };
    let (written, found) = (read(file, environment)?, String::from_utf8_lossy(input));
    let written = String::from_utf8_lossy(&written).into_owned();
    let lines = |text: &'_ str| -> Vec<(usize, String)> {
        let counts = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        let all = text.lines().enumerate().filter(|(_, line)| counts(line));
        all.map(|(number, line)| (number + 1, line.trim_end().to_owned())).collect()
    };
    let (written, found) = (lines(&written), lines(&found));
    if written.is_empty() {
        return Ok(Ended::own(1, format!("{file} holds nothing that could be compared")));
    }
    for at in 0..written.len().max(found.len()) {
        let line = |of: &[(usize, String)]| of.get(at).map_or("the end", |(_, line)| line).to_owned();
        if line(&written) != line(&found) {
            let number = written.get(at).or(written.last()).map_or(0, |(number, _)| *number);
            let message =
                format!("{file}:{number}: not the same\n  written: {}\n  found:   {}\n", line(&written), line(&found));
            return Ok(Ended::own(1, message));
        }
    }
    Ok(Ended::own(0, String::new()))
}

fn split(arguments: &[String], environment: &Environment<'_>) -> Result<Ended, String> {
    let (options, files): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|word| word.starts_with('-'));
    let (Ok([input, folder]), true) =
        (<[&String; 2]>::try_from(files), options.iter().all(|o| *o == "--leading-lines"))
    else {
        return Err("usage: split-file [--leading-lines] INPUT FOLDER".into());
    };
    let text = String::from_utf8_lossy(&read(input, environment)?).into_owned();
    split_file::split(&text, &resolve(folder, environment), !options.is_empty())?;
    Ok(Ended::own(0, String::new()))
}

fn run_program(
    program: &str,
    arguments: &[String],
    variables: &[(&str, &str)],
    input: Vec<u8>,
    merge: bool,
    environment: &Environment<'_>,
) -> Result<Ended, String> {
    let failed = |why: std::io::Error| format!("{program}: {why}");
    let path = environment.tools.find(program)?;
    let (output, output_end) = std::io::pipe().map_err(failed)?;
    let (messages, messages_end) = std::io::pipe().map_err(failed)?;
    let mut command = std::process::Command::new(path);
    command
        .args(arguments)
        .current_dir(environment.folder)
        // the same words and no colours whoever runs the tests, and nothing that an earlier run kept
        .envs([("LC_ALL", "C"), ("NO_COLOR", "1"), ("TERM", "dumb"), ("RUST_BACKTRACE", "0"), ("NIM_CACHE", "")])
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stderr(if merge {
            // nobody writes to it: left open, it would never end
            drop(messages_end);
            output_end.try_clone().map_err(failed)?
        } else {
            messages_end
        })
        .stdout(output_end);
    let mut child = command.spawn().map_err(failed)?;
    // or the pipes never end: the command still holds their other ends
    drop(command);
    let stdin = child.stdin.take();
    std::thread::spawn(move || {
        // a program may end without reading its input
        stdin.map(|mut stdin| stdin.write_all(&input))
    });
    let started = Instant::now();
    let (output, messages) = (collect(output), collect(messages));
    let mut wait = |of: mpsc::Receiver<Vec<u8>>| {
        let left = environment.limit.saturating_sub(started.elapsed());
        of.recv_timeout(left).or_else(|_| {
            // it may have ended between the two; then there is nothing to end
            let _ = child.kill();
            of.recv_timeout(Duration::from_secs(5)).map_err(drop)
        })
    };
    let (output, messages) = (wait(output), wait(messages));
    let timed_out = started.elapsed() >= environment.limit;
    let status = child.wait().map_err(failed)?;
    let end = if timed_out { End::TimedOut } else { status.into() };
    let (output, messages) = (output.unwrap_or_default(), messages.unwrap_or_default());
    Ok(Ended { end, output, messages, negated: false, may_crash: false })
}

/// Reads a pipe to its end on a thread of its own.
fn collect(mut pipe: PipeReader) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // what was read before an error is worth showing
        let _ = pipe.read_to_end(&mut bytes);
        sender.send(bytes)
    });
    receiver
}
