import { spawn } from 'node:child_process';
import type { ProgramSettings } from '../../sieve/options.ts';

/** Programs that an admin has listed, run for a script. The message's words never become a command line of a shell. */

/** Octets of output; a message is not bigger. */
const MAX_OUTPUT = 64 * 1024 * 1024;

export interface ProgramResult {
  readonly ok: boolean;
  readonly output: Uint8Array;
}

const FAILED: ProgramResult = { ok: false, output: new Uint8Array(0) };

/** Never rejects: a program that cannot be started, takes too long or says too much has failed. */
export function runProgram(
  { command, timeout }: ProgramSettings,
  args: readonly string[],
  input: Uint8Array,
  environment: Readonly<Record<string, string>>,
): Promise<ProgramResult> {
  const [program = '', ...first] = command;
  return new Promise((resolve) => {
    const child = spawn(program, [...first, ...args], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', ...environment },
      timeout,
      killSignal: 'SIGKILL',
    });
    const output: Uint8Array[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Uint8Array) => {
      size += chunk.length;
      if (size > MAX_OUTPUT) child.kill('SIGKILL');
      else output.push(chunk);
    });
    // One that does not want its input all is no mistake.
    child.stdin.on('error', () => {});
    child.on('error', () => resolve(FAILED));
    child.on('close', (code) => resolve(code === 0 ? { ok: true, output: Buffer.concat(output) } : FAILED));
    child.stdin.end(input);
  });
}
