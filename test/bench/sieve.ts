/**
 * Deliveries a second by LMTP, with a script of 50 rules and without, end to end: from the first octet until the last message
 * is a file in its mailbox, which for us means through the queue and its journal.
 */
import { execSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

/** A target of the harness, as far as it is needed here. */
interface Target {
  readonly start: readonly string[];
  readonly pids: readonly string[];
  readonly lmtp: { readonly port: number };
  readonly maildir: string;
  readonly mailOwner: number;
}

export interface SieveBench {
  readonly name: 'facteur' | string;
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
  /** Where an account's scripts lie, of `facteur`. */
  readonly scripts: (user: string) => string;
}

const USERS = Array.from({ length: 10 }, (_, i) => `u${String(i + 1).padStart(3, '0')}`);
const CONNECTIONS = 10;
const MESSAGES = 3000;
const RUNS = 5;

/** No rule is about the mail of this bench: all 50 are looked at. */
function fiftyRules(): string {
  const rules = Array.from({ length: 50 }, (_, i) => {
    switch (i % 5) {
      case 0:
        return `if header :contains ["subject", "x-list"] ["topic ${i}", "theme ${i}"] { fileinto "Folder${i}"; stop; }`;
      case 1:
        return `if address :is :domain "from" "shop${i}.example.net" { fileinto "Shops"; }`;
      case 2:
        return `elsif allof (header :matches "list-id" "*<list${i}.*>*", not exists "x-keep") { addflag "\\\\Seen"; fileinto "Lists"; stop; }`;
      case 3:
        return `if anyof (address :all :contains ["to", "cc"] "team${i}@example.org", header :is "x-team" "${i}") { addflag "team${i}"; }`;
      default:
        return `if allof (size :over ${i}M, header :contains "subject" "report ${i}") { discard; stop; }`;
    }
  });
  return `require ["fileinto", "imap4flags"];\n${rules.join('\n')}\nkeep;\n`;
}

export async function benchSieve(bench: SieveBench): Promise<void> {
  const expand = (text: string): string =>
    text.replace(/\$\{(\w+)\}/g, (_whole, name: string) => bench.env[name] ?? '');
  const target = JSON.parse(expand(readFileSync(bench.file, 'utf8'))) as Target;
  for (const command of target.start)
    execSync(command, { env: bench.env, shell: '/bin/bash', stdio: 'ignore' });
  for (let i = 0; i < 100 && !(await answers(target.lmtp.port)); i++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  await round(target, 300);
  const variants = [
    { what: 'without a script', source: null, rates: [] as number[], cpu: [] as number[] },
    { what: '50 rules', source: fiftyRules(), rates: [] as number[], cpu: [] as number[] },
  ];
  // In turn, since the disk is another one from minute to minute.
  for (let run = 0; run < RUNS; run++)
    for (const { source, rates, cpu } of variants) {
      for (const user of USERS) install(bench, target, user, source);
      await round(target, 100);
      const result = await round(target, MESSAGES);
      rates.push(result.rate);
      cpu.push(result.cpu);
    }
  for (const { what, rates, cpu } of variants)
    console.log(
      `    ${bench.name}, ${what}: ${median(rates).toFixed(0)} a second (${Math.min(...rates).toFixed(0)} to ${Math.max(...rates).toFixed(0)}), ${median(cpu).toFixed(2)} ms CPU a message`,
    );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[sorted.length >> 1] ?? 0;
}

/** Dovecot has `keep;` in the place of no script, for its default would run. */
function install(bench: SieveBench, target: Target, user: string, source: string | null): void {
  if (bench.name === 'facteur') {
    const directory = bench.scripts(user);
    mkdirSync(directory, { recursive: true });
    if (source === null) rmSync(join(directory, 'active'), { force: true });
    else {
      writeFileSync(join(directory, 'main.sieve'), source);
      writeFileSync(join(directory, 'active'), 'main\n');
    }
    return;
  }
  const home = join(target.maildir.replace('%u', user), '..');
  rmSync(join(home, 'sieve'), { recursive: true, force: true });
  rmSync(join(home, '.dovecot.sieve'), { force: true });
  rmSync(join(home, '.dovecot.svbin'), { force: true });
  mkdirSync(join(home, 'sieve'), { recursive: true });
  writeFileSync(join(home, 'sieve/main.sieve'), source ?? 'keep;\n');
  symlinkSync('sieve/main.sieve', join(home, '.dovecot.sieve'));
  for (const path of ['sieve', 'sieve/main.sieve', '.'])
    chownSync(join(home, path), target.mailOwner, target.mailOwner);
}

async function round(target: Target, messages: number): Promise<{ rate: number; cpu: number }> {
  for (const user of USERS) empty(target, user);
  const before = cpuOf(target);
  const since = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    const client = await Client.connect(target.lmtp.port);
    for (let i = next++; i < messages; i = next++)
      await client.deliver(`${USERS[i % USERS.length]}@bench.test`, i);
    client.close();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  while (count(target) < messages) await new Promise((resolve) => setTimeout(resolve, 10));
  const seconds = (performance.now() - since) / 1000;
  return { rate: messages / seconds, cpu: (cpuOf(target) - before) / messages };
}

function inboxes(target: Target, user: string): string[] {
  const maildir = target.maildir.replace('%u', user);
  return ['new', 'cur'].map((name) => join(maildir, name));
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function empty(target: Target, user: string): void {
  for (const directory of inboxes(target, user))
    for (const name of filesIn(directory)) rmSync(join(directory, name), { force: true });
}

function count(target: Target): number {
  return USERS.flatMap((user) => inboxes(target, user)).reduce((sum, each) => sum + filesIn(each).length, 0);
}

/** Of all processes of the target, ms. */
function cpuOf(target: Target): number {
  const roots = target.pids.flatMap((command) =>
    execSync(command, { shell: '/bin/bash', env: process.env }).toString().trim().split(/\s+/),
  );
  const parents = new Map<string, string>();
  const spent = new Map<string, number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      parents.set(pid, fields[1] ?? '');
      // Its own, and that of children that have ended.
      spent.set(pid, [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0) * 10);
    } catch {
      // It has ended.
    }
  const belongs = (pid: string | undefined): boolean =>
    pid !== undefined && pid !== '0' && (roots.includes(pid) || belongs(parents.get(pid)));
  return [...spent].filter(([pid]) => belongs(pid)).reduce((sum, [, ms]) => sum + ms, 0);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

const BODY = `${'The quick brown fox jumps over the lazy dog, and writes about it. '.repeat(56)}\r\n`;

/** Just enough LMTP (RFC 2033), one command at a time. */
class Client {
  readonly #socket: Socket;
  #text = '';
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      this.#wake?.();
    });
  }

  static async connect(port: number): Promise<Client> {
    const client = new Client(connect(port, '127.0.0.1'));
    await client.#reply();
    await client.#ask('LHLO bench.test');
    return client;
  }

  async deliver(to: string, id: number): Promise<void> {
    await this.#ask('MAIL FROM:<sender@example.net>');
    await this.#ask(`RCPT TO:<${to}>`);
    await this.#ask('DATA');
    const header = `From: Sender <sender@example.net>\r\nTo: ${to}\r\nSubject: message ${id}\r\nMessage-ID: <${id}.${performance.now()}@example.net>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n`;
    await this.#ask(`${header}\r\n${BODY}.`);
  }

  close(): void {
    this.#socket.end('QUIT\r\n');
  }

  #ask(line: string): Promise<string> {
    this.#socket.write(`${line}\r\n`);
    return this.#reply();
  }

  async #reply(): Promise<string> {
    for (;;) {
      const end = /^\d{3} .*\r\n/m.exec(this.#text);
      if (end) {
        const reply = this.#text.slice(0, end.index + end[0].length);
        this.#text = this.#text.slice(reply.length);
        if (!/^[23]/.test(end[0])) throw new Error(reply);
        return reply;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
