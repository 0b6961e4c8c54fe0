//! `dataflow-pack-signs`: sums of products of two-valued numbers become counts of bits.
//!
//! Where both operands of a contraction are known to hold nothing but `a` and `-a`, and `b` and `-b`, a product is `ab` where their
//! signs agree and `-ab` where they differ. With 32 signs in a word along a dimension that both share, a sum of `n` products is
//! `ab * (n - 2*count(x xor w))`, exactly. That is how binary layers are computed; nothing else in the toolkit knows of them: words
//! are `i32`, the sum is a map like any other (its body `xori`, `ctpop`), and so is packing.
//!
//! What a container holds is read off the constants and maps that make it ([`values`]). A border of zeros is neither value: what
//! lies outside must count nothing. Its words are 0, and what the constant operand then adds to the count is taken back in the
//! epilogue, from a table over the first and last tap inside.
//!
//! Signs by `sign` of floats are none: it gives 0 for 0 and NaN for NaN. `where(x >= 0, 1, -1)` is two-valued.

mod border;
mod values;

pub(crate) use values::number;

use border::Border;
use nim_dataflow::{Combine, Map, MapBuilder, MapView, Memlet, as_iv, index_value, iv, mentioned_ivs};
use nim_ir::{Body, Builder, Context, Expr, Facts, FloatKind, Module, OpId, TypeData, ValueId};
use nim_tensor::Tensor;

/// The name of the pass.
pub const NAME: &str = "dataflow-pack-signs";
/// Signs in a word.
pub const WORD: i64 = 32;
/// Fewer signs than this are not worth a word.
const LEAST: i64 = 8;

/// Packs in all functions of a module; answers how many contractions were.
pub fn pack_signs(ctx: &Context, module: &mut Module) -> usize {
    module.body.nested_bodies_mut().map(|(_, body)| pack_in(ctx, body)).sum()
}

/// Packs in one function.
pub fn pack_in(ctx: &Context, body: &mut Body) -> usize {
    let maps: Vec<OpId> = body.walk().into_iter().filter(|&op| Map::is(ctx, body, op)).collect();
    maps.into_iter().filter(|&op| pack(ctx, body, op).is_some()).count()
}

/// One operand of a contraction of signs.
struct Operand {
    memlet: Memlet,
    /// The dimension of the container that words run along.
    axis: usize,
    /// The value whose bit is set; the other one is its negative.
    value: f64,
    constant: Option<Tensor>,
}

fn pack(ctx: &Context, body: &mut Body, op: OpId) -> Option<()> {
    let pool = &ctx.exprs;
    let view = MapView::new(ctx, body, op)?;
    let [write] = view.writes.as_slice() else { return None };
    if view.epilogue.is_some() || write.combine != Combine::Add || write.init_value.is_some() || view.reads.len() != 2 {
        return None;
    }
    let zero = write.init.is_none_or(|a| values::number(ctx, a) == Some(0.0));
    let (element, args) = (ctx.element_type(write.ty)?, view.body_args(body).to_vec());
    // The body is the product of both, perhaps widened.
    let product = body.defining_op(body.operand(view.body_yield(body)?, 0))?;
    let factor = |v: ValueId| values::unwidened(ctx, body, v).and_then(|v| args.iter().position(|&a| a == v));
    let multiplies = ["arith.mulf", "arith.muli"].iter().any(|name| body.is(ctx, product, name));
    let mut factors: Vec<usize> = body.operands(product).iter().filter_map(|&v| factor(v)).collect();
    factors.sort_unstable();
    if !zero || !multiplies || factors != [0, 1] {
        return None;
    }
    let parallel = view.is_parallel(ctx);
    let reductions: Vec<usize> = (0..view.rank()).filter(|&k| !parallel[k]).collect();
    // The dimension of words: the longest that is an index of both, of its own, and as long as they are.
    let axis_of = |memlet: &Memlet, k: usize| -> Option<usize> {
        let subset = memlet.subset.as_ref()?;
        let axis = subset.iter().position(|&e| as_iv(ctx, e) == Some(k))?;
        let once = subset.iter().filter(|&&e| mentioned_ivs(ctx, e).contains(&k)).count() == 1;
        let whole = ctx.dim_exprs(body.ty(memlet.value))?.get(axis) == Some(&view.domain[k]);
        (once && whole).then_some(axis)
    };
    let shared = |k: usize| Some([axis_of(&view.reads[0], k)?, axis_of(&view.reads[1], k)?]);
    let known = reductions.iter().filter_map(|&k| Some((k, pool.as_const(view.domain[k])?, shared(k)?)));
    let (word, signs, axes) = known.max_by_key(|&(_, n, _)| n).filter(|&(_, n, _)| n >= LEAST)?;
    // Activations first: they are seldom signs, and large constants take long to look at.
    let is_constant = |v: ValueId| body.defining_op(v).is_some_and(|op| body.is(ctx, op, "graph.constant"));
    for memlet in view.reads.iter().filter(|m| !is_constant(m.value)) {
        values::signs(ctx, body, memlet.value)?;
    }
    let mut operands = vec![];
    for (memlet, axis) in view.reads.iter().zip(axes) {
        let [value, _] = values::signs(ctx, body, memlet.value)?;
        let border = memlet.border.map(|b| values::number(ctx, b)).unwrap_or(Some(0.0))?;
        // Bits outside are 0: of the other value, or of none.
        let value = if border == value { -value } else { value };
        if border != 0.0 && border != -value {
            return None;
        }
        let constant = values::constant(ctx, body, memlet.value);
        operands.push(Operand { memlet: memlet.clone(), axis, value, constant });
    }
    let product = operands[0].value * operands[1].value;
    let count = pool.product(reductions.iter().map(|&k| view.domain[k]));
    let most = pool.as_const(count);
    exact(ctx, element, product, most).then_some(())?;
    let border = Border::new(ctx, body, &view, &operands, word)?;
    let loc = ctx.derived_loc(NAME, body.loc(op));
    let mut builder = Builder::before(ctx, body, op);
    builder.loc = loc;
    let words: Vec<ValueId> = operands.iter().map(|operand| words(&mut builder, operand, signs)).collect();
    let i32_type = ctx.int_type(32);
    let none = ctx.int_attr(0, i32_type);
    let mut domain = view.domain.clone();
    domain[word] = pool.constant((signs + WORD - 1) / WORD);
    let mut map = MapBuilder::new(&domain);
    for (operand, &words) in operands.iter().zip(&words) {
        let border = operand.memlet.border.map(|_| none);
        map.memlet(Memlet { value: words, subset: operand.memlet.subset.clone(), border });
    }
    map.reduce(write.ty, write.subset.as_deref()?, Combine::Add, none);
    let table = border.map(|border| {
        let table = border.table(&mut builder);
        map.epilogue_read(table, &border.indices)
    });
    let epilogue = |b: &mut Builder<'_>, args: &[ValueId]| {
        let two = b.value("arith.constant", &[], i32_type, &[("value", ctx.int_attr(2, i32_type))]);
        let all = match (table, pool.as_const(count)) {
            (Some(_), _) => args[1],
            (None, Some(n)) => b.value("arith.constant", &[], i32_type, &[("value", ctx.int_attr(n.into(), i32_type))]),
            (None, None) => {
                let n = index_value(b, count);
                b.value("arith.index_cast", &[n], i32_type, &[])
            }
        };
        let twice = b.value("arith.muli", &[args[0], two], i32_type, &[]);
        // A sum of 0 is no -0.
        let parts = if product < 0.0 { [twice, all] } else { [all, twice] };
        let sum = b.value("arith.subi", &parts, i32_type, &[]);
        vec![scaled(b, sum, product.abs(), element)]
    };
    let body_of = |b: &mut Builder<'_>, args: &[ValueId]| {
        let differ = b.value("arith.xori", args, i32_type, &[]);
        vec![b.value("math.ctpop", &[differ], i32_type, &[])]
    };
    let new = map.build_with_epilogue(&mut builder, &[i32_type], body_of, epilogue);
    let (old, new) = (body.result(op), body.result(new));
    body.replace_all_uses(old, new);
    body.set_value_name(new, body.value_name(old));
    body.erase(op);
    Some(())
}

/// Whether sums of so many products `+-product` are exact in the element type, in whatever order.
fn exact(ctx: &Context, element: nim_ir::Type, product: f64, most: Option<i64>) -> bool {
    let bits = match ctx.type_data(element) {
        TypeData::Integer { width: 32 | 64, .. } => return product.abs() < 65536.0,
        TypeData::Float(FloatKind::F32) => 24,
        TypeData::Float(FloatKind::F64) => 53,
        _ => return false,
    };
    // The product's own digits, and those of the count; nothing near the ends of the exponents.
    let (mantissa, _) = values::mantissa(product);
    let fits = |n: i64| n < 1 << 30 && (mantissa as i128).saturating_mul(n.into()) <= 1 << bits;
    (1e-30..1e25).contains(&product.abs()) && most.is_some_and(fits)
}

/// A count as the element, times the product.
fn scaled(b: &mut Builder<'_>, sum: ValueId, product: f64, element: nim_ir::Type) -> ValueId {
    let ctx = b.ctx;
    let scalar = nim_dataflow::scalar_type(ctx, element);
    let float = matches!(ctx.type_data(scalar), TypeData::Float(_));
    let sum = match (float, scalar == ctx.int_type(32)) {
        (true, _) => b.value("arith.sitofp", &[sum], scalar, &[]),
        (false, true) => sum,
        (false, false) => b.value("arith.extsi", &[sum], scalar, &[]),
    };
    if product == 1.0 {
        return sum;
    }
    let (factor, op) = match float {
        true => (ctx.float_attr(product, scalar), "arith.mulf"),
        false => (ctx.int_attr(product as i128, scalar), "arith.muli"),
    };
    let factor = b.value("arith.constant", &[], scalar, &[("value", factor)]);
    b.value(op, &[sum, factor], scalar, &[])
}

/// The words of an operand: a constant of a constant, else made by a map.
fn words(b: &mut Builder<'_>, operand: &Operand, signs: i64) -> ValueId {
    let ctx = b.ctx;
    let pool = &ctx.exprs;
    if let Some(words) = operand.constant.as_ref().and_then(|t| packed(t, operand.axis, operand.value)) {
        let (value, ty) = (ctx.tensor_attr(&words, "signs"), ctx.type_of_tensor(&words));
        return b.value("graph.constant", &[], ty, &[("value", value)]);
    }
    let i32_type = ctx.int_type(32);
    let ty = b.body.ty(operand.memlet.value);
    let mut dims = ctx.dim_exprs(ty).unwrap_or_default();
    dims[operand.axis] = pool.constant((signs + WORD - 1) / WORD);
    let mut map = MapBuilder::new(&dims);
    let mut place: Vec<Expr> = (0..dims.len()).map(|k| iv(ctx, k)).collect();
    let whole = place.clone();
    let bit = map.dim(ctx, pool.constant(WORD));
    place[operand.axis] = pool.add(pool.scale(WORD, place[operand.axis]), bit);
    let element = ctx.element_type(ty).unwrap_or(i32_type);
    let scalar = nim_dataflow::scalar_type(ctx, element);
    let float = matches!(ctx.type_data(scalar), TypeData::Float(_));
    let typed = |value: f64, ty| match float {
        true => ctx.float_attr(value, ty),
        false => ctx.int_attr(value as i128, ty),
    };
    match signs % WORD {
        0 => map.read(operand.memlet.value, &place),
        _ => map.read_or(operand.memlet.value, &place, typed(-operand.value, element)),
    };
    map.reduce(ctx.tensor_of(&dims, i32_type), &whole, Combine::Add, ctx.int_attr(0, i32_type));
    let op = map.build(b, |b, args| {
        let set = b.value("arith.constant", &[], scalar, &[("value", typed(operand.value, scalar))]);
        // `oeq` of floats, `eq` of integers.
        let (compare, predicate) = if float { ("arith.cmpf", 1) } else { ("arith.cmpi", 0) };
        let equal = b.value(compare, &[args[0], set], ctx.int_type(1), &[("predicate", ctx.i64_attr(predicate))]);
        let one = b.value("arith.extui", &[equal], i32_type, &[]);
        let at = index_value(b, bit);
        let by = b.value("arith.index_cast", &[at], i32_type, &[]);
        vec![b.value("arith.shli", &[one, by], i32_type, &[])]
    });
    b.body.result(op)
}

/// The words of a tensor along an axis; bit `j` of word `i` is set where element `32*i + j` has the value.
fn packed(tensor: &Tensor, axis: usize, value: f64) -> Option<Tensor> {
    let (dims, values) = (tensor.dims().to_vec(), tensor.to_f64s()?);
    let (count, inner) = (dims[axis], dims[axis + 1..].iter().product::<usize>());
    let words = count.div_ceil(WORD as usize);
    let mut shape = dims.clone();
    shape[axis] = words;
    let mut out = vec![0i32; shape.iter().product()];
    for (at, &v) in values.iter().enumerate() {
        let (outer, along, rest) = (at / inner / count, at / inner % count, at % inner);
        if v == value {
            out[(outer * words + along / WORD as usize) * inner + rest] |= 1 << (along % WORD as usize);
        }
    }
    Some(Tensor::new(&shape, out))
}

/// What an index of a container is known to stay within, given the domain.
fn stays_inside(ctx: &Context, view: &MapView, index: Expr, size: Expr) -> bool {
    let facts = view.facts(ctx, &Facts::default());
    let last = ctx.exprs.sub(size, Expr::ONE);
    ctx.exprs.prove_le(Expr::ZERO, index, &facts) && ctx.exprs.prove_le(index, last, &facts)
}
