import { parentPort } from 'node:worker_threads';
import { serveThread } from '../lib/thread-pool.ts';
import { verifyCrypt } from './crypt/crypt.ts';

/** The thread for hashes that node:crypto cannot compute by itself: crypt(3) in JavaScript blocks for its whole time. */
if (!parentPort) throw new Error('the password worker runs as a worker thread only');

serveThread(
  parentPort,
  { crypt: { verify: (call: { password: string; hash: string }) => verifyCrypt(call.password, call.hash) } },
  () => {},
);
