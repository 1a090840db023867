// Whom the files of a mount belong to, and who may do what with them.
//
// The modes are shown; that others are held to them is the kernel's work (default_permissions), so that who may not is
// refused before a request is made. The daemon itself asks nobody who he is, with one exception: a connection belongs to
// whoever resolved it (connections-directory.ts).

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The owner of databases and directories, and the mode of databases that have none of their own; the directories' follow from it. */
export interface Access extends Owner {
  /** Permission bits, read and write only. */
  readonly fileMode: number;
}

export const FILE_MODE_DEFAULT = 0o644;
/** What chmod changes; set-user-ID and the like are nothing for a database. */
export const PERMISSION_BITS = 0o777;
/** How long the kernel may believe a mode that may be changed by way of another inode, or another host. */
export const MODE_TTL_MS = 1_000;

/** Of the user that this process runs as. */
export function ownAccess(): Access {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, fileMode: FILE_MODE_DEFAULT };
}

/** @param mode the namespace's own */
export function databaseMode({ fileMode }: Access, mode: number | undefined): number {
  return mode ?? fileMode;
}

/** What shows one version for ever: as the database, without write bits. */
export function snapshotMode(access: Access, mode: number | undefined): number {
  return databaseMode(access, mode) & ~0o222;
}

/**
 * A directory: who may read databases may list it and reach them. Where files are made and removed, who may write
 * databases may do that, too.
 */
export function directoryMode({ fileMode }: Access, isWhole = false): number {
  const readers = fileMode & 0o444;
  return readers | (readers >> 2) | (fileMode & (isWhole ? 0o222 : 0o200));
}
