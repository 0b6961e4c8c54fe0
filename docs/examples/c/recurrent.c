/* Runs a recurrent layer step by step from C, its state fed back without a copy.
 *
 *   nim-compile docs/examples/recurrent.nir -o recurrent.nimx
 *   cc docs/examples/c/recurrent.c -I backends/c-api/include -L target/release -lnim -Wl,-rpath,target/release -o recurrent
 *   ./recurrent recurrent.nimx
 */
#include <nim.h>
#include <stdio.h>
#include <stdlib.h>

/* Says what went wrong and ends. */
static void check(nim_error *error) {
  if (error == NULL) return;
  fprintf(stderr, "error %d: %s\n", (int)nim_error_get_code(error), nim_error_message(error));
  nim_error_free(error);
  exit(1);
}

static void describe(const char *what, const nim_port *port) {
  printf("%s %s: %s, dimensions", what, port->name, port->ty);
  for (size_t i = 0; i < port->rank; i++)
    printf(" %s (%lld)", port->dims[i].expression, (long long)port->dims[i].size);
  printf("\n");
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: recurrent FILE.nimx\n");
    return 2;
  }
  nim_program *program;
  check(nim_program_load(argv[1], &program));
  for (size_t i = 0; i < nim_program_input_count(program); i++) describe("input", nim_program_input(program, i));
  for (size_t i = 0; i < nim_program_output_count(program); i++) describe("output", nim_program_output(program, i));

  nim_session *session;
  check(nim_session_new(program, NULL, &session));
  /* The session keeps what it needs of the program. */
  nim_program_free(program);

  /* Inputs stay where they are: x is read anew by each run, h only by the first. */
  float x[2][2] = {{1, 0}, {0, 1}}, h[2][3] = {{0}};
  const size_t x_dims[] = {2, 2}, h_dims[] = {2, 3};
  check(nim_session_set_input(session, 0, NIM_F32, x_dims, 2, x, sizeof x, NULL, NULL));
  check(nim_session_set_input(session, 1, NIM_F32, h_dims, 2, h, sizeof h, NULL, NULL));
  check(nim_session_feed_back(session, 0, 1));

  for (int step = 0; step < 3; step++) {
    check(nim_session_run(session));
    /* A view of the output; it lives until the next run. */
    const nim_value *value = nim_session_output(session, 0);
    const float *y = nim_value_elements(value);
    const size_t *dims = nim_value_dims(value);
    printf("step %d:", step);
    for (size_t i = 0; i < dims[0] * dims[1]; i++) printf(" %g", y[i]);
    printf("\n");
    x[0][0] += 1;
  }

  /* Another number of rows: an error that names input and dimension; the session goes on as before. */
  const size_t wrong[] = {1, 2};
  check(nim_session_set_input(session, 0, NIM_F32, wrong, 2, x, 2 * sizeof(float), NULL, NULL));
  nim_error *error = nim_session_run(session);
  printf("%s: %s\n", nim_error_get_code(error) == NIM_ERROR_SHAPE ? "refused" : "not refused", nim_error_message(error));
  nim_error_free(error);

  /* Or the output goes where the caller wants it. */
  float result[2][3];
  size_t result_dims[2];
  check(nim_session_set_input(session, 0, NIM_F32, x_dims, 2, x, sizeof x, NULL, NULL));
  check(nim_session_run(session));
  check(nim_session_copy_output(session, 0, result, sizeof result, result_dims, 2));
  printf("step 3: %zux%zu, first row %g %g %g\n", result_dims[0], result_dims[1], result[0][0], result[0][1], result[0][2]);

  nim_session_free(session);
  return 0;
}
