// Where SQLite's tests have the lock bytes of their databases.

/** In tester.tcl, which begins every file. */
export const LOCK_BYTES_USUAL = 0x1_0000;

/** In files that have them in one other place. */
export const LOCK_BYTES: ReadonlyMap<string, number> = new Map([
  // On the first pointer-map page of its database of 1 KiB pages.
  ['test/tkt1667.test', 1024 * (Math.floor(1024 / 5) + 2)],
]);

/** What tells it to moved-lock-bytes.ts. */
export const LOCK_BYTES_VARIABLE = 'MVFUSE_TEST_LOCK_BYTES';
