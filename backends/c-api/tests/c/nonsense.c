/* What a careless or hostile caller may do, short of wild pointers: every call answers with an error, nothing is leaked or
 * released twice, and the session still works at the end. */
#include <nim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      exit(1); \
    } \
  } while (0)

static void fails(nim_error *error, int code, const char *part, int line) {
  if ((int)nim_error_get_code(error) != code || strstr(nim_error_message(error), part) == NULL) {
    fprintf(stderr, "line %d: error %d: %s\n", line, (int)nim_error_get_code(error), nim_error_message(error));
    exit(1);
  }
  nim_error_free(error);
}
#define FAILS(error, code, part) fails(error, code, part, __LINE__)
#define OK(error) fails(error, 0, "", __LINE__)

static int released, program_bytes;
static void release(void *context) {
  EXPECT(context == &released || context == &program_bytes);
  ++*(int *)context;
}

int main(int argc, char **argv) {
  EXPECT(argc == 2);
  nim_program *program = NULL;
  FAILS(nim_program_load(NULL, &program), NIM_ERROR_ARGUMENT, "null");
  FAILS(nim_program_load("/does/not/exist.nimx", &program), NIM_ERROR_IO, "/does/not/exist.nimx");
  FAILS(nim_program_load(argv[0], &program), NIM_ERROR_NOT_A_PROGRAM, "not a compiled program");
  FAILS(nim_program_load_memory("NIMX", 4, release, &released, &program), NIM_ERROR_TRUNCATED, "cut off");
  EXPECT(released == 1);
  FAILS(nim_program_load_memory(NULL, 9, release, &released, &program), NIM_ERROR_ARGUMENT, "null");
  EXPECT(program == NULL);

  /* The whole file from memory. */
  FILE *file = fopen(argv[1], "rb");
  EXPECT(file != NULL);
  EXPECT(fseek(file, 0, SEEK_END) == 0);
  size_t size = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(size);
  EXPECT(bytes != NULL && fread(bytes, 1, size, file) == size);
  fclose(file);
  for (size_t length = 0; length < size; length += 1 + length / 3) {
    nim_error *error = nim_program_load_memory(bytes, length, NULL, NULL, &program);
    EXPECT(error != NULL && program == NULL);
    nim_error_free(error);
  }
  bytes[size / 2] ^= 1;
  nim_error *damaged = nim_program_load_memory(bytes, size, NULL, NULL, &program);
  bytes[size / 2] ^= 1;
  EXPECT(damaged == NULL || nim_error_get_code(damaged) == NIM_ERROR_DAMAGED);
  nim_error_free(damaged);
  nim_program_free(program);
  OK(nim_program_load_memory(bytes, size, release, &program_bytes, &program));
  EXPECT(nim_program_input_count(program) == 3 && nim_program_output_count(program) == 3);
  EXPECT(nim_program_input(program, 3) == NULL && nim_program_input(NULL, 0) == NULL);
  EXPECT(nim_program_input(program, 1)->kind == NIM_KIND_DATA && nim_program_input(program, 1)->rank == 0);
  EXPECT(nim_program_input(program, 2)->dtype == NIM_STRING);

  nim_session *session = NULL;
  nim_options options;
  memset(&options, 0, sizeof options);
  FAILS(nim_session_new(program, &options, &session), NIM_ERROR_ARGUMENT, "nim_options_init");
  FAILS(nim_session_new(NULL, NULL, &session), NIM_ERROR_ARGUMENT, "null");
  nim_options_init(&options);
  options.memory_limit = 1 << 16;
  OK(nim_session_new(program, &options, &session));
  nim_program_free(program);
  EXPECT(program_bytes <= 1); /* nothing of them may be needed any more */

  /* Inputs. */
  float x[4] = {1, 2, 3, 4};
  size_t dims[2] = {4, (size_t)1 << 62};
  FAILS(nim_session_run(session), NIM_ERROR_INPUT_MISSING, "`x` has no value");
  FAILS(nim_session_run(NULL), NIM_ERROR_ARGUMENT, "null");
  int lent = released = 0;
#define LEND(index, dtype, rank, data, length) \
  (lent++, nim_session_set_input(session, index, dtype, dims, rank, data, length, release, &released))
  FAILS(LEND(7, NIM_F32, 1, x, sizeof x), NIM_ERROR_NO_SUCH, "no input 7");
  FAILS(LEND(0, 99, 1, x, sizeof x), NIM_ERROR_ARGUMENT, "no element type");
  FAILS(LEND(0, -1, 1, x, sizeof x), NIM_ERROR_ARGUMENT, "no element type");
  FAILS(LEND(0, NIM_STRING, 1, x, sizeof x), NIM_ERROR_ARGUMENT, "nim_value_strings");
  FAILS(LEND(0, NIM_F32, 1, x, 15), NIM_ERROR_ARGUMENT, "16");
  FAILS(LEND(0, NIM_F32, 2, x, sizeof x), NIM_ERROR_ARGUMENT, "shape");
  FAILS(nim_session_set_input(session, 0, NIM_F32, NULL, 1, x, sizeof x, NULL, NULL), NIM_ERROR_ARGUMENT, "null");
  EXPECT(released == lent);
  released = 0;

  nim_value *nil, *list, *strings, *bad;
  const char *texts[] = {"one", "", "three", "four"};
  FAILS(nim_value_data(NULL, NULL, 0, &nil), NIM_ERROR_ARGUMENT, "null");
  FAILS(nim_value_data("nil", NULL, 1, &nil), NIM_ERROR_ARGUMENT, "null");
  OK(nim_value_data("nil", NULL, 0, &nil));
  OK(nim_value_data("none", NULL, 0, &bad));
  FAILS(nim_value_strings(dims, 2, texts, NULL, &strings), NIM_ERROR_ARGUMENT, "too many");
  OK(nim_value_strings(dims, 1, texts, NULL, &strings));
  const nim_value *fields[] = {strings, nil};
  OK(nim_value_data("cons", fields, 2, &list));
  OK(nim_session_set_input_value(session, 0, nil));
  OK(nim_session_set_input_value(session, 1, list));
  OK(nim_session_set_input_value(session, 2, strings));
  FAILS(nim_session_run(session), NIM_ERROR_INPUT_TYPE, "input `x` must be");
  OK(nim_session_set_input(session, 0, NIM_F32, dims, 1, x, sizeof x, release, &released));
  FAILS(nim_session_run(session), NIM_ERROR_INPUT_TYPE, "input `l` must be");
  OK(nim_session_set_input_value(session, 1, bad));
  FAILS(nim_session_run(session), NIM_ERROR_INPUT_TYPE, "`none`, the type has nil, cons");
  EXPECT(nim_session_output(session, 0) == NULL);
  FAILS(nim_session_feed_back(session, 3, 1), NIM_ERROR_NO_SUCH, "no output 3");
  FAILS(nim_session_feed_back(session, 0, 3), NIM_ERROR_NO_SUCH, "no input 3");
  OK(nim_session_set_input_value(session, 1, nil));
  OK(nim_session_feed_back(session, 0, 1));

  /* And now it works: a list that grows by one value a run. */
  for (size_t run = 1; run <= 3; run++) {
    OK(nim_session_run(session));
    size_t length = 0;
    const nim_value *at = nim_session_output(session, 0);
    for (; nim_value_count(at) == 2; at = nim_value_part(at, 1), length++)
      EXPECT(((const float *)nim_value_elements(nim_value_part(at, 0)))[2] == -3);
    EXPECT(length == run);
    size_t bytes_of_name;
    EXPECT(strncmp(nim_value_constructor(at, &bytes_of_name), "nil", 3) == 0 && bytes_of_name == 3);
    EXPECT(nim_value_part(at, 0) == NULL && nim_value_elements(at) == NULL && nim_value_rank(at) == 0);
  }
  EXPECT(nim_value_elements(nim_session_output(session, 1)) == x);
  EXPECT(strncmp(nim_value_string(nim_session_output(session, 2), 2, NULL), "three", 5) == 0);
  EXPECT(nim_value_string(nim_session_output(session, 2), 4, NULL) == NULL);
  float copy[4];
  size_t shape[1];
  FAILS(nim_session_copy_output(session, 1, copy, 15, shape, 1), NIM_ERROR_ARGUMENT, "16 bytes");
  FAILS(nim_session_copy_output(session, 1, copy, 16, shape, 2), NIM_ERROR_ARGUMENT, "2 dimensions");
  FAILS(nim_session_copy_output(session, 0, copy, 16, shape, 1), NIM_ERROR_ARGUMENT, "tensor of numbers");
  FAILS(nim_session_copy_output(session, 1, NULL, 16, shape, 1), NIM_ERROR_ARGUMENT, "null");
  OK(nim_session_copy_output(session, 1, copy, 16, shape, 1));
  EXPECT(copy[3] == 4 && shape[0] == 4);

  /* Memory that is shared by an output is released with it. */
  nim_value *kept = nim_value_share(nim_session_output(session, 1));
  EXPECT(nim_session_peak_bytes(session) > 0);
  nim_session_free(session);
  EXPECT(program_bytes == 1 && released == 0);
  EXPECT(((const float *)nim_value_elements(kept))[0] == 1);
  nim_value_free(kept);
  EXPECT(program_bytes == 1 && released == 1);

  nim_value_free(nil);
  nim_value_free(list);
  nim_value_free(strings);
  nim_value_free(bad);
  nim_value_free(NULL);
  nim_error_free(NULL);
  nim_session_free(NULL);
  nim_program_free(NULL);
  EXPECT(nim_error_get_code(NULL) == 0 && nim_value_kind(NULL) == -1 && nim_value_count(NULL) == 0);
  free(bytes);
  printf("fine\n");
  return 0;
}
