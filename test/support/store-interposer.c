/* Preloaded into a process that owns a store: writes down, in one order for all threads, what happens below SQLite and
 * at /dev/fuse, and lets chosen syncs and writes of the store fail. store-trace.ts reads the record, interposer.ts sets
 * the faults.
 *
 *   MVFUSE_TEST_STORE   the store's directory, absolute and without links; it need not exist yet
 *   MVFUSE_TEST_RECORD  a file to append records to; what is written to <that>.notes becomes records of its own
 *   MVFUSE_TEST_FAULTS  a file of FAULT_COUNT int64, shared with the test
 *
 * A record's place says when it happened: writes are made and recorded in one critical section; a sync has one record
 * before it and one after; a request is recorded after it was read, an answer before it is given. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "store-interposer.h"

static char store[4096];
static char notes[4096];
static int record_fd = -1;
static int64_t* faults;
static int64_t last_sync;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static int (*real_open)(const char*, int, ...);
static int (*real_sync[2])(int);
static int (*real_ftruncate)(int, off64_t);
static int (*real_unlink)(const char*);
static ssize_t (*real_read)(int, void*, size_t);
static ssize_t (*real_write)(int, const void*, size_t);
static ssize_t (*real_writev)(int, const struct iovec*, int);
static ssize_t (*real_pwrite)(int, const void*, size_t, off64_t);

/* Early enough for whatever runs before the constructor. */
static void find_functions(void) {
  if (real_pwrite != NULL) return;
  real_open = dlsym(RTLD_NEXT, "open64");
  real_sync[0] = dlsym(RTLD_NEXT, "fsync");
  real_sync[1] = dlsym(RTLD_NEXT, "fdatasync");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_read = dlsym(RTLD_NEXT, "read");
  real_write = dlsym(RTLD_NEXT, "write");
  real_writev = dlsym(RTLD_NEXT, "writev");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
}

__attribute__((constructor)) static void start(void) {
  find_functions();
  /* The programs that this one starts are not of interest. */
  unsetenv("LD_PRELOAD");
  const char* directory = getenv("MVFUSE_TEST_STORE");
  const char* path = getenv("MVFUSE_TEST_RECORD");
  const char* shared = getenv("MVFUSE_TEST_FAULTS");
  if (directory == NULL || path == NULL || shared == NULL) return;
  snprintf(store, sizeof(store), "%s", directory);
  snprintf(notes, sizeof(notes), "%s.notes", path);
  const int fd = real_open(shared, O_RDWR | O_CLOEXEC);
  void* mapped = mmap(NULL, FAULT_COUNT * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) abort();
  faults = mapped;
  record_fd = real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (record_fd < 0) abort();
}

static enum File file_of_path(const char* path) {
  if (strcmp(path, "/dev/fuse") == 0) return FUSE;
  if (strcmp(path, notes) == 0) return NOTES;
  const size_t length = strlen(store);
  if (strncmp(path, store, length) != 0) return OTHER;
  if (strcmp(path + length, "") == 0) return DIRECTORY;
  if (strcmp(path + length, "/data.sqlite") == 0) return DATA;
  if (strcmp(path + length, "/data.sqlite-wal") == 0) return WAL;
  if (strcmp(path + length, "/data.sqlite-journal") == 0) return JOURNAL;
  return OTHER;
}

/* A file that is unlinked already is OTHER: its path ends in " (deleted)". */
static enum File file_of(int fd) {
  if (record_fd < 0) return OTHER;
  const int error = errno;
  char name[32];
  char path[4096];
  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(name, path, sizeof(path) - 1);
  errno = error;
  if (length < 0) return OTHER;
  path[length] = 0;
  return file_of_path(path);
}

static int is_kept(enum File file) { return file == DATA || file == WAL || file == JOURNAL; }

/* To be called in the critical section. */
static void put(struct Record record, const void* data) {
  const int error = errno;
  struct iovec pieces[2] = {{&record, sizeof(record)}, {(void*)data, record.bytes}};
  const ssize_t size = real_writev(record_fd, pieces, 2);
  if (size != (ssize_t)(sizeof(record) + record.bytes)) abort();
  errno = error;
}

static void put_alone(struct Record record, const void* data) {
  pthread_mutex_lock(&order);
  put(record, data);
  pthread_mutex_unlock(&order);
}

/* Whether a fault is due at this call; counts it down. In the critical section. */
static int is_due(enum Fault left, enum Fault files, enum Fault failed, enum File file) {
  if (faults[left] <= 0 || (faults[files] & (1 << file)) == 0) return 0;
  if (--faults[left] > 0) return 0;
  if (faults[STICKY] != 0) faults[left] = 1;
  faults[failed]++;
  return 1;
}

static int sync_file(int fd, int data_only) {
  find_functions();
  const enum File file = file_of(fd);
  if (!is_kept(file) && file != DIRECTORY) return real_sync[data_only](fd);
  pthread_mutex_lock(&order);
  const int64_t id = (int64_t)getpid() << 20 | ++last_sync;
  const int fails = is_due(SYNC_LEFT, SYNC_FILES, SYNCS_FAILED, file);
  put((struct Record){0, SYNC_BEGIN, file, id, 0, 0}, NULL);
  pthread_mutex_unlock(&order);
  /* A disk that takes its time: who does not wait for it is seen to be early. */
  const int64_t us = faults[SYNC_DELAY_US];
  if (us > 0) nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
  int result = fails ? -1 : real_sync[data_only](fd);
  if (fails) errno = (int)faults[SYNC_ERRNO];
  put_alone((struct Record){0, SYNC_END, file, id, result == 0 ? 0 : errno, 0}, NULL);
  return result;
}

int fsync(int fd) { return sync_file(fd, 0); }
int fdatasync(int fd) { return sync_file(fd, 1); }

/* offset: -1 for a file written from its start to its end (notes). */
static ssize_t write_file(enum File file, int fd, const void* data, size_t size, off64_t offset) {
  pthread_mutex_lock(&order);
  ssize_t result = -1;
  size_t allowed = size;
  int fails = 0;
  if (is_kept(file) && is_due(WRITE_LEFT, WRITE_FILES, WRITES_FAILED, file)) {
    if (faults[WRITE_SHORT] != 0) {
      allowed = size / 2;
      faults[WRITE_SHORT] = 0;
      if (faults[WRITE_ERRNO] != 0) faults[WRITE_LEFT] = 1;
    } else {
      fails = 1;
    }
  }
  if (fails) errno = (int)faults[WRITE_ERRNO];
  else result = offset < 0 ? real_write(fd, data, allowed) : real_pwrite(fd, data, allowed, offset);
  if (result > 0) put((struct Record){(uint32_t)result, file == NOTES ? NOTE : WRITE, file, offset, 0, 0}, data);
  pthread_mutex_unlock(&order);
  return result;
}

static void answer(const struct iovec* pieces, int count) {
  int32_t head[4] = {0, 0, 0, 0};
  if (count < 1 || pieces[0].iov_len < sizeof(head)) return;
  memcpy(head, pieces[0].iov_base, sizeof(head));
  int64_t unique;
  memcpy(&unique, &head[2], sizeof(unique));
  if (unique != 0) put_alone((struct Record){0, ANSWER, FUSE, unique, -head[1], 0}, NULL);
}

ssize_t write(int fd, const void* data, size_t size) {
  find_functions();
  const enum File file = file_of(fd);
  /* SQLite never writes its files from where they stand, nor in pieces; nobody must do so unseen. */
  if (is_kept(file)) abort();
  if (file == NOTES) return write_file(file, fd, data, size, -1);
  if (file == FUSE) answer(&(struct iovec){(void*)data, size}, 1);
  return real_write(fd, data, size);
}

ssize_t writev(int fd, const struct iovec* pieces, int count) {
  find_functions();
  const enum File file = file_of(fd);
  if (is_kept(file) || file == NOTES) abort();
  if (file == FUSE) answer(pieces, count);
  return real_writev(fd, pieces, count);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  find_functions();
  const enum File file = file_of(fd);
  return is_kept(file) ? write_file(file, fd, data, size, offset) : real_pwrite(fd, data, size, offset);
}

ssize_t read(int fd, void* data, size_t size) {
  find_functions();
  const ssize_t result = real_read(fd, data, size);
  /* fuse_in_header: length, opcode, unique, nodeid, uid, gid, pid. */
  if (result >= 40 && file_of(fd) == FUSE) {
    uint32_t words[10];
    memcpy(words, data, sizeof(words));
    const int64_t unique = (int64_t)words[2] | (int64_t)words[3] << 32;
    put_alone((struct Record){0, REQUEST, FUSE, unique, words[1], words[8]}, NULL);
  }
  return result;
}

int ftruncate64(int fd, off64_t size) {
  find_functions();
  const enum File file = file_of(fd);
  if (!is_kept(file)) return real_ftruncate(fd, size);
  pthread_mutex_lock(&order);
  const int result = real_ftruncate(fd, size);
  if (result == 0) put((struct Record){0, TRUNCATE, file, size, 0, 0}, NULL);
  pthread_mutex_unlock(&order);
  return result;
}

int unlink(const char* path) {
  find_functions();
  const enum File file = record_fd < 0 ? OTHER : file_of_path(path);
  if (!is_kept(file)) return real_unlink(path);
  pthread_mutex_lock(&order);
  const int result = real_unlink(path);
  if (result == 0) put((struct Record){0, UNLINK, file, 0, 0, 0}, NULL);
  pthread_mutex_unlock(&order);
  return result;
}

/* A record for each opening that may create: the reader knows whether the file was there. */
int open64(const char* path, int flags, ...) {
  find_functions();
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  const enum File file = record_fd >= 0 && (flags & O_CREAT) != 0 ? file_of_path(path) : OTHER;
  if (!is_kept(file)) return real_open(path, flags, mode);
  if ((flags & O_TRUNC) != 0) abort();
  pthread_mutex_lock(&order);
  const int result = real_open(path, flags, mode);
  if (result >= 0) put((struct Record){0, CREATE, file, 0, 0, 0}, NULL);
  pthread_mutex_unlock(&order);
  return result;
}

int open(const char* path, int flags, ...) __attribute__((alias("open64")));
int ftruncate(int fd, off64_t size) __attribute__((alias("ftruncate64")));
ssize_t pwrite(int fd, const void* data, size_t size, off64_t offset) __attribute__((alias("pwrite64")));
