//! What a model takes and gives, and whether given inputs fit.

use crate::{Failure, Stage};
use nim_expr::{ExprPool, Symbol};
use nim_ir::{Context, Dim, Module, OpId, Type, TypeData};
use nim_onnx::{
    data_type_of,
    proto::{TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto},
};
use nim_tensor::{DType, Value};
use nim_vm::{Signature, SignatureValue, ValueType};
use std::{collections::HashMap, fmt};

/// The type of an input or output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortType {
    /// A tensor; dimensions are expressions over named symbols as text, `?` where nothing is known.
    Tensor {
        /// Element type.
        dtype: DType,
        /// One text a dimension.
        dims: Vec<String>,
    },
    /// Anything else, as the IR spells it.
    Other(String),
}

impl PortType {
    /// True where the outermost kind of a value is provably not this type's.
    fn is_other_than(&self, value: &Value) -> bool {
        let kind = match value {
            Value::Tensor(_) => "tensor",
            Value::Sequence(_) => "!graph.sequence",
            Value::Optional(_) => "!graph.optional",
            Value::Map(..) => "!graph.map",
            Value::Adt(_) | Value::Function(_) => return false,
        };
        let PortType::Other(text) = self else { return false };
        let known = ["!graph.sequence", "!graph.map"];
        known.iter().any(|k| text.starts_with(k) && *k != kind && kind != "!graph.optional")
    }
}

impl fmt::Display for PortType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortType::Tensor { dtype, dims } => {
                for dim in dims {
                    let plain = dim == "?" || dim.parse::<i64>().is_ok();
                    if plain { write!(f, "{dim}x")? } else { write!(f, "[{dim}]x")? }
                }
                write!(f, "{dtype}")
            }
            PortType::Other(text) => f.write_str(text),
        }
    }
}

/// A named input or output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// The model's own name of it.
    pub name: String,
    /// Its type.
    pub ty: PortType,
    /// The node of the model that reads it first, if that is known: it is why the type is what it is.
    pub node: Option<String>,
}

impl Port {
    /// What is wrong with the value that an input is given.
    fn failure(&self, message: &str) -> Failure {
        let node = self.node.as_ref().map_or(String::new(), |n| format!("; node {n:?} reads it"));
        input_failure(format!("input {:?}: {message}{node}", self.name))
    }
}

/// All inputs and outputs of a model in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interface {
    /// Inputs.
    pub inputs: Vec<Port>,
    /// Outputs.
    pub outputs: Vec<Port>,
}

impl Interface {
    /// Of a function; its attributes `nim.input_names` and `nim.output_names` give the names where they are present.
    pub fn of_function(ctx: &Context, module: &Module, function: &str) -> Result<Interface, Failure> {
        let missing = |what: &str| Failure::new(Stage::Load, format!("the module has no function `@{function}`{what}"));
        let op = module.lookup(ctx, ctx.name(function)).ok_or_else(|| missing(""))?;
        let ty = module.body.attr_named(ctx, op, "function_type").and_then(|a| ctx.as_type(a));
        let Some(TypeData::Function { inputs, results }) = ty.map(|t| ctx.type_data(t)) else {
            return Err(missing(" with a type"));
        };
        let values = argument_names(ctx, module, op);
        let named = |attr: &str, count: usize, fallback: &dyn Fn(usize) -> String| -> Vec<String> {
            let names = module.body.attr_named(ctx, op, attr).and_then(|a| ctx.as_array(a)).unwrap_or(&[]);
            let given = |i: usize| names.get(i).and_then(|&a| ctx.as_string(a)).map(str::to_string);
            (0..count).map(|i| given(i).unwrap_or_else(|| fallback(i))).collect()
        };
        let body = module.body.nested(op);
        let readers = body.map_or(vec![], |b| nim_builtin::func::first_readers(b, &|_| false));
        let ports = |names: Vec<String>, types: &[Type], readers: &[Option<OpId>]| {
            let node = |i: usize| ctx.loc_name(body?.loc(readers.get(i).copied().flatten()?)).map(str::to_string);
            let port = |(i, (name, &ty))| Port { name, ty: port_type(ctx, ty), node: node(i) };
            names.into_iter().zip(types).enumerate().map(port).collect()
        };
        let argument = |i: usize| values.get(i).cloned().unwrap_or_else(|| format!("input_{i}"));
        Ok(Interface {
            inputs: ports(named("nim.input_names", inputs.len(), &argument), inputs, &readers),
            outputs: ports(named("nim.output_names", results.len(), &|i| format!("output_{i}")), results, &[]),
        })
    }

    /// Of a compiled program.
    pub fn of_program(signature: &Signature) -> Interface {
        let port = |value: &SignatureValue| {
            let ty = match &value.ty {
                ValueType::Tensor { dtype, dims } => PortType::Tensor { dtype: *dtype, dims: dims.clone() },
                ValueType::Other(text) => PortType::Other(text.clone()),
                ValueType::Adt(name) => PortType::Other(format!("!graph.adt<@{name}>")),
            };
            Port { name: value.name.clone(), ty, node: value.node.clone() }
        };
        Interface {
            inputs: signature.inputs.iter().map(port).collect(),
            outputs: signature.outputs.iter().map(port).collect(),
        }
    }

    /// The position of an input.
    pub fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|p| p.name == name)
    }

    /// The position of an output.
    pub fn output(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|p| p.name == name)
    }

    /// Puts named values into the order of the inputs and checks that they fit.
    ///
    /// # Errors
    /// Names that are no input or come twice, inputs without value, and what [`Interface::check`] finds.
    pub fn arrange(&self, given: Vec<(String, Value)>) -> Result<Vec<Value>, Failure> {
        let mut places: Vec<Option<Value>> = vec![None; self.inputs.len()];
        for (name, value) in given {
            let Some(at) = self.input(&name) else {
                let names: Vec<&str> = self.inputs.iter().map(|p| p.name.as_str()).collect();
                let hint = nim_ir::diagnostics::did_you_mean(&name, names.iter().copied());
                let hint = hint.map_or(String::from("."), |n| format!("; did you mean {n:?}?"));
                let all = names.join(", ");
                return Err(input_failure(format!("the model has no input {name:?}{hint} Its inputs are: {all}")));
            };
            if places[at].replace(value).is_some() {
                return Err(input_failure(format!("input {name:?} is given twice")));
            }
        }
        let missing: Vec<String> = self
            .inputs
            .iter()
            .zip(&places)
            .filter(|(_, v)| v.is_none())
            .map(|(p, _)| format!("{:?} ({})", p.name, p.ty))
            .collect();
        if !missing.is_empty() {
            return Err(input_failure(format!("no value is given for input {}", missing.join(", "))));
        }
        let values: Vec<Value> = places.into_iter().flatten().collect();
        self.check(&values)?;
        Ok(values)
    }

    /// Checks inputs in order: element types, ranks, fixed sizes, and that a name stands for one size everywhere.
    ///
    /// # Errors
    /// The first value that does not fit; the message names the input, the dimension, and what asked for its size.
    pub fn check(&self, values: &[Value]) -> Result<(), Failure> {
        let pool = ExprPool::new();
        let mut sizes: HashMap<Symbol, (i64, String)> = HashMap::new();
        let mut later = vec![];
        for (port, value) in self.inputs.iter().zip(values) {
            let fail = |message: String| Err(port.failure(&message));
            let PortType::Tensor { dtype, dims } = &port.ty else {
                if port.ty.is_other_than(value) {
                    return fail(format!("the model wants {}, what is given is something else", port.ty));
                }
                continue;
            };
            let Some(tensor) = value.as_tensor() else {
                return fail(format!("the model wants a tensor {}, what is given is none", port.ty));
            };
            if tensor.dtype() != *dtype {
                return fail(format!("the elements are {}, the model wants {dtype} ({})", tensor.dtype(), port.ty));
            }
            if tensor.rank() != dims.len() {
                let (given, rank) = (tensor.dims(), tensor.rank());
                return fail(format!(
                    "rank {rank} (shape {given:?}) is given, the model wants rank {} ({})",
                    dims.len(),
                    port.ty
                ));
            }
            for (axis, (dim, &size)) in dims.iter().zip(tensor.dims()).enumerate() {
                let Ok(wanted) = pool.parse(dim) else { continue };
                let size = size as i64;
                match (pool.as_const(wanted), pool.as_symbol(wanted)) {
                    (Some(n), _) if n != size => {
                        return fail(format!("dimension {axis} is {size}, the model wants {n} ({})", port.ty));
                    }
                    (Some(_), _) => {}
                    (None, Some(symbol)) => {
                        let place = format!("dimension {axis} of input {:?}", port.name);
                        let (n, first) = sizes.entry(symbol).or_insert((size, place));
                        if *n != size {
                            return fail(format!(
                                "dimension {axis} is {size}, but it is {dim}, which is {n} by {first}"
                            ));
                        }
                    }
                    (None, None) => later.push((port, axis, dim, wanted, size)),
                }
            }
        }
        for (port, axis, dim, wanted, size) in later {
            let value = pool.eval(wanted, &|s| sizes.get(&s).map(|(n, _)| *n));
            if let Ok(n) = value
                && n != size
            {
                let by: Vec<String> = pool
                    .symbols(wanted)
                    .iter()
                    .filter_map(|s| sizes.get(s).map(|(n, at)| format!("{} = {n} by {at}", pool.display_symbol(*s))))
                    .collect();
                let by = by.join(", ");
                return Err(port.failure(&format!("dimension {axis} is {size}, but it is {dim}, which is {n} ({by})")));
            }
        }
        Ok(())
    }
}

fn input_failure(message: String) -> Failure {
    Failure::new(Stage::Input, message)
}

fn argument_names(ctx: &Context, module: &Module, op: OpId) -> Vec<String> {
    let Some(body) = module.body.nested(op) else { return vec![] };
    let args = body.entry().map(|b| body.block_args(b)).unwrap_or(&[]);
    let name = |(i, &v): (usize, &nim_ir::ValueId)| match body.value_name(v) {
        Some(n) => ctx.str(n).to_string(),
        None => format!("input_{i}"),
    };
    args.iter().enumerate().map(name).collect()
}

/// The type of a value of the IR.
pub fn port_type(ctx: &Context, ty: Type) -> PortType {
    match (ctx.dtype_of(ty), ctx.dims(ty)) {
        (Some(dtype), Some(dims)) => {
            let text = |d: &Dim| d.expr().map_or("?".to_string(), |e| ctx.exprs.display(e).to_string());
            PortType::Tensor { dtype, dims: dims.iter().map(text).collect() }
        }
        _ => PortType::Other(ctx.display_type(ty)),
    }
}

/// The same type as ONNX spells it: what a test data file must be read as.
pub fn onnx_type(ty: &PortType) -> Option<TypeProto> {
    match ty {
        PortType::Tensor { dtype, dims } => {
            let dim = |text: &String| tensor_shape_proto::Dimension {
                value: Some(match text.parse() {
                    Ok(n) => tensor_shape_proto::dimension::Value::DimValue(n),
                    Err(_) => tensor_shape_proto::dimension::Value::DimParam(text.clone()),
                }),
                ..Default::default()
            };
            let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
            let tensor = type_proto::Tensor { elem_type: data_type_of(*dtype) as i32, shape: Some(shape) };
            Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() })
        }
        PortType::Other(text) => onnx_type_of_text(text),
    }
}

fn onnx_type_of_text(text: &str) -> Option<TypeProto> {
    let inside = |name: &str| text.strip_prefix(name)?.strip_prefix('<')?.strip_suffix('>').map(onnx_type_of_text);
    let boxed = |ty: Option<TypeProto>| ty.map(Box::new);
    let value = if let Some(element) = inside("!graph.sequence") {
        type_proto::Value::SequenceType(Box::new(type_proto::Sequence { elem_type: boxed(element) }))
    } else if let Some(element) = inside("!graph.optional") {
        type_proto::Value::OptionalType(Box::new(type_proto::Optional { elem_type: boxed(element) }))
    } else if let Some((key, value)) = map_of_text(text) {
        type_proto::Value::MapType(Box::new(type_proto::Map {
            key_type: key,
            value_type: boxed(onnx_type_of_text(value)),
        }))
    } else if text.starts_with("tensor<") {
        // Of a tensor inside of something else only the kind matters for reading it.
        type_proto::Value::TensorType(type_proto::Tensor::default())
    } else {
        return None;
    };
    Some(TypeProto { value: Some(value), ..TypeProto::default() })
}

/// The number of a map's key type, and the text of its values' type.
fn map_of_text(text: &str) -> Option<(i32, &str)> {
    let (key, value) = text.strip_prefix("!graph.map<")?.strip_suffix('>')?.split_once(", ")?;
    let dtype = DType::ALL.into_iter().find(|d| d.name() == key)?;
    Some((data_type_of(dtype) as i32, value))
}

/// A port as ONNX declares one.
pub fn onnx_port(port: &Port) -> ValueInfoProto {
    ValueInfoProto { name: port.name.clone(), r#type: onnx_type(&port.ty), ..ValueInfoProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nim_tensor::Tensor;

    fn interface() -> Interface {
        let port = |name: &str, dims: &[&str]| Port {
            name: name.into(),
            node: None,
            ty: PortType::Tensor { dtype: DType::F32, dims: dims.iter().map(|d| d.to_string()).collect() },
        };
        Interface { inputs: vec![port("x", &["N", "3"]), port("y", &["N"]), port("z", &["2*N + 1"])], outputs: vec![] }
    }

    fn tensor(dims: &[usize]) -> Value {
        Tensor::new(dims, vec![0f32; dims.iter().product()]).into()
    }

    fn message(x: &[usize], y: &[usize], z: &[usize]) -> String {
        let check = interface().check(&[tensor(x), tensor(y), tensor(z)]);
        check.err().map_or(String::new(), |f| f.message)
    }

    #[test]
    fn sizes_that_fit() {
        assert_eq!(message(&[2, 3], &[2], &[5]), "");
        assert_eq!(message(&[0, 3], &[0], &[1]), "");
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_asked_for_it() {
        assert_eq!(message(&[2, 4], &[2], &[5]), "input \"x\": dimension 1 is 4, the model wants 3 ([N]x3xf32)");
        assert_eq!(
            message(&[2, 3], &[4], &[5]),
            "input \"y\": dimension 0 is 4, but it is N, which is 2 by dimension 0 of input \"x\""
        );
        assert_eq!(
            message(&[2, 3], &[2], &[6]),
            "input \"z\": dimension 0 is 6, but it is 2*N + 1, which is 5 (N = 2 by dimension 0 of input \"x\")"
        );
        assert_eq!(
            message(&[2], &[2], &[5]),
            "input \"x\": rank 1 (shape [2]) is given, the model wants rank 2 ([N]x3xf32)"
        );
        let wrong = interface().check(&[Tensor::new(&[2, 3], vec![0i64; 6]).into(), tensor(&[2]), tensor(&[5])]);
        let wrong = wrong.unwrap_err().message;
        assert_eq!(wrong, "input \"x\": the elements are i64, the model wants f32 ([N]x3xf32)");
    }

    #[test]
    fn names_are_arranged() {
        let all = |names: [&str; 3]| -> Vec<(String, Value)> {
            let shapes: [&[usize]; 3] = [&[5], &[2, 3], &[2]];
            names.iter().zip(shapes).map(|(n, s)| (n.to_string(), tensor(s))).collect()
        };
        let values = interface().arrange(all(["z", "x", "y"])).unwrap();
        assert_eq!(values[0].as_tensor().unwrap().dims(), [2, 3]);
        let unknown = interface().arrange(all(["z", "xx", "y"])).unwrap_err().message;
        assert!(unknown.starts_with("the model has no input \"xx\"; did you mean \"x\"?"), "{unknown}");
        let twice = interface().arrange(all(["z", "x", "x"])).unwrap_err().message;
        assert_eq!(twice, "input \"x\" is given twice");
        let missing = interface().arrange(vec![]).unwrap_err().message;
        assert!(missing.contains("\"x\" ([N]x3xf32), \"y\" ([N]xf32)"), "{missing}");
    }
}
