// The files of a mounted directory that come and go: the namespaces of the store whose names begin with its prefix, and
// files that were created here and have no namespace yet, because nothing was committed to them. A file is named by its
// path in the mount, `dir/mydb`; a directory by its path with a slash behind it, `dir/`, and the root by nothing.
//
// A directory is there while there is a namespace below it. One that was made is a namespace itself, of the name `dir/`.
//
// The store is asked for each name, each time: another host, or a command, may have changed what it means. An object
// stands for a namespace as long as it has a name here; who has it open keeps the object when the name goes.

import { isMvfuseError } from '../errors.js';
import { NAMESPACE_NAME_BYTES_MAX, UNMADE_FILES_MAX } from '../limits.js';
import { validateNamespaceName } from '../store/namespace-name.js';
import type { PageStore } from '../store/page-store.js';
import type { NamespaceId, NamespaceInfo } from '../store/types.js';
import type { Version } from '../version.js';
import { RequestError } from './errno.js';
import { JOURNAL_SUFFIX } from './foreign-journal.js';
import type { MountedFile, MountedFileOptions } from './mounted-file.js';

/** Where namespaces are made that nobody can find: they are dropped at once. */
const UNLINKED = '.unlinked';
/** Directories of the mount itself (connections-directory.ts, snapshots-directory.ts). */
const RESERVED = new Set(['.', '..', '.c', '.snapshots', UNLINKED]);

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
  /** Makes a namespace that begins with a version of another one. */
  readonly fork: (source: NamespaceId, version: Version, name: string) => Promise<NamespaceInfo>;
}

/** What a directory lists. */
export interface CatalogEntry {
  /** In that directory. */
  readonly name: string;
  readonly isDirectory: boolean;
  /** Of the namespace that shows it; of a directory, of the first one below it. */
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

  /** What lies in a directory, in an order that stays while others come and go. */
  async entries(directory: string): Promise<CatalogEntry[]> {
    const { store, prefix, admits } = this.#options;
    const entries = new Map<string, CatalogEntry>();
    const add = (path: string, namespace: NamespaceId): void => {
      const rest = path.slice(directory.length);
      const slash = rest.indexOf('/');
      const name = slash === -1 ? rest : rest.slice(0, slash);
      const known = entries.get(name)?.namespace ?? namespace;
      if (isFileName(name)) {
        entries.set(name, { name, isDirectory: slash !== -1, namespace: known < namespace ? known : namespace });
      }
    };
    for (const [path, { namespace }] of this.#unmade) if (path.startsWith(directory)) add(path, namespace);
    for (const info of prefix === undefined ? [] : await store.listNamespaces(`${prefix}${directory}`)) {
      if (await admits(info)) add(info.name.slice(prefix!.length), info.id);
    }
    return [...entries.values()].sort((a, b) => a.namespace - b.namespace);
  }

  /** Whether a directory is there. */
  async hasDirectory(directory: string): Promise<boolean> {
    const { store, prefix } = this.#options;
    // SQLite asks for -wal at each transaction.
    if (prefix === undefined || !isPath(directory.slice(0, -1))) return false;
    for (const path of this.#unmade.keys()) if (path.startsWith(directory)) return true;
    return store.hasNamespaces(`${prefix}${directory}`);
  }

  /** @throws EEXIST, EINVAL, ENAMETOOLONG, EACCES */
  async makeDirectory(directory: string): Promise<void> {
    const path = directory.slice(0, -1);
    const namespaceName = `${this.#requireNamespaceOf(path)}/`;
    if (Buffer.byteLength(namespaceName) > NAMESPACE_NAME_BYTES_MAX) throw new RequestError('ENAMETOOLONG');
    if ((await this.find(path)) !== undefined || (await this.hasDirectory(directory))) throw new RequestError('EEXIST');
    await this.#options.store.createNamespace(namespaceName);
  }

  /** @throws ENOENT, ENOTEMPTY */
  async removeDirectory(directory: string): Promise<void> {
    if (!(await this.hasDirectory(directory))) throw new RequestError('ENOENT');
    if ((await this.entries(directory)).length > 0) throw new RequestError('ENOTEMPTY');
    await this.#options.store.removeNamespace(`${this.#options.prefix}${directory}`, { force: true });
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

  /** Nobody has had a file that was created: its name is free again. */
  takeBack(file: MountedFile): void {
    if (!file.made) this.#forget(file);
  }

  /** @throws EINVAL, ENAMETOOLONG, EACCES for a name that no file may get */
  requireName(name: string): void {
    this.#requireNamespaceOf(name);
  }

  /** Another file with what was committed to one. @throws EEXIST, and as requireName */
  async copy(source: MountedFile, name: string): Promise<MountedFile> {
    const namespaceName = this.#requireNamespaceOf(name);
    if ((await this.find(name)) !== undefined) throw new RequestError('EEXIST');
    if (!source.made) return this.create(name);
    const { version } = await source.head();
    return this.#fileOf(await this.#options.fork(source.namespace, version, namespaceName), name);
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
    const name = file.linked ? file.namespaceName : `${UNLINKED}/${file.namespace}`;
    try {
      await store.createNamespace(name, { id: file.namespace, mode: file.mode });
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
    const info = await store.findNamespace(namespaceName);
    return info !== undefined && (await admits(info)) ? info : undefined;
  }

  #namespaceOf(name: string): string | undefined {
    const { prefix, namespaceOfFixed } = this.#options;
    if (name.endsWith(JOURNAL_SUFFIX)) {
      const database = namespaceOfFixed(name.slice(0, -JOURNAL_SUFFIX.length));
      if (database !== undefined) return `${database}${JOURNAL_SUFFIX}`;
    }
    return prefix === undefined || !isPath(name) ? undefined : `${prefix}${name}`;
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

function isPath(path: string): boolean {
  return path.split('/').every(isFileName);
}

/** Whether a file or directory may have that name: SQLite and the mount give a meaning to some. */
function isFileName(name: string): boolean {
  return name !== '' && !RESERVED.has(name) && !/-(wal|shm)$/.test(name);
}
