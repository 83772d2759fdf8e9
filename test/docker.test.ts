import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../src/config/load.ts';
import type { ListenerSettings } from '../src/net/options.ts';

/** No Docker engine runs here, so the files are read as Docker would and compared with each other and the package. */

const root = resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(resolve(root, file), 'utf8');

interface Instruction {
  readonly name: string;
  readonly args: string;
  readonly stage: number;
}

/** Comments gone, continued lines joined, one entry an instruction. */
function parseDockerfile(text: string): Instruction[] {
  const lines = text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  let stage = -1;
  return lines.map((line) => {
    const [, name = '', args = ''] = /^\s*(\w+)\s+(.*?)\s*$/.exec(line) ?? [];
    expect(name, line).toMatch(/^[A-Z]+$/);
    if (name === 'FROM') stage++;
    return { name, args, stage };
  });
}

interface Compose {
  readonly services: {
    readonly facteur: {
      readonly build: { readonly context: string; readonly dockerfile: string };
      readonly ports: readonly string[];
      readonly volumes: readonly string[];
      readonly stop_grace_period: string;
      readonly restart: string;
      readonly sysctls: Readonly<Record<string, string>>;
      readonly user?: string;
      readonly privileged?: boolean;
    };
  };
  readonly volumes: Readonly<Record<string, unknown>>;
}

interface Package {
  readonly engines: { readonly node: string };
  readonly bin: { readonly facteur: string };
  readonly scripts: Readonly<Record<string, string>>;
  readonly license: string;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const docker = parseDockerfile(read('docker/Dockerfile'));
const last = Math.max(...docker.map(({ stage }) => stage));
const final = docker.filter(({ stage }) => stage === last);
const of = (name: string, among: readonly Instruction[] = final): string[] =>
  among.filter((one) => one.name === name).map(({ args }) => args);
const compose = parse(read('docker/compose.yaml')) as Compose;
const service = compose.services.facteur;
const pkg = JSON.parse(read('package.json')) as Package;
const configPath = '/etc/facteur/facteur.yaml';
const config = parseConfig(read('docker/facteur.yaml'), configPath, '/etc/facteur');
const listeners = Object.entries(config.listeners) as [string, readonly ListenerSettings[]][];
const ports = listeners.flatMap(([, list]) => list.map(({ port }) => port));
const exposed = of('EXPOSE').flatMap((args) => args.split(/\s+/).map(Number));
const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);

/** The sources of COPY, with the stage they come from. */
const copies = docker
  .filter(({ name }) => name === 'COPY')
  .map(({ args, stage }) => {
    const words = args.split(/\s+/);
    const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
    const paths = words.filter((word) => !word.startsWith('--'));
    return { from, stage, sources: paths.slice(0, -1), target: paths.at(-1) ?? '' };
  });

describe('the image', () => {
  test('has the Node.js that the package asks for and is developed with, in all stages', () => {
    const major = /^>=(\d+)$/.exec(pkg.engines.node)?.[1];
    expect(of('FROM', docker).map((args) => args.split(' ')[0])).toEqual(
      Array(last + 1).fill(`node:${major}-slim`),
    );
    expect(pkg.devDependencies['node']).toMatch(new RegExp(`^${major}\\.`));
  });

  test('copies only what exists, and what .dockerignore lets through', () => {
    const kept = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    expect(read('.dockerignore')).toMatch(/^\*$/m);
    const wanted = copies.filter(({ from }) => from === undefined).flatMap(({ sources }) => sources);
    for (const source of wanted) expect(existsSync(resolve(root, source)), source).toBe(true);
    expect([...new Set(wanted)].sort()).toEqual(kept.sort());
  });

  test('takes from the build stage what that stage makes', () => {
    const stages = of('FROM', docker).map((args) => / AS (\w+)$/.exec(args)?.[1]);
    const taken = copies.filter(({ from }) => from !== undefined);
    expect(taken.flatMap(({ sources }) => sources)).toEqual(['/build/node_modules', '/build/dist']);
    for (const { from, stage } of taken) expect(stages.indexOf(from)).toBeLessThan(stage);
    for (const { from } of taken) expect(stages).toContain(from);
    expect(of('WORKDIR', docker)[0]).toBe('/build');
    const outDir = (JSON.parse(read('tsconfig.build.json')) as { compilerOptions: { outDir: string } })
      .compilerOptions.outDir;
    expect(outDir).toBe('dist');
  });

  test('runs only scripts that the package has', () => {
    for (const run of of('RUN', docker))
      for (const [, script = ''] of run.matchAll(/npm run ([\w:]+)/g))
        expect(pkg.scripts).toHaveProperty(script);
  });

  test('starts the package’s program, with the configuration that it brings', () => {
    const link = /ln -s (\S+) (\S+)/.exec(of('RUN').join('\n'));
    expect(link?.[1]).toBe(`${of('WORKDIR')[0]}/${pkg.bin.facteur}`);
    expect(link?.[2]).toBe('/usr/local/bin/facteur');
    expect(JSON.parse(of('ENTRYPOINT')[0] ?? '')).toEqual(['facteur']);
    expect(JSON.parse(of('CMD')[0] ?? '')).toEqual(['serve', '--config', configPath]);
    expect(copies.find(({ target }) => target === configPath)?.sources).toEqual(['docker/facteur.yaml']);
  });

  test('does not run as root', () => {
    const user = final.findLastIndex(({ name }) => name === 'USER');
    expect(final[user]?.args).toBe('node');
    expect(final.slice(user).map(({ name }) => name)).not.toContain('RUN');
    expect(of('RUN').join('\n')).toContain(`-o node -g node -m 0750 ${config.dataDir}`);
    expect(service.user).toBeUndefined();
    expect(service.privileged).toBeUndefined();
  });

  test('keeps its data in a volume', () => {
    expect(JSON.parse(of('VOLUME')[0] ?? '')).toEqual([config.dataDir, '/etc/facteur']);
  });

  test('has the licence of the package in its label', () => {
    expect(of('LABEL').join(' ')).toContain(`licenses="${pkg.license}"`);
  });
});

describe('the ports', () => {
  test('are the standard ones', () => {
    expect(sorted(ports)).toEqual([25, 110, 143, 465, 587, 993, 995, 4190]);
  });

  test('are the same in configuration, image and compose file', () => {
    expect(sorted(exposed)).toEqual(sorted(ports));
    const published = service.ports.map((port) => port.split(':').map(Number));
    expect(sorted(published.map(([outside]) => outside ?? 0))).toEqual(sorted(ports));
    for (const [outside, inside] of published) expect(outside).toBe(inside);
  });

  test('below 1024 are open to who is not root', () => {
    expect(service.sysctls).toEqual({ 'net.ipv4.ip_unprivileged_port_start': '0' });
  });

  test('are listened on at all addresses of the container', () => {
    for (const [, list] of listeners) for (const { host } of list) expect(host).toBe('0.0.0.0');
  });
});

describe('the compose file', () => {
  test('builds this image', () => {
    expect(resolve(root, 'docker', service.build.context)).toBe(root);
    expect(existsSync(resolve(root, service.build.dockerfile))).toBe(true);
  });

  test('keeps the data in a named volume, and mounts the configuration', () => {
    const mounts = service.volumes.map((volume) => volume.split(':'));
    expect(mounts).toContainEqual(['data', config.dataDir]);
    expect(compose.volumes).toHaveProperty('data');
    const [source = ''] = mounts.find(([, target]) => target === configPath) ?? [];
    expect(existsSync(resolve(root, 'docker', source))).toBe(true);
  });

  test('restarts, and gives Facteur more time to stop than it takes', () => {
    expect(service.restart).toBe('unless-stopped');
    const grace = /GRACE_MS = ([\d_]+)/.exec(read('src/cli/serve.ts'))?.[1]?.replaceAll('_', '');
    expect(Number(service.stop_grace_period.replace('s', '')) * 1000).toBeGreaterThan(Number(grace));
  });
});

describe('the health check', () => {
  test('asks ports without TLS that are listened on', () => {
    const [, command = ''] = /CMD (\[.*\])/.exec(of('HEALTHCHECK')[0] ?? '') ?? [];
    const [program, script, ...asked] = JSON.parse(command) as string[];
    expect(program).toBe('node');
    expect(copies.some(({ target }) => `${of('WORKDIR')[0]}/${target.replace('./', '')}` === script)).toBe(
      true,
    );
    const plain = (['smtp', 'imap'] as const).flatMap((name) =>
      config.listeners[name].map(({ port }) => String(port)),
    );
    expect(asked).toEqual(plain);
  });

  async function check(greeting: string | null): Promise<number | null> {
    const server = createServer((socket) => {
      if (greeting === null) socket.end();
      else socket.write(greeting);
      socket.on('error', () => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = String((server.address() as AddressInfo).port);
    const child = spawn(process.execPath, [resolve(root, 'docker/healthcheck.js'), port], {
      stdio: 'ignore',
    });
    const [code] = (await once(child, 'exit')) as [number | null];
    server.close();
    return code;
  }

  test('is content with a greeting of SMTP, IMAP or POP3, and with nothing else', async () => {
    const greetings = ['220 mx.example.org ESMTP\r\n', '* OK ready\r\n', '+OK ready\r\n'];
    expect(await Promise.all(greetings.map(check))).toEqual([0, 0, 0]);
    expect(await Promise.all([check('421 busy\r\n'), check(null)])).toEqual([1, 1]);
  });

  test('fails where nobody listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = String((server.address() as AddressInfo).port);
    server.close();
    const child = spawn(process.execPath, [resolve(root, 'docker/healthcheck.js'), port], {
      stdio: 'ignore',
    });
    expect((await once(child, 'exit'))[0]).toBe(1);
  });
});
