//! A session with its inputs set one by one, outputs that stay until the next run, and state that goes from one run to the
//! next.

use super::{Options, Session};
use crate::error::{RunError, RunErrorKind};
use crate::program::Program;
use nim_tensor::Value;

/// A session whose inputs are set one by one and keep their values between runs.
///
/// An output may be fed back into an input ([`BoundSession::feed_back`]): a recurrent state or a cache of keys and values
/// is then set once and goes from run to run as a reference, never copied.
///
/// ```no_run
/// use nim_tensor::Tensor;
/// use nim_vm::{BoundSession, Options, Program};
/// let program = Program::load("step.nimx")?;
/// let mut session = BoundSession::new(&program, Options::default());
/// session.feed_back("h_next", "h")?;
/// session.set("h", Tensor::new(&[1, 64], vec![0f32; 64]).into())?;
/// for step in 0..10 {
///     session.set("x", Tensor::new(&[1, 16], vec![step as f32; 16]).into())?;
///     session.run()?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BoundSession {
    session: Session,
    inputs: Vec<Option<Value>>,
    outputs: Vec<Value>,
    /// Outputs and the inputs they become.
    state: Vec<(usize, usize)>,
}

impl BoundSession {
    /// A session of a program, without inputs.
    pub fn new(program: &Program, options: Options) -> BoundSession {
        let inputs = vec![None; program.signature().inputs.len()];
        BoundSession { session: Session::new(program, options), inputs, outputs: vec![], state: vec![] }
    }

    /// The session itself.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Sets an input by its number. Shared, not copied; checked when the program runs.
    ///
    /// # Errors
    /// The program has no such input.
    pub fn set_input(&mut self, index: usize, value: Value) -> Result<(), RunError> {
        let count = self.inputs.len();
        let place = self.inputs.get_mut(index).ok_or_else(|| no_such("input", index.to_string(), count))?;
        *place = Some(value);
        Ok(())
    }

    /// Sets an input by its name; see [`BoundSession::set_input`].
    ///
    /// # Errors
    /// The program has no input of this name.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), RunError> {
        let index = self.input_index(name)?;
        self.set_input(index, value)
    }

    /// Makes an output of each run the input of the next one, by their numbers. A run that fails leaves the state as it
    /// was.
    ///
    /// # Errors
    /// The program has no such output or input.
    pub fn feed_back_index(&mut self, output: usize, input: usize) -> Result<(), RunError> {
        let outputs = self.session.program().signature().outputs.len();
        if output >= outputs {
            return Err(no_such("output", output.to_string(), outputs));
        }
        if input >= self.inputs.len() {
            return Err(no_such("input", input.to_string(), self.inputs.len()));
        }
        // An input has one source: the last that was named.
        self.state.retain(|&(_, to)| to != input);
        self.state.push((output, input));
        Ok(())
    }

    /// As [`BoundSession::feed_back_index`], by names.
    ///
    /// # Errors
    /// The program has no output or input of this name.
    pub fn feed_back(&mut self, output: &str, input: &str) -> Result<(), RunError> {
        let outputs = &self.session.program().signature().outputs;
        let from = outputs.iter().position(|o| o.name == output);
        let from = from.ok_or_else(|| no_such("output", format!("`{output}`"), outputs.len()))?;
        let to = self.input_index(input)?;
        self.feed_back_index(from, to)
    }

    /// Runs the program on the inputs as they are set.
    ///
    /// # Errors
    /// An input that was never set, and whatever [`Session::run`] says. Inputs and state are as before then, there are no
    /// outputs, and the session can run again.
    pub fn run(&mut self) -> Result<&[Value], RunError> {
        // Their memory is for this run, unless somebody else holds it.
        self.outputs.clear();
        let missing = self.inputs.iter().position(Option::is_none);
        if let Some(index) = missing {
            let input = &self.session.program().signature().inputs[index];
            let kind = Box::new(RunErrorKind::InputMissing(input.name.clone()));
            return Err(RunError { kind, node: input.node.clone() });
        }
        self.outputs = self.session.run_iter(self.inputs.iter().flatten())?;
        for &(output, input) in &self.state {
            self.inputs[input] = Some(self.outputs[output].clone());
        }
        Ok(&self.outputs)
    }

    /// Outputs of the last run; none when it failed.
    pub fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    fn input_index(&self, name: &str) -> Result<usize, RunError> {
        let inputs = &self.session.program().signature().inputs;
        let found = inputs.iter().position(|i| i.name == name);
        found.ok_or_else(|| no_such("input", format!("`{name}`"), inputs.len()))
    }
}

fn no_such(kind: &'static str, which: String, count: usize) -> RunError {
    RunError { kind: Box::new(RunErrorKind::NoSuch { kind, which, count }), node: None }
}
