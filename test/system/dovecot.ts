import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';

/** A Dovecot 2.3 of our own: without privileges, on loopback, all in one directory. */

const DOVECOT = ['/usr/sbin/dovecot', '/usr/local/sbin/dovecot'].find((path) => existsSync(path));

/** Why there can be none; undefined when there can. */
export function noDovecot(): string | undefined {
  if (DOVECOT === undefined) return 'Dovecot is not installed';
  const { stdout } = spawnSync(DOVECOT, ['--version'], { encoding: 'utf8' });
  return stdout.startsWith('2.3.') ? undefined : `Dovecot is ${stdout.trim()}, this configuration is for 2.3`;
}

export const PASSWORD = 'secret';

export interface DovecotUser {
  readonly name: string;
  readonly uidlFormat?: string;
}

export class Dovecot {
  readonly dir: string;
  readonly config: string;
  /** As Dovecot never touches mail as root. */
  readonly uid: number;
  readonly gid: number;

  constructor(
    dir: string,
    ports: { readonly imap: number; readonly pop3: number },
    users: readonly DovecotUser[],
  ) {
    this.dir = dir;
    const me = userInfo();
    const isRoot = me.uid === 0;
    this.uid = isRoot ? 65534 : me.uid;
    this.gid = isRoot ? 65534 : me.gid;
    const user = isRoot ? 'nobody' : me.username;
    const group = execFileSync('id', ['-gn', user], { encoding: 'utf8' }).trim();
    for (const name of ['run', 'state', 'home']) mkdirSync(join(dir, name), { recursive: true });
    chmodSync(dir, 0o755);
    this.config = join(dir, 'dovecot.conf');
    const home = (name: string): string => join(dir, 'home', name.split('@')[0] ?? '');
    writeFileSync(
      join(dir, 'users'),
      users
        .map(({ name, uidlFormat }) => {
          const extra =
            uidlFormat === undefined ? '' : `userdb_pop3_uidl_format=${uidlFormat.replaceAll('%', '%%')}`;
          return `${name}:{PLAIN}${PASSWORD}:${this.uid}:${this.gid}::${home(name)}::${extra}\n`;
        })
        .join(''),
    );
    chmodSync(join(dir, 'users'), 0o644);
    const inet = (service: string, port: number): string => `
service ${service}-login {
  chroot =
  inet_listener ${service} {
    address = 127.0.0.1
    port = ${port}
  }
  inet_listener ${service}s {
    port = 0
  }
}`;
    writeFileSync(
      this.config,
      `base_dir = ${dir}/run
state_dir = ${dir}/state
log_path = ${dir}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
default_internal_user = ${user}
default_internal_group = ${group}
default_login_user = ${user}
default_vsz_limit = 0
mail_location = maildir:~/Maildir
first_valid_uid = 1
first_valid_gid = 1
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = passwd-file
  args = ${dir}/users
}
userdb {
  driver = passwd-file
  args = ${dir}/users
}
service anvil {
  chroot =
}${inet('imap', ports.imap)}${inet('pop3', ports.pop3)}
`,
    );
    for (const { name } of users) mkdirSync(home(name), { recursive: true });
    this.own();
  }

  /** Gives all mail to the user that Dovecot reads it as. */
  own(): void {
    if (process.getuid?.() === 0)
      execFileSync('chown', ['-R', `${this.uid}:${this.gid}`, join(this.dir, 'home')]);
  }

  maildir(name: string): string {
    return join(this.dir, 'home', name.split('@')[0] ?? '', 'Maildir');
  }

  start(): void {
    // Its log process keeps our ends of pipes open.
    execFileSync(DOVECOT ?? '', ['-c', this.config], { stdio: 'ignore' });
  }

  /** Returns when all its processes are gone. */
  async stop(): Promise<void> {
    const file = join(this.dir, 'run/master.pid');
    if (!existsSync(file)) return;
    const pid = Number(readFileSync(file, 'utf8'));
    process.kill(pid, 'SIGTERM');
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  doveadm(...words: readonly string[]): string {
    return execFileSync('doveadm', ['-c', this.config, ...words], { encoding: 'utf8' });
  }

  log(): string {
    return readFileSync(join(this.dir, 'dovecot.log'), 'utf8');
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
