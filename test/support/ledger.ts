// A small database whose content says exactly which transactions it holds, in full or in part.
//
// Every transaction rewrites all rows of `t` (several pages), frees the overflow pages of the one before, takes them
// again together with new ones, and leaves its number in `log`. Texts are made of the number that they belong to, so
// that pages of two transactions that got mixed are seen too.

export const LEDGER_SCHEMA = `
  CREATE TABLE t(k INTEGER PRIMARY KEY, gen INTEGER, pad TEXT);
  CREATE TABLE big(id INTEGER PRIMARY KEY, data TEXT);
  CREATE TABLE log(id INTEGER PRIMARY KEY);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24)
  INSERT INTO t SELECT i, 0, ${filled('0', 50)} FROM n;
`;

/** Empties what grows, so that every run starts from the same page counts. */
export const LEDGER_RESET = ['DELETE FROM log', 'DELETE FROM big', 'VACUUM'];

/** One row: what a LedgerState is read from. The last two columns count texts that are not what they should be. */
export const LEDGER_READ = `
  SELECT (SELECT min(gen) FROM t), (SELECT max(gen) FROM t),
    (SELECT group_concat(id) FROM (SELECT id FROM big ORDER BY id)),
    (SELECT group_concat(id) FROM (SELECT id FROM log ORDER BY id)),
    (SELECT count(*) FROM t WHERE pad <> ${filled('gen', 50)}),
    (SELECT count(*) FROM big WHERE data <> replace(hex(zeroblob(length(data) / 8)), '00', printf('%08d', id)))
`;

/** The statements of transaction `id`; `count` sizes its new row, 8 bytes each. */
export function ledgerBody(id: number, count = 1500): string[] {
  return [
    `UPDATE t SET gen = ${id}, pad = ${filled(String(id), 50)}`,
    `DELETE FROM big WHERE id < ${id}`,
    `INSERT INTO big VALUES(${id}, ${filled(String(id), count)})`,
    `INSERT INTO log VALUES(${id})`,
  ];
}

export function ledgerTransaction(id: number, count?: number): string[] {
  return ['BEGIN', ...ledgerBody(id, count), 'COMMIT'];
}

/** What a ledger holds, as a text to compare. */
export class LedgerState {
  readonly gen: number;
  readonly big: readonly number[];
  readonly log: readonly number[];

  constructor(gen = 0, big: readonly number[] = [], log: readonly number[] = []) {
    this.gen = gen;
    this.big = big;
    this.log = log;
  }

  /** After one more whole transaction. */
  with(id: number): LedgerState {
    return new LedgerState(id, [id], [...this.log, id]);
  }

  afterReset(): LedgerState {
    return new LedgerState(this.gen);
  }

  /** As LEDGER_READ shows it when nothing is mixed. */
  toString(): string {
    return JSON.stringify([this.gen, this.gen, joined(this.big), joined(this.log), 0, 0]);
  }
}

function joined(ids: readonly number[]): string | null {
  return ids.length === 0 ? null : ids.join(',');
}

function filled(id: string, count: number): string {
  return `replace(hex(zeroblob(${count})), '00', printf('%08d', ${id}))`;
}
