/* libnim: runs programs that nim-compile made.
 *
 * Made from backends/c-api/src by its tests; not to be edited by hand.
 *
 * Functions that can fail answer with an error object, which the caller frees, or with null for success. No function
 * aborts or unwinds. Programs and values may be used from any number of threads at a time, a session from one at a time.
 * docs/examples/c/recurrent.c shows all of it at work.
 */

#ifndef NIM_H
#define NIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// A value. It never changes, and any thread may read it.
typedef struct nim_value nim_value;

// A program in machine code that was linked: what `nim-compile --emit=so` and `--emit=obj+h` export.
typedef struct nim_native nim_native;

// What kind of value something is.
typedef enum {
  // A tensor, of numbers or of strings.
  NIM_KIND_TENSOR = 0,
  // A list of values of one type.
  NIM_KIND_SEQUENCE = 1,
  // A value or nothing.
  NIM_KIND_OPTIONAL = 2,
  // Keys and as many values.
  NIM_KIND_MAP = 3,
  // A value of an algebraic data type: a constructor and its fields.
  NIM_KIND_DATA = 4,
  // Of a port only: a sequence, an optional or a map; its `ty` says which.
  NIM_KIND_OTHER = 5,
} nim_kind;

// Element types. Those narrower than a byte take a byte an element.
typedef enum {
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
  // A byte, 0 or 1.
  NIM_BOOL = 22,
  // UTF-8 texts: see `nim_value_strings` and `nim_value_string`.
  NIM_STRING = 23,
  NIM_C64 = 24,
  NIM_C128 = 25,
} nim_dtype;

// What kind of thing went wrong. Numbers keep their meaning.
typedef enum {
  // An argument is null, or makes no sense in itself.
  NIM_ERROR_ARGUMENT = 1,
  // Something that should not happen happened in the library: please report it.
  NIM_ERROR_INTERNAL = 2,
  // A file cannot be read.
  NIM_ERROR_IO = 10,
  // The file is no compiled program.
  NIM_ERROR_NOT_A_PROGRAM = 11,
  // The program was written by another version of the toolkit.
  NIM_ERROR_VERSION = 12,
  // The program is cut off.
  NIM_ERROR_TRUNCATED = 13,
  // The program is damaged.
  NIM_ERROR_DAMAGED = 14,
  // The program's instructions were refused by the verifier.
  NIM_ERROR_BYTECODE = 15,
  // The program's machine code cannot run on this machine.
  NIM_ERROR_MACHINE = 16,
  // The file with the program's constants is missing, cut off, damaged or another one's.
  NIM_ERROR_CONSTANTS = 17,
  // The number of inputs is wrong.
  NIM_ERROR_INPUT_COUNT = 20,
  // An input was not set.
  NIM_ERROR_INPUT_MISSING = 21,
  // An input is of another element type, rank or kind.
  NIM_ERROR_INPUT_TYPE = 22,
  // There is no input or output of this name or number.
  NIM_ERROR_NO_SUCH = 23,
  // A dimension or the number of dimensions is not what it must be.
  NIM_ERROR_SHAPE = 30,
  // A relation between sizes does not hold.
  NIM_ERROR_GUARD = 31,
  // A size has no value, or is negative.
  NIM_ERROR_SIZE = 32,
  // There is too little memory, or more was needed than the limit allows.
  NIM_ERROR_MEMORY = 33,
  // More steps of loops and calls than the limit allows.
  NIM_ERROR_STEPS = 34,
  // Calls are nested more deeply than the limit allows.
  NIM_ERROR_DEPTH = 35,
  // A function of the runtime refused its operands.
  NIM_ERROR_RUNTIME = 36,
  // The program itself is wrong.
  NIM_ERROR_PROGRAM = 37,
} nim_error_code;

// Why a call failed. Whoever gets one frees it with `nim_error_free`.
typedef struct nim_error nim_error;

// A loaded program. Any number of sessions run it at the same time, on any threads; they keep it alive.
typedef struct nim_program nim_program;

// Runs a program again and again; keeps inputs, memory and threads in between. One thread uses it at a time.
typedef struct nim_session nim_session;

// Called with its context when memory that was lent is not used any more, from whatever thread used it last.
typedef void (*nim_release)(void *context);

// A dimension of an input or output.
typedef struct {
  // Its size if that is fixed, else -1.
  int64_t size;
  // The same as text: a number, a symbol such as `N`, or an expression such as `2*N + 1`. Equal symbols are equal sizes
  // in all inputs and outputs.
  const char *expression;
} nim_dim;

// An input or output of a program. All texts live as long as the program object.
typedef struct {
  // Its name in the model.
  const char *name;
  // Its type as text: `tensor<[N]x768xf32>`.
  const char *ty;
  // What kind of value it is.
  nim_kind kind;
  // Element type; of tensors only.
  nim_dtype dtype;
  // Number of dimensions; 0 for what is no tensor.
  size_t rank;
  // As many dimensions.
  const nim_dim *dims;
  // The node of the model that reads it first; null when not known, and for outputs.
  const char *node;
} nim_port;

// How a session runs. `nim_options_init` first, then the fields that shall be different.
typedef struct {
  // Size of this structure as the caller was compiled with: set by `nim_options_init`.
  size_t size;
  // Threads that work on one kernel. 1 unless set.
  size_t threads;
  // Most bytes of memory for tensors at a time, inputs and constants not counted. No limit unless set.
  size_t memory_limit;
  // Most steps of loops and calls in one run. No limit unless set.
  uint64_t max_steps;
  // Most levels of calls. 200,000 unless set.
  size_t max_depth;
  // Where random numbers without a seed begin, if `has_seed`.
  uint64_t seed;
  // Whether `seed` is used; else the clock is.
  bool has_seed;
  // Whether each thread, and the one that makes the session, stays on a CPU of its own. Only one session should. No unless set.
  bool pinned;
} nim_options;

// The dimensions of an input.
typedef struct {
  // Number of dimensions.
  size_t rank;
  // As many sizes; they are there until the call returns.
  const size_t *dims;
} nim_shape;

// Makes a program for inputs of just these dimensions, one shape an input: by `nim-compile --input-shape`, say, and
// `nim_program_load`. It takes and gives what the program does, under the same names. The library takes it over and frees it.
// Null where there is none; this shape is not asked for again.
//
// It is called from a thread of the library, one call at a time, while the program runs on others.
typedef nim_program *(*nim_specialiser)(void *context, const nim_shape *shapes, size_t inputs);

// When shapes are specialised, by whom, and what that may take. `nim_specialise_options_init` first, then the fields that shall be
// different.
typedef struct {
  // Size of this structure as the caller was compiled with: set by `nim_specialise_options_init`.
  size_t size;
  // Runs with the same dimensions, of all sessions together, before a program is made for them. 100 unless set.
  uint64_t after;
  // Most shapes that have a program at a time. 4 unless set.
  size_t programs;
  // Most bytes of constants that one of them has for itself, besides those that the program has too. 64 MiB unless set.
  size_t constants;
  // Who makes the programs: has to be set.
  nim_specialiser make;
  // Called from any thread when nobody wants what is being made any more: `make` may give up. It is waited for. Null unless set.
  nim_release cancel;
  // Called once when neither `make` nor `cancel` will be called any more, also when `nim_program_specialise` fails. Null unless set.
  nim_release release;
  // What these are called with. Null unless set.
  void *context;
} nim_specialise_options;

// What became of the shapes that a program was run with.
typedef struct {
  // Shapes that are counted.
  size_t shapes;
  // Of these, those that have a program.
  size_t ready;
  // Those that were refused one.
  size_t refused;
  // Runs of programs that were made.
  uint64_t runs;
  // Whether one is being made.
  bool busy;
} nim_specialised;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The code of an error; 0 for null, which stands for success.
//
// `error` is null or an error of this library that was not freed.
int32_t nim_error_get_code(const nim_error *error);

// What went wrong, as a sentence in UTF-8; lives as long as the error. Never null.
//
// As for `nim_error_get_code`.
const char *nim_error_message(const nim_error *error);

// The node of the model where it went wrong; null when that is not known.
//
// As for `nim_error_get_code`.
const char *nim_error_node(const nim_error *error);

// Frees an error; null is left alone.
//
// As for `nim_error_get_code`; the error is gone afterwards.
void nim_error_free(nim_error *error);

// A tensor of numbers. With `release` the elements stay in the caller's memory until `release(context)` is called, which
// happens exactly once, also when this function fails; without, they are copied.
//
// `dims` has `rank` sizes; `data` has `bytes` bytes, until they are released; `value` points to where the result goes.
nim_error *nim_value_tensor(int32_t dtype,
                            const size_t *dims,
                            size_t rank,
                            const void *data,
                            size_t bytes,
                            nim_release release,
                            void *context,
                            nim_value **value);

// A tensor of strings, copied: as many as the product of `dims`. `lengths` are their numbers of bytes; when it is null,
// each ends in a zero byte.
//
// `dims` has `rank` sizes; `strings` (and `lengths`, unless null) have as many items as their product says.
nim_error *nim_value_strings(const size_t *dims,
                             size_t rank,
                             const char *const *strings,
                             const size_t *lengths,
                             nim_value **value);

// A sequence of values, which are shared with the caller, not taken.
//
// `items` has `count` values of this library; `value` points to where the result goes.
nim_error *nim_value_sequence(const nim_value *const *items, size_t count, nim_value **value);

// An optional: of a value, which is shared with the caller, or empty when `item` is null.
//
// `item` is null or a value of this library; `value` points to where the result goes.
nim_error *nim_value_optional(const nim_value *item, nim_value **value);

// A value of an algebraic data type: its constructor and the fields, which are shared with the caller.
//
// `constructor` is a text that ends in a zero byte; `fields` has `count` values of this library.
nim_error *nim_value_data(const char *constructor, const nim_value *const *fields, size_t count, nim_value **value);

// Another reference to a value, to be freed on its own. Elements are shared.
//
// `value` is null or a value of this library.
nim_value *nim_value_share(const nim_value *value);

// Frees a value that `nim_value_*` made; null is left alone. Not for what `nim_session_output` answers.
//
// `value` is null or a value of this library, which is gone afterwards.
void nim_value_free(nim_value *value);

// What kind of value it is; -1 for null.
//
// `value` is null or a value of this library.
int32_t nim_value_kind(const nim_value *value);

// Element type of a tensor (a `nim_dtype`); -1 for what is none.
//
// `value` is null or a value of this library.
int32_t nim_value_dtype(const nim_value *value);

// Number of dimensions of a tensor; 0 for what is none.
//
// `value` is null or a value of this library.
size_t nim_value_rank(const nim_value *value);

// Dimensions of a tensor, as many as its rank; they live as long as the value. Null for what is none.
//
// `value` is null or a value of this library.
const size_t *nim_value_dims(const nim_value *value);

// Elements of a tensor of numbers, row by row; they live as long as the value. Null for anything else.
//
// `value` is null or a value of this library.
const void *nim_value_elements(const nim_value *value);

// Bytes of all elements of a tensor of numbers; 0 for anything else.
//
// `value` is null or a value of this library.
size_t nim_value_bytes(const nim_value *value);

// Element `index` of a tensor of strings, row by row: UTF-8 without a zero byte at its end, and its number of bytes. It
// lives as long as the value. Null when there is no such one.
//
// `value` is null or a value of this library; `length` is null or points to where the length goes.
const char *nim_value_string(const nim_value *value, size_t index, size_t *length);

// Number of values in a value: items of a sequence, 0 or 1 of an optional, fields of data, 1 (the values) of a map.
//
// `value` is null or a value of this library.
size_t nim_value_count(const nim_value *value);

// A value in a value, from 0 on; it lives as long as the value. Null when there is no such one.
//
// `value` is null or a value of this library.
const nim_value *nim_value_part(const nim_value *value, size_t index);

// The constructor of a value of an algebraic data type: UTF-8 without a zero byte at its end, and its number of bytes. It
// lives as long as the value. Null for anything else.
//
// `value` is null or a value of this library; `length` is null or points to where the length goes.
const char *nim_value_constructor(const nim_value *value,
                                  size_t *length);

// Maps a `.nimx` file and makes it ready to run. Constants stay in the file, which must not be changed meanwhile.
//
// `path` is a text that ends in a zero byte; `program` points to where the result goes.
nim_error *nim_program_load(const char *path, nim_program **program);

// As `nim_program_load`, of a program whose constants are in a file of their own, which is not beside it.
//
// `path` and `constants` are texts that end in a zero byte; `program` points to where the result goes.
nim_error *nim_program_load_with_constants(const char *path, const char *constants, nim_program **program);

// Makes the bytes of a `.nimx` file ready to run. With `release` they are used where they are, until `release(context)` is
// called: when nothing needs them any more, at the latest when the program, its sessions and their outputs are gone, or before
// this function fails. Without, they are copied.
//
// `bytes` has `length` bytes, which stay as they are until they are released; `program` points to where the result goes.
nim_error *nim_program_load_memory(const void *bytes,
                                   size_t length,
                                   nim_release release,
                                   void *context,
                                   nim_program **program);

// Makes a program ready to run that was linked. The header that the compiler writes calls this.
//
// `native` is what such a program exports, and stays loaded; `program` points to where the result goes.
nim_error *nim_program_from_native(const nim_native *native, nim_program **program);

float __truncsfbf2(float x);

float __truncdfbf2(double x);

// Frees a program; null is left alone. Sessions that run it go on.
//
// `program` is null or a program of this library, which is gone afterwards, with all that its ports point to.
void nim_program_free(nim_program *program);

// Which version of the toolkit compiled the program.
//
// `program` is null or a program of this library.
const char *nim_program_producer(const nim_program *program);

// Number of inputs.
//
// As for `nim_program_producer`.
size_t nim_program_input_count(const nim_program *program);

// Number of outputs.
//
// As for `nim_program_producer`.
size_t nim_program_output_count(const nim_program *program);

// An input, from 0 on; null when there is no such one. Lives as long as the program object.
//
// As for `nim_program_producer`.
const nim_port *nim_program_input(const nim_program *program, size_t index);

// An output, from 0 on; null when there is no such one. Lives as long as the program object.
//
// As for `nim_program_producer`.
const nim_port *nim_program_output(const nim_program *program, size_t index);

// Sets all options to what they are by themselves.
//
// `options` is null or points to room for the structure.
void nim_options_init(nim_options *options);

// A session of a program; `options` may be null.
//
// `program` is a program of this library; `options` is null or was set by `nim_options_init`; `session` points to where
// the result goes.
nim_error *nim_session_new(const nim_program *program, const nim_options *options, nim_session **session);

// Frees a session with its outputs; null is left alone.
//
// `session` is null or a session of this library, which is gone afterwards.
void nim_session_free(nim_session *session);

// Sets an input to a tensor in the caller's memory, which is not copied (unless its address is no multiple of the size of
// an element). It stays set for the following runs; its elements may be changed between runs. With `release` the memory is
// used until `release(context)` is called, which happens exactly once, also when this function fails: when the input was
// set anew or the session was freed, and no output that shares it is left. Without, it must stay until then.
//
// `session` is a session of this library; `dims` has `rank` sizes; `data` has `bytes` bytes, aligned or not.
nim_error *nim_session_set_input(nim_session *session,
                                 size_t index,
                                 int32_t dtype,
                                 const size_t *dims,
                                 size_t rank,
                                 const void *data,
                                 size_t bytes,
                                 nim_release release,
                                 void *context);

// Sets an input to a value, which is shared with the caller, not taken.
//
// `session` is a session of this library, `value` a value of it.
nim_error *nim_session_set_input_value(nim_session *session, size_t index, const nim_value *value);

// Makes an output of each run the input of the next one, by their numbers, without a copy: a recurrent state. The input is
// set once, for the first run. A run that fails leaves the state as it was.
//
// `session` is a session of this library.
nim_error *nim_session_feed_back(nim_session *session,
                                 size_t output,
                                 size_t input);

// Runs the program on the inputs as they are set. Outputs of the run before are gone then. Kernels keep up to 1 MiB on the stack of
// the thread that runs them.
//
// `session` is a session of this library that no other thread uses.
nim_error *nim_session_run(nim_session *session);

// An output of the last run, from 0 on; null when there is no such one, or the run failed. Lives until the next run;
// `nim_value_share` makes it last longer.
//
// `session` is null or a session of this library.
const nim_value *nim_session_output(const nim_session *session, size_t index);

// Copies the elements of an output into the caller's memory and its dimensions to `dims`, which has room for `rank` of
// them. Fails unless the output is a tensor of numbers of just this rank and of at most `capacity` bytes.
//
// `session` is a session of this library; `data` has `capacity` bytes and `dims` room for `rank` sizes (or is null).
nim_error *nim_session_copy_output(const nim_session *session,
                                   size_t index,
                                   void *data,
                                   size_t capacity,
                                   size_t *dims,
                                   size_t rank);

// Most bytes of memory that the session's tensors took at a time, inputs and constants not counted.
//
// `session` is null or a session of this library.
size_t nim_session_peak_bytes(const nim_session *session);

// Sets all options to what they are by themselves.
//
// `options` is null or points to room for the structure.
void nim_specialise_options_init(nim_specialise_options *options);

// Has programs made for the shapes that a program is run with often, in the background: runs never wait for that, and what cannot
// be made leaves all as it was. Sessions that are made of the program afterwards use them and share them. Results are then those of
// the program that was made: sums may be in another order.
//
// `program` is a program of this library that no other thread uses meanwhile; `options` was set by `nim_specialise_options_init`.
nim_error *nim_program_specialise(nim_program *program,
                                  const nim_specialise_options *options);

// What became of the shapes that a program was run with; all 0 of one that is not specialised.
//
// `program` is null or a program of this library.
nim_specialised nim_program_specialised(const nim_program *program);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NIM_H */
