// The frames of a log that the stock SQLite wrote, and of what is none.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Database from 'better-sqlite3';
import {
  FRAME_HEADER_BYTES,
  frameAt,
  frameEndingAt,
  pageBytesOfLog,
  readFrameHeader,
  WAL_HEADER_BYTES,
} from '../../../src/sqlite/wal.js';

let directory: string;

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'mvfuse-wal-'));
});

after(() => rmSync(directory, { recursive: true, force: true }));

for (const pageBytes of [512, 4096, 65536]) {
  test(`a log with pages of ${pageBytes}`, () => {
    const path = join(directory, `${pageBytes}.db`);
    const database = new Database(path);
    database.pragma(`page_size = ${pageBytes}`);
    database.pragma('journal_mode = WAL');
    database.pragma('wal_autocheckpoint = 0');
    database.exec('CREATE TABLE t(a); INSERT INTO t VALUES(1)');
    database.exec(`BEGIN; INSERT INTO t VALUES(zeroblob(${3 * pageBytes})); INSERT INTO t VALUES(2); COMMIT`);
    const log = readFileSync(`${path}-wal`);
    const pageCount = database.pragma('page_count', { simple: true }) as number;
    database.close();

    assert.equal(pageBytesOfLog(log), pageBytes);
    const frames = frameEndingAt(log.length, pageBytes)!;
    assert.equal(log.length, WAL_HEADER_BYTES + frames * (FRAME_HEADER_BYTES + pageBytes));
    const headers = Array.from({ length: frames }, (_, index) =>
      readFrameHeader(log.subarray(frameAt(index + 1, pageBytes))),
    );
    assert.equal(headers.filter(({ pageCount: ends }) => ends > 0).length, 3);
    assert.equal(headers.at(-1)!.pageCount, pageCount);

    // The last frame of each page is that page after a checkpoint.
    const file = readFileSync(path);
    for (const [page, frame] of new Map(headers.map(({ page }, index) => [page, index + 1]))) {
      const at = frameAt(frame, pageBytes) + FRAME_HEADER_BYTES;
      const stored = file.subarray((page - 1) * pageBytes, page * pageBytes);
      assert.ok(log.subarray(at, at + pageBytes).equals(stored), `page ${page}`);
    }
  });
}

test('what is no log has no frames', () => {
  assert.equal(pageBytesOfLog(Buffer.alloc(0)), undefined);
  assert.equal(pageBytesOfLog(Buffer.alloc(WAL_HEADER_BYTES)), undefined);
  const header = Buffer.alloc(WAL_HEADER_BYTES);
  header.writeUInt32BE(0x377f0683);
  for (const [size, known] of [
    [4096, true],
    [4095, false],
    [256, false],
    [131072, false],
    [0, false],
  ] as const) {
    header.writeUInt32BE(size, 8);
    assert.equal(pageBytesOfLog(header), known ? size : undefined, String(size));
  }
  for (const offset of [0, WAL_HEADER_BYTES, WAL_HEADER_BYTES + 24, WAL_HEADER_BYTES + 4096]) {
    assert.equal(frameEndingAt(offset, 4096), undefined, String(offset));
  }
  assert.equal(frameEndingAt(WAL_HEADER_BYTES + 2 * (24 + 4096), 4096), 2);
});
