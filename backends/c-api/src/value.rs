//! Values: tensors, strings, sequences, data.

use crate::error::{checked, nim_error, plain};
use crate::program::nim_kind;
use nim_tensor::{Blob, DType, Made, Tensor, Value};
use nim_vm::bytecode::field::{dtype_code, dtype_of_code};
use std::ffi::{c_char, c_void};
use std::ptr;

/// A value. It never changes, and any thread may read it.
#[repr(transparent)]
pub struct nim_value {
    pub(crate) value: Value,
}

/// Called with its context when memory that was lent is not used any more, from whatever thread used it last.
pub type nim_release = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// Element types. Those narrower than a byte take a byte an element.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum nim_dtype {
    NIM_F64 = 0,
    NIM_F32 = 1,
    NIM_F16 = 2,
    NIM_BF16 = 3,
    NIM_F8E4M3FN = 4,
    NIM_F8E4M3FNUZ = 5,
    NIM_F8E5M2 = 6,
    NIM_F8E5M2FNUZ = 7,
    NIM_F8E8M0FNU = 8,
    NIM_F4E2M1FN = 9,
    NIM_I64 = 10,
    NIM_I32 = 11,
    NIM_I16 = 12,
    NIM_I8 = 13,
    NIM_I4 = 14,
    NIM_I2 = 15,
    NIM_U64 = 16,
    NIM_U32 = 17,
    NIM_U16 = 18,
    NIM_U8 = 19,
    NIM_U4 = 20,
    NIM_U2 = 21,
    /// A byte, 0 or 1.
    NIM_BOOL = 22,
    /// UTF-8 texts: see `nim_value_strings` and `nim_value_string`.
    NIM_STRING = 23,
    NIM_C64 = 24,
    NIM_C128 = 25,
}

impl nim_dtype {
    /// All of them, in the order of their numbers.
    pub const ALL: [nim_dtype; 26] = {
        use nim_dtype::*;
        [
            NIM_F64,
            NIM_F32,
            NIM_F16,
            NIM_BF16,
            NIM_F8E4M3FN,
            NIM_F8E4M3FNUZ,
            NIM_F8E5M2,
            NIM_F8E5M2FNUZ,
            NIM_F8E8M0FNU,
            NIM_F4E2M1FN,
            NIM_I64,
            NIM_I32,
            NIM_I16,
            NIM_I8,
            NIM_I4,
            NIM_I2,
            NIM_U64,
            NIM_U32,
            NIM_U16,
            NIM_U8,
            NIM_U4,
            NIM_U2,
            NIM_BOOL,
            NIM_STRING,
            NIM_C64,
            NIM_C128,
        ]
    };
    pub(crate) fn of(dtype: DType) -> nim_dtype {
        nim_dtype::ALL[usize::from(dtype_code(dtype))]
    }
}

/// Memory of the caller, given back when it is not used any more.
pub(crate) struct Lent {
    data: *const u8,
    length: usize,
    release: nim_release,
    context: *mut c_void,
}

// SAFETY: whoever lends memory says that it may be read from any thread until it is released.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Lent {
    /// # Safety
    /// `data` has `length` bytes until they are released.
    pub(crate) unsafe fn new(
        data: *const c_void,
        length: usize,
        release: nim_release,
        context: *mut c_void,
    ) -> Result<Lent, nim_error> {
        let mut lent = Lent { data: data.cast(), length, release, context };
        if data.is_null() {
            if length > 0 || isize::try_from(length).is_err() {
                return Err(nim_error::argument("data is null, and its length is not 0"));
            }
            lent.data = ptr::NonNull::<u64>::dangling().as_ptr().cast();
        }
        if isize::try_from(length).is_err() {
            return Err(nim_error::argument("the length is more than memory can have"));
        }
        Ok(lent)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: whoever made it says so.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: called once, with the context that came with it.
            unsafe { release(self.context) };
        }
    }
}

/// # Safety
/// `items` has `count` items, or is null when there are none.
pub(crate) unsafe fn slice<'a, T>(items: *const T, count: usize) -> Result<&'a [T], nim_error> {
    match items.is_null() {
        true if count > 0 => Err(nim_error::argument("an array is null, and its length is not 0")),
        true => Ok(&[]),
        // SAFETY: see above.
        false => Ok(unsafe { std::slice::from_raw_parts(items, count) }),
    }
}

/// A tensor in the caller's memory.
///
/// # Safety
/// `dims` has `rank` sizes; `data` has `bytes` bytes until they are released.
pub(crate) unsafe fn tensor(
    dtype: i32,
    dims: *const usize,
    rank: usize,
    data: *const c_void,
    bytes: usize,
    release: nim_release,
    context: *mut c_void,
) -> Result<Value, nim_error> {
    // SAFETY: see above. Made first, so that it is released whatever happens.
    let lent = unsafe { Lent::new(data, bytes, release, context) }?;
    let dtype = u32::try_from(dtype).ok().and_then(dtype_of_code);
    let Some(dtype) = dtype.filter(|&d| d != DType::String) else {
        return Err(nim_error::argument("this is no element type, or strings, which nim_value_strings makes"));
    };
    // SAFETY: see above.
    let dims = unsafe { slice(dims, rank) }?;
    let tensor = Tensor::from_blob(dtype, dims, Blob::new(lent));
    let wrong = |e| nim_error::argument(&format!("a tensor of {dtype} of the shape {dims:?}: {e}"));
    Ok(Value::Tensor(tensor.map_err(wrong)?))
}

/// # Safety
/// `out` is null or points to where the result goes.
unsafe fn give(out: *mut *mut nim_value, value: Value) -> Result<(), nim_error> {
    if out.is_null() {
        return Err(nim_error::argument("there is no place for the value"));
    }
    // SAFETY: see above.
    unsafe { *out = Box::into_raw(Box::new(nim_value { value })) };
    Ok(())
}

/// # Safety
/// `items` has `count` values of this library.
unsafe fn list(items: *const *const nim_value, count: usize) -> Result<Vec<Value>, nim_error> {
    // SAFETY: see above.
    let items = unsafe { slice(items, count) }?;
    // SAFETY: see above.
    let item = |&v: &*const nim_value| unsafe { v.as_ref() }.map(|v| v.value.clone());
    items.iter().map(item).collect::<Option<_>>().ok_or_else(|| nim_error::argument("a value of a list is null"))
}

/// A tensor of numbers. With `release` the elements stay in the caller's memory until `release(context)` is called, which
/// happens exactly once, also when this function fails; without, they are copied.
///
/// # Safety
/// `dims` has `rank` sizes; `data` has `bytes` bytes, until they are released; `value` points to where the result goes.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn nim_value_tensor(
    dtype: i32,
    dims: *const usize,
    rank: usize,
    data: *const c_void,
    bytes: usize,
    release: nim_release,
    context: *mut c_void,
    value: *mut *mut nim_value,
) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above.
        let mut made = unsafe { tensor(dtype, dims, rank, data, bytes, release, context) }?;
        if let (None, Value::Tensor(t)) = (release, &made) {
            made = Tensor::from_bytes(t.dtype(), t.dims(), t.bytes().to_vec()).into();
        }
        // SAFETY: see above.
        unsafe { give(value, made) }
    })
}

/// A tensor of strings, copied: as many as the product of `dims`. `lengths` are their numbers of bytes; when it is null,
/// each ends in a zero byte.
///
/// # Safety
/// `dims` has `rank` sizes; `strings` (and `lengths`, unless null) have as many items as their product says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_strings(
    dims: *const usize,
    rank: usize,
    strings: *const *const c_char,
    lengths: *const usize,
    value: *mut *mut nim_value,
) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above.
        let dims = unsafe { slice(dims, rank) }?;
        let count = nim_tensor::tensor::element_count(dims).ok_or_else(|| nim_error::argument("too many strings"))?;
        // SAFETY: see above.
        let pointers = unsafe { slice(strings, count) }?;
        let text = |i: usize| {
            let at = pointers[i];
            if at.is_null() {
                return Err(nim_error::argument("a string is null"));
            }
            // SAFETY: see above.
            let bytes = unsafe {
                match lengths.is_null() {
                    true => std::ffi::CStr::from_ptr(at).to_bytes(),
                    false => std::slice::from_raw_parts(at.cast::<u8>(), *lengths.add(i)),
                }
            };
            String::from_utf8(bytes.to_vec()).map_err(|_| nim_error::argument("a string is not UTF-8"))
        };
        let texts = (0..count).map(text).collect::<Result<Vec<_>, _>>()?;
        // SAFETY: see above.
        unsafe { give(value, Tensor::strings(dims, texts).into()) }
    })
}

/// A sequence of values, which are shared with the caller, not taken.
///
/// # Safety
/// `items` has `count` values of this library; `value` points to where the result goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_sequence(
    items: *const *const nim_value,
    count: usize,
    value: *mut *mut nim_value,
) -> *mut nim_error {
    // SAFETY: see above.
    checked(|| unsafe { give(value, Value::Sequence(list(items, count)?)) })
}

/// An optional: of a value, which is shared with the caller, or empty when `item` is null.
///
/// # Safety
/// `item` is null or a value of this library; `value` points to where the result goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_optional(item: *const nim_value, value: *mut *mut nim_value) -> *mut nim_error {
    // SAFETY: see above.
    checked(|| unsafe {
        let item = item.as_ref().map(|v| Box::new(v.value.clone()));
        give(value, Value::Optional(item))
    })
}

/// A value of an algebraic data type: its constructor and the fields, which are shared with the caller.
///
/// # Safety
/// `constructor` is a text that ends in a zero byte; `fields` has `count` values of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_data(
    constructor: *const c_char,
    fields: *const *const nim_value,
    count: usize,
    value: *mut *mut nim_value,
) -> *mut nim_error {
    checked(|| {
        if constructor.is_null() {
            return Err(nim_error::argument("nim_value_data: constructor is null"));
        }
        // SAFETY: see above.
        let name = unsafe { std::ffi::CStr::from_ptr(constructor) }.to_str();
        let name = name.map_err(|_| nim_error::argument("a constructor's name is not UTF-8"))?;
        // SAFETY: see above.
        unsafe { give(value, Made::adt(name, list(fields, count)?)) }
    })
}

/// Another reference to a value, to be freed on its own. Elements are shared.
///
/// # Safety
/// `value` is null or a value of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_share(value: *const nim_value) -> *mut nim_value {
    plain(ptr::null_mut(), || {
        // SAFETY: see above.
        let value = unsafe { value.as_ref() };
        value.map_or(ptr::null_mut(), |v| Box::into_raw(Box::new(nim_value { value: v.value.clone() })))
    })
}

/// Frees a value that `nim_value_*` made; null is left alone. Not for what `nim_session_output` answers.
///
/// # Safety
/// `value` is null or a value of this library, which is gone afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_free(value: *mut nim_value) {
    if !value.is_null() {
        // SAFETY: made by `Box::into_raw` above.
        plain((), || drop(unsafe { Box::from_raw(value) }));
    }
}

/// What kind of value it is; -1 for null.
///
/// # Safety
/// `value` is null or a value of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_kind(value: *const nim_value) -> i32 {
    // SAFETY: see above.
    unsafe { value.as_ref() }.map_or(-1, |v| match &v.value {
        Value::Tensor(_) => nim_kind::NIM_KIND_TENSOR as i32,
        Value::Sequence(_) => nim_kind::NIM_KIND_SEQUENCE as i32,
        Value::Optional(_) => nim_kind::NIM_KIND_OPTIONAL as i32,
        Value::Map(..) => nim_kind::NIM_KIND_MAP as i32,
        Value::Adt(_) => nim_kind::NIM_KIND_DATA as i32,
        Value::Function(_) => nim_kind::NIM_KIND_OTHER as i32,
    })
}

/// # Safety
/// `value` is null or a value of this library.
unsafe fn tensor_of<'a>(value: *const nim_value) -> Option<&'a Tensor> {
    // SAFETY: see above.
    unsafe { value.as_ref() }.and_then(|v| v.value.as_tensor())
}

/// Element type of a tensor (a `nim_dtype`); -1 for what is none.
///
/// # Safety
/// `value` is null or a value of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_dtype(value: *const nim_value) -> i32 {
    // SAFETY: see above.
    unsafe { tensor_of(value) }.map_or(-1, |t| i32::from(dtype_code(t.dtype())))
}

/// Number of dimensions of a tensor; 0 for what is none.
///
/// # Safety
/// `value` is null or a value of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_rank(value: *const nim_value) -> usize {
    // SAFETY: see above.
    unsafe { tensor_of(value) }.map_or(0, Tensor::rank)
}

/// Dimensions of a tensor, as many as its rank; they live as long as the value. Null for what is none.
///
/// # Safety
/// `value` is null or a value of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_dims(value: *const nim_value) -> *const usize {
    // SAFETY: see above.
    unsafe { tensor_of(value) }.map_or(ptr::null(), |t| t.dims().as_ptr())
}

/// Elements of a tensor of numbers, row by row; they live as long as the value. Null for anything else.
///
/// # Safety
/// `value` is null or a value of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_elements(value: *const nim_value) -> *const c_void {
    // SAFETY: see above.
    unsafe { tensor_of(value) }.and_then(Tensor::blob).map_or(ptr::null(), |b| b.as_ptr().cast())
}

/// Bytes of all elements of a tensor of numbers; 0 for anything else.
///
/// # Safety
/// `value` is null or a value of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_bytes(value: *const nim_value) -> usize {
    // SAFETY: see above.
    unsafe { tensor_of(value) }.and_then(Tensor::blob).map_or(0, |b| b.len())
}

/// Element `index` of a tensor of strings, row by row: UTF-8 without a zero byte at its end, and its number of bytes. It
/// lives as long as the value. Null when there is no such one.
///
/// # Safety
/// `value` is null or a value of this library; `length` is null or points to where the length goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_string(value: *const nim_value, index: usize, length: *mut usize) -> *const c_char {
    // SAFETY: see above.
    let text = unsafe { tensor_of(value) }.and_then(Tensor::as_strings).and_then(|list| list.get(index));
    let Some(text) = text else { return ptr::null() };
    if !length.is_null() {
        // SAFETY: see above.
        unsafe { *length = text.len() };
    }
    text.as_ptr().cast()
}

/// Number of values in a value: items of a sequence, 0 or 1 of an optional, fields of data, 1 (the values) of a map.
///
/// # Safety
/// `value` is null or a value of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_count(value: *const nim_value) -> usize {
    // SAFETY: see above.
    unsafe { value.as_ref() }.map_or(0, |v| match &v.value {
        Value::Sequence(items) => items.len(),
        Value::Optional(item) => usize::from(item.is_some()),
        Value::Map(..) => 1,
        Value::Adt(made) => made.fields.len(),
        Value::Tensor(_) | Value::Function(_) => 0,
    })
}

/// A value in a value, from 0 on; it lives as long as the value. Null when there is no such one.
///
/// # Safety
/// `value` is null or a value of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_part(value: *const nim_value, index: usize) -> *const nim_value {
    // SAFETY: see above.
    let part = unsafe { value.as_ref() }.and_then(|v| match &v.value {
        Value::Sequence(items) => items.get(index),
        Value::Optional(item) => item.as_deref().filter(|_| index == 0),
        Value::Map(_, values) => (index == 0).then_some(&**values),
        Value::Adt(made) => made.fields.get(index),
        Value::Tensor(_) | Value::Function(_) => None,
    });
    // `nim_value` is a `Value` and nothing else.
    part.map_or(ptr::null(), |part| ptr::from_ref(part).cast())
}

/// The constructor of a value of an algebraic data type: UTF-8 without a zero byte at its end, and its number of bytes. It
/// lives as long as the value. Null for anything else.
///
/// # Safety
/// `value` is null or a value of this library; `length` is null or points to where the length goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_value_constructor(value: *const nim_value, length: *mut usize) -> *const c_char {
    // SAFETY: see above.
    let Some(Value::Adt(made)) = unsafe { value.as_ref() }.map(|v| &v.value) else { return ptr::null() };
    if !length.is_null() {
        // SAFETY: see above.
        unsafe { *length = made.name.len() };
    }
    made.name.as_ptr().cast()
}
