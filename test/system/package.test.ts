import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ImapFlow } from 'imapflow';
import nodemailer from 'nodemailer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { command, Daemon, type Program, root } from '../daemon.ts';
import { eventually } from '../world.ts';

/**
 * What `npm pack` makes, installed in an empty directory as somebody would who takes Facteur from a registry: below
 * node_modules, where Node.js strips no types.
 */
const dir = mkdtempSync(join(tmpdir(), 'facteur-package-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** npm and what it starts run on the Node.js of this test, whatever the system has. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` };

/** What npm says when there is no registry to be reached. */
const OFFLINE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ENOTCACHED/;

/** "correct horse" as another system hashed it: checking it takes the worker thread for passwords. */
const PASSWORD = 'correct horse';

let files: readonly string[] = [];
let offline: string | undefined;
const home = join(dir, 'home');
const program: Program = { node: process.execPath, entry: join(home, 'node_modules/facteur/bin/facteur.js') };

beforeAll(() => {
  const packed = JSON.parse(npm(['pack', '--json', '--pack-destination', dir], root).stdout);
  const [{ filename, files: list }] = (Array.isArray(packed) ? packed : Object.values(packed)) as [
    { filename: string; files: { path: string }[] },
  ];
  files = list.map(({ path }) => path);
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{ "private": true }\n');
  const installed = npm(['install', '--no-audit', '--no-fund', join(dir, filename)], home);
  if (installed.status === 0) return;
  if (!OFFLINE.test(installed.stderr)) throw new Error(installed.stderr);
  offline = 'the registry cannot be reached';
  console.log(`installation of the package skipped: ${offline}`);
}, 300_000);

describe('the package', () => {
  test('has what it needs to run and to be understood, and nothing else', () => {
    for (const file of ['README.md', 'LICENSE', 'package.json', 'bin/facteur.js', 'config/facteur.yaml'])
      expect(files).toContain(file);
    for (const entry of ['main', 'worker', 'directory/password-worker'])
      expect(files).toContain(`dist/${entry}.js`);
    const others = files.filter((file) => !/^(bin|config|dist)\//.test(file));
    expect(others.sort()).toEqual(['LICENSE', 'README.md', 'package.json']);
    expect(files.filter((file) => /^dist\/.*(?<!\.js)$/.test(file))).toEqual([]);
  });

  test('installs a facteur command', ({ skip }) => {
    skip(offline !== undefined, offline);
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const bin = join(home, 'node_modules/.bin/facteur');
    expect(execFileSync(bin, ['version'], { env, encoding: 'utf8' })).toContain(`facteur ${version} `);
  });

  test('takes mail and gives it back, its worker threads included', async ({ skip }) => {
    skip(offline !== undefined, offline);
    const config = join(home, 'facteur.yaml');
    const services = ['smtp', 'imaps'];
    writeFileSync(
      config,
      `hostname: mx.example.org\ndataDir: ./data\nlog: { format: json }\nlisteners:\n${services
        .map((service) => `  ${service}: [{ host: 127.0.0.1, port: 0 }]\n`)
        .join('')}`,
    );
    const hash = execFileSync('openssl', ['passwd', '-6', '-stdin'], { input: PASSWORD, encoding: 'utf8' });
    command(program, ['domain', 'add', 'example.org', '--config', config]);
    const add = ['account', 'add', 'alice@example.org', '--password-stdin', '--hashed'];
    command(program, [...add, '--config', config], `{SHA512-CRYPT}${hash}`);
    const daemon = await Daemon.start(program, { config, log: join(dir, 'log') });
    try {
      const host = '127.0.0.1';
      const tls = { rejectUnauthorized: false };
      const transport = nodemailer.createTransport({ host, port: daemon.ports('smtp')[0] ?? 0, tls });
      await transport.sendMail({
        from: 'bob@example.net',
        to: 'alice@example.org',
        subject: 'From a package',
      });
      transport.close();
      const auth = { user: 'alice@example.org', pass: PASSWORD };
      const port = daemon.ports('imaps')[0] ?? 0;
      const client = new ImapFlow({ host, port, secure: true, auth, tls, logger: false });
      await client.connect();
      let exists = 0;
      for (let attempt = 0; attempt < 200 && exists === 0; attempt++) {
        ({ exists } = await client.mailboxOpen('INBOX'));
        await new Promise((done) => setTimeout(done, 50));
      }
      const message = await client.fetchOne('1', { envelope: true });
      await client.logout();
      const subject = message === false ? undefined : message.envelope?.subject;
      expect(subject).toBe('From a package');
    } finally {
      expect(await daemon.stop()).toBe(0);
    }
  });

  test('starts without a file: a trial with a first account', async ({ skip }) => {
    skip(offline !== undefined, offline);
    skip(!(await free([2525, 2587, 2465, 2143, 2993, 2110, 2995, 4190])), 'a port of the trial is taken');
    const child = spawn(process.execPath, [program.entry, 'serve'], {
      cwd: mkdtempSync(join(dir, 'trial-')),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    const ended = new Promise((done) => child.once('close', done));
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    try {
      await eventually('the notice', () => text.includes('Stop with Ctrl-C') || undefined);
    } finally {
      child.kill('SIGINT');
    }
    expect(await ended).toBe(0);
    expect(text).toMatch(/account +alice@facteur\.test\n +password +\S+\n/);
    expect(text).toMatch(/smtp +127\.0\.0\.1:2525/);
  });
});

test('a Node.js that is too old is told apart, not crashed', ({ skip }) => {
  const old = oldNode();
  skip(old === undefined, 'no Node.js older than 24 on the PATH');
  const bare = join(dir, 'bare');
  cpSync(join(root, 'bin'), join(bare, 'bin'), { recursive: true });
  cpSync(join(root, 'package.json'), join(bare, 'package.json'));
  const { status, stderr } = spawnSync(old ?? '', [join(bare, 'bin/facteur.js'), 'version'], {
    encoding: 'utf8',
  });
  expect(stderr).toMatch(/^facteur needs Node\.js 24 or newer; this is \d+\./);
  expect(status).toBe(1);
});

function npm(
  args: readonly string[],
  cwd: string,
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync('npm', args, { cwd, env, encoding: 'utf8' });
}

function oldNode(): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'node'))
    .find((node) => {
      if (!existsSync(node)) return false;
      const { stdout } = spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' });
      return Number.parseInt(stdout ?? '', 10) < 24;
    });
}

async function free(ports: readonly number[]): Promise<boolean> {
  const all = ports.map(
    (port) =>
      new Promise<boolean>((done) => {
        const server = createServer().once('error', () => done(false));
        server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
      }),
  );
  return (await Promise.all(all)).every(Boolean);
}
