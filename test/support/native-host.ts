// A process that mounts the memory filesystem on argv[3] and ends in the way that argv[2] names; for what a test cannot
// do in its own process. Prints "mounted", and "ended" when the session has.
//
//   close     unmounts and closes; must then exit by itself
//   exit      process.exit while mounted, with a client's read held back
//   throw     the handler throws; closes on the uncaught exception
//   worker    the same session on a worker thread, which is terminated

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Session } from '../../src/native/binding.js';
import { NativeMemoryFilesystem } from './native-memory-filesystem.js';

function mount(mountpoint: string, onHeld: () => void): Session {
  const fs = new NativeMemoryFilesystem();
  fs.addFile('f', Buffer.from('content'));
  fs.intercept = (request) => {
    if (request.op !== 'read') return false;
    onHeld();
    return true;
  };
  const options = {
    mountpoint,
    fsName: 'mvfuse-test',
    subtype: 'mvfuse',
    queueLengthMax: 64,
    writeBytesMax: 65536,
    cachesLists: true,
  };
  const session = Session.mount(
    { ...options, allowOther: false, defaultPermissions: true, readOnly: false },
    fs.onRequests,
    () => console.log('ended'),
  );
  fs.session = session;
  return session;
}

function startReader(mountpoint: string): void {
  spawn('cat', [`${mountpoint}/f`], { stdio: 'ignore' }).unref();
}

if (!isMainThread) {
  mount(workerData as string, () => parentPort?.postMessage('held'));
  parentPort?.postMessage('mounted');
} else {
  const [, , way, mountpoint] = process.argv;
  if (mountpoint === undefined) throw new Error('usage: native-host WAY MOUNTPOINT');
  if (way === 'close') {
    const session = mount(mountpoint, () => {});
    console.log('mounted');
    session.unmount();
    session.close();
  } else if (way === 'exit') {
    mount(mountpoint, () => process.exit(7));
    console.log('mounted');
    startReader(mountpoint);
  } else if (way === 'throw') {
    const session = mount(mountpoint, () => {
      throw new Error('defect');
    });
    console.log('mounted');
    process.on('uncaughtException', (error) => {
      console.log(`uncaught: ${error.message}`);
      session.unmount();
      session.close();
    });
    startReader(mountpoint);
  } else {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: mountpoint });
    worker.on('message', (message) => {
      console.log(message);
      if (message === 'mounted') startReader(mountpoint);
      if (message === 'held') void worker.terminate().then(() => console.log('terminated'));
    });
  }
}
