// A daemon for tests: the real mount on a real store, told over IPC to trace requests, to answer the n-th request
// of a kind with an errno, or to hold it until told to go on; and to let the store fail or hang. Commands reach its store
// over the control socket.
// Arguments: mountpoint, store URL, mappings, log level, dirty bytes that one file keeps in memory, whether the kernel
// caches pages.

import { resolve } from 'node:path';
import { createHealth } from '../../src/admin/api/health.js';
import { createMetrics } from '../../src/admin/api/metrics.js';
import { serveApi } from '../../src/admin/api/server.js';
import { embeddedSocketPath } from '../../src/admin/socket-path.js';
import { localService } from '../../src/admin/store-service.js';
import { hostOptions } from '../../src/cli/store-access.js';
import { parseNamespaces } from '../../src/config.js';
import { type ErrorCode, MvfuseError } from '../../src/errors.js';
import { type Mount, type MountEntry, mountFiles } from '../../src/fuse/mount.js';
import { openEngine, storeDirectory } from '../../src/kv/open.js';
import {
  CONNECTIONS_DEFAULT,
  DIRTY_BYTES_DEFAULT,
  DIRTY_MEMORY_SHARE,
  FUSE_QUEUE_LENGTH_DEFAULT,
  WRITER_WAIT_MS_DEFAULT,
} from '../../src/limits.js';
import { createLogger } from '../../src/logger.js';
import { PageStore } from '../../src/store/page-store.js';
import type { NamespaceId } from '../../src/store/types.js';
import type { FaultCommand, FaultReply } from './mounted.js';
import { StoreFaults } from './store-faults.js';

interface Rule {
  readonly label: string | undefined;
  left: number;
  readonly errno: number | undefined;
  readonly hold: boolean;
  readonly next: Rule | undefined;
}

const [mountpoint = '', url = '', mappings = '', level = 'warn', memoryBytes = '16777216', kernelCache] =
  process.argv.slice(2);

let trace: string[] | undefined;
/** Of the thread that traces and rules concern; undefined: of all. */
let onlyPid: number | undefined;
let commitFails: ErrorCode | undefined;
let rule: Rule | undefined;
let released: ((errno: number | undefined) => void) | undefined;

function send(reply: FaultReply): void {
  process.send!(reply);
}

async function intercept(label: string, { pid }: { pid: number }): Promise<number | undefined> {
  if (onlyPid !== undefined && pid !== onlyPid) return undefined;
  trace?.push(label);
  if (rule === undefined || (rule.label !== undefined && rule.label !== label)) return undefined;
  rule.left -= 1;
  if (rule.left > 0) return undefined;
  const { errno, hold } = rule;
  rule = rule.next;
  send({ type: 'hit', label });
  if (!hold) return errno;
  return new Promise((resolve) => {
    released = resolve;
  });
}

function obey(command: FaultCommand): void {
  switch (command.type) {
    case 'trace':
      trace = [];
      break;
    case 'stop-trace':
      send({ type: 'trace', labels: trace ?? [] });
      trace = undefined;
      return;
    case 'rule':
      rule = {
        label: command.label,
        left: command.nth,
        errno: command.errno,
        hold: command.hold === true,
        next: command.next && {
          label: command.next.label,
          left: command.next.nth,
          errno: command.next.errno,
          hold: false,
          next: undefined,
        },
      };
      break;
    case 'fail-commit':
      commitFails = command.code;
      break;
    case 'clear':
      rule = undefined;
      commitFails = undefined;
      storeFaults.end();
      break;
    case 'store-fault':
      storeFaults.start(command.access, namespaceIds.get(command.namespace)!, command.fault);
      break;
    case 'only':
      onlyPid = command.pid;
      break;
    case 'fail-transaction':
      storeFaults.failTransaction(command.nth, command.code);
      break;
    case 'release':
      released?.(command.errno);
      released = undefined;
      break;
  }
  send({ type: 'ok' });
}

const storeFaults = new StoreFaults((access) => send({ type: 'hit', label: access }));
const namespaceIds = new Map<string, NamespaceId>();
const engine = storeFaults.wrap(await openEngine(url, { clock: Date.now }));
const store = await PageStore.open({
  engine,
  clock: Date.now,
  cacheBytesMax: 8 * 1024 * 1024,
  host: await hostOptions(url),
});
const commit = store.commit.bind(store);
store.commit = async (requests) => {
  if (commitFails === undefined) return commit(requests);
  const code = commitFails;
  commitFails = undefined;
  send({ type: 'hit', label: 'commit' });
  throw new MvfuseError(code, 'injected');
};
const entries: MountEntry[] = [];
const { files, prefix } = parseNamespaces(mappings);
for (const { fileName, namespace } of files) {
  const existing = (await store.listNamespaces()).find((info) => info.name === namespace);
  const info = existing ?? (await store.createNamespace(namespace));
  namespaceIds.set(namespace, info.id);
  entries.push({ name: fileName, namespace: info.id, namespaceName: info.name });
}
const shown = entries.map(({ namespaceName: name }) => ({ name, writable: true }));
const mounts: Mount[] = [];
const service = localService(store, storeDirectory(url), {
  mounts: () => Promise.all(mounts.map((mount) => mount.status())),
  writerWaitMs: WRITER_WAIT_MS_DEFAULT,
});
const directory = storeDirectory(url);
const log = createLogger(level as 'warn', 'json');
const api = await serveApi(
  {
    service,
    health: createHealth(service, {
      mounts: () => [{ mountpoint, problem: undefined, namespaces: shown }],
      lease: () => undefined,
    }),
    metrics: createMetrics('test'),
    log,
    release: 'test',
  },
  { socket: directory === undefined ? undefined : { path: embeddedSocketPath(directory) } },
);
const mount = await mountFiles({
  mountpoint: resolve(mountpoint),
  entries,
  ...(prefix === undefined
    ? {}
    : { directory: { prefix, admits: async () => true, fork: (...of) => store.forkNamespace(...of) } }),
  store,
  log,
  limits: {
    connectionsMax: CONNECTIONS_DEFAULT,
    queueLengthMax: FUSE_QUEUE_LENGTH_DEFAULT,
    dirty: {
      memoryBytesMax: Number(memoryBytes) / DIRTY_MEMORY_SHARE,
      bytesMax: DIRTY_BYTES_DEFAULT,
      directory: '/var/tmp',
    },
    writerWaitMs: WRITER_WAIT_MS_DEFAULT,
  },
  readOnly: false,
  allowOther: false,
  kernelCache: kernelCache === 'true',
  spaceDirectory: storeDirectory(url),
  intercept,
});
mounts.push(mount);
process.on('message', (command: FaultCommand) => obey(command));
process.once('SIGTERM', () => void mount.close());
send({ type: 'ready' });
await mount.ended;
await api.close();
await store.close();
process.disconnect?.();
