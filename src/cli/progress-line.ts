import type { Clock } from '../lib/clock.ts';
import type { Progress } from '../transfer/progress.ts';
import { sparingly } from './frugal.ts';
import type { CliIo } from './io.ts';

/** How far a transfer is: a line that is written over on a terminal, or a JSON object now and then. */

/** At most this often, ms. */
const EVERY = { line: 200, json: 1000 } as const;
const WIDTH = 110;

export class ProgressLine {
  readonly #io: CliIo;
  readonly #clock: Clock;
  readonly #form: 'line' | 'json' | 'none';
  readonly #began: number;
  readonly #spare = sparingly();
  #told = 0;
  #shown = false;

  constructor(io: CliIo, clock: Clock, form: 'json' | 'text') {
    this.#io = io;
    this.#clock = clock;
    this.#form = form === 'json' ? 'json' : io.isErrTTY === true ? 'line' : 'none';
    this.#began = clock.now().getTime();
  }

  tell(progress: Progress): void {
    this.#spare(progress.messages + progress.known);
    const now = this.#clock.now().getTime();
    if (this.#form === 'none' || now - this.#told < EVERY[this.#form]) return;
    this.#told = now;
    const seconds = (now - this.#began) / 1000;
    if (this.#form === 'json') {
      this.#io.out(`${JSON.stringify({ type: 'progress', seconds: Math.round(seconds), ...progress })}\n`);
      return;
    }
    this.#shown = true;
    this.#io.err(`\r${line(progress, seconds).slice(0, WIDTH).padEnd(WIDTH)}`);
  }

  /** The line goes away. */
  end(): void {
    if (this.#shown) this.#io.err(`\r${' '.repeat(WIDTH)}\r`);
    this.#shown = false;
  }

  seconds(): number {
    return (this.#clock.now().getTime() - this.#began) / 1000;
  }
}

function line(progress: Progress, seconds: number): string {
  const { messages, octets, known, fraction, folder } = progress;
  const rate = seconds > 0 ? Math.round((messages + known) / seconds) : 0;
  const left = fraction !== null && fraction > 0 ? (seconds * (1 - fraction)) / fraction : null;
  const parts = [
    fraction === null ? '' : `${Math.floor(fraction * 100)} %`,
    `${number(messages)} messages`,
    megabytes(octets),
    known > 0 ? `${number(known)} there already` : '',
    `${number(rate)}/s`,
    left === null || seconds < 2 ? '' : `${duration(left)} left`,
    folder,
  ];
  return parts.filter((part) => part !== '').join('  ');
}

export function number(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

export function megabytes(octets: number): string {
  return octets < 10 * 1024 * 1024
    ? `${(octets / 1024 / 1024).toFixed(1)} MB`
    : `${number(Math.round(octets / 1024 / 1024))} MB`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
