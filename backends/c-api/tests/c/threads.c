/* Eight threads with a session each run one program on random shapes: what comes out is what came out serially, bit by
 * bit, and memory stays where it was. */
#include <nim.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, CALLS = 10000, MOST = 12 };

static nim_program *program;
/* Results of each shape, serially. */
static float *expected[MOST + 1][MOST + 1][2];
static float input[MOST * MOST];

static void check(nim_error *error) {
  if (error == NULL) return;
  fprintf(stderr, "%s\n", nim_error_message(error));
  exit(1);
}

static void call(nim_session *session, size_t n, size_t d) {
  const size_t dims[] = {n, d};
  check(nim_session_set_input(session, 0, NIM_F32, dims, 2, input, n * d * sizeof(float), NULL, NULL));
  check(nim_session_run(session));
}

static void *work(void *number) {
  uint64_t state = 88172645463325252u + (uint64_t)(uintptr_t)number * 7919u;
  nim_session *session;
  check(nim_session_new(program, NULL, &session));
  size_t early = 0;
  for (int i = 0; i < CALLS; i++) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    size_t n = 1 + state % MOST, d = 1 + (state >> 32) % MOST;
    call(session, n, d);
    for (size_t out = 0; out < 2; out++) {
      const nim_value *value = nim_session_output(session, out);
      if (nim_value_bytes(value) != (out == 0 ? n * d : d) * sizeof(float) ||
          memcmp(nim_value_elements(value), expected[n][d][out], nim_value_bytes(value)) != 0) {
        fprintf(stderr, "call %d: output %zu of %zux%zu differs\n", i, out, n, d);
        exit(1);
      }
    }
    if (i == CALLS / 2) early = nim_session_peak_bytes(session);
  }
  if (nim_session_peak_bytes(session) > 2 * early) {
    fprintf(stderr, "memory grew from %zu to %zu bytes\n", early, nim_session_peak_bytes(session));
    exit(1);
  }
  nim_session_free(session);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  check(nim_program_load(argv[1], &program));
  for (int i = 0; i < MOST * MOST; i++) input[i] = (float)((i * 37 + 11) % 101) / 50 - 1;
  nim_session *session;
  check(nim_session_new(program, NULL, &session));
  for (size_t n = 1; n <= MOST; n++)
    for (size_t d = 1; d <= MOST; d++) {
      call(session, n, d);
      for (size_t out = 0; out < 2; out++) {
        const nim_value *value = nim_session_output(session, out);
        expected[n][d][out] = malloc(nim_value_bytes(value));
        memcpy(expected[n][d][out], nim_value_elements(value), nim_value_bytes(value));
      }
    }
  nim_session_free(session);
  pthread_t threads[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) return 1;
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (size_t n = 1; n <= MOST; n++)
    for (size_t d = 1; d <= MOST; d++) free(expected[n][d][0]), free(expected[n][d][1]);
  nim_program_free(program);
  printf("%d calls equal the serial ones\n", THREADS * CALLS);
  return 0;
}
