/* SQLite as a program builds it that waits for locks in the kernel: with SQLITE_ENABLE_SETLK_TIMEOUT, and with the blocking
** lock that the library's own source asks porters to supply. Arguments: database, milliseconds to wait for a lock, SQL.
** Prints its process id, then rows, then the result code's name and how many milliseconds it took. SIGUSR1 interrupts. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "sqlite3.h"

static int wait_ms;
static sqlite3 *db;

static void on_alarm(int number) { (void)number; }

static void on_interrupt(int number) {
  (void)number;
  sqlite3_interrupt(db);
}

static int waiting_fcntl(int file, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (command != F_SETLK || ((struct flock *)argument)->l_type == F_UNLCK) return fcntl(file, command, argument);
  struct itimerval timer = {{0, 0}, {wait_ms / 1000, wait_ms % 1000 * 1000}};
  struct itimerval none = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &timer, NULL);
  int result = fcntl(file, F_SETLKW, argument);
  int error = errno;
  setitimer(ITIMER_REAL, &none, NULL);
  errno = error == EINTR ? EAGAIN : error;
  return result;
}

static int print_row(void *context, int count, char **values, char **names) {
  (void)context;
  (void)names;
  for (int i = 0; i < count; i++) printf("%s%s", i > 0 ? "|" : "", values[i] ? values[i] : "");
  printf("\n");
  return 0;
}

static long now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  wait_ms = atoi(argv[2]);
  struct sigaction action = {0};
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, NULL);
  action.sa_handler = on_interrupt;
  sigaction(SIGUSR1, &action, NULL);
  sqlite3_initialize();
  sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
  vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)waiting_fcntl);
  if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) return 1;
  if (sqlite3_setlk_timeout(db, wait_ms, 0) != SQLITE_OK) return 1;
  printf("%d\n", (int)getpid());
  fflush(stdout);
  long start_ms = now_ms();
  int code = sqlite3_exec(db, argv[3], print_row, NULL, NULL);
  printf("%d %ld\n", code, now_ms() - start_ms);
  return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}
