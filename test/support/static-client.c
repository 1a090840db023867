/* A program like many: SQLite linked in statically, no library of the system's. Runs SQL on a database and prints the
** rows, values separated by '|'. Arguments: database (a path or a file: URI), then one SQL text each. An error is printed
** as its extended result code, and ends it with status 1. */
#include <stdio.h>
#include <stdlib.h>
#include "sqlite3.h"

static int print_row(void *context, int count, char **values, char **names) {
  (void)context;
  (void)names;
  for (int i = 0; i < count; i++) printf("%s%s", i > 0 ? "|" : "", values[i] ? values[i] : "");
  printf("\n");
  return 0;
}

static int failed(sqlite3 *db, const char *what) {
  fprintf(stderr, "%s: %d %s\n", what, sqlite3_extended_errcode(db), sqlite3_errmsg(db));
  sqlite3_close(db);
  return 1;
}

int main(int argc, char **argv) {
  sqlite3 *db = NULL;
  if (argc < 2) return 2;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
  if (sqlite3_open_v2(argv[1], &db, flags, NULL) != SQLITE_OK) return failed(db, "open");
  for (int i = 2; i < argc; i++) {
    if (sqlite3_exec(db, argv[i], print_row, NULL, NULL) != SQLITE_OK) return failed(db, argv[i]);
  }
  return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}
