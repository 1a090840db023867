// Transactions over several databases: SQLite lists their rollback journals in a super-journal, and removing that
// file commits them all. Here its removal is one store commit of every member.

import { memberPaths } from '../sqlite/super-journal.js';
import type { Connection } from './connection.js';
import { RequestError } from './errno.js';
import { JOURNAL_SUFFIX } from './foreign-journal.js';
import type { PrivateFile } from './private-file.js';
import { commitTransactions } from './transaction.js';

/** `<any path of this mount>/.c/<connection>/<file name>`; the mount may be seen under several paths. */
const PRIVATE_PATH = /\/\.c\/([^/]+)\/([^/]+)$/;

/** Where the paths in super-journals lead. */
export interface Locations {
  /** The connection `.c/<id>`. */
  byId(id: string): Connection | undefined;
  /** The connection that has, or would have, a journal at that path in the mount, outside `.c`. */
  inRoot(name: string): Connection | undefined;
  /** The mounted directory, as this process calls it. */
  readonly mountpoint: string;
}

export class SuperJournals {
  readonly #locations: Locations;

  constructor(locations: Locations) {
    this.#locations = locations;
  }

  /** The super-journal at a path, if it lies in this mount and exists. */
  find(path: string): PrivateFile | undefined {
    const found = this.#locate(path);
    const file = found?.connection.sibling(found.name);
    return file?.kind === 'super-journal' ? file : undefined;
  }

  /**
   * Refuses a super-journal that names a journal outside this mount: after a crash SQLite would find that database's
   * hot journal, miss the super-journal and delete the journal without rolling back.
   */
  async check(superJournal: PrivateFile): Promise<void> {
    for (const path of await this.#paths(superJournal)) {
      if (this.#member(path) !== undefined) continue;
      superJournal.connection.file.log.warn(
        { path },
        'a transaction over this mount and another directory is refused: it could not be atomic after a crash',
      );
      throw new RequestError('EIO');
    }
  }

  /** Commits the members whose own journals still name the super-journal. @throws when none of it was committed */
  async commit(superJournal: PrivateFile): Promise<void> {
    const members: Connection[] = [];
    for (const path of await this.#paths(superJournal)) {
      const member = this.#member(path);
      if (member?.transaction.prepared && (await member.superJournal()) === superJournal) members.push(member);
    }
    if (members.length === 0) return;
    try {
      await commitTransactions(members.map((member) => member.transaction));
    } catch (error) {
      for (const member of members) await member.transaction.doom();
      throw error;
    }
  }

  async #paths(superJournal: PrivateFile): Promise<string[]> {
    const { content } = superJournal;
    return memberPaths(await content.read(0, content.sizeBytes));
  }

  #member(path: string): Connection | undefined {
    const found = this.#locate(path);
    return found?.name.endsWith(JOURNAL_SUFFIX) === true ? found.connection : undefined;
  }

  #locate(path: string): { connection: Connection; name: string } | undefined {
    const [, id, privateName] = PRIVATE_PATH.exec(path) ?? [];
    const { byId, inRoot, mountpoint } = this.#locations;
    const name = privateName ?? (path.startsWith(`${mountpoint}/`) ? path.slice(mountpoint.length + 1) : undefined);
    if (name === undefined) return undefined;
    const connection = id === undefined ? inRoot(name) : byId(id);
    return connection?.owns(name) === true ? { connection, name } : undefined;
  }
}
