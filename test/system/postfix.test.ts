import { expect, test } from 'vitest';
import { noInternet } from './internet.ts';
import { postfixInterop } from './postfix-suite.ts';

const reason = await noInternet();
if (reason !== undefined) console.log(`mail to and from Postfix skipped: ${reason}`);

test.skipIf(reason !== undefined)(
  'Postfix takes our mail and gives us its own, as either should',
  async () => {
    const rows = await postfixInterop();
    expect(rows.filter(({ fine }) => !fine)).toEqual([]);
    expect(rows.length).toBeGreaterThan(20);
  },
  180_000,
);
