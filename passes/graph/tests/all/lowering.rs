//! Every numeric op becomes maps that verify, with numbers and with named dimensions.

use crate::support::{context, function, ops, same_numbers, ty};
use nim_graph::GraphBuilder;
use nim_graph_passes::graph_to_dataflow;
use nim_ir::{Body, Builder, ValueId};
use nim_tensor::{DType, Tensor};

/// Lowers an op, which must become `count` maps that give the same numbers.
#[track_caller]
fn maps(count: usize, inputs: &[&str], f: impl FnOnce(&mut GraphBuilder<'_>, &[ValueId]) -> ValueId) {
    let ctx = context();
    let mut module = function(&ctx, inputs, |g, x| vec![f(g, x)]);
    same_numbers(&ctx, &mut module, |module| assert_eq!(graph_to_dataflow(&ctx, module), []));
    let ops = ops(&ctx, &module);
    assert_eq!(ops.iter().filter(|n| *n == "dataflow.map").count(), count, "{ops:?}");
    let left = ops.iter().filter(|n| n.starts_with("graph.") && !stays(n));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&String>::new());
}

/// What steers the host program, and data.
fn stays(op: &str) -> bool {
    matches!(op, "graph.constant" | "graph.guard" | "graph.bind")
}

#[test]
fn elementwise() {
    for op in nim_graph::ops::elementwise::UNARY {
        let name = op.name.strip_prefix("graph.").unwrap();
        let input = match name {
            "not" => "N 3 i1",
            "bitwise_not" => "N 3 ui8",
            _ => "N 3 f32",
        };
        maps((name != "identity").into(), &[input], |g, x| g.unary(name, x[0]).unwrap());
    }
    for op in nim_graph::ops::elementwise::BINARY {
        let name = op.name.strip_prefix("graph.").unwrap();
        let element = match name {
            "and" | "or" | "xor" => "i1",
            n if n.starts_with("bitwise") || n.starts_with("sh") => "i32",
            _ => "f16",
        };
        let shapes = [format!("N 3 {element}"), format!("M 1 {element}")];
        maps(1, &[&shapes[0], &shapes[1]], |g, x| g.binary(name, x[0], x[1]).unwrap());
    }
    for element in ["i8", "ui64", "i64"] {
        for name in ["add", "sub", "mul", "div", "mod", "fmod", "max", "min", "pow"] {
            let shape = format!("4 {element}");
            maps(1, &[&shape, &shape], |g, x| g.binary(name, x[0], x[1]).unwrap());
        }
    }
    maps(1, &["4 i32", "4 f32"], |g, x| g.binary("pow", x[0], x[1]).unwrap());
    maps(1, &["N i1", "N 2 N f64", "1 f64"], |g, x| g.select(x[0], x[1], x[2]).unwrap());
    maps(6, &["5 ui8", "5 ui8"], |g, x| {
        let mut all = vec![];
        for p in ["eq", "ne", "lt", "le", "gt", "ge"] {
            all.push(g.compare(p, x[0], x[1]).unwrap());
        }
        all[5]
    });
}

#[test]
fn casts() {
    let types = ["f16", "bf16", "f32", "f64", "i8", "ui8", "i32", "ui32", "i64", "ui64", "i1"];
    for from in types {
        for to in types {
            let (input, to_type) = (format!("N {from}"), DType::ALL.into_iter().find(|d| d.name() == to).unwrap());
            maps((from != to).into(), &[&input], |g, x| g.cast_to(x[0], to_type).unwrap());
        }
    }
}

#[test]
fn contractions() {
    maps(1, &["N 768 f32", "768 3072 f32"], |g, x| g.matmul(x[0], x[1]).unwrap());
    maps(1, &["B 1 S 64 f16", "8 64 T f16"], |g, x| g.matmul(x[0], x[1]).unwrap());
    maps(1, &["K f32", "K f32"], |g, x| g.matmul(x[0], x[1]).unwrap());
    maps(1, &["2 3 4 f32", "4 f32"], |g, x| g.matmul(x[0], x[1]).unwrap());
    let einsum = |equation: &'static str| {
        move |g: &mut GraphBuilder<'_>, x: &[ValueId]| {
            let equation = g.ctx().string_attr(equation);
            g.value("graph.einsum", x, &[("equation", equation)]).unwrap()
        }
    };
    maps(1, &["B I J f32", "B J K f32"], einsum("bij,bjk->bik"));
    maps(1, &["I I f32"], einsum("ii->i"));
    maps(1, &["I J f32"], einsum("ij->"));
    maps(1, &["3 4 bf16", "4 bf16", "3 1 bf16"], einsum("ij,j,ij->i"));
}

#[test]
fn windows() {
    let ints = |g: &GraphBuilder<'_>, v: &[i64]| g.ctx().i64_array(v);
    for (groups, weights) in [(1, "64 16 3 3 f32"), (4, "64 4 3 3 f32"), (16, "16 1 3 3 f32")] {
        maps(1, &["N 16 H W f32", weights], |g, x| {
            let attrs = [
                ("strides", ints(g, &[2, 1])),
                ("pads", ints(g, &[1, 0, 1, 2])),
                ("dilations", ints(g, &[1, 2])),
                ("groups", g.ctx().i64_attr(groups)),
            ];
            g.value("graph.conv", x, &attrs).unwrap()
        });
    }
    maps(1, &["N 3 L f16", "8 3 1 f16"], |g, x| g.value("graph.conv", x, &[]).unwrap());
    for (strides, dilations) in [([1, 1], [1, 1]), ([2, 3], [1, 1]), ([2, 1], [2, 3])] {
        for (groups, weights) in [(1, "16 8 3 4 f32"), (4, "16 2 3 4 f32")] {
            maps(1, &["N 16 5 7 f32", weights], |g, x| {
                let attrs = [
                    ("strides", ints(g, &strides)),
                    ("dilations", ints(g, &dilations)),
                    ("pads", ints(g, &[1, 0, 1, 0])),
                    ("groups", g.ctx().i64_attr(groups)),
                ];
                g.value("graph.conv_transpose", x, &attrs).unwrap()
            });
        }
    }
    for kind in ["max", "sum"] {
        for element in ["f32", "f16", "i8", "ui8"] {
            let input = format!("N 4 H W {element}");
            maps(1, &[&input], |g, x| {
                let attrs = [
                    ("kind", g.ctx().string_attr(kind)),
                    ("kernel", ints(g, &[3, 3])),
                    ("strides", ints(g, &[2, 2])),
                    ("pads", ints(g, &[1, 1, 1, 1])),
                ];
                g.value("graph.pool", x, &attrs).unwrap()
            });
        }
    }
}

#[test]
fn reductions() {
    for kind in ["sum", "prod", "max", "min"] {
        for element in ["f32", "bf16", "ui8", "i64"] {
            for (axes, keep) in [(vec![1], false), (vec![0, 2], true), (vec![0, 1, 2], false)] {
                let input = format!("N 5 M {element}");
                maps(1, &[&input], |g, x| g.reduce(kind, x[0], &axes, keep).unwrap());
            }
        }
    }
    maps(1, &["N M i1"], |g, x| g.reduce("and", x[0], &[1], false).unwrap());
    for (last, keep) in [(false, false), (true, true)] {
        maps(2, &["N M f32"], |g, x| {
            let ctx = g.ctx();
            let attrs = [
                ("kind", ctx.string_attr("max")),
                ("axis", ctx.i64_attr(1)),
                ("last", ctx.bool_attr(last)),
                ("keepdims", ctx.bool_attr(keep)),
            ];
            g.value("graph.arg_reduce", x, &attrs).unwrap()
        });
    }
    for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
        for (count, input) in [(1, "N 5 f32"), (3, "N M f32"), (3, "2 200 f16"), (3, "130 i32")] {
            maps(count, &[input], |g, x| {
                let ctx = g.ctx();
                let attrs = [
                    ("axis", ctx.i64_attr(-1)),
                    ("exclusive", ctx.bool_attr(exclusive)),
                    ("reverse", ctx.bool_attr(reverse)),
                ];
                g.value("graph.cumsum", x, &attrs).unwrap()
            });
        }
    }
    maps(5, &["N S f32"], |g, x| g.softmax(x[0], &[1], false).unwrap());
}

#[test]
fn movement() {
    maps(1, &["N 2 3 f32"], |g, x| g.transpose(x[0], &[2, 0, 1]).unwrap());
    maps(1, &["N 1 f32", "K f32"], |g, x| {
        let shape = ["K", "N", "7"].map(|t| g.ctx().exprs.parse(t).unwrap());
        g.broadcast_to(x[0], &shape).unwrap()
    });
    maps(3, &["N 2 f32", "N M f32", "N 3 f32"], |g, x| g.concat(x, 1).unwrap());
    maps(1, &["N 4 f32"], |g, x| g.reverse(x[0], 0).unwrap());
    maps(1, &["N 4 i1"], |g, x| g.slice_axis(x[0], 1, g.num(1), g.num(2)).unwrap());
    for mode in ["constant", "edge", "reflect", "wrap"] {
        for element in ["f32", "ui8"] {
            let input = format!("N 4 {element}");
            let pad = |g: &mut GraphBuilder<'_>, operands: &[ValueId]| {
                let ctx = g.ctx();
                let (low, high) =
                    (ctx.exprs_attr(&[g.num(1), g.num(-1)]), ctx.exprs_attr(&[g.num(2), ctx.exprs.named("K")]));
                let attrs = [("low", low), ("high", high), ("mode", ctx.string_attr(mode))];
                g.value("graph.pad", operands, &attrs).unwrap()
            };
            maps(1, &[&input, "K f32"], |g, x| pad(g, &x[..1]));
            if mode == "constant" {
                maps(1, &[&input, element, "K f32"], |g, x| pad(g, &x[..2]));
                maps(1, &[&input, "K f32"], |g, x| {
                    let value = g.like(x[0], 7.0).unwrap();
                    pad(g, &[x[0], value])
                });
            }
        }
    }
    maps(1, &["N f32"], |g, _| g.iota(&[g.num(3), g.ctx().exprs.named("N")], 1, DType::F16).unwrap());
    maps(1, &["i64", "i64", "N f32"], |g, x| {
        let size = g.ctx().expr_attr(g.ctx().exprs.named("N"));
        g.value("graph.range", &x[..2], &[("size", size)]).unwrap()
    });
}

#[test]
fn resize() {
    let coordinates = [
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_half_pixel_for_nn",
        "tf_crop_and_resize",
    ];
    let run = |mode: &str,
               coordinates: &str,
               nearest: &str,
               element: &str,
               sizes: [i64; 2],
               scales: [f64; 2],
               exclude,
               antialias| {
        let ctx = context();
        let input = format!("N 1 5 4 {element}");
        let mut module = function(&ctx, &[&input], |g, x| {
            let mut shape = g.dims(x[0]).unwrap();
            (shape[2], shape[3]) = (g.num(sizes[0]), g.num(sizes[1]));
            let f64_type = ctx.type_of_dtype(DType::F64);
            let floats = |v: &[f64]| ctx.array_attr(v.iter().map(|&f| ctx.float_attr(f, f64_type)).collect::<Vec<_>>());
            let attrs = [
                ("sizes", ctx.exprs_attr(&shape)),
                ("scales", floats(&[1.0, 1.0, scales[0], scales[1]])),
                ("mode", ctx.string_attr(mode)),
                ("coordinates", ctx.string_attr(coordinates)),
                ("nearest_mode", ctx.string_attr(nearest)),
                ("roi", floats(&[0.0, 0.0, 0.25, 0.5, 1.0, 1.0, 0.75, 1.25])),
                ("extrapolation", ctx.float_attr(7.0, f64_type)),
                ("exclude_outside", ctx.bool_attr(exclude)),
                ("antialias", ctx.bool_attr(antialias)),
            ];
            vec![g.value("graph.resize", x, &attrs).unwrap()]
        });
        same_numbers(&ctx, &mut module, |module| assert_eq!(graph_to_dataflow(&ctx, module), []));
        ops(&ctx, &module).len() - 1
    };
    for c in coordinates {
        for (sizes, scales) in [([10, 8], [2.0, 2.0]), ([3, 9], [0.7, 0.0]), ([1, 4], [0.0, 1.0])] {
            for nearest in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] {
                // Half a pixel up, axes that stay would be shifted by one; nobody means that.
                if c == "tf_half_pixel_for_nn" && nearest.ends_with("ceil") {
                    continue;
                }
                run("nearest", c, nearest, "f32", sizes, scales, false, false);
            }
            for exclude in [false, true].into_iter().filter(|_| c != "tf_half_pixel_for_nn") {
                run("linear", c, "floor", "f32", sizes, scales, exclude, exclude);
                run("cubic", c, "floor", "f16", sizes, scales, exclude, false);
                run("cubic", c, "floor", "f32", sizes, scales, false, exclude);
            }
        }
    }
    run("linear", "half_pixel", "floor", "ui8", [10, 8], [2.0, 2.0], false, false);
    // Doubling needs no tables.
    assert_eq!(run("nearest", "asymmetric", "floor", "i32", [10, 8], [2.0, 2.0], false, false), 1);
    assert_eq!(run("nearest", "half_pixel", "round_prefer_floor", "i1", [10, 8], [0.0, 2.0], false, false), 1);
}

#[test]
fn indexing() {
    maps(2, &["V 8 f32", "B S i64"], |g, x| g.value("graph.gather", x, &[]).unwrap());
    maps(1, &["2 V 8 f32"], |g, x| {
        let index = g.constant(&Tensor::new::<i64>(&[], vec![-1]), "i").unwrap();
        let axis = g.ctx().i64_attr(1);
        g.value("graph.gather", &[x[0], index], &[("axis", axis)]).unwrap()
    });
    maps(2, &["N M f32", "N 2 i32"], |g, x| {
        let axis = g.ctx().i64_attr(1);
        g.value("graph.gather_elements", x, &[("axis", axis)]).unwrap()
    });
    maps(2, &["B N M f32", "B K 1 i64"], |g, x| {
        let batch = g.ctx().i64_attr(1);
        g.value("graph.gather_nd", x, &[("batch_dims", batch)]).unwrap()
    });
    for reduction in ["none", "add", "mul", "max", "min"] {
        maps(2, &["N M f32", "K M i64", "K M f32"], |g, x| {
            let (axis, reduction) = (g.ctx().i64_attr(0), g.ctx().string_attr(reduction));
            g.value("graph.scatter_elements", x, &[("axis", axis), ("reduction", reduction)]).unwrap()
        });
        maps(3, &["N M 3 i32", "K 2 i64", "K 3 i32"], |g, x| {
            let reduction = g.ctx().string_attr(reduction);
            g.value("graph.scatter_nd", x, &[("reduction", reduction)]).unwrap()
        });
    }
}

#[test]
fn what_has_no_rule_is_listed_once() {
    let ctx = context();
    let input = ty(&ctx, "3 complex<f32>");
    let mut body = Body::new();
    let region = body.add_root_region();
    let block = body.add_block(region, &[input], &[]);
    let x = body.block_args(block)[0];
    let mut g = GraphBuilder::new(Builder::at_end(&ctx, &mut body, block));
    let y = g.unary("exp", x).unwrap();
    g.unary("exp", y).unwrap();
    g.unary("log", y).unwrap();
    let found = nim_graph_passes::to_dataflow::body_to_dataflow(&ctx, &mut body);
    let messages: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`graph.exp` cannot become a map (2 ops, the first one here): maps do not compute with elements of type complex<f32>",
            "`graph.log` cannot become a map: maps do not compute with elements of type complex<f32>",
        ]
    );
}
