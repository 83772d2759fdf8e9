import { rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { AccountId } from '../../src/directory/directory.ts';
import { accountDirectory } from '../../src/store/account-path.ts';
import { FileScriptStore } from '../../src/store/script-store.ts';
import { startWorld, type World } from '../world.ts';

/** A whole Facteur whose scripts are edited; a password may come without TLS, but not from 127.0.0.2. */
export class ManageSieveWorld {
  readonly whole: World;
  readonly scripts: FileScriptStore;

  private constructor(whole: World) {
    this.whole = whole;
    this.scripts = new FileScriptStore(join(whole.dir, 'data'), {
      maxSize: 1_000_000,
      maxScripts: 1000,
      maxTotal: 100_000_000,
    });
  }

  static async start(settings: object = {}): Promise<ManageSieveWorld> {
    const accounts = { 'alice@example.org': 'wonderland', 'bob@example.org': 'builder' };
    const auth = { allowPlaintextFrom: ['127.0.0.1'] };
    return new ManageSieveWorld(await startWorld({ accounts, settings: { auth, ...settings } }));
  }

  get port(): number {
    return this.whole.port('managesieve');
  }

  readonly connect = (): Socket => connect(this.port, '127.0.0.1');

  /** As one who is not trusted with a password in the clear. */
  readonly connectCareful = (): Socket =>
    connect({ port: this.port, host: '127.0.0.1', localAddress: '127.0.0.2' });

  /** The account has no scripts. */
  async clear(account: AccountId): Promise<void> {
    const home = join(this.whole.dir, 'data', accountDirectory(account));
    await rm(join(home, 'sieve'), { recursive: true, force: true });
  }

  close(): Promise<void> {
    return this.whole.close();
  }
}
