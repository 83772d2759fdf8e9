#!/usr/bin/env node
// Starts facteur, whatever Node runs this file. Plain JavaScript of the oldest kind on purpose: on a Node that is too
// old for Facteur it must still be able to say so, before anything native is loaded (that would crash without a word).
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const REQUIRED = 24;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const major = Number(process.versions.node.split('.')[0]);

if (major >= REQUIRED) {
  // Compiled code is kept for the next start, which then takes half the time; where it cannot be written, nothing is
  // lost. The variable is for the worker threads.
  process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'facteur');
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  // A checkout has the sources; the installed package has what `npm run build` made of them, because Node does not
  // strip types below node_modules.
  const source = join(root, 'src', 'main.ts');
  await import(pathToFileURL(existsSync(source) ? source : join(root, 'dist', 'main.js')).href);
} else {
  const bundled = join(root, 'node_modules', 'node', 'bin', 'node');
  if (existsSync(bundled)) {
    const child = spawn(bundled, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
      stdio: 'inherit',
    });
    for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    // Ctrl-C at a terminal reaches the child without us; a second one would stop it at once.
    process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
    child.on('exit', (code, signal) => {
      process.exitCode = signal ? 1 : (code ?? 1);
    });
  } else {
    process.stderr.write(
      `facteur needs Node.js ${REQUIRED} or newer; this is ${process.versions.node} (${process.execPath}).\n` +
        'Install a newer Node.js, or run "npm ci" in a checkout of Facteur: it brings one along.\n',
    );
    process.exitCode = 1;
  }
}
