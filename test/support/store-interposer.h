/* What store-interposer.c shares with the tests: the records that store-trace.ts reads, and the faults that interposer.ts
 * sets. The numbers and their order are known there. */
#pragma once

#include <stdint.h>

enum File { OTHER, DATA, WAL, JOURNAL, DIRECTORY, NOTES, FUSE };
enum Kind { CREATE = 1, UNLINK, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, REQUEST, ANSWER, NOTE };
enum Fault { SYNC_LEFT, SYNC_ERRNO, SYNC_FILES, WRITE_LEFT, WRITE_ERRNO, WRITE_FILES, WRITE_SHORT, STICKY, SYNC_DELAY_US,
             SYNCS_FAILED, WRITES_FAILED, FAULT_COUNT };

/* Little-endian, followed by `bytes` bytes of data. */
struct Record {
  uint32_t bytes;
  uint16_t kind;
  uint16_t file;
  int64_t a;
  int64_t b;
  int64_t c;
};
