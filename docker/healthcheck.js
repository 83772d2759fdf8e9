// Healthy is a server that greets: a connection alone would also be accepted by a process that is stuck.
// Arguments are ports of SMTP, IMAP or POP3 without TLS.
import { connect } from 'node:net';

const TIMEOUT_MS = 4000;
const GREETING = /^(220[ -]|\* OK|\+OK)/;

/** Rejects with a reason unless the server on `port` greets in time. */
function greets(port) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: TIMEOUT_MS });
    socket.setEncoding('latin1');
    socket.once('data', (text) => {
      socket.destroy();
      if (GREETING.test(text)) resolve();
      else reject(new Error(`port ${port} answers ${JSON.stringify(text.slice(0, 80))}`));
    });
    socket.once('timeout', () => socket.destroy(new Error(`port ${port} is silent`)));
    socket.once('error', reject);
    socket.once('end', () => reject(new Error(`port ${port} closes without a word`)));
  });
}

try {
  await Promise.all(process.argv.slice(2).map((port) => greets(Number(port))));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
