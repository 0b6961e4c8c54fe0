//! No shape, element type or parameter makes a kernel panic: each is an answer or an error.
//!
//! Every kernel is called with every combination of a few odd shapes, types and parameters; what it answers is right
//! or wrong elsewhere, here it only has to come back.

use nim_interp::kernels::choose::{Suppression, compress, non_max_suppression, nonzero};
use nim_interp::kernels::col2im::col2im;
use nim_interp::kernels::contract::{einsum, matmul};
use nim_interp::kernels::conv::{conv, conv_transpose};
use nim_interp::kernels::deform_conv::deform_conv;
use nim_interp::kernels::det::det;
use nim_interp::kernels::dft::{dft, stft};
use nim_interp::kernels::elementwise::{binary, compare, select, unary};
use nim_interp::kernels::gather::{gather, gather_elements, gather_nd};
use nim_interp::kernels::grid_sample::{Outside, SampleMode, grid_sample};
use nim_interp::kernels::movement::{
    bitcast, broadcast_to, cast, concat, iota, range, reshape, reverse, slice, tile, transpose,
};
use nim_interp::kernels::order::{sort, top_k, unique};
use nim_interp::kernels::pad::{PadMode, pad};
use nim_interp::kernels::pool::{StorageOrder, avg_pool, max_pool, sum_pool};
use nim_interp::kernels::random::{bernoulli, multinomial, normal, uniform};
use nim_interp::kernels::reduce::{Extremum, ReduceOp, arg_extremum, reduce};
use nim_interp::kernels::resize::{CoordinateMode, Interpolation, NearestMode, ResizeAxis, ResizeOptions, resize};
use nim_interp::kernels::roi::{RoiAlign, max_roi_pool, roi_align};
use nim_interp::kernels::scan::{cumprod, cumsum};
use nim_interp::kernels::scatter::{Reduction, scatter_elements, scatter_nd};
use nim_interp::kernels::window::Window;
use nim_interp::scalar::{BinaryOp, CompareOp, UnaryOp};
use nim_tensor::tensor::element_count;
use nim_tensor::{DType, Rounding, Tensor};

const HUGE: usize = 1 << 40;

/// Shapes of every rank with ones, zeros and, where that leaves them empty, absurd sizes.
const SHAPES: &[&[usize]] = &[
    &[],
    &[0],
    &[1],
    &[3],
    &[2, 3],
    &[0, HUGE],
    &[HUGE, 0, HUGE],
    &[HUGE, HUGE, 0],
    &[1, 2, 4],
    &[2, 1, 0],
    &[1, 1, 3, 3],
    &[0, 2, 3, 3],
    &[2, 2, 0, 3],
    &[1, 0, 3, 3],
    &[1, 4, 3, 3, 2],
];

const TYPES: &[DType] =
    &[DType::F32, DType::F16, DType::F8E5M2, DType::I64, DType::U8, DType::I4, DType::Bool, DType::String, DType::C64];

fn tensor(dtype: DType, dims: &[usize]) -> Tensor {
    let count = element_count(dims).expect("a legal shape");
    // Small numbers of both signs, so that some of them are legal indices.
    let numbers: Vec<f64> = (0..count).map(|i| (i * 5 % 7) as f64 - 3.0).collect();
    match dtype {
        DType::String => Tensor::strings(dims, numbers.iter().map(|n| n.to_string()).collect()),
        dtype => Tensor::from_f64s(dtype, dims, &numbers).expect("a numeric type"),
    }
}

fn all() -> Vec<Tensor> {
    TYPES.iter().flat_map(|&dtype| SHAPES.iter().map(move |dims| tensor(dtype, dims))).collect()
}

/// Of one type, floating point.
fn floats() -> Vec<Tensor> {
    SHAPES.iter().map(|dims| tensor(DType::F32, dims)).collect()
}

const AXES: &[i64] = &[i64::MIN, -2, -1, 0, 1, 2, i64::MAX];

#[test]
fn one_operand() {
    for x in all() {
        let rank = x.rank();
        for op in [UnaryOp::Neg, UnaryOp::Exp, UnaryOp::IsNan, UnaryOp::Not, UnaryOp::LeadingZeros] {
            let _ = unary(op, &x);
        }
        for dims in SHAPES {
            let _ = (broadcast_to(&x, dims), reshape(&x, dims), tile(&x, dims));
            let starts = vec![1; dims.len()];
            let _ = (slice(&x, &starts, &vec![-1; rank], dims), slice(&x, &starts, &vec![i64::MIN; rank], dims));
        }
        for &to in TYPES {
            let _ = (cast(&x, to, Rounding::default()), bitcast(&x, to));
        }
        for &axis in AXES {
            let _ = (transpose(&x, &[axis]), transpose(&x, &[1, 0, axis]), reverse(&x, &[axis]));
            for flag in [false, true] {
                let _ = (cumsum(&x, axis, flag, !flag), cumprod(&x, axis, flag, flag), unique(&x, Some(axis), flag));
                let _ = (sort(&x, axis, flag), top_k(&x, 2, axis, flag), top_k(&x, HUGE, axis, flag));
                let _ = (dft(&x, axis, None, flag, false), dft(&x, axis, Some(3), flag, true));
                let _ = dft(&x, axis, Some(0), flag, true);
                for which in [Extremum::Max, Extremum::Min] {
                    let _ = arg_extremum(which, &x, axis, flag, flag);
                }
                for op in [ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::And] {
                    let _ =
                        (reduce(op, &x, &[axis], flag), reduce(op, &x, &[0, axis], flag), reduce(op, &x, &[], flag));
                }
            }
        }
        let _ =
            (range(&x, &x, 2), det(&x), unique(&x, None, true), nonzero(&x), bernoulli(1, &x), multinomial(1, &x, 2));
        let _ = stft(&x, 1, None, 1, true);
        let _ = (stft(&x, 2, Some(&x), 3, false), stft(&x, HUGE, None, HUGE, true), stft(&x, 0, None, 0, true));
        for mode in [PadMode::Constant(x.clone()), PadMode::Edge, PadMode::Reflect, PadMode::Wrap] {
            for (before, after) in [(2, 1), (-1, 3), (-1, -1), (i64::MIN, i64::MAX)] {
                let _ = pad(&x, &vec![before; rank], &vec![after; rank], &mode);
            }
            let _ = pad(&x, &[1], &[], &mode);
        }
    }
    for &dtype in TYPES {
        for dims in SHAPES.iter().copied().chain([&[HUGE, HUGE][..]]) {
            let _ = (iota(dtype, dims, 0), uniform(1, dtype, dims, 0.0, 1.0), normal(1, dtype, dims, 0.0, 1.0));
        }
    }
}

#[test]
fn two_operands() {
    let operands = all();
    for a in &operands {
        for b in &operands {
            for op in [BinaryOp::Add, BinaryOp::Pow, BinaryOp::Mod, BinaryOp::And, BinaryOp::ShiftLeft] {
                let _ = binary(op, a, b);
            }
            let _ = (compare(CompareOp::Le, a, b), select(a, b, b), concat(&[a, b], 0), concat(&[a, b], -1));
            let _ = (matmul(a, b), einsum("...ij,...jk", &[a, b]), einsum("i,j->", &[a, b]), einsum("ii,...", &[a, b]));
            let _ = (gather(a, b, 0), gather(a, b, -1), gather_elements(a, b, 0), gather_elements(a, b, 1));
            let _ = (gather_nd(a, b, 0), gather_nd(a, b, 1), gather_nd(a, b, HUGE));
            let _ = (compress(a, b, None), compress(a, b, Some(0)));
            for reduction in [Reduction::None, Reduction::Add, Reduction::Max] {
                let _ = (scatter_elements(a, b, a, 0, reduction), scatter_nd(a, b, a, reduction));
                let _ = scatter_elements(a, b, b, -1, reduction);
            }
        }
    }
}

fn windows(rank: usize) -> Vec<Window> {
    let plain = Window::new(rank);
    vec![
        Window { strides: vec![2; rank], pads_begin: vec![1; rank], ..plain.clone() },
        Window { dilations: vec![3; rank], pads_begin: vec![-1; rank], ..plain.clone() },
        Window { pads_begin: vec![-9; rank], pads_end: vec![-9; rank], ..plain.clone() },
        Window { strides: vec![0; rank], ..plain.clone() },
        Window { pads_begin: vec![i64::MIN; rank], ..plain.clone() },
        Window { strides: vec![usize::MAX; rank], dilations: vec![usize::MAX; rank], ..plain.clone() },
        Window::new(rank + 1),
        plain,
    ]
}

#[test]
fn windows_of_all_kinds() {
    for x in floats() {
        let rank = x.rank().saturating_sub(2);
        for window in windows(rank) {
            for size in [0, 1, 2, HUGE] {
                let kernel = vec![size; rank];
                for output in [None, Some(&[2, 2][..]), Some(&[HUGE][..])] {
                    // Extents of a huge window are walked element by element, so only sizes that fit are tried.
                    if size < HUGE {
                        let _ = max_pool(&x, &kernel, &window, output, StorageOrder::ColumnMajor);
                        let _ = (avg_pool(&x, &kernel, &window, output, true), sum_pool(&x, &kernel, &window, output));
                    }
                }
                let _ = (col2im(&x, &kernel, &[1, 2], &window), col2im(&x, &[3, 3], &kernel, &window));
            }
            for w in floats() {
                for groups in [0, 1, 2, HUGE] {
                    let _ = (conv(&x, &w, &window, groups), conv_transpose(&x, &w, &window, &vec![1; rank], groups));
                    let _ = deform_conv(&x, &w, &x, None, &window, groups, 1);
                }
            }
        }
    }
}

#[test]
fn resampling() {
    let modes = [
        CoordinateMode::HalfPixel,
        CoordinateMode::HalfPixelSymmetric,
        CoordinateMode::PytorchHalfPixel,
        CoordinateMode::AlignCorners,
        CoordinateMode::Asymmetric,
        CoordinateMode::TfCropAndResize,
    ];
    let kinds =
        [Interpolation::Nearest(NearestMode::Ceil), Interpolation::Linear, Interpolation::Cubic { coeff_a: -0.75 }];
    for x in all() {
        for coordinates in modes {
            for interpolation in kinds {
                for flag in [false, true] {
                    let options = ResizeOptions {
                        interpolation,
                        coordinates,
                        exclude_outside: flag,
                        antialias: flag,
                        extrapolation: 1.0,
                    };
                    for (output, scale) in [(2, 2.0), (1, 0.1), (0, 1.0), (3, 0.0), (1, f64::NAN), (2, 1e300)] {
                        let axis = ResizeAxis { output, scale, roi: (0.2, 1.2) };
                        let _ = resize(&x, &vec![axis; x.rank()], &options);
                    }
                }
            }
        }
    }
}

#[test]
fn regions_and_grids() {
    let extremes = Tensor::new(&[1, 2, 2, 2], vec![f32::NAN, f32::INFINITY, -1e30, 1e30, 0.5, -1.0, 1.0, 9.0]);
    let regions = Tensor::new(&[2, 4], vec![f32::NAN, 0.0, 1e30, 1.0, 2.0, 2.0, -1.0, f32::INFINITY]);
    let numbered = Tensor::new(&[2, 5], vec![0.0, f32::NAN, 0.0, 1e30, 1.0, 0.0, 2.0, 2.0, -1.0, f32::INFINITY]);
    let first = Tensor::new(&[2], vec![0i64, 0]);
    let image = tensor(DType::F32, &[1, 1, 3, 3]);
    let options = RoiAlign { output: (2, 1), sampling_ratio: 0, spatial_scale: 1.0, half_pixel: true, max: false };
    let suppression =
        Suppression { max_per_class: 9, iou_threshold: 0.5, score_threshold: None, center_point_box: true };
    for half_pixel in [false, true] {
        for sampling_ratio in [0, 2] {
            for max in [false, true] {
                let options = RoiAlign { half_pixel, sampling_ratio, max, ..options };
                let _ = roi_align(&image, &regions, &first, &options);
            }
        }
    }
    let _ = max_roi_pool(&image, &numbered, (2, 2), 1.0);
    for a in floats() {
        for b in floats().into_iter().chain([extremes.clone()]) {
            for mode in [SampleMode::Nearest, SampleMode::Linear, SampleMode::Cubic] {
                for outside in [Outside::Zeros, Outside::Border, Outside::Reflection] {
                    let _ = (grid_sample(&a, &b, mode, outside, true), grid_sample(&a, &b, mode, outside, false));
                }
            }
            let _ = (non_max_suppression(&a, &b, &suppression), roi_align(&a, &b, &first, &options));
            let _ = max_roi_pool(&a, &b, (2, 0), f64::NAN);
        }
    }
}
