// Who creates a database has it as a plain file in the mounted directory, with its journals beside it: SQLite compares
// what it opened with what lies at the path before each journal, so that must stay the same inode for as long as it is
// open. Everybody else is given a connection of their own through the symlink, also of a database that is being created.
//
// It is the calling process that decides what a name shows: all of the creator's threads, and a child that inherited
// the file and locked it, see the plain file until its last handle is closed. Other connections of such a process share
// the inode, and wait for each other as on any filesystem.

import type { Connection } from './connection.js';
import type { MountedFile } from './mounted-file.js';
import type { PrivateFile } from './private-file.js';

export class Creators {
  readonly #connections = new Map<MountedFile, Connection>();

  connections(): Iterable<Connection> {
    return this.#connections.values();
  }

  add(connection: Connection): void {
    this.#connections.set(connection.file, connection);
  }

  /** The last handle was closed. */
  delete(connection: Connection): void {
    if (this.#connections.get(connection.file) === connection) this.#connections.delete(connection.file);
  }

  /** The plain file, whoever has it. */
  of(file: MountedFile): Connection | undefined {
    return this.#connections.get(file);
  }

  /** The plain file of a thread's process. */
  seenBy(file: MountedFile, pid: number): Connection | undefined {
    const connection = this.#connections.get(file);
    return connection?.isHeldBy(pid) === true ? connection : undefined;
  }

  /** The plain file beside which a thread's process has, or would make, a journal of that name. */
  ofJournal(name: string, pid: number): Connection | undefined {
    return this.#heldBy(pid, (connection) => connection.owns(name));
  }

  /** The plain file that a thread's process locks by a directory of that name, with vfs=unix-dotfile. */
  ofDotfileLock(name: string, pid: number): Connection | undefined {
    return this.#heldBy(pid, (connection) => connection.isLockedBy(name));
  }

  /** The journals that a thread's process has, by their paths. */
  *journalsSeenBy(pid: number): Generator<PrivateFile> {
    for (const connection of this.#connections.values()) if (connection.isHeldBy(pid)) yield* connection.siblings();
  }

  /**
   * The plain file beside which there is a journal of that name, or would be one: a transaction's super-journal also names
   * the journals of databases in which it changed nothing, and those do not exist.
   */
  withJournal(name: string): Connection | undefined {
    const owners = [...this.#connections.values()].filter((connection) => connection.owns(name));
    return owners.find((connection) => connection.sibling(name) !== undefined) ?? owners[0];
  }

  #heldBy(pid: number, fits: (connection: Connection) => boolean): Connection | undefined {
    for (const connection of this.#connections.values())
      if (fits(connection) && connection.isHeldBy(pid)) return connection;
    return undefined;
  }
}
