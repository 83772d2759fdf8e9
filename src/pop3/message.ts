import type { Pop3Session } from './command.ts';
import { multiLine } from './multi-line.ts';

/**
 * Sends `+OK first` and the message. When that fails on the way the connection is cut: a client that saw the
 * terminating line would take what it has for the whole message, and delete the other half.
 */
export async function sendMessage(
  session: Pop3Session,
  first: string,
  message: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { connection } = session;
  await connection.write(`+OK ${session.say(first)}\r\n`);
  try {
    for await (const chunk of multiLine(message)) await connection.write(chunk);
  } catch (error) {
    connection.destroy();
    throw error;
  }
}
