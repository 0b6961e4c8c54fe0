/* Shapes that are run often get programs of their own: what makes them here looks for files that were compiled before. */
#define _POSIX_C_SOURCE 199309L
#include <nim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *model;
static int released;

static void check(nim_error *error) {
  if (error == NULL) return;
  fprintf(stderr, "%s\n", nim_error_message(error));
  exit(1);
}

/* model-8x4,4x3.nimx beside model.nimx, if it is there. */
static nim_program *make(void *context, const nim_shape *shapes, size_t inputs) {
  char shape[200] = "", path[2000];
  for (size_t i = 0; i < inputs; i++)
    for (size_t k = 0; k < shapes[i].rank; k++)
      sprintf(shape + strlen(shape), "%s%zu", k > 0 ? "x" : i > 0 ? "," : "", shapes[i].dims[k]);
  printf("asked for %s\n", shape);
  snprintf(path, sizeof path, "%.*s-%s.nimx", (int)(strlen(model) - strlen(".nimx")), model, shape);
  nim_program *made = NULL;
  if (context == &released) nim_error_free(nim_program_load(path, &made));
  return made;
}

static void release(void *context) { ++*(int *)context; }

static void call(nim_session *session, size_t n) {
  static float x[8 * 4], w[4 * 3];
  for (size_t i = 0; i < 8 * 4; i++) x[i] = (float)i;
  for (size_t i = 0; i < 4 * 3; i++) w[i] = (float)i - 5;
  const size_t first[] = {n, 4}, second[] = {4, 3};
  check(nim_session_set_input(session, 0, NIM_F32, first, 2, x, n * 4 * sizeof(float), NULL, NULL));
  check(nim_session_set_input(session, 1, NIM_F32, second, 2, w, sizeof w, NULL, NULL));
  check(nim_session_run(session));
  const float *y = nim_value_elements(nim_session_output(session, 0));
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < 3; j++) {
      float sum = 0;
      for (size_t k = 0; k < 4; k++) sum += x[4 * i + k] * w[3 * k + j];
      if (y[3 * i + j] != sum) {
        fprintf(stderr, "%zu,%zu: %g is not %g\n", i, j, y[3 * i + j], sum);
        exit(1);
      }
    }
}

static void wait_for(const nim_program *program) {
  const struct timespec moment = {0, 1000000};
  while (nim_program_specialised(program).busy) nanosleep(&moment, NULL);
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  model = arguments[1];
  nim_program *program;
  check(nim_program_load(model, &program));
  nim_specialise_options options;
  nim_specialise_options_init(&options);
  options.release = release, options.context = &released;
  /* Nobody who makes them. */
  nim_error *refused = nim_program_specialise(program, &options);
  if (nim_error_get_code(refused) != NIM_ERROR_ARGUMENT || released != 1) return 3;
  nim_error_free(refused);
  options.after = 2, options.make = make;
  check(nim_program_specialise(program, &options));
  nim_session *session;
  check(nim_session_new(program, NULL, &session));
  for (int i = 0; i < 2; i++) call(session, 8);
  wait_for(program);
  for (int i = 0; i < 4; i++) call(session, 8);
  for (int i = 0; i < 2; i++) call(session, 5);
  wait_for(program);
  for (int i = 0; i < 2; i++) call(session, 5);
  nim_specialised found = nim_program_specialised(program);
  printf("%zu shapes, %zu ready, %zu refused, %d runs of it\n", found.shapes, found.ready, found.refused, (int)found.runs);
  nim_session_free(session);
  nim_program_free(program);
  printf("released %d times\n", released);
  return 0;
}
