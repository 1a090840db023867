// What the files of a mount are doing: their heads, the connections on each, and who holds the write lock.

import { isMvfuseError } from '../errors.js';
import type { ConnectionStatus, FileStatus } from '../status.js';
import type { Connection } from './connection.js';
import type { MountedFile } from './mounted-file.js';
import { commandOf } from './process-name.js';

export async function filesStatus(
  files: Iterable<MountedFile>,
  connections: Iterable<Connection>,
): Promise<FileStatus[]> {
  const open = [...connections].filter((connection) => connection.open);
  const describe = async (file: MountedFile): Promise<FileStatus[]> => {
    try {
      return [
        {
          name: file.name,
          namespace: file.namespaceName,
          head: await file.head(),
          connections: open.filter((connection) => connection.file === file).map(connectionStatus),
          writer: writerOf(file),
          lock: file.made ? await file.store.maintenanceLock(file.namespace) : undefined,
        },
      ];
    } catch (error) {
      // The namespace was removed.
      if (isMvfuseError(error, 'NOT_FOUND')) return [];
      throw error;
    }
  };
  return (await Promise.all([...files].map(describe))).flat();
}

function connectionStatus({ id, openers, transaction }: Connection): ConnectionStatus {
  return {
    id,
    openers: openers.map((pid) => ({ pid, command: commandOf(pid) })),
    phase: transaction.phase,
    version: transaction.head?.version,
    dirtyBytes: transaction.dirtyBytes,
  };
}

function writerOf({ writeLock }: MountedFile): FileStatus['writer'] {
  const { holder, heldMs } = writeLock;
  if (holder === undefined) return undefined;
  return { pid: holder.pid, command: commandOf(holder.pid), heldMs: Math.round(heldMs) };
}
