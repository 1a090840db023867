// The files of a mounted directory that come and go: the namespaces of the store whose names begin with its prefix, and
// files that were created here and have no namespace yet, because nothing was committed to them.
//
// The store is asked for each name, each time: another host, or a command, may have changed what it means. An object
// stands for a namespace as long as it has a name here; who has it open keeps the object when the name goes.

import { isMvfuseError } from '../errors.js';
import { NAMESPACE_NAME_BYTES_MAX, UNMADE_FILES_MAX } from '../limits.js';
import { validateNamespaceName } from '../store/namespace-name.js';
import type { PageStore } from '../store/page-store.js';
import type { NamespaceId, NamespaceInfo } from '../store/types.js';
import { RequestError } from './errno.js';
import { JOURNAL_SUFFIX } from './foreign-journal.js';
import type { MountedFile, MountedFileOptions } from './mounted-file.js';

/** Directories of the mount itself (connections-directory.ts, snapshots-directory.ts). */
const RESERVED = new Set(['.', '..', '.c', '.snapshots']);

export type CatalogFile = Pick<MountedFileOptions, 'name' | 'namespace' | 'namespaceName' | 'make'>;

export interface CatalogOptions {
  readonly store: PageStore;
  /** Names of namespaces begin with it; the rest is the file's name. Undefined: nothing but journals is made here. */
  readonly prefix: string | undefined;
  /** The namespace that is shown under a name of its own, whatever the prefix. */
  readonly namespaceOfFixed: (fileName: string) => string | undefined;
  /** Whether a namespace that needs a secret may be shown. */
  readonly admits: (namespace: NamespaceInfo) => Promise<boolean>;
  readonly mounted: (file: CatalogFile) => MountedFile;
}

export interface CatalogEntry {
  readonly name: string;
  readonly namespace: NamespaceId;
}

export class Catalog {
  readonly #options: CatalogOptions;
  readonly #files = new Map<NamespaceId, MountedFile>();
  /** By name: what has no namespace yet. */
  readonly #unmade = new Map<string, MountedFile>();

  constructor(options: CatalogOptions) {
    this.#options = options;
  }

  /** What is known of here; not all that the store has. */
  *known(): Generator<MountedFile> {
    yield* this.#files.values();
    yield* this.#unmade.values();
  }

  /** The file of that name, if there is one. */
  async find(name: string): Promise<MountedFile | undefined> {
    const unmade = this.#unmade.get(name);
    if (unmade !== undefined) return unmade;
    const namespaceName = this.#namespaceOf(name);
    const info = namespaceName === undefined ? undefined : await this.#stat(namespaceName);
    return info === undefined ? undefined : this.#fileOf(info, name);
  }

  /** All of them, in an order that stays while others come and go. */
  async entries(): Promise<CatalogEntry[]> {
    const { store, prefix, admits } = this.#options;
    const entries = [...this.#unmade].map(([name, { namespace }]) => ({ name, namespace }));
    for (const info of prefix === undefined ? [] : await store.listNamespaces(prefix)) {
      const name = info.name.slice(prefix!.length);
      if (isFileName(name) && (await admits(info))) entries.push({ name, namespace: info.id });
    }
    return entries.sort((a, b) => a.namespace - b.namespace);
  }

  /** An empty file, which becomes a namespace with its first commit. @throws as requireName */
  async create(name: string): Promise<MountedFile> {
    const namespaceName = this.#requireNamespaceOf(name);
    const [oldest] = this.#unmade.values();
    if (this.#unmade.size >= UNMADE_FILES_MAX) await oldest!.ensureMade();
    const file = this.#options.mounted({
      name,
      namespace: await this.#options.store.reserveNamespaceId(),
      namespaceName,
      make: (unmade) => this.#make(unmade),
    });
    this.#unmade.set(name, file);
    return file;
  }

  /** @throws EINVAL, ENAMETOOLONG, EACCES for a name that no file may get */
  requireName(name: string): void {
    this.#requireNamespaceOf(name);
  }

  /** Its name is gone; the namespace can be brought back for a day. */
  async remove(file: MountedFile): Promise<void> {
    await file.settled();
    if (file.made) await this.#options.store.dropNamespace(file.namespaceName, { expected: file.namespace });
    this.#forget(file);
  }

  /** The file has another name; one that had it before is removed in the same moment. @throws as requireName */
  async rename(file: MountedFile, newName: string): Promise<void> {
    const namespaceName = this.#requireNamespaceOf(newName);
    const replaced = await this.find(newName);
    if (replaced === file) return;
    await file.settled();
    await replaced?.settled();
    if (replaced?.made === true) await file.ensureMade();
    // Without a namespace of its own, it must not make one of that name meanwhile.
    const forgotten = replaced?.made === false ? replaced : undefined;
    if (forgotten !== undefined) this.#forget(forgotten);
    try {
      if (file.made) {
        const options = { replace: true, expected: file.namespace };
        await this.#options.store.renameNamespace(file.namespaceName, namespaceName, options);
      }
    } catch (error) {
      if (forgotten?.made === false) {
        forgotten.link(newName, namespaceName);
        this.#unmade.set(newName, forgotten);
      }
      throw error;
    }
    if (replaced !== undefined && replaced !== forgotten) this.#forget(replaced);
    if (this.#unmade.delete(file.name)) this.#unmade.set(newName, file);
    file.link(newName, namespaceName);
  }

  #forget(file: MountedFile): void {
    file.unlink();
    this.#files.delete(file.namespace);
    if (this.#unmade.get(file.name) === file) this.#unmade.delete(file.name);
  }

  async #make(file: MountedFile): Promise<void> {
    const { store } = this.#options;
    // Who has a file open that was removed before its first commit may go on with it.
    const name = file.linked ? file.namespaceName : `.unlinked/${file.namespace}`;
    try {
      await store.createNamespace(name, { id: file.namespace });
    } catch (error) {
      // Another host made one of that name first.
      if (isMvfuseError(error, 'ALREADY_EXISTS')) this.#forget(file);
      throw error;
    }
    if (file.linked) {
      this.#unmade.delete(file.name);
      this.#files.set(file.namespace, file);
    } else {
      await store.dropNamespace(name);
    }
    await store.acquireLease(file.namespace, file.writerWaits.waitMsMax);
  }

  #fileOf(info: NamespaceInfo, name: string): MountedFile {
    let file = this.#files.get(info.id);
    if (file === undefined) {
      file = this.#options.mounted({ name, namespace: info.id, namespaceName: info.name });
      this.#files.set(info.id, file);
    }
    if (!file.linked || file.name !== name) file.link(name, info.name);
    return file;
  }

  async #stat(namespaceName: string): Promise<NamespaceInfo | undefined> {
    const { store, admits } = this.#options;
    try {
      const info = await store.statNamespace(namespaceName);
      return (await admits(info)) ? info : undefined;
    } catch (error) {
      if (isMvfuseError(error, 'NOT_FOUND') || isMvfuseError(error, 'INVALID_ARGUMENT')) return undefined;
      throw error;
    }
  }

  #namespaceOf(name: string): string | undefined {
    const { prefix, namespaceOfFixed } = this.#options;
    if (name.endsWith(JOURNAL_SUFFIX)) {
      const database = namespaceOfFixed(name.slice(0, -JOURNAL_SUFFIX.length));
      if (database !== undefined) return `${database}${JOURNAL_SUFFIX}`;
    }
    return prefix === undefined || !isFileName(name) ? undefined : `${prefix}${name}`;
  }

  #requireNamespaceOf(name: string): string {
    const namespaceName = this.#namespaceOf(name);
    // Nobody makes files here; and -wal and -shm above all: SQLite then reports a read-only directory, and loses nothing.
    if (namespaceName === undefined) throw new RequestError('EACCES');
    if (Buffer.byteLength(namespaceName) > NAMESPACE_NAME_BYTES_MAX) throw new RequestError('ENAMETOOLONG');
    try {
      validateNamespaceName(namespaceName);
    } catch {
      throw new RequestError('EINVAL');
    }
    return namespaceName;
  }
}

/** Whether a file of a directory of databases may have that name: SQLite and the mount give a meaning to some. */
function isFileName(name: string): boolean {
  return name !== '' && !RESERVED.has(name) && !name.includes('/') && !/-(wal|shm|mj[0-9A-F]{9})$/.test(name);
}
