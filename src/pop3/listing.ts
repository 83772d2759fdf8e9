import type { Pop3Session } from './command.ts';
import type { Entry, Maildrop } from './maildrop.ts';

/** So much of a listing is made before the client must take it. */
const LISTING_CHUNK = 32_768;

/** One line for each message that is not marked as deleted, after `first`. */
export async function sendListing(
  session: Pop3Session,
  maildrop: Maildrop,
  first: string,
  line: (entry: Entry) => string,
): Promise<null> {
  let text = `+OK ${session.say(first)}\r\n`;
  for (const entry of maildrop.entries()) {
    text += `${line(entry)}\r\n`;
    if (text.length < LISTING_CHUNK) continue;
    await session.connection.write(text);
    text = '';
  }
  await session.connection.write(`${text}.\r\n`);
  return null;
}
