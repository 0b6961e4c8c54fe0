/* A native program that is linked, used by the names that its header gives. */
#include <recurrent.h>
#include <stdio.h>
#include <stdlib.h>

static void check(nim_error *error) {
  if (error == NULL) return;
  fprintf(stderr, "%s\n", nim_error_message(error));
  exit(1);
}

int main(void) {
  nim_program *program;
  check(recurrent_load(&program));
  nim_session *session;
  check(nim_session_new(program, NULL, &session));
  nim_program_free(program);
  float x[3][2] = {{1, 0}, {0, 0}, {-1, 0}}, h[3][3] = {{0}};
  const size_t x_dims[] = {3, 2}, h_dims[] = {3, 3};
  check(nim_session_set_input(session, RECURRENT_INPUT_X, NIM_F32, x_dims, 2, x, sizeof x, NULL, NULL));
  check(nim_session_set_input(session, RECURRENT_INPUT_H, NIM_F32, h_dims, 2, h, sizeof h, NULL, NULL));
  check(nim_session_run(session));
  float y[3][3];
  size_t dims[2];
  check(nim_session_copy_output(session, RECURRENT_OUTPUT_H_NEXT, y, sizeof y, dims, 2));
  printf("%zu x %zu: %g %g %g | %g %g %g | %g %g %g\n", dims[0], dims[1], y[0][0], y[0][1], y[0][2], y[1][0], y[1][1],
         y[1][2], y[2][0], y[2][1], y[2][2]);
  nim_session_free(session);
  return RECURRENT_INPUT_COUNT == 2 && RECURRENT_OUTPUT_COUNT == 1 ? 0 : 1;
}
