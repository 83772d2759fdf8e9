import { afterEach, beforeEach, describe, test } from 'vitest';
import { play } from './dialogue.ts';
import { type Client, ImapWorld } from './world.ts';

/**
 * The examples of RFC 5258 5 and RFC 5819 2. Every name tells whether it has children (RFC 9051 6.3.9), in the order of
 * the names; \Marked and \NoInferiors nothing has, and nothing is remote: examples 4 to 6 and 9 are as if REMOTE were not
 * said. Names are not quoted where they need not be.
 */

let world: ImapWorld;
let client: Client;
beforeEach(async () => {
  world = await ImapWorld.start();
  client = await world.login();
});
afterEach(() => world.close());

async function make(names: readonly string[], subscribed: readonly string[]): Promise<void> {
  const store = await world.account();
  for (const name of names) await store.create(name);
  for (const name of subscribed) await store.subscribe(name, 'yes');
}

describe('RFC 5258 5', () => {
  test('1 to 6', async () => {
    await make(
      ['Fruit', 'Fruit/Apple', 'Fruit/Banana', 'Tofu', 'Vegetable', 'Vegetable/Broccoli', 'Vegetable/Corn'],
      ['INBOX', 'Fruit/Banana', 'Fruit/Peach', 'Vegetable', 'Vegetable/Broccoli'],
    );
    await play(
      client,
      `C: A01 LIST "" "*"
       S: * LIST (\\HasNoChildren) "/" INBOX
       S: * LIST (\\HasChildren) "/" Fruit
       S: * LIST (\\HasNoChildren) "/" Fruit/Apple
       S: * LIST (\\HasNoChildren) "/" Fruit/Banana
       S: * LIST (\\HasNoChildren) "/" Tofu
       S: * LIST (\\HasChildren) "/" Vegetable
       S: * LIST (\\HasNoChildren) "/" Vegetable/Broccoli
       S: * LIST (\\HasNoChildren) "/" Vegetable/Corn
       S: A01 OK done
       C: A02 LIST (SUBSCRIBED) "" "*"
       S: * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
       S: * LIST (\\HasNoChildren \\Subscribed) "/" Fruit/Banana
       S: * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" Fruit/Peach
       S: * LIST (\\HasChildren \\Subscribed) "/" Vegetable
       S: * LIST (\\HasNoChildren \\Subscribed) "/" Vegetable/Broccoli
       S: A02 OK done
       C: A03 LIST () "" "%" RETURN (CHILDREN)
       S: * LIST (\\HasNoChildren) "/" INBOX
       S: * LIST (\\HasChildren) "/" Fruit
       S: * LIST (\\HasNoChildren) "/" Tofu
       S: * LIST (\\HasChildren) "/" Vegetable
       S: A03 OK done
       C: A04 LIST (REMOTE) "" "%" RETURN (CHILDREN)
       S: * LIST (\\HasNoChildren) "/" INBOX
       S: * LIST (\\HasChildren) "/" Fruit
       S: * LIST (\\HasNoChildren) "/" Tofu
       S: * LIST (\\HasChildren) "/" Vegetable
       S: A04 OK done
       C: A05 LIST (REMOTE SUBSCRIBED) "" "*"
       S: * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
       S: * LIST (\\HasNoChildren \\Subscribed) "/" Fruit/Banana
       S: * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" Fruit/Peach
       S: * LIST (\\HasChildren \\Subscribed) "/" Vegetable
       S: * LIST (\\HasNoChildren \\Subscribed) "/" Vegetable/Broccoli
       S: A05 OK done
       C: A06 LIST (REMOTE) "" "*" RETURN (SUBSCRIBED)
       S: * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
       S: * LIST (\\HasChildren) "/" Fruit
       S: * LIST (\\HasNoChildren) "/" Fruit/Apple
       S: * LIST (\\HasNoChildren \\Subscribed) "/" Fruit/Banana
       S: * LIST (\\HasNoChildren) "/" Tofu
       S: * LIST (\\HasChildren \\Subscribed) "/" Vegetable
       S: * LIST (\\HasNoChildren \\Subscribed) "/" Vegetable/Broccoli
       S: * LIST (\\HasNoChildren) "/" Vegetable/Corn
       S: A06 OK done`,
    );
  });

  test('7', async () => {
    await make(['Drafts', 'Sent', 'Sent/August2004', 'Sent/December2003', 'Sent/March2004'], []);
    await play(
      client,
      `C: BBB LIST "" ("INBOX" "Drafts" "Sent/%")
       S: * LIST (\\HasNoChildren) "/" INBOX
       S: * LIST (\\HasNoChildren) "/" Drafts
       S: * LIST (\\HasNoChildren) "/" Sent/August2004
       S: * LIST (\\HasNoChildren) "/" Sent/December2003
       S: * LIST (\\HasNoChildren) "/" Sent/March2004
       S: BBB OK done`,
    );
  });

  test('8: CHILDINFO', async () => {
    await make(['Foo', 'Foo/Bar', 'Foo/Baz', 'Moo'], ['Foo/Baz']);
    await play(
      client,
      `C: CA3 LIST "" "%" RETURN (CHILDREN)
       S: * LIST (\\HasNoChildren) "/" INBOX
       S: * LIST (\\HasChildren) "/" Foo
       S: * LIST (\\HasNoChildren) "/" Moo
       S: CA3 OK done
       C: C02 LIST (SUBSCRIBED) "" "*"
       S: * LIST (\\HasNoChildren \\Subscribed) "/" Foo/Baz
       S: C02 OK done
       C: C04 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
       S: * LIST (\\HasChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
       S: C04 OK done
       C: s1 SUBSCRIBE Foo
       S: s1 OK done
       C: C05 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
       S: * LIST (\\HasChildren \\Subscribed) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
       S: C05 OK done
       C: s2 UNSUBSCRIBE Foo/Baz
       S: s2 OK done
       C: s3 SUBSCRIBE Moo
       S: s3 OK done
       C: C06 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (CHILDREN)
       S: * LIST (\\HasChildren \\Subscribed) "/" Foo
       S: * LIST (\\HasNoChildren \\Subscribed) "/" Moo
       S: C06 OK done`,
    );
  });

  test('8: the name above does not exist', async () => {
    await make([], ['Foo/Baz']);
    await play(
      client,
      `C: C04 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
       S: * LIST (\\NonExistent \\HasChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
       S: C04 OK done`,
    );
  });

  test('9: patterns of which some match the children', async () => {
    await make(
      [
        'foo2',
        'foo2/bar1',
        'foo2/bar2',
        'baz2',
        'baz2/bar2',
        'baz2/bar22',
        'baz2/bar222',
        'eps2',
        'eps2/mamba',
      ],
      ['foo2/bar1', 'foo2/bar2', 'baz2/bar2', 'baz2/bar22', 'baz2/bar222', 'eps2', 'eps2/mamba', 'qux2/bar2'],
    );
    await play(
      client,
      `C: D03 LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"
       // Printed in the example's second list: a server may say it or not.
       S: * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar2
       S: * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar22
       S: * LIST (\\HasNoChildren \\Subscribed) "/" baz2/bar222
       S: * LIST (\\HasChildren \\Subscribed) "/" eps2 ("CHILDINFO" ("SUBSCRIBED"))
       S: * LIST (\\HasChildren) "/" foo2 ("CHILDINFO" ("SUBSCRIBED"))
       S: * LIST (\\HasNoChildren \\Subscribed) "/" foo2/bar2
       S: * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" qux2/bar2
       S: D03 OK done`,
    );
  });

  test('10: a subscribed child that does not exist', async () => {
    await make(['foo'], ['foo/bar']);
    await play(
      client,
      `C: a1 LIST "" ("foo" "foo/*")
       S: * LIST (\\HasNoChildren) "/" foo
       S: a1 OK done
       C: a2 LIST (SUBSCRIBED) "" "foo/*"
       S: * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" foo/bar
       S: a2 OK done
       C: a3 LIST (SUBSCRIBED RECURSIVEMATCH) "" foo RETURN (CHILDREN)
       S: * LIST ([...]) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
       S: a3 OK done`,
    );
  });

  test('11: names that are only parents', async () => {
    await make(['music', 'music/rock'], []);
    await client.ok('DELETE music');
    await play(
      client,
      `C: a1 LIST (REMOTE) "" *
       S: * LIST (\\HasNoChildren) "/" INBOX
       S: * LIST (\\NonExistent \\HasChildren) "/" music
       S: * LIST (\\HasNoChildren) "/" music/rock
       S: a1 OK done
       C: a2 LIST () "" m%
       S: * LIST (\\NonExistent \\HasChildren) "/" music
       S: a2 OK done
       C: a3.1 LIST "" (m% music/rock)
       S: * LIST (\\NonExistent \\HasChildren) "/" music
       S: * LIST (\\HasNoChildren) "/" music/rock
       S: a3.1 OK done`,
    );
  });
});

test('RFC 5819 2', async () => {
  await world.fill('INBOX', Array(17).fill('A: b\n\n'));
  await client.ok('SELECT INBOX');
  await client.ok('STORE 1 +FLAGS (\\Seen)');
  await client.ok('UNSELECT');
  await world.fill('foo', Array(3).fill('A: b\n\n'));
  await make(['foo/x', 'bar', 'bar/x'], ['INBOX', 'foo/x']);
  await client.ok('DELETE bar');
  await play(
    client,
    `C: A01 LIST "" % RETURN (STATUS (MESSAGES UNSEEN))
     S: * LIST (\\HasNoChildren) "/" INBOX
     S: * STATUS INBOX (MESSAGES 17 UNSEEN 16)
     // \\NonExistent says \\NoSelect too (RFC 9051 7.3.1).
     S: * LIST (\\NonExistent \\HasChildren) "/" bar
     S: * LIST (\\HasChildren) "/" foo
     S: * STATUS foo (MESSAGES 3 UNSEEN 3)
     S: A01 OK List completed.
     C: A02 LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES))
     S: * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
     S: * STATUS INBOX (MESSAGES 17)
     S: * LIST (\\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
     // A server may leave out STATUS of a name that does not match itself (section 2); this one has it.
     S: * STATUS foo (MESSAGES 3)
     S: A02 OK List completed.`,
  );
});
