import { type Command, command } from '../command.ts';

/** SUBSCRIBE (RFC 9051 6.3.7): a name, whether there is such a mailbox or not. */
export const subscribe: Command = command({
  name: 'SUBSCRIBE',
  states: ['authenticated', 'selected'],
  parse: (p) => p.sp().mailbox(),
  async run({ store, notify }, path) {
    const name = path.replace(/\/$/, '');
    notify?.expect('subscribed', name);
    await store.subscribe(name, 'yes');
    return undefined;
  },
});

/** UNSUBSCRIBE (RFC 9051 6.3.8). */
export const unsubscribe: Command = command({
  name: 'UNSUBSCRIBE',
  states: ['authenticated', 'selected'],
  parse: (p) => p.sp().mailbox(),
  async run({ store, notify }, path) {
    const name = path.replace(/\/$/, '');
    notify?.expect('unsubscribed', name);
    await store.subscribe(name, 'no');
    return undefined;
  },
});
