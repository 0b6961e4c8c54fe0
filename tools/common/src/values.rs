//! Values from files and from the command line, and back to files.

use crate::{Failure, Interface, Port, PortType, Stage, adt, files, interface::onnx_type};
use nim_interp::kernels::random;
use nim_onnx::{decode_value, encode_value};
use nim_tensor::{Blob, DType, Made, Tensor, Value, cast, npy};
use std::{fmt, path::Path, str::FromStr};

/// One `--input NAME=...` of a command line.
#[derive(Clone, PartialEq, Debug)]
pub struct InputSpec {
    /// The input's name.
    pub name: String,
    /// Where its value comes from.
    pub from: InputSource,
}

/// Where an input's value comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum InputSource {
    /// `@FILE`: an `.npy` or `.pb` file; `@-` is an `.npy` file on standard input.
    File(String),
    /// `1x3xf32=rand`: a shape, an element type, and what to fill it with.
    Made {
        /// The shape.
        dims: Vec<usize>,
        /// The element type.
        dtype: DType,
        /// The elements.
        fill: Fill,
    },
    /// `node(leaf(4xf32=1), @x.npy)`: a value of an algebraic data type.
    Adt {
        /// By which constructor it is made.
        constructor: String,
        /// Its fields.
        fields: Vec<InputSource>,
    },
}

/// What a tensor is filled with.
#[derive(Clone, PartialEq, Debug)]
pub enum Fill {
    /// `rand` or `rand:LOW:HIGH`: uniform numbers; `[0, 1)` for floating point and 0 or 1 for others if not given.
    Uniform(Option<(f64, f64)>),
    /// `randn`: standard normal numbers.
    Normal,
    /// `1,2,3`: these numbers; a single one for all elements.
    Numbers(Vec<Number>),
}

/// A number of the command line. Whole ones keep all of their digits.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// Written without point or exponent.
    Whole(i128),
    /// Any other.
    Real(f64),
}

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Number, String> {
        let text = text.trim();
        let whole = text.parse().map(Number::Whole);
        whole.or_else(|_| text.parse().map(Number::Real)).map_err(|_| format!("{text:?} is no number; {FORM}"))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Whole(n) => write!(f, "{n}"),
            // With a point or an exponent, so that it stays what it is.
            Number::Real(x) => write!(f, "{x:?}"),
        }
    }
}

/// How an input is written, for messages.
const FORM: &str = "an input is NAME=@FILE.npy, NAME=@FILE.pb or NAME=1x3xf32=rand (also rand:LOW:HIGH, randn, 0.5 or 1,2,3), \
     or NAME=CONSTRUCTOR(1x3xf32=rand, ...)";

impl FromStr for InputSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<InputSpec, String> {
        // Names of inputs may hold a `=`; what follows the last fitting one may not.
        if let Some((name, rest)) = text.split_once('=')
            && let Some(made) = adt::parse(rest, 0)
        {
            return Ok(InputSpec { name: name.to_string(), from: made? });
        }
        if let Some((name, file)) = text.split_once("=@") {
            return Ok(InputSpec { name: name.to_string(), from: InputSource::File(file.to_string()) });
        }
        let (rest, _) = text.rsplit_once('=').ok_or(FORM)?;
        let (name, _) = rest.rsplit_once('=').ok_or(FORM)?;
        Ok(InputSpec { name: name.to_string(), from: parse_made(&text[name.len() + 1..])? })
    }
}

/// `@FILE` or `1x3xf32=rand`.
pub(crate) fn parse_made(text: &str) -> Result<InputSource, String> {
    let text = text.trim();
    if let Some(file) = text.strip_prefix('@') {
        return Ok(InputSource::File(file.to_string()));
    }
    let (ty, fill) = text.split_once('=').ok_or(FORM)?;
    let (dims, dtype) = parse_type(ty)?;
    Ok(InputSource::Made { dims, dtype, fill: parse_fill(fill)? })
}

fn parse_type(text: &str) -> Result<(Vec<usize>, DType), String> {
    let (dims, element) = text.rsplit_once('x').unwrap_or(("", text));
    let dtype = DType::ALL.into_iter().find(|d| d.name() == element).ok_or_else(|| {
        let names: Vec<&str> = DType::ALL.into_iter().map(DType::name).collect();
        format!("{element:?} is no element type; there are {}", names.join(", "))
    })?;
    let size = |d: &str| d.parse().map_err(|_| format!("{d:?} in {text:?} is no size"));
    let dims = if dims.is_empty() { vec![] } else { dims.split('x').map(size).collect::<Result<_, _>>()? };
    Ok((dims, dtype))
}

fn parse_fill(text: &str) -> Result<Fill, String> {
    let number = |n: &str| n.trim().parse::<f64>().map_err(|_| format!("{n:?} is no number; {FORM}"));
    let whole = |n: i128| Ok(Fill::Numbers(vec![Number::Whole(n)]));
    match text.split(':').collect::<Vec<_>>()[..] {
        ["rand"] => Ok(Fill::Uniform(None)),
        ["rand", low, high] => Ok(Fill::Uniform(Some((number(low)?, number(high)?)))),
        ["randn"] => Ok(Fill::Normal),
        ["zeros"] => whole(0),
        ["ones"] => whole(1),
        [numbers] => Ok(Fill::Numbers(numbers.split(',').map(str::parse).collect::<Result<_, _>>()?)),
        _ => Err(FORM.to_string()),
    }
}

impl fmt::Display for InputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.from)
    }
}

impl fmt::Display for InputSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputSource::Adt { constructor, fields } => {
                let fields: Vec<String> = fields.iter().map(InputSource::to_string).collect();
                write!(f, "{constructor}({})", fields.join(", "))
            }
            InputSource::File(file) => write!(f, "@{file}"),
            InputSource::Made { dims, dtype, fill } => {
                dims.iter().try_for_each(|d| write!(f, "{d}x"))?;
                write!(f, "{dtype}=")?;
                match fill {
                    Fill::Uniform(None) => f.write_str("rand"),
                    Fill::Uniform(Some((low, high))) => write!(f, "rand:{low}:{high}"),
                    Fill::Normal => f.write_str("randn"),
                    Fill::Numbers(numbers) => {
                        let texts: Vec<String> = numbers.iter().map(Number::to_string).collect();
                        f.write_str(&texts.join(","))
                    }
                }
            }
        }
    }
}

impl InputSpec {
    /// The value. Random numbers depend on `seed` and the input's name only.
    ///
    /// # Errors
    /// A file that cannot be read; a shape or element type that cannot be filled so.
    pub fn value(&self, interface: &Interface, seed: u64) -> Result<Value, Failure> {
        let fail = |message: String| Failure::new(Stage::Input, format!("input {:?}: {message}", self.name));
        let port = interface.input(&self.name).map(|at| &interface.inputs[at]);
        self.from.value(port, mix(seed, &self.name)).map_err(fail)
    }
}

impl InputSource {
    fn value(&self, port: Option<&Port>, seed: u64) -> Result<Value, String> {
        match self {
            InputSource::File(file) => read_value(Path::new(file), port).map_err(|f| f.message),
            InputSource::Made { dims, dtype, fill } => make(*dtype, dims, fill, seed).map(Value::Tensor),
            InputSource::Adt { constructor, fields } => {
                let field = |(i, field): (usize, &InputSource)| field.value(None, mix(seed, &i.to_string()));
                let fields = fields.iter().enumerate().map(field).collect::<Result<_, _>>()?;
                Ok(Made::adt(constructor.as_str(), fields))
            }
        }
    }
}

/// A seed of its own for each name.
fn mix(seed: u64, name: &str) -> u64 {
    // FNV-1a: any function of the name will do, if it is the same everywhere.
    name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

fn make(dtype: DType, dims: &[usize], fill: &Fill, seed: u64) -> Result<Tensor, String> {
    let count = nim_tensor::tensor::element_count(dims).ok_or("the shape overflows")?;
    // Whoever cannot have this much gets an error here, and not the end of the process further on.
    let room = Vec::<[u8; 16]>::new().try_reserve_exact(count);
    room.map_err(|_| format!("there is no memory for a tensor of shape {dims:?}"))?;
    let range = |given: &Option<(f64, f64)>| given.unwrap_or(if dtype.is_float() { (0.0, 1.0) } else { (0.0, 2.0) });
    match fill {
        Fill::Uniform(given) if dtype.is_float() => {
            let (low, high) = range(given);
            random::uniform(seed, dtype, dims, low, high).map_err(|e| e.to_string())
        }
        Fill::Uniform(given) => {
            let (low, high) = range(given);
            let drawn = random::uniform(seed, DType::F64, dims, low, high).map_err(|e| e.to_string())?;
            let whole: Vec<f64> = drawn.elements::<f64>().iter().map(|x| x.floor()).collect();
            cast(&Tensor::new(dims, whole), dtype, true).map_err(|e| e.to_string())
        }
        Fill::Normal => random::normal(seed, dtype, dims, 0.0, 1.0).map_err(|e| e.to_string()),
        Fill::Numbers(numbers) if numbers.len() == 1 => from_numbers(dtype, dims, numbers, count),
        Fill::Numbers(numbers) if numbers.len() == count => from_numbers(dtype, dims, numbers, 1),
        Fill::Numbers(numbers) => Err(format!("the shape {dims:?} has {count} elements, {} are given", numbers.len())),
    }
}

/// The numbers as elements, all of them `times` over.
fn from_numbers(dtype: DType, dims: &[usize], numbers: &[Number], times: usize) -> Result<Tensor, String> {
    let mut bytes = vec![];
    for &number in numbers {
        let one = match number {
            Number::Whole(n) if dtype.is_integer() => Tensor::from_i64s(dtype, &[1], &[whole(dtype, n)?]).ok(),
            Number::Whole(n) => cast(&Tensor::new(&[1], vec![n as f64]), dtype, true).ok(),
            Number::Real(x) => cast(&Tensor::new(&[1], vec![x]), dtype, true).ok(),
        };
        let one = one.ok_or_else(|| format!("elements of type {dtype} cannot be made of {number}"))?;
        bytes.extend_from_slice(one.bytes());
    }
    let mut all = Vec::with_capacity(bytes.len() * times);
    (0..times).for_each(|_| all.extend_from_slice(&bytes));
    Tensor::from_blob(dtype, dims, Blob::new(all)).map_err(|e| e.to_string())
}

/// A whole number as the 64 bits that become an element of this type.
fn whole(dtype: DType, n: i128) -> Result<i64, String> {
    let bits = dtype.bits() as u32;
    let (low, high) = match dtype.is_signed_integer() {
        true => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        false => (0, (1i128 << bits) - 1),
    };
    if (low..=high).contains(&n) { Ok(n as i64) } else { Err(format!("{n} is no {dtype}")) }
}

/// Reads an `.npy` or `.pb` file; the port says what kind of message the latter is.
///
/// # Errors
/// The file cannot be read as what its name says.
pub fn read_value(path: &Path, port: Option<&Port>) -> Result<Value, Failure> {
    let bytes = files::read(path)?;
    let fail = |e: String| Failure::new(Stage::Load, format!("{}: {e}", path.display()));
    match path.extension().and_then(|e| e.to_str()) {
        Some("pb") => {
            decode_value(&bytes, port.and_then(|p| onnx_type(&p.ty)).as_ref()).map_err(|e| fail(e.to_string()))
        }
        Some("npy") => npy::read(&bytes).map(Value::Tensor).map_err(|e| fail(e.to_string())),
        _ if files::is_stdio(path) => npy::read(&bytes).map(Value::Tensor).map_err(|e| fail(e.to_string())),
        _ => Err(fail("an input file's name ends in .npy or .pb".into())),
    }
}

/// Writes outputs as `output_0.pb`, `output_1.pb`, ..., and those that NumPy can read also as `.npy`.
///
/// # Errors
/// The folder cannot be made, a file not be written, or a value has no such form.
pub fn save_outputs(folder: &Path, interface: &Interface, outputs: &[Value]) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|e| files::io_failure(folder, &e))?;
    for (j, value) in outputs.iter().enumerate() {
        let name = interface.outputs.get(j).map_or("", |p| p.name.as_str());
        files::write(&folder.join(format!("output_{j}.pb")), &encode_value(value, name)?)?;
        // NumPy has no sequences, no bf16 and the like: the other file is then the only one.
        if let Some(Ok(bytes)) = value.as_tensor().map(npy::write) {
            files::write(&folder.join(format!("output_{j}.npy")), &bytes)?;
        }
    }
    Ok(())
}

/// A value in one line: its type and first elements.
pub fn summary(value: &Value) -> String {
    match value {
        Value::Tensor(t) => {
            const SHOWN: usize = 8;
            let dims = t.dims().iter().map(ToString::to_string).collect();
            let ty = PortType::Tensor { dtype: t.dtype(), dims };
            let texts: Vec<String> = match (t.as_strings(), t.dtype()) {
                (Some(strings), _) => strings.iter().take(SHOWN).map(|s| format!("{s:?}")).collect(),
                _ => numbers(t, SHOWN),
            };
            let rest = if t.len() > SHOWN { ", ..." } else { "" };
            format!("{ty} [{}{rest}]", texts.join(", "))
        }
        Value::Sequence(values) => {
            format!("sequence of {} [{}]", values.len(), values.iter().map(summary).collect::<Vec<_>>().join("; "))
        }
        Value::Optional(None) => "nothing".into(),
        Value::Optional(Some(inner)) => format!("optional {}", summary(inner)),
        Value::Map(keys, values) => format!("map of {} keys, values: {}", keys.len(), summary(values)),
        Value::Adt(made) => adt::show(made),
        Value::Function(made) => format!("function {}", made.name),
    }
}

fn numbers(tensor: &Tensor, count: usize) -> Vec<String> {
    let dtype = tensor.dtype();
    let element = |bytes: &[u8]| match dtype {
        _ if dtype.is_integer() || dtype == DType::Bool => match nim_tensor::i64_of(dtype, bytes) {
            Some(x) if dtype == DType::U64 => (x as u64).to_string(),
            Some(x) => x.to_string(),
            None => "?".into(),
        },
        _ if dtype.is_float() => {
            let x = nim_tensor::f64_of(dtype, bytes);
            if dtype == DType::F64 { format!("{x}") } else { format!("{}", x as f32) }
        }
        _ => bytes.iter().map(|b| format!("{b:02x}")).collect(),
    };
    tensor.bytes().chunks_exact(dtype.size().max(1)).take(count).map(element).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> Result<Tensor, String> {
        let spec: InputSpec = text.parse()?;
        let value = spec.value(&Interface::default(), 1).map_err(|f| f.message)?;
        Ok(value.as_tensor().unwrap().clone())
    }

    #[test]
    fn filled_tensors() {
        assert_eq!(made("x=2x2xf32=0.5").unwrap(), Tensor::new(&[2, 2], vec![0.5f32; 4]));
        assert_eq!(made("x=3xi64=1,2,3").unwrap(), Tensor::new(&[3], vec![1i64, 2, 3]));
        assert_eq!(made("x=f32=7").unwrap(), Tensor::scalar(7f32));
        let noise = made("x=1x3x4x4xf32=rand:-1:1").unwrap();
        let range = noise.elements::<f32>().iter().fold((0f32, 0f32), |r, &x| (r.0.min(x), r.1.max(x)));
        assert!(range.0 < -0.5 && range.0 >= -1.0 && range.1 > 0.5 && range.1 < 1.0, "{range:?}");
        assert_eq!(noise, made("x=1x3x4x4xf32=rand:-1:1").unwrap());
        let ids = made("ids=100xi64=rand:0:30").unwrap();
        assert!(ids.elements::<i64>().iter().all(|i| (0..30).contains(i)));
    }

    #[test]
    fn whole_numbers_keep_their_digits() {
        let largest = made("x=2xi64=9223372036854775807,-9223372036854775808").unwrap();
        assert_eq!(largest, Tensor::new(&[2], vec![i64::MAX, i64::MIN]));
        assert_eq!(made("x=ui64=18446744073709551615").unwrap().bytes(), [255; 8]);
        assert_eq!(made("x=i8=128").unwrap_err(), "input \"x\": 128 is no i8");
        assert!(made("x=1152921504606846976xf64=1").unwrap_err().contains("memory"));
    }

    #[test]
    fn a_spec_is_written_as_it_is_read() {
        for text in ["a=b=@x.npy", "x=1x3xf32=rand", "x=f32=randn", "x=2xi64=1,2", "x=2xf32=rand:-1:2.5", "x=f64=0.5"] {
            let spec: InputSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn names_may_hold_colons_and_equals_signs() {
        let spec: InputSpec = "serving:a=b=2xf32=1".parse().unwrap();
        assert_eq!(spec.name, "serving:a=b");
        let spec: InputSpec = "x:0=@data/x.npy".parse().unwrap();
        assert_eq!((spec.name.as_str(), spec.from), ("x:0", InputSource::File("data/x.npy".into())));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(made("x").unwrap_err().starts_with("an input is NAME=@FILE"));
        assert!(made("x=2xf33=1").unwrap_err().starts_with("\"f33\" is no element type"));
        assert_eq!(made("x=2xf32=1,2,3").unwrap_err(), "input \"x\": the shape [2] has 2 elements, 3 are given");
        assert!(made("x=2xf32=many").unwrap_err().starts_with("\"many\" is no number"));
    }
}
