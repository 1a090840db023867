// The writer's thread: takes the commits that are waiting, applies them as one group, answers them all.

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { KV_GROUP_BYTES_MAX, KV_GROUP_COMMITS_MAX } from '../../limits.js';
import { Checkpointer } from './checkpoint.js';
import { decodeCommit } from './commit-message.js';
import { openForWriting } from './data-file.js';
import { GroupCommitter } from './group-commit.js';
import { reclaimStep } from './reclaim.js';
import { toStoreError } from './sqlite-error.js';
import type { WriterCommit, WriterData, WriterReply, WriterRequest } from './writer-protocol.js';

const port = parentPort!;
const reply = (message: WriterReply) => port.postMessage(message);

function start({ path, bytesMax }: WriterData): void {
  const db = openForWriting(path, bytesMax);
  const committer = new GroupCommitter(db);
  const checkpointer = new Checkpointer(db);

  port.on('message', (first: WriterRequest) => {
    const { group, bytes, last } = takeGroup(first);
    if (group.length > 0) {
      const { outcomes, fatal } = committer.commit(group.map(({ commit }) => decodeCommit(commit)));
      reply({ kind: 'answers', answers: group.map(({ id }, index) => ({ id, outcome: outcomes[index]! })), fatal });
      if (!fatal) checkpointer.afterGroup(bytes);
    }
    if (last === 'close') {
      db.close();
      port.close();
    } else if (last !== undefined) {
      const reclaimed = reclaimStep(db);
      reply({ kind: 'reclaimed', id: last.id, ...reclaimed });
      if (reclaimed.isDone) checkpointer.copyBack();
      else checkpointer.afterGroup(reclaimed.bytes);
    }
  });
  reply({ kind: 'ready' });
}

/** `first` and what is waiting behind it, within the limits of a group; and what came that is no commit. */
function takeGroup(first: WriterRequest) {
  const group: WriterCommit[] = [];
  let bytes = 0;
  for (let request: WriterRequest | undefined = first; request !== undefined; ) {
    if (request === 'close' || 'reclaim' in request) return { group, bytes, last: request };
    group.push(request);
    bytes += request.commit.byteLength;
    if (group.length >= KV_GROUP_COMMITS_MAX || bytes >= KV_GROUP_BYTES_MAX) break;
    request = receiveMessageOnPort(port)?.message as WriterRequest | undefined;
  }
  return { group, bytes, last: undefined };
}

try {
  start(workerData as WriterData);
} catch (cause) {
  const error = toStoreError(cause, 'opening the store failed');
  reply({ kind: 'refused', code: error.code, message: error.message });
  port.close();
}
